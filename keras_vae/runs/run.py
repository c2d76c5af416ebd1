"""A finished run: the model and what was learned about its latent space."""

from dataclasses import dataclass
from pathlib import Path

import keras

from keras_vae import latent
from keras_vae.models.vae import VAE
from keras_vae.runs.examples import Examples
from keras_vae.runs.folders import find, read_json

SOURCES = ("flow", "mixture", "prior")  # of new images, the better one first as a rule


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
        flow: `keras_vae.latent.Flow`; None if there are too few images.
        examples: `keras_vae.runs.examples.Examples`, some of the test set; None if the run is from an
            older version.
    """

    folder: Path
    config: dict
    model: keras.Model
    directions: latent.Directions | None
    mixture: latent.Mixture | None
    flow: latent.Flow | None = None
    examples: Examples | None = None

    @property
    def resize(self):
        """How pictures of other shapes are brought to the model's: ``"crop"`` or ``"pad"``."""
        return self.config.get("resize") or "crop"

    @property
    def edits(self):
        """How to edit each attribute, `keras_vae.latent.Edits`; None without directions."""
        if self.directions is None:
            return None
        return latent.Edits(self.directions, self.flow, self.config.get("edit_methods"))

    @property
    def sources(self):
        """What new images can come from, the better one first: those of `SOURCES` it has."""
        best = self.config.get("best_source")
        order = sorted(SOURCES, key=lambda name: name != best)
        return tuple(name for name in order if name not in self._lacking())

    def sample(self, n, seed=None, temperature=1.0, source=None, attributes=None):
        """Returns new images.

        Args:
            n: How many.
            seed: None or a non-negative integer; the same one shows the same on every backend.
            temperature: Scale of the noise; below 1 images are more typical and less diverse.
            source: Where codes come from: ``"flow"``, see `keras_vae.latent.fit_flow`;
                ``"mixture"``, Gaussians fitted to the codes of training images; or
                ``"prior"``, N(0, I). None is the first of `sources`.
            attributes: What the images are to show, True or False by the name of an attribute
                or class, such as ``{"smiling": True, "eyeglasses": False}``. Only the flow
                knows of attributes.

        Returns:
            NumPy float32 images ``(n, height, width, channels)``, pixels in [0, 1].

        Raises:
            ValueError: If the run lacks the source, or any, or another argument is unusable.

        Example:

        ```python
        images = keras_vae.runs.load().sample(16, seed=0, attributes={"smiling": True})
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
        if attributes and source not in (None, "flow"):
            raise ValueError(
                f"Only the flow knows of attributes. Leave source={source!r} out, on the command "
                "line --from"
            )
        if attributes and "flow" in lacking:
            raise ValueError(
                f"{self.folder} cannot draw images with wishes: {lacking['flow']}. Train with "
                f"attributes and 50 images or more"
            )
        if source in lacking:
            raise ValueError(
                f"{self.folder} cannot do that: {lacking[source]}. Use --from {best}, in Python "
                f"source={best!r}"
            )
        source = "flow" if attributes else source or best
        if source == "prior":
            return self.model.sample(n, seed, temperature)
        if source == "mixture":
            return self.model.decode(self.mixture.sample(n, seed, temperature))
        return self.model.decode(self.flow.sample(n, seed, temperature, attributes))

    def _lacking(self):
        """Returns why a source is not there, by source."""
        lacking = {}
        if self.flow is None:
            lacking["flow"] = "there is no flow.keras"
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
    flow = read_if_there(folder / "flow.keras", latent.Flow.load)
    examples = read_if_there(folder / "examples.npz", Examples.load)
    for name, part, latents in (
        ("directions.npz", directions, lambda part: part.vectors.shape[1]),
        ("mixture.npz", mixture, lambda part: part.means.shape[1]),
        ("flow.keras", flow, lambda part: part.latent_dim),
        ("examples.npz", examples, lambda part: part.codes.shape[1]),
    ):
        if part is not None and latents(part) != model.latent_dim:
            raise ValueError(
                f"{folder}/{name} is of {latents(part)} latents, the model has {model.latent_dim}"
            )
    if examples is not None and examples.images.shape[1:] != model.image_shape:
        raise ValueError(
            f"{folder}/examples.npz is of images {examples.images.shape[1:]}, the model has "
            f"{model.image_shape}"
        )
    return Run(folder, config, model, directions, mixture, flow, examples)


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
