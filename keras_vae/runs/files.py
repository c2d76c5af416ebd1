"""The files of a run folder: their names, and functions that write them.

Each file is written under a temporary name and then moved into place, so that a file under its
final name is always complete; what TensorBoard shows grows as training goes on.
"""

import contextlib
import csv
import json
from pathlib import Path

from keras_vae.atomic import atomic

FILES = {
    "model.keras": "the model at the epoch with the lowest validation loss",
    "config.json": "all settings and versions, and whether the run was completed",
    "checkpoint.npz": "what --resume continues from (until the run is completed)",
    "checkpoint-before.npz": "the one before, in case the newest is damaged (until then)",
    "history.csv": "losses of each epoch",
    "tensorboard/": "losses and pictures during training, for TensorBoard (if --tensorboard)",
    "metrics.json": "metrics of the saved model on the test images",
    "directions.npz": "a direction in latent space for each attribute (if the data have any)",
    "mixture.npz": "a mixture of Gaussians fitted to the codes, for sampling",
    "flow.keras": "a flow from noise to codes for samples, edits, interpolation (if enough images)",
    "examples.npz": "test images and codes, for the demo",
    "columns.csv": "how well each column is reconstructed (if no images)",
    "columns.png": "columns.csv as a chart (if no images)",
    "samples.csv": "new rows (if a table)",
    "samples.npy": "new items (if no images)",
    "pairs.png": "pairs of columns of test rows and of new ones (if no images)",
    "data.png": "training images at the model's size",
    "skipped.txt": "files that could not be read, with the reasons (if there are any)",
    "samples.png": "new images from the flow, the mixture and the prior",
    "reconstructions.png": "test images and their reconstructions",
    "arithmetic.png": "test images with less and more of an attribute (if the data have any)",
    "interpolation.png": "interpolations between test images",
    "traversal.png": "one latent varied at a time, those with the most information first",
    "manifold.png": "images decoded from a grid over the latent space (if it has 2 latents)",
    "latents.png": "information in each latent, and the distribution of its values",
    "latent_map.png": "map of the codes of the test images",
    "history.png": "losses over the epochs",
    "evaluation.json": "metrics of the model and of its edits and samples (if evaluated)",
    "edit_strengths.png": "flip rate, identity and leakage of edits by strength (if evaluated)",
    "edit_leakage.png": "share of verdicts on each attribute that edits change (if evaluated)",
    "disentanglement.png": "how well the codes predict each true factor (if evaluated)",
}


def clear(folder):
    """Removes the files of an earlier run, and no others."""
    for name in FILES:
        path = Path(folder, name)
        if path.is_dir():
            for part in path.glob("*.tfevents.*"):
                part.unlink()
            with contextlib.suppress(OSError):  # there are others in it
                path.rmdir()
        else:
            path.unlink(missing_ok=True)


def write_text(path, text):
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_lines(path, lines):
    """Writes lines of text; line breaks within a line, such as in a file name, are escaped."""
    lines = [line.replace("\n", r"\n").replace("\r", r"\r") for line in lines]
    write_text(path, "\n".join(lines) + "\n")


def write_json(path, content):
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_history(path, history):
    """Writes Keras's ``history.history`` as CSV, one row per epoch."""
    with atomic(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", *history])
        for epoch, row in enumerate(zip(*history.values()), start=1):
            writer.writerow([epoch, *(f"{value:.6g}" for value in row)])


def write_figure(path, figure):
    with atomic(path) as temporary:
        figure.savefig(temporary)


def save(path, part):
    """Writes an object with a method `save`: a model, directions, a mixture, a flow, examples."""
    with atomic(path) as temporary:
        part.save(temporary)
