"""The actions of the page as functions of arrays, without Gradio; `rows.py` has more for tables.

Photos are uint8 ``(height, width, 3)`` of any size, images uint8 of the model's shape. A visitor's
mistake raises `ValueError`. Actions change only a thread-safe cache, so that any number of them
can run at once.
"""

import contextlib
import functools

import numpy as np

from keras_vae import checks, latent, photos
from keras_vae.datasets.names import favourite
from keras_vae.images import to_uint8
from keras_vae.runs import SOURCES
from keras_vae.start import folders

STRENGTH = 3  # largest strength of an edit, positive or negative
STRIP = (-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2)  # strengths of an edit in its strip
SUMS = (0, 0.5, 1, 1.5, 2)  # multiples of A - B in the strip of arithmetic
MOST_IMAGES = 64
MOST_ROWS, MOST_CELLS = 1000, 50_000  # most new rows; fewer of many columns
MOST_TEMPERATURE = 2
MOST_STEPS = 24
FARTHEST = 10_000  # largest value of a latent in a request
LATENTS = 8  # latents with a slider
REACH = 3.0  # range of these sliders: standard deviations from the mean
UNITS = 1000  # shifts in the cache
WAYS = ("flow", "straight", "spherical")  # of interpolation


class Actions:
    """The actions of the page on one run.

    Args:
        run: A `keras_vae.runs.Run`.

    Example:

    ```python
    actions = Actions(runs.load())
    before, after, strip = actions.edit(photo, {"smiling": 1.5})
    ```
    """

    def __init__(self, run):
        self.run, self.model, self.edits = run, run.model, run.edits
        self.image_shape = tuple(run.model.data_shape)
        classes = run.config.get("label_names")
        self._classes = classes if isinstance(classes, list | tuple) else ()
        self.attributes = self._ordered(self.edits or ())
        self.wishes = {source: self._ordered(names) for source, names in run.wishes.items()}
        self.ways = WAYS if run.flow is not None else WAYS[1:]
        # Groups of test images that have a mean code, with the number of images in each.
        self.groups = {}
        if run.examples is not None:
            names, counts = run.examples.attribute_names, run.examples.attribute_counts.tolist()
            for name in self._ordered(names):
                without, having = counts[names.index(name)]
                if without and having:
                    self.groups |= {(name, True): having, (name, False): without}
        # A moving slider repeats the same shifts, and the flow needs long for each.
        self._unit = functools.lru_cache(UNITS)(self._unit_of)

    def _ordered(self, names):
        """Returns names as a list, with the one that `favourite` chooses first."""
        names = list(names)
        first = favourite(names) if names else None
        return sorted(names, key=lambda name: name != first)

    def is_class(self, name):
        """Returns True for a class, of which each image has exactly one, False for an attribute."""
        return name in self._classes

    def _unit_of(self, code, name):
        """Returns the shift of a code, given as bytes, by strength 1 of an attribute."""
        unit = self.edits.shift({name: 1}, np.frombuffer(code, "float32")[None])[0]
        unit.flags.writeable = False
        return unit

    def shift(self, strengths, code):
        """Returns the same as `run.edits.shift`, which is linear in each strength, for one code."""
        key, shift = code.tobytes(), np.zeros(self.edits.columns, "float32")
        for name, strength in strengths.items():
            if strength:
                shift += np.float32(strength) * self._unit(key, name)
        return shift

    def working_strength(self):
        """Returns the strength that metrics.json gives for the first attribute, or 1."""
        metrics = {}
        with contextlib.suppress(OSError, ValueError, RecursionError):
            metrics = folders.read_json(self.run.folder / "metrics.json")
        strength = metrics.get("edit_strength")
        is_known = self.attributes[:1] == [metrics.get("edit_attribute")] and is_number(strength)
        return float(np.clip(strength, -STRENGTH, STRENGTH)) if is_known else 1.0

    def is_of_photographs(self):
        """Returns True for colour images, except those of the drawn data set faces."""
        return self.image_shape[2] == 3 and self.run.config.get("dataset") != "faces"

    def seen(self, photo):
        """Returns a photo brought to the model's shape, an image."""
        return photos.view(photo, self.image_shape, self.run.resize)

    def encode(self, photo):
        """Returns the code of a photo, float32 ``(latent_dim,)``."""
        return latent.codes_of(self.model, self.seen(photo)[None])[0]

    def decode(self, codes):
        """Returns the images decoded from codes ``(n, latent_dim)``."""
        return to_uint8(self.model.decode(codes))

    def code(self, values):
        """Returns numbers of a request as a code, float32 ``(latent_dim,)``, if they are valid."""
        size = self.model.latent_dim
        is_list = isinstance(values, (list, tuple, np.ndarray)) and len(values) == size
        if not is_list or not all(map(is_number, values)) or np.abs(values).max() > FARTHEST:
            raise ValueError(
                f"Expected a code: a list of {size} numbers from {-FARTHEST:,} to {FARTHEST:,}"
            )
        return np.asarray(values, "float32")

    def edit(self, photo, strengths, keep_detail=False, strip_of=""):
        """Returns a photo with attributes changed.

        Args:
            photo: The photo.
            strengths: The strength of each attribute, by name, from -3 to 3.
            keep_detail: If True, the change is added to the photo; otherwise the results are
                decoded images.
            strip_of: The attribute that varies in the strip; empty is the first.

        Returns:
            Before and after (photos with `keep_detail`, otherwise images), and a strip of images
            in which one attribute has the strengths `STRIP`.

        Raises:
            ValueError: If the model has no attributes, or a name or a strength is invalid.
        """
        if self.edits is None:
            raise ValueError("This model was trained without attributes, so it has no edits")
        if not isinstance(strengths, dict):
            raise ValueError('Expected strengths by name, such as {"smiling": 1.5}')
        for name, strength in strengths.items():
            check_name(name, self.attributes)
            check_range(f"the strength of {name!r}", strength, -STRENGTH, STRENGTH)
        strip_of = self.attributes[0] if strip_of == "" else strip_of
        check_name(strip_of, self.attributes)
        image = self.seen(photo)
        # Like `latent.edit`, but decoded in one call: this runs while a slider moves.
        z = latent.codes_of(self.model, image[None])[0]
        wanted = [{}, strengths, *({**strengths, strip_of: a} for a in STRIP)]
        shifts = np.stack([self.shift(one, z) for one in wanted])
        pictures = self.model.decode(latent.moved(np.tile(z, (len(shifts), 1)), shifts))
        before, after, strip = pictures[0], pictures[1], pictures[2:]
        if keep_detail:
            strip = latent.with_detail(
                np.repeat(image[None], len(strip), axis=0),
                before[None].repeat(len(strip), 0),
                strip,
            )
            return photo, photos.add(photo, after - before, self.run.resize), to_uint8(strip)
        return to_uint8(before), to_uint8(after), to_uint8(strip)

    @property
    def most(self):
        """The largest number of new images or rows in a request."""
        if self.run.is_of_images:
            return MOST_IMAGES
        return max(1, min(MOST_ROWS, MOST_CELLS // self.image_shape[-1]))

    def sample(self, *args, **kwargs):
        """Returns new images, uint8 ``(count, height, width, channels)``; see `values`."""
        return to_uint8(self.values(*args, **kwargs))

    def values(self, count=16, seed=0, temperature=1.0, source="best", attributes=None):
        """Returns new images or rows, as `Run.sample` does, if all arguments are valid.

        Args:
            count: Their number, 1 to `most`.
            seed: Whole number; one seed always gives the same images.
            temperature: From 0 to 2; below 1 images are more typical and less diverse.
            source: ``"flow"``, ``"mixture"``, ``"prior"`` or ``"best"``: the best source of the
                run, with `attributes` the first of those that take them.
            attributes: Attributes of the images, True or False by name, such as
                ``{"smiling": True}``. Requires a source that takes them, see `wishes`.

        Returns:
            float32 ``(count, ...)``.

        Raises:
            ValueError: If the run has no source of codes, or an argument is invalid.
        """
        check_range(f"the number of {self.run.noun}", count, 1, self.most, whole=True)
        check_range("the seed", seed, 0, 2**32 - 1, whole=True)
        check_range("the temperature", temperature, 0, MOST_TEMPERATURE)
        check_name(source, ("best", *SOURCES), "source")
        sources = self.run.sources
        if not sources or source not in ("best", *sources):
            raise ValueError(
                f"This model has no {source if sources else 'source'} to sample from. "
                f"Available: {', '.join(sources) or 'none'}"
            )
        attributes = {} if attributes is None else attributes
        check_wishes(attributes)
        if attributes and not self.wishes:
            raise ValueError(
                "This model has neither a flow with attributes nor a condition, so it cannot "
                "sample by them"
            )
        if source == "best":
            source = next(iter(self.wishes)) if attributes else sources[0]
        if attributes and source not in self.wishes:
            able = " and the ".join(self.wishes)
            raise ValueError(f"Only the {able} can sample by attributes, not the {source}")
        for name in attributes:
            check_name(name, self.wishes[source])
        return self.run.sample(
            int(count), int(seed), float(temperature), source, attributes or None
        )

    def group(self, wanted):
        """Returns the mean code of a group of test images, float32 ``(latent_dim,)``.

        Args:
            wanted: True or False for one attribute, such as ``{"smiling": False}``.

        Raises:
            ValueError: If the group is unknown or empty.
        """
        check_wishes(wanted)
        if len(wanted) != 1:
            raise ValueError('Expected a group by one attribute, such as {"smiling": true}')
        ((name, has),) = wanted.items()
        check_name(name, [name for name, has in self.groups if has], "group of images by")
        examples = self.run.examples
        return examples.attribute_means[examples.attribute_names.index(name), int(has)]

    def arithmetic(self, a, b, c, strength=1.0):
        """Returns C + strength * (A - B) of codes, by `keras_vae.latent.arithmetic`.

        Args:
            a: The photo to add, or a group such as ``{"smiling": True}``, as in `group`.
            b: The photo or group to subtract.
            c: The photo or group to start from.
            strength: Multiple of the difference, from -3 to 3.

        Returns:
            An image, and a strip of images with the strengths `SUMS`.

        Raises:
            ValueError: If the strength is not from -3 to 3, or a group is unknown.
        """
        check_range("the strength", strength, -STRENGTH, STRENGTH)
        parts = [
            (self.encode(part) if isinstance(part, np.ndarray) else self.group(part))[None]
            for part in (a, b, c)
        ]
        codes = [latent.arithmetic(self.model, *parts, float(s)) for s in (strength, *SUMS)]
        images = self.decode(np.concatenate(codes))
        return images[0], images[1:]

    def interpolate(self, first, last, way="best", steps=8):
        """Returns an interpolation between two photos.

        Args:
            first: The photo to start from.
            last: The photo to end with.
            way: ``"flow"`` interpolates in the noise space of the flow, so that each step is as
                plausible as a new image. ``"straight"`` and ``"spherical"`` interpolate
                codes, as `keras_vae.latent.interpolate` does. ``"best"`` is the flow if there is
                one, otherwise straight.
            steps: Number of images, 2 to 24.

        Returns:
            uint8 ``(steps, height, width, channels)``.

        Raises:
            ValueError: If `steps` is not from 2 to 24, or the run does not have the way.
        """
        check_range("the number of steps", steps, 2, MOST_STEPS, whole=True)
        check_name(way, ("best", *self.ways), "way")
        way = self.ways[0] if way == "best" else way
        ends = np.stack([self.encode(first), self.encode(last)])
        flow = self.run.flow if way == "flow" else None
        return self.decode(latent.interpolate(ends, int(steps), way == "spherical", flow=flow))


def is_number(value):
    is_real = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    return is_real and abs(value) < checks.LARGEST  # neither infinite nor NaN


def check_range(what, value, low, high, whole=False):
    """Raises `ValueError` unless a value in a request is a number in a range."""
    if not is_number(value) or not low <= value <= high or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise ValueError(
            f"Expected {what} to be {kind} from {low:,} to {high:,}, not {shortened(value)}"
        )


def check_wishes(wishes):
    """Raises `ValueError` unless a value in a request is a dict of True or False by name."""
    is_dict = isinstance(wishes, dict) and all(isinstance(has, bool) for has in wishes.values())
    if not is_dict:
        raise ValueError(
            f'Expected true or false by name, such as {{"smiling": true}}, not {shortened(wishes)}'
        )


def check_name(name, names, kind="attribute"):
    """Raises `ValueError` unless a value in a request is one of `names`."""
    if not isinstance(name, str) or name not in names:
        raise ValueError(f"There is no {kind} {shortened(name)}. There are: {', '.join(names)}")


def shortened(value):
    """Returns a received value as text that fits in a message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
