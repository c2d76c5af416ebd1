"""Edits of a model with a condition: the same code is decoded with another condition."""

from dataclasses import dataclass

import numpy as np

from keras_vae.latent.directions import check_strengths


@dataclass(frozen=True, eq=False)
class Switches:
    """Edits by the condition of a model, with the interface of `Directions`.

    The model is a CVAE (Sohn, Lee & Yan 2015, https://papers.nips.cc/paper/5775). An image is
    encoded with an unknown condition; strength 1 decodes its code with the attribute present, -1
    with it absent. Of classes, strength 1 decodes it as that class.

    Attributes:
        condition: The `keras_vae.Condition` of the model.
        latent_dim: The length of its codes.

    Example:

    ```python
    condition = keras_vae.Condition(["smiling", "eyeglasses"], exclusive=False)
    parts = keras_vae.build_mlp(faces.image_shape, latent_dim=8, condition=condition.size)
    model = keras_vae.VAE(*parts, condition=condition)
    switches = latent.Switches(condition, model.latent_dim)
    happy = latent.edit(model, images, switches, {"smiling": 1})
    ```
    """

    condition: object
    latent_dim: int
    method = "condition"

    @property
    def names(self):
        """The names of the attributes or classes."""
        return self.condition.names

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)

    def shift(self, strengths, codes):
        """Returns what to add to codes and to the condition, which is 0, unknown, before.

        Args:
            strengths: Amount of each attribute or class to add, by name.
            codes: ``(n, latent_dim)``.

        Returns:
            float32 ``(n, latent_dim + condition.size)``, linear in the strengths; `latent.moved`
            adds it, and `decode` takes the result.

        Raises:
            ValueError: If a name is unknown or a strength is not a finite number.

        Example:

        ```python
        condition = keras_vae.Condition(["smiling", "eyeglasses"], exclusive=False)
        switches = latent.Switches(condition, latent_dim=8)
        switches.shift({"smiling": 1}, np.zeros((4, 8)))  # (4, 10)
        ```
        """
        check_strengths(strengths, self.names)
        signs = np.zeros(self.condition.size, "float32")
        for name, strength in strengths.items():
            signs += np.float32(strength) * self.condition.of({name: True}, 1)[0]
        return np.tile(np.r_[np.zeros(self.latent_dim, "float32"), signs], (len(codes), 1))


def moved(codes, shift):
    """Returns codes plus the shift of an editor, in the form that `decode` takes.

    Args:
        codes: ``(n, latent_dim)``.
        shift: The result of the `shift` of `Directions`, `Flow`, `Switches` or `Edits`: as many
            columns as the codes, or more, which are added to an unknown condition.

    Returns:
        float32 ``(n, latent_dim)`` or ``(n, latent_dim + condition.size)``.

    Example:

    ```python
    edited = model.decode(latent.moved(z, run.edits.shift({"smiling": 1}, z)))
    ```
    """
    wider = shift.shape[-1] - codes.shape[1]
    return np.pad(codes, [(0, 0), (0, max(wider, 0))]) + shift
