"""A flow from noise to codes: sampling, editing and interpolation where the codes lie."""

import keras
import numpy as np
from keras import ops

from keras_vae import checks
from keras_vae.latent.flow_network import FlowNetwork
from keras_vae.training.batches import in_batches

AT_ONCE = 1024  # codes to work on when the flow is used
UNKNOWN = 2  # in the table of attributes, beside 0 and 1


@keras.saving.register_keras_serializable(package="keras_vae")
class Flow(FlowNetwork):
    """A map from noise to codes and back, for each choice of attributes; `fit_flow` makes it.

    The codes of a VAE lie in curved, separate clouds. A network learns the velocity that
    carries N(0, I) to them (flow matching, Lipman et al. 2023,
    https://arxiv.org/abs/2210.02747), given which attributes an image has. Noise carried along
    is a new code; a code taken back to noise and forward with another attribute is an edit
    that stays among the codes; two codes turned into each other in the noise meet only codes
    on the way. A second small network guesses attributes from codes.

    It is a Keras model: ``flow.save("flow.keras")``, ``latent.Flow.load("flow.keras")``.

    Args:
        latent_dim: Number of latents.
        names: What the attributes are called.
        exclusive: Names of those of which an image has exactly one.
        rows: How many training images' attributes are kept.
        width: Of the hidden layers.
        seed: A non-negative integer, where training starts from.

    Attributes:
        names: What the attributes are called; iteration, ``len`` and ``in`` go by them.
        method: ``"flow"``.

    Example:

    ```python
    images = model.decode(flow.sample(16, seed=0, attributes={"smiling": True}))
    happy = latent.edit(model, images, flow, {"smiling": 1.0})
    ```
    """

    method = "flow"

    def __init__(self, latent_dim, names=(), exclusive=(), rows=0, width=384, seed=0, **kwargs):
        super().__init__(latent_dim, names, exclusive, width, seed, **kwargs)
        self.rows = rows
        self.middle = self.add_weight((latent_dim,), "zeros", trainable=False, name="middle")
        self.spread = self.add_weight((latent_dim,), "ones", trainable=False, name="spread")
        if self.names:
            self.table = self.add_weight(
                (rows, len(self.names)), "zeros", "uint8", trainable=False, name="table"
            )

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)

    def __bool__(self):
        return True  # also without attributes

    def guess(self, codes):
        """Returns how likely the images of codes have each attribute.

        Args:
            codes: ``(n, latent_dim)``.

        Returns:
            float32 ``(n, number of attributes)``, probabilities in [0, 1].

        Raises:
            ValueError: If the codes do not fit the flow.

        Example:

        ```python
        flow.guess(z)[:, flow.names.index("smiling")]
        ```
        """
        x = self._standardised(codes)
        if not self.names:
            return np.zeros((len(x), 0), "float32")
        return in_batches(self.program(self._guess), x, AT_ONCE)

    def guessed(self, codes):
        """Returns the likelier state of each attribute; of exclusive ones the likeliest is on.

        Args:
            codes: ``(n, latent_dim)``.

        Returns:
            float32 ``(n, number of attributes)``, 0 and 1.

        Raises:
            ValueError: If the codes do not fit the flow.

        Example:

        ```python
        noise = flow.noise(z, flow.guessed(z))
        ```
        """
        likely = self.guess(codes)
        guessed = likely > 0.5
        if self.exclusive:
            group = np.flatnonzero(self.is_exclusive)
            best = likely[:, group].argmax(axis=1)
            guessed[:, group] = best[:, None] == np.arange(len(group))
        return guessed.astype("float32")

    def noise(self, codes, attributes=None):
        """Returns the noise that codes come from.

        Args:
            codes: ``(n, latent_dim)``.
            attributes: What their images have, ``(n, number of attributes)``: 1 for has, 0 for
                lacks, NaN for unknown, or in between. None is all unknown.

        Returns:
            float32 ``(n, latent_dim)``, like draws from N(0, I).

        Raises:
            ValueError: If an argument does not fit the flow.

        Example:

        ```python
        noise = flow.noise(z, flow.guessed(z))
        z_again = flow.codes(noise, flow.guessed(z))
        ```
        """
        x = self._standardised(codes)
        return self._carried(self.back, x, self._signs(attributes, len(x)))

    def codes(self, noise, attributes=None):
        """Returns the codes that noise becomes, the inverse of `noise` up to small errors.

        Args:
            noise: ``(n, latent_dim)``.
            attributes: As those of `noise`.

        Returns:
            float32 ``(n, latent_dim)``.

        Raises:
            ValueError: If an argument does not fit the flow.

        Example:

        ```python
        z = flow.codes(np.random.standard_normal((16, flow.latent_dim)))
        ```
        """
        noise = self._checked("noise", noise)
        x = self._carried(self.forward, noise, self._signs(attributes, len(noise)))
        middle, spread = self._scale()
        return x * spread + middle

    def sample(self, n, seed=None, temperature=1.0, attributes=None):
        """Returns new codes; one seed gives the same on every backend, up to rounding.

        Each has the attributes of a training image, drawn from those that match the wishes. If
        none does, from those that match best, with the wishes put in.

        Args:
            n: How many.
            seed: None or a non-negative integer.
            temperature: Scale of the noise; below 1 images are more typical and less diverse.
            attributes: True or False for each attribute that matters, by name; or None.

        Returns:
            float32 ``(n, latent_dim)``.

        Raises:
            ValueError: If an argument is unusable or a name unknown.

        Example:

        ```python
        z = flow.sample(16, seed=0, attributes={"smiling": True, "eyeglasses": False})
        ```
        """
        checks.check_count("n", n)
        checks.check_seed(seed)
        checks.check_number("temperature", temperature)
        signs = self._wished({} if attributes is None else attributes)
        rng = np.random.default_rng(seed)
        signs = signs[rng.integers(len(signs), size=n)]
        noise = np.float32(temperature) * rng.standard_normal((n, self.latent_dim), "float32")
        x = self._carried(self.forward, noise, signs)
        middle, spread = self._scale()
        return x * spread + middle

    def shift(self, strengths, codes):
        """Returns what to add to codes to change attributes, for each code its own.

        A code is taken back to noise with the attributes that are guessed, and forward with one
        of them on and off: one of the two is the code itself. The difference, times the
        strength, is added. So 0 changes nothing, 1 gives an attribute to an image that lacks
        it, -1 takes it from one that has it. Of exclusive ones, with one on the others are off.

        Args:
            strengths: How far to go for each attribute, by name.
            codes: ``(n, latent_dim)``.

        Returns:
            float32 ``(n, latent_dim)``, linear in the strengths.

        Raises:
            ValueError: If a name is unknown, a strength is not a finite number, or the codes do
                not fit the flow.

        Example:

        ```python
        z_new = z + flow.shift({"smiling": 1.0, "eyeglasses": -1.0}, z)
        ```
        """
        if not isinstance(strengths, dict):
            raise ValueError(
                "Argument `strengths` must be a dict, such as {'smiling': 1.5}. "
                f"Received: strengths={strengths!r}"
            )
        for name, strength in strengths.items():
            self._index(name)
            checks.check_finite(f"strengths[{name!r}]", strength)
        x = self._standardised(codes)
        strengths = {name: strength for name, strength in strengths.items() if strength}
        if not strengths or not len(x):
            return np.zeros_like(x)
        own = self._signs(self.guessed(codes), len(x))
        noise = self._carried(self.back, x, own)
        states, signs = [own], []
        for name in strengths:
            has = own[:, self._index(name)] > 0
            changed = np.where(has[:, None], self._with(own, name, False), own)
            states.append(np.where(has[:, None], changed, self._with(own, name, True)))
            signs.append(np.where(has, -1, 1)[:, None])
        ends = self._carried(self.forward, np.tile(noise, (len(states), 1)), np.concatenate(states))
        before, *after = ends.reshape(len(states), *x.shape)
        parts = [
            np.float32(strength) * sign * (end - before)
            for strength, sign, end in zip(strengths.values(), signs, after)
        ]
        return (sum(parts) * self._scale()[1]).astype("float32")

    def _guess(self, x):
        return ops.sigmoid(self.logits(x))

    def _carried(self, function, x, signs):
        rows = np.concatenate([x, signs], axis=1)
        return in_batches(self.program(function), rows, AT_ONCE)

    def _scale(self):
        return tuple(ops.convert_to_numpy(part) for part in (self.middle, self.spread))

    def _standardised(self, codes):
        middle, spread = self._scale()
        return (self._checked("codes", codes) - middle) / spread

    def _checked(self, argument, array):
        array = np.asarray(array, "float32")
        if array.shape[1:] != (self.latent_dim,) or not np.isfinite(array).all():
            raise ValueError(
                f"Argument `{argument}` must be finite, (n, {self.latent_dim}). "
                f"Received: shape={array.shape}"
            )
        return array

    def _signs(self, attributes, n):
        """Returns 1 for has, -1 for lacks and 0 for unknown."""
        if attributes is None:
            return np.zeros((n, len(self.names)), "float32")
        attributes = np.asarray(attributes, "float32")
        # NaN is in neither range.
        if attributes.shape != (n, len(self.names)) or ((attributes < 0) | (attributes > 1)).any():
            raise ValueError(
                f"Argument `attributes` must be in [0, 1] or NaN, of the shape "
                f"{(n, len(self.names))}. Received: shape={attributes.shape}"
            )
        return np.nan_to_num(2 * attributes - 1)

    def _index(self, name):
        if name not in self.names:
            raise ValueError(f"There is no attribute {name!r}. There are: {', '.join(self.names)}")
        return self.names.index(name)

    def _with(self, signs, name, on):
        """Returns signs with an attribute on or off, and others as that leaves them."""
        signs, j = signs.copy(), self._index(name)
        if name in self.exclusive:
            # It is the others that are off then; and if this one was on, none is known to be.
            others = np.flatnonzero(self.is_exclusive)
            rows = np.ones(len(signs), bool) if on else signs[:, j] > 0
            signs[np.ix_(rows, others)] = -1.0 if on else 0.0
        signs[:, j] = 1.0 if on else -1.0
        return signs

    def _wished(self, wishes):
        """Returns the training images' signs that match wishes, or match best."""
        if not isinstance(wishes, dict):
            raise ValueError(
                "Argument `attributes` must be a dict, such as {'smiling': True}. "
                f"Received: attributes={wishes!r}"
            )
        for name, wish in wishes.items():
            self._index(name)
            if wish not in (True, False):
                raise ValueError(
                    f"Argument `attributes` must be True or False for each name. "
                    f"Received: {name!r}: {wish!r}"
                )
        both = [name for name, wish in wishes.items() if wish and name in self.exclusive]
        if len(both) > 1:
            raise ValueError(f"An image has only one of: {', '.join(both)}")
        if not self.names:
            return np.zeros((1, 0), "float32")
        table = ops.convert_to_numpy(self.table)
        matches = sum(
            (table[:, self._index(name)] == bool(wish) for name, wish in wishes.items()),
            start=np.zeros(len(table), int),
        )
        table = table[matches == matches.max()]
        signs = np.where(table == UNKNOWN, 0, 2.0 * table - 1).astype("float32")
        for name, wish in sorted(wishes.items(), key=lambda item: item[1]):  # what is on, last
            signs = self._with(signs, name, wish)
        return signs

    def get_config(self):
        own = ("latent_dim", "names", "exclusive", "rows", "width", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}

    @classmethod
    def load(cls, path):
        """Returns what `save` wrote, or raises `ValueError`; nothing in the file is executed."""
        flow = keras.saving.load_model(path)
        if not isinstance(flow, cls):
            raise ValueError(f"it holds a {type(flow).__name__}; expected a Flow")
        return flow
