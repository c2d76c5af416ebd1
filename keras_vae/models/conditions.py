"""What a conditional VAE is given about an image: its class, or some of its attributes.

Encoder and decoder take it as a second input, a number for each name: 1 if it is present, -1 if it
is absent, 0 if that is not known, and values in between (CVAE: Sohn, Lee & Yan 2015,
https://papers.nips.cc/paper/5775).
"""

import keras
import numpy as np
from keras import ops

from keras_vae.checks import check_number
from keras_vae.pieces import Piece
from keras_vae.training.inputs import as_labels


@keras.saving.register_keras_serializable(package="keras_vae")
class Condition(Piece):
    """The classes or attributes that a `VAE` is conditioned on.

    The model is then one of p(x|condition) (CVAE: Sohn, Lee & Yan 2015,
    https://papers.nips.cc/paper/5775).

    With classes, ``fit(x, y)`` takes the class of each image as ``y``, an integer ``(n,)``, or -1
    if it is not known. With attributes, it takes ``(n, number of names)``: 1 for present, 0 for
    absent, NaN for unknown. In training the condition is hidden from some images, so that the model
    can be used without it: `encode`, `decode` and the like take ``condition=None`` for that.

    Args:
        names: Names of the classes or attributes; a range for classes without names.
        exclusive: Whether they are classes, of which each image has exactly one.
        hidden: Share of the images of a training batch from which the complete condition is hidden.
            Of attributes, about half are hidden from as many again.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    ```python
    condition = keras_vae.Condition(range(10))
    parts = keras_vae.build_mlp((28, 28, 1), latent_dim=16, condition=condition.size)
    model = keras_vae.VAE(*parts, condition=condition)
    model.compile("adam")
    model.fit(np.random.rand(256, 28, 28, 1), np.random.randint(10, size=256))
    model.sample(8, condition=7)
    ```
    """

    def __init__(self, names, exclusive=True, hidden=0.1, **kwargs):
        super().__init__(**kwargs)
        is_list = hasattr(names, "__iter__") and not isinstance(names, str)
        names = tuple(map(str, names)) if is_list else ()
        if not names or len(set(names)) < max(len(names), 1 + bool(exclusive)):
            raise ValueError(
                "Argument `names` must be different names, two or more of classes. "
                f"Received: names={names!r}"
            )
        if not isinstance(exclusive, bool):
            raise ValueError(
                f"Argument `exclusive` must be True or False. Received: exclusive={exclusive!r}"
            )
        check_number("hidden", hidden, low=0, high=0.5)
        self.names, self.exclusive, self.hidden = names, exclusive, float(hidden)

    @property
    def size(self):
        """The number of values that encoder and decoder are given."""
        return len(self.names)

    # Of data sets: NumPy in, NumPy out.

    def checked(self, y, n):
        """Returns the labels of n images as int32 ``(n,)``, or their attributes as float32.

        Args:
            y: See the class; None if nothing is known.
            n: Number of images.

        Raises:
            ValueError: If they are not labels of n images.
        """
        return as_labels(y, n, self.size, self.exclusive)

    def of(self, condition, n):
        """Returns the condition of n images in the form that encoder and decoder take.

        Args:
            condition: None for unknown; for classes a name, a number, or numbers ``(n,)``; for
                attributes a name, or True, False or a number in [0, 1] by name, such as
                ``{"smiling": True}``, where the others are unknown, or an array as in `fit`.
                Numbers outside of [0, 1] exaggerate.
            n: Number of images.

        Returns:
            float32 ``(n, size)``.

        Raises:
            ValueError: If it is not such a condition.

        Example:

        ```python
        condition = keras_vae.Condition(["smiling", "eyeglasses"], exclusive=False)
        condition.of({"smiling": True}, 2)  # [[1.0, 0.0], [1.0, 0.0]]
        ```
        """
        if isinstance(condition, str):
            condition = self.index(condition) if self.exclusive else {condition: True}
        if isinstance(condition, dict):
            signs = np.zeros(self.size, "float32")
            present = [name for name, value in condition.items() if value == 1]
            if self.exclusive and len(present) > 1:
                raise ValueError(f"An image has only one of: {', '.join(map(str, present))}")
            for name, value in condition.items():
                if isinstance(value, (bool, np.bool_)):
                    value = float(value)
                check_number(f"condition[{name!r}]", value)
                signs[self.index(name)] = 2 * value - 1
                if self.exclusive and value == 1:
                    signs[np.arange(self.size) != self.index(name)] = -1
            return np.tile(signs, (n, 1))
        if self.exclusive and np.ndim(condition) == 0 and condition is not None:
            condition = np.full(n, condition)
        labels = as_labels(condition, n, self.size, self.exclusive, "condition")
        return as_signs(labels, self.size, np)

    def index(self, name):
        """Returns the number of a name, or raises `ValueError`."""
        if name not in self.names:
            raise ValueError(
                f"The model has no condition {name!r}. There are: {', '.join(self.names)}"
            )
        return self.names.index(name)

    # Of batches: tensors in, tensors out.

    def signs(self, y, n):
        """Returns the condition of a batch, float32 ``(n, size)``, from labels or attributes."""
        if y is None:
            return ops.zeros((n, self.size))
        return as_signs(y, self.size, ops)

    def hide(self, signs, uniform):
        """Returns the condition of a training batch with some values set to 0.

        Args:
            signs: ``(n, size)``.
            uniform: Random numbers in [0, 1), ``(n, 1 + size)``.
        """
        row, cell = uniform[:, :1], uniform[:, 1:]
        known = row >= self.hidden
        if not self.exclusive:
            some = ops.logical_and(row < 2 * self.hidden, cell < 0.5)
            known = ops.logical_and(known, ops.logical_not(some))
        return signs * ops.cast(known, "float32")

    def get_config(self):
        names = "names", "exclusive", "hidden"
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def as_signs(y, size, np):
    """Returns labels ``(n,)`` or attributes ``(n, size)`` as signs.

    `np` is NumPy, or `keras.ops` for tensors.
    """
    if len(y.shape) == 1 or (y.shape[1] == 1 and size > 1):
        y = np.reshape(y, (-1, 1))
        same = np.equal(np.cast(y, "int32") if np is ops else y, np.arange(size))
        signs = np.where(same, 1.0, -1.0) * np.where(y >= 0, 1.0, 0.0)
    else:
        y = np.cast(y, "float32") if np is ops else y
        signs = np.where(np.isnan(y), 0.0, 2 * y - 1)
    return signs if np is ops else signs.astype("float32")


def check(condition):
    """Returns the condition, or raises `ValueError` if it is neither a `Condition` nor None."""
    if condition is not None and not isinstance(condition, Condition):
        raise ValueError(
            "Argument `condition` must be None or a `keras_vae.Condition`. "
            f"Received: condition={condition!r}"
        )
    return condition
