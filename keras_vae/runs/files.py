"""The files of a run folder: their names, and how they are written.

Every file is written under a temporary name and then moved into place, so a file that exists is
complete.
"""

import contextlib
import csv
import json
import os
from pathlib import Path

FILES = {
    "model.keras": "the trained model, best epoch by validation loss",
    "config.json": "every setting and version, and whether the run was completed",
    "history.csv": "the losses of each epoch",
    "metrics.json": "the final numbers, of the saved model on the test images",
    "directions.npz": "a direction in latent space for each attribute (if there are any)",
    "mixture.npz": "Gaussians fitted to the codes, a second way to sample",
    "flow.keras": "a flow from noise to the codes: samples, edits and walks (if there is one)",
    "examples.npz": "test images and codes, for the demo",
    "data.png": "training images, as the model sees them",
    "skipped.txt": "files that could not be used, and why (if there are any)",
    "samples.png": "new images: z from the flow, the mixture and the prior",
    "reconstructions.png": "test images and how the model draws them again",
    "arithmetic.png": "test images with more and less of an attribute (if there are any)",
    "interpolation.png": "from one test image to another",
    "traversal.png": "what the latents that carry most do, one at a time",
    "manifold.png": "what the latent space looks like everywhere (if it has 2 latents)",
    "latents.png": "what each latent carries, and the codes against the prior",
    "latent_map.png": "where the test images lie in the latent space",
    "history.png": "the losses over the epochs",
    "evaluation.json": "what the model is worth (if evaluated)",
    "edit_strengths.png": "what edits do as they grow stronger (if evaluated)",
    "edit_leakage.png": "what edits do to other attributes (if evaluated)",
    "disentanglement.png": "how well each true factor is found in the code (if evaluated)",
}

TEMPORARY = ".unfinished-"  # how the name of a file begins while it is written


def clear(folder):
    """Removes the files of an earlier run, and no others."""
    for name in (*FILES, "latent.png"):  # the last is what latent_map.png was called
        Path(folder, name).unlink(missing_ok=True)


@contextlib.contextmanager
def atomic(path):
    """Gives a temporary path to write to; moves it to `path` if all went well."""
    path = Path(path)
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_temporary_files(folder):
    """Cleans up for a process that ends in the middle of writing."""
    for path in Path(folder).glob(f"{TEMPORARY}*"):
        path.unlink(missing_ok=True)


def write_text(path, text):
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_lines(path, lines):
    """Writes lines of text; line breaks inside of one, as in file names, are escaped."""
    lines = [line.replace("\n", r"\n").replace("\r", r"\r") for line in lines]
    write_text(path, "\n".join(lines) + "\n")


def write_json(path, content):
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_history(path, history):
    """Writes Keras's ``history.history`` as a table, one row an epoch."""
    with atomic(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", *history])
        for epoch, row in enumerate(zip(*history.values()), start=1):
            writer.writerow([epoch, *(f"{value:.6g}" for value in row)])


def write_figure(path, figure):
    with atomic(path) as temporary:
        figure.savefig(temporary)


def save(path, part):
    """Writes what has a method `save`: a model, directions, a mixture, examples."""
    with atomic(path) as temporary:
        part.save(temporary)
