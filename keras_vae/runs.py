"""The run folder: what train.py writes and others read.

Every file is written under a temporary name and moved into place, so that a file that is
there is whole.
"""

import contextlib
import csv
import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import keras

from keras_vae import datasets, latent
from keras_vae.examples import Examples
from keras_vae.models.vae import VAE
from keras_vae.run_folders import completed as completed
from keras_vae.run_folders import find as find
from keras_vae.run_folders import read_json

FILES = {
    "model.keras": "the trained model, best epoch by validation loss",
    "config.json": "every setting and version, and whether the run was completed",
    "history.csv": "the losses of each epoch",
    "metrics.json": "the final numbers, of the saved model on the test images",
    "directions.npz": "a direction in latent space for each attribute (if there are any)",
    "mixture.npz": "Gaussians fitted to the codes, a second way to sample",
    "examples.npz": "test images and codes, for the demo",
    "data.png": "training images, as the model sees them",
    "skipped.txt": "files that could not be used, and why (if there are any)",
    "samples.png": "new images: z from the prior, and from the mixture",
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

SOURCES = ("mixture", "prior")  # of new images, the better one first
TEMPORARY = ".unfinished-"  # how the name of a file begins while it is written


def create(dataset, output=None, overwrite=False, root="runs"):
    """Makes the folder of a new run.

    Args:
        dataset: Name or path of the data set, for the folder's name.
        output: The folder to use; None makes a new one, ``root/<dataset>-<UTC time>``.
        overwrite: Whether `output` may hold files already; they stay until `clear` is called.
        root: Where new folders go.

    Returns:
        The `Path` of an existing folder.

    Raises:
        ValueError: If `output` holds files and may not be overwritten.
        OSError: If the folder cannot be made or written to.

    Example:

    ```python
    folder = keras_vae.runs.create("faces")
    ```
    """
    if output is None:
        dataset = re.sub(r"[^\w.-]+", "-", Path(dataset).stem).strip("-.") or "images"
        name = f"{dataset}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
            with contextlib.suppress(FileExistsError):
                folder = Path(root, name + suffix)
                folder.mkdir(parents=True)
                return folder
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not overwrite:
        raise ValueError(f"The folder {folder} is not empty. Use another, or --overwrite")
    return folder


def missing(output):
    """Returns which folders have to be made for `output`, the innermost first."""
    path = Path(output)
    return [folder for folder in (path, *path.parents) if not folder.exists()]


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


@dataclass(frozen=True)
class Run:
    """What a run left, ready to use; `load` makes it.

    Attributes:
        folder: The run folder.
        config: The settings, as in config.json.
        model: A `VAE` or `AutoEncoder`, compiled.
        directions: `keras_vae.latent.Directions`; None if the data has no attributes, or too few
            images that have them.
        mixture: `keras_vae.latent.Mixture`; None if none could be fitted.
        examples: `keras_vae.examples.Examples`, some of the test set; None if the run is from an
            older version.
    """

    folder: Path
    config: dict
    model: keras.Model
    directions: latent.Directions | None
    mixture: latent.Mixture | None
    examples: Examples | None = None

    @property
    def resize(self):
        """How pictures of other shapes are brought to the model's: ``"crop"`` or ``"pad"``."""
        return self.config.get("resize") or "crop"

    @property
    def sources(self):
        """What new images can come from, the better one first: ``"mixture"``, ``"prior"``."""
        return tuple(name for name in SOURCES if name not in self._lacking())

    def sample(self, n, seed=None, temperature=1.0, source=None):
        """Returns new images.

        Args:
            n: How many.
            seed: None or a non-negative integer; the same one shows the same on every backend.
            temperature: Scale of the noise; below 1 images are more typical and less diverse.
            source: Where codes come from: ``"mixture"``, the Gaussians fitted to the codes of
                training images, or ``"prior"``, N(0, I). None is the first of `sources`.

        Returns:
            NumPy float32 images ``(n, height, width, channels)``, pixels in [0, 1].

        Raises:
            ValueError: If the run lacks the source, or any, or another argument is unusable.

        Example:

        ```python
        images = keras_vae.runs.load().sample(16, seed=0)
        ```
        """
        if source not in (None, *SOURCES):
            raise ValueError(
                f"Argument `source` must be None or one of {SOURCES}. Received: source={source!r}"
            )
        lacking = self._lacking()
        if not self.sources:
            why = " and ".join(lacking.values())
            raise ValueError(f"{self.folder} has nothing to sample from: {why}")
        best = self.sources[0]
        if source in lacking:
            raise ValueError(
                f"{self.folder} cannot do that: {lacking[source]}. Use --from {best}, in Python "
                f"source={best!r}"
            )
        if (source or best) == "mixture":
            return self.model.decode(self.mixture.sample(n, seed, temperature))
        return self.model.sample(n, seed, temperature)

    def _lacking(self):
        """Returns why a source is not there, by source."""
        lacking = {}
        if self.mixture is None:
            lacking["mixture"] = "there is no mixture.npz"
        if not isinstance(self.model, VAE):
            lacking["prior"] = "a plain autoencoder has no prior"
        return lacking


def load(folder=None):
    """Returns a run: the model with all that was found out about its latent space.

    Args:
        folder: The run folder, or its name in ``runs/``; None is the newest completed run.

    Returns:
        A `Run`, on whichever backend Keras uses now.

    Raises:
        ValueError: If there is no such run, or a file of it cannot be read.

    Example:

    ```python
    run = keras_vae.runs.load()
    run.sample(16)
    ```
    """
    folder = find(folder)
    config = read(folder / "config.json", read_json)
    model = load_model(folder)
    directions = read_if_there(folder / "directions.npz", latent.Directions.load)
    mixture = read_if_there(folder / "mixture.npz", latent.Mixture.load)
    examples = read_if_there(folder / "examples.npz", Examples.load)
    for name, vectors in (
        ("directions", directions and directions.vectors),
        ("mixture", mixture and mixture.means),
        ("examples", examples and examples.codes),
    ):
        if vectors is not None and vectors.shape[1] != model.latent_dim:
            raise ValueError(
                f"{folder}/{name}.npz is of {vectors.shape[1]} latents, the model has "
                f"{model.latent_dim}"
            )
    if examples is not None and examples.images.shape[1:] != model.image_shape:
        raise ValueError(
            f"{folder}/examples.npz is of images {examples.images.shape[1:]}, the model has "
            f"{model.image_shape}"
        )
    return Run(folder, config, model, directions, mixture, examples)


def load_data(config):
    """Returns the data set that a run was trained on, divided in the same way.

    Args:
        config: The settings of the run, as in config.json.

    Returns:
        A `keras_vae.datasets.Dataset`.

    Raises:
        ValueError: If the data are not there any more.

    Example:

    ```python
    run = keras_vae.runs.load()
    images = keras_vae.runs.load_data(run.config).test.images
    ```
    """
    if not config.get("dataset"):
        raise ValueError(
            "The config.json of this run does not say on which data it was trained (`dataset`). "
            "Add the name, or train again"
        )
    size = config.get("image_size")
    return datasets.load(
        config["dataset"],
        config.get("limit"),
        config.get("seed", 0),
        image_size=size and (size * 2)[:2],  # one number is a square
        resize=config.get("resize"),
        attributes_file=config.get("attributes_file"),
        attributes=config.get("attributes"),
        group=config.get("group"),
        memory=config.get("memory", datasets.MEMORY),
    )


def read_if_there(path, reader):
    return read(path, reader) if path.exists() else None


def read(path, reader):
    """Returns what a reader makes of a file; whatever goes wrong is a `ValueError`."""
    try:
        return reader(path)
    except MemoryError:
        raise
    except Exception as error:  # each reader has its own, also for damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} cannot be read: {reason}") from error


def load_model(folder):
    """Returns the model of a run, on whichever backend Keras uses now.

    Args:
        folder: The run folder.

    Returns:
        A `VAE` or `AutoEncoder`, compiled.

    Raises:
        ValueError: If there is no model in the folder, or it cannot be read.

    Example:

    ```python
    model = keras_vae.runs.load_model("runs/faces-20260101-120000")
    model.sample(16)
    ```
    """
    path = Path(folder, "model.keras")
    if not path.is_file():
        raise ValueError(f"There is no model in {folder}: expected the file {path}")
    model = read(path, keras.saving.load_model)  # safe mode: nothing in the file is executed
    if not hasattr(model, "encode"):
        raise ValueError(f"{path} is a {type(model).__name__}; expected a VAE or an AutoEncoder")
    return model
