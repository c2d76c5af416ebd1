"""What visitors can do with a run: arrays in, arrays out, without a word of web pages.

Photos are uint8 ``(height, width, 3)`` of any size, images uint8 of the model's shape. What a
visitor can get wrong is a `ValueError`. Nothing here is changed by a request, so that any number
of them can run at once.
"""

import numpy as np

from keras_vae import checks, latent, photos
from keras_vae.images import to_uint8
from keras_vae.names import favourite

STRENGTH = 3  # the most that sliders and requests may ask for, either way
STRIP = (-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2)
SUMS = (0, 0.5, 1, 1.5, 2)  # how much of A - B
MOST_IMAGES = 64
MOST_TEMPERATURE = 2
MOST_STEPS = 24
FARTHEST = 10_000  # the largest value of a latent in a request
LATENTS = 8  # how many have a slider
REACH = 3.0  # standard deviations that a slider goes from the mean


class Actions:
    """A run and what can be done with it.

    Args:
        run: A `keras_vae.runs.Run`.

    Example:

    ```python
    actions = Actions(runs.load())
    before, after, strip = actions.edit(photo, {"smiling": 1.5})
    ```
    """

    def __init__(self, run):
        self.run, self.model = run, run.model
        self.image_shape = tuple(run.model.image_shape)
        # The names of attributes, the one that people come for first.
        self.attributes = list(run.directions or ())
        if self.attributes:
            first = favourite(self.attributes)
            self.attributes.sort(key=lambda name: name != first)

    def seen(self, photo):
        """Returns what the model sees of a photo, an image."""
        return photos.view(photo, self.image_shape, self.run.resize)

    def encode(self, photo):
        """Returns the code of a photo, float32 ``(latent_dim,)``."""
        return latent.codes_of(self.model, self.seen(photo)[None])[0]

    def decode(self, codes):
        """Returns the images that codes ``(n, latent_dim)`` stand for."""
        return to_uint8(self.model.decode(codes))

    def code(self, values):
        """Returns numbers from outside as a code, float32 ``(latent_dim,)``."""
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
            strengths: How much more of each attribute, by name, from -3 to 3.
            keep_detail: Whether to change the photo itself; otherwise the model's drawing of it.
            strip_of: The attribute that is varied in the strip; empty is the first.

        Returns:
            Before and after (photos or images), and images of the edit with `STRIP` in place of
            the strength of one attribute.

        Raises:
            ValueError: If there are no attributes, or a name or a strength is unusable.
        """
        directions = self.run.directions
        if directions is None:
            raise ValueError("This model knows no attributes, so there is nothing to change")
        if not isinstance(strengths, dict):
            raise ValueError('Expected strengths by name, such as {"smiling": 1.5}')
        for name, strength in strengths.items():
            check_name(name, directions.names)
            check_range(f"the strength of {name!r}", strength, -STRENGTH, STRENGTH)
        strip_of = self.attributes[0] if strip_of == "" else strip_of
        check_name(strip_of, directions.names)
        image = self.seen(photo)
        # As `latent.edit`, but everything is decoded at once: it is asked while a slider moves.
        z = latent.codes_of(self.model, image[None])[0]
        rest = z + directions.shift({**strengths, strip_of: 0})
        codes = [rest + np.float32(a) * directions[strip_of] for a in STRIP]
        pictures = self.model.decode(np.stack([z, z + directions.shift(strengths), *codes]))
        before, after, strip = pictures[0], pictures[1], pictures[2:]
        if keep_detail:
            strip = latent.with_detail(
                np.repeat(image[None], len(strip), axis=0),
                before[None].repeat(len(strip), 0),
                strip,
            )
            return photo, photos.add(photo, after - before, self.run.resize), to_uint8(strip)
        return to_uint8(before), to_uint8(after), to_uint8(strip)

    def sample(self, count=16, seed=0, temperature=1.0, source="best"):
        """Returns new images.

        Args:
            count: How many, 1 to 64.
            seed: Whole number that decides which.
            temperature: From 0 to 2; below 1 images are more typical and less diverse.
            source: ``"prior"``, ``"mixture"`` or ``"best"``, the better one of those there are.

        Returns:
            uint8 ``(count, height, width, channels)``.

        Raises:
            ValueError: If there is nothing to sample from, or an argument is unusable.
        """
        check_range("the number of images", count, 1, MOST_IMAGES, whole=True)
        check_range("the seed", seed, 0, 2**32 - 1, whole=True)
        check_range("the temperature", temperature, 0, MOST_TEMPERATURE)
        check_name(source, ("best", "prior", "mixture"), "source")
        there = self.run.sources
        if not there or source not in ("best", *there):
            raise ValueError(
                f"This model has no {source if there else 'source'} to sample from. "
                f"There is: {', '.join(there) or 'none'}"
            )
        source = there[0] if source == "best" else source
        return to_uint8(self.run.sample(int(count), int(seed), float(temperature), source))

    def arithmetic(self, a, b, c, strength=1.0):
        """Returns C + strength * (A - B) of codes, as `keras_vae.latent.arithmetic`.

        Args:
            a: The photo to add.
            b: The photo to take away.
            c: The photo to start from.
            strength: How much of the difference, from -3 to 3.

        Returns:
            An image, and images for all `SUMS` in place of the strength.

        Raises:
            ValueError: If the strength is not from -3 to 3.
        """
        check_range("the strength", strength, -STRENGTH, STRENGTH)
        groups = [self.encode(photo)[None] for photo in (a, b, c)]  # of one photo each
        codes = [latent.arithmetic(self.model, *groups, float(s)) for s in (strength, *SUMS)]
        images = self.decode(np.concatenate(codes))
        return images[0], images[1:]

    def interpolate(self, first, last, spherical=False, steps=8):
        """Returns images on the way from one photo to another.

        Args:
            first: The photo to start from.
            last: The photo to end with.
            spherical: Whether to turn around the middle, see `keras_vae.latent.interpolate`.
            steps: How many images, 2 to 24.

        Returns:
            uint8 ``(steps, height, width, channels)``.

        Raises:
            ValueError: If there are fewer than 2 or more than 24 steps.
        """
        check_range("the number of steps", steps, 2, MOST_STEPS, whole=True)
        ends = np.stack([self.encode(first), self.encode(last)])
        return self.decode(latent.interpolate(ends, int(steps), bool(spherical)))


def is_number(value):
    is_real = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    return is_real and abs(value) < checks.LARGEST  # neither infinite nor NaN


def check_range(what, value, low, high, whole=False):
    """Raises `ValueError` unless a value from outside is a number in a range."""
    if not is_number(value) or not low <= value <= high or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise ValueError(
            f"Expected {what} to be {kind} from {low:,} to {high:,}, not {shown(value)}"
        )


def check_name(name, names, kind="attribute"):
    if not isinstance(name, str) or name not in names:
        raise ValueError(f"There is no {kind} {shown(name)}. There are: {', '.join(names)}")


def shown(value):
    """Returns what a visitor sent, short enough for a message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
