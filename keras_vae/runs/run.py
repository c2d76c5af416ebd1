"""A finished run: the model, and what was fitted to its codes."""

import contextlib
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras.initializers import Identity, VarianceScaling, Zeros

from keras_vae import latent
from keras_vae.layers import GlorotUniform
from keras_vae.likelihoods.data import Pixels
from keras_vae.runs.examples import Examples
from keras_vae.start.folders import find, is_incomplete, read_json
from keras_vae.tables import Table

SOURCES = ("flow", "mixture", "prior")  # of new images; usually the best comes first
INITIAL = {kind: kind.__call__ for kind in (Identity, GlorotUniform, VarianceScaling, Zeros)}


@dataclass(frozen=True)
class Run:
    """The content of a run folder, ready to use; made by `load`.

    Attributes:
        folder: The run folder.
        config: The content of config.json.
        model: A `VAE` or `AutoEncoder`, compiled.
        directions: `keras_vae.latent.Directions`; None if the data have no attributes, or too few
            images have, or lack, any of them.
        mixture: `keras_vae.latent.Mixture`; None if it could not be fitted.
        flow: `keras_vae.latent.Flow`; None if there were too few images.
        examples: `keras_vae.runs.examples.Examples`, part of the test set; None if the folder has
            no examples.npz.

    Example:

    ```python
    run = keras_vae.runs.load()
    happy = keras_vae.latent.edit(run.model, run.sample(4, seed=0), run.edits, {"smiling": 1})
    ```
    """

    folder: Path
    config: dict
    model: keras.Model
    directions: latent.Directions | None
    mixture: latent.Mixture | None
    flow: latent.Flow | None = None
    examples: Examples | None = None

    @property
    def is_of_images(self):
        """Whether the model is one of images, and not of rows of a table or other numbers."""
        return isinstance(self.model.likelihood.data, Pixels)

    @property
    def noun(self):
        """What the items are called: images, rows of a table, or items."""
        return "images" if self.is_of_images else "rows" if self.table else "items"

    @property
    def table(self):
        """The `keras_vae.tables.Table` of a model of a table; otherwise None."""
        columns = self.config.get("table")
        return columns and Table.from_json(columns)

    @property
    def resize(self):
        """How pictures of another aspect ratio are resized: ``"crop"`` or ``"pad"``."""
        return self.config.get("resize") or "crop"

    @property
    def edits(self):
        """The `keras_vae.latent.Edits` of all attributes; None without directions."""
        if self.directions is None:
            return None
        return latent.Edits(
            self.directions, self.flow, self.config.get("edit_methods"), self.switches
        )

    @property
    def switches(self):
        """The `keras_vae.latent.Switches` of a model with a condition; otherwise None."""
        condition = self.model.condition
        return condition and latent.Switches(condition, self.model.latent_dim)

    @property
    def sources(self):
        """The sources of new images that this run has, of `SOURCES`, the best one first."""
        best = self.config.get("best_source")
        order = sorted(SOURCES, key=lambda name: name != best)
        return tuple(name for name in order if name not in self._lacking())

    @property
    def wishes(self):
        """The names of the attributes that new images can be given, by source."""
        flow, condition = self.flow, self.model.condition
        names = {"flow": flow and flow.names, "prior": condition and condition.names}
        return {source: tuple(found) for source, found in names.items() if found}

    def sample(self, n, seed=None, temperature=1.0, source=None, attributes=None):
        """Returns new images.

        Args:
            n: Number of images.
            seed: None or a non-negative integer; one seed gives the same images on all backends.
            temperature: Scale of the noise; below 1 images are more typical and less diverse.
            source: Where codes come from: ``"flow"`` (`keras_vae.latent.fit_flow`);
                ``"mixture"``, Gaussians fitted to the codes of training images; or
                ``"prior"``, that of the model. None is the first of `sources`.
            attributes: Attributes of the images, True or False by the name of an attribute or
                class, such as ``{"smiling": True, "eyeglasses": False}``. Requires the flow, or
                a model that was trained with these as condition, and then its prior.

        Returns:
            NumPy float32 images ``(n, height, width, channels)``, pixels in [0, 1]. Of other data
            values ``(n, ...)`` in their units, drawn from p(x|z), and not its mean.

        Raises:
            ValueError: If the run does not have the source, or an argument is invalid.

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
        if attributes and source is None:
            source = next(iter(self.wishes), None)
        if attributes and source == "prior" and self.model.condition:
            return self._drawn(self.model.sample(n, seed, temperature, condition=attributes), seed)
        if attributes and source not in (None, "flow"):
            raise ValueError(
                "Only the flow, and the prior of a model with a condition, can sample images with "
                "given attributes. Use --from flow, in Python source='flow'. "
                f"Received: source={source!r}"
            )
        if attributes and "flow" in lacking:
            raise ValueError(
                f"{self.folder} cannot sample {self.noun} with given attributes: "
                f"{lacking['flow']}. Train on at least 50 {self.noun} with attributes"
            )
        if source in lacking:
            raise ValueError(
                f"{self.folder} cannot sample from the {source}: {lacking[source]}. Use --from "
                f"{best}, in Python source={best!r}"
            )
        source = "flow" if attributes else source or best
        if source == "prior":
            return self._drawn(self.model.sample(n, seed, temperature), seed)
        part = self.mixture if source == "mixture" else self.flow
        wishes = () if source == "mixture" else (attributes,)
        return self._drawn(self.model.decode(part.sample(n, seed, temperature, *wishes)), seed)

    def _drawn(self, means, seed):
        """Returns images as they are, and of other data values with these means."""
        if self.is_of_images:
            return means
        # Not the generator of the codes, whose noise would be the same.
        rng = np.random.default_rng(None if seed is None else (seed, 1))
        return self.model.likelihood.draw(means, rng)

    def _lacking(self):
        """Returns the reasons why sources are missing, by source."""
        lacking = {}
        if self.flow is None:
            lacking["flow"] = "there is no flow.keras"
        if self.mixture is None:
            lacking["mixture"] = "there is no mixture.npz"
        if not self.model.has_prior:
            lacking["prior"] = "a plain autoencoder has no prior"
        return lacking


def load(folder=None):
    """Returns a run: the model, and what was fitted to its codes.

    Args:
        folder: The run folder, or its name in ``runs/``; None is the newest completed run, or the
            pretrained model of the package, ``"pretrained"``, if there is none.
            ``"hf://name/repo"`` is a run on the Hugging Face Hub that `push` put there.

    Returns:
        A `Run`, on the current Keras backend. Of a run that was interrupted it has the best model
        so far, with a warning.

    Raises:
        ValueError: If there is no such run, or one of its files cannot be read.

    Example:

    ```python
    run = keras_vae.runs.load()
    run.sample(16)
    ```
    """
    folder = find(folder)
    config = read(folder / "config.json", read_json)
    model = load_model(folder)
    if config.get("completed") is False:
        warnings.warn(is_incomplete(folder, config), stacklevel=2)
    directions = read_if_present(folder / "directions.npz", latent.Directions.load)
    mixture = read_if_present(folder / "mixture.npz", latent.Mixture.load)
    flow = read_if_present(folder / "flow.keras", latent.Flow.load)
    examples = read_if_present(folder / "examples.npz", Examples.load)
    for name, part, latents in (
        ("directions.npz", directions, lambda part: part.vectors.shape[1]),
        ("mixture.npz", mixture, lambda part: part.means.shape[1]),
        ("flow.keras", flow, lambda part: part.latent_dim),
        ("examples.npz", examples, lambda part: part.codes.shape[1]),
    ):
        if part is not None and latents(part) != model.latent_dim:
            raise ValueError(
                f"{folder}/{name} must have {model.latent_dim} latents, like the model. "
                f"Received: {latents(part)} latents"
            )
    if examples is not None and examples.images.shape[1:] != model.data_shape:
        raise ValueError(
            f"{folder}/examples.npz must have images of shape {model.data_shape}, like the model. "
            f"Received: {examples.images.shape[1:]}"
        )
    return Run(folder, config, model, directions, mixture, flow, examples)


def read_if_present(path, reader):
    return read(path, reader) if path.exists() else None


def read(path, reader):
    """Returns ``reader(path)``; raises `ValueError` with the path if that fails."""
    try:
        with no_initial_weights():
            return reader(path)
    except MemoryError:
        raise
    except Exception as error:  # each reader has its own exceptions for damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} cannot be read: {reason}") from error


@contextlib.contextmanager
def no_initial_weights():
    """Keras models made in this thread begin with NumPy's zeros: a file replaces them.

    On JAX each shape of initial weights costs a compilation, together several seconds.
    """
    loading = threading.get_ident()

    def zeros(self, shape, dtype=None, **kwargs):
        if threading.get_ident() == loading:
            return keras.ops.convert_to_tensor(np.zeros(shape, "float32"), dtype)
        make = next(make for kind, make in INITIAL.items() if isinstance(self, kind))
        return make(self, shape, dtype, **kwargs)

    try:
        for kind in INITIAL:
            kind.__call__ = zeros
        yield
    finally:
        for kind, make in INITIAL.items():
            kind.__call__ = make


def load_model(folder):
    """Returns the model of a run, on the current Keras backend.

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
    if not model.compiled:  # a packed run has no optimizer
        model.compile()
    return model
