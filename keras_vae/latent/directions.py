"""Directions: which way codes move when an attribute comes or goes."""

from dataclasses import dataclass

import numpy as np

from keras_vae import checks
from keras_vae.latent.files import read_arrays

METHODS = ("mean_difference", "regression", "discriminant")
RIDGE = 10  # times the variance of the other attributes, where unknown values are filled in


@dataclass(frozen=True, eq=False)
class Directions:
    """A direction in latent space for each of some attributes, by name.

    `fit_directions` makes them.

    Attributes:
        names: What the attributes are called.
        vectors: float32 ``(number of attributes, latent_dim)``. Each is one unit of strength:
            as far as the two groups' means lie apart along it.
        method: How they were found, one of `METHODS`.

    Example:

    ```python
    directions["smiling"]  # (latent_dim,)
    z_new = z + directions.shift({"smiling": 1.5, "eyeglasses": -1})
    ```
    """

    names: tuple
    vectors: np.ndarray
    method: str

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)

    def __getitem__(self, name):
        if name not in self.names:
            raise ValueError(f"There is no attribute {name!r}. There are: {', '.join(self.names)}")
        return self.vectors[self.names.index(name)]

    def shift(self, strengths, codes=None):
        """Returns what to add to codes, ``sum_i a_i * direction_i`` of shape ``(latent_dim,)``.

        Args:
            strengths: How far to go along the direction of each attribute, by name.
            codes: Not used: a direction is the same everywhere. `Flow.shift` needs them.

        Returns:
            float32 ``(latent_dim,)``.

        Raises:
            ValueError: If a name is unknown or a strength is not a finite number.

        Example:

        ```python
        z_new = z + directions.shift({"smiling": 1.5})
        ```
        """
        if not isinstance(strengths, dict):
            raise ValueError(
                "Argument `strengths` must be a dict, such as {'smiling': 1.5}. "
                f"Received: strengths={strengths!r}"
            )
        shift = np.zeros(self.vectors.shape[1], "float32")
        for name, strength in strengths.items():
            checks.check_finite(f"strengths[{name!r}]", strength)
            shift += np.float32(strength) * self[name]
        return shift

    def save(self, path):
        """Writes an ``.npz`` file of plain arrays: ``names``, ``vectors``, ``method``."""
        arrays = {"names": np.array(self.names), "vectors": self.vectors, "method": self.method}
        np.savez(path, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path):
        """Returns what `save` wrote, or raises `ValueError`; nothing in the file is executed."""
        arrays = read_arrays(path, numbers=("vectors",), texts=("names", "method"))
        names, vectors = tuple(arrays["names"].ravel().tolist()), arrays["vectors"]
        if vectors.ndim != 2 or not 0 < len(set(names)) == len(names) == len(vectors):
            raise ValueError(f"it holds {len(names)} names and vectors of shape {vectors.shape}")
        return cls(names, vectors.astype("float32"), str(arrays["method"]))


def fit_directions(codes, attributes, names, method="discriminant", known=None):
    """Returns the direction of each attribute in latent space.

    ``"mean_difference"``, the method of the VAE course and of Larsen et al. 2016
    (https://arxiv.org/abs/1512.09300): the mean code of images with the attribute
    minus that of those without. Whatever else the two groups differ in comes along.

    ``"regression"``: the coefficients of least squares of the codes on all attributes at once,
    ``z = B a + c + residual``: how codes differ where only this attribute does. With a single
    attribute the same as the mean difference.

    ``"discriminant"``: the regression's coefficients times ``(S + s I)^-1``, with S the
    covariance of its residuals and s the mean of their variances. With a single attribute that
    is the normal of Fisher's linear discriminant, shrunk halfway to a multiple of the identity
    (Friedman 1989): a linear classifier's normal, as in InterFaceGAN (Shen et al. 2020,
    https://arxiv.org/abs/1907.10786). It avoids what varies anyway, such as light and pose: a
    unit of it has more effect and changes fewer pixels than one of the regression, with about
    the same leakage into other attributes.

    Of values that are not known: the means are those of images whose attribute is known. The
    other two methods regress on all attributes at once; there an unknown value is filled in with
    what the image's other attributes let expect, by ridge regression on the images that know it.

    Args:
        codes: ``(n, latent_dim)``, `z_mean` of the training images.
        attributes: bool or 0 and 1, ``(n, number of attributes)``.
        names: What the attributes are called.
        method: One of the three.
        known: bool, of the shape of `attributes`: which of them are known; None is all.

    Returns:
        `Directions`. One unit of strength is the distance between the means of the two groups
        along the direction, whatever the method. Where others go together with an attribute and
        act the opposite way, that distance can be next to nothing, and so is the unit.

    Raises:
        ValueError: If an argument is unusable, or an attribute is the same in all images of
            which it is known.

    Example:

    ```python
    z_mean, _ = model.encode(faces.train.images)
    train, names = faces.train, faces.attribute_names
    directions = latent.fit_directions(z_mean, train.attributes, names, known=train.known)
    ```
    """
    if method not in METHODS:
        raise ValueError(f"Argument `method` must be one of {METHODS}. Received: method={method!r}")
    codes, attributes = np.asarray(codes, "float64"), np.asarray(attributes)
    names = () if isinstance(names, str) else tuple(names)
    known = checks.as_known(known, attributes.shape)
    check(codes, attributes, names, known)
    has = attributes.astype(bool) & known
    differences = mean_of(codes, has) - mean_of(codes, known & ~has)
    if method == "mean_difference":
        return Directions(names, differences.astype("float32"), method)
    # Collinear attributes, such as classes, which sum to one, share what they explain.
    centred, present = codes - codes.mean(axis=0), fill_in(has, known)
    vectors = np.linalg.lstsq(present, centred, rcond=None)[0]
    if method == "discriminant":
        residuals = centred - present @ vectors
        covariance = residuals.T @ residuals / len(codes)
        mean_variance = max(np.trace(covariance) / len(covariance), 1e-12)
        vectors = np.linalg.solve(covariance + mean_variance * np.eye(len(covariance)), vectors.T).T
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors / np.maximum(lengths, 1e-12)
    # The sign is the method's: what the attribute does by itself, not what goes with it.
    distances = np.abs(np.sum(vectors * differences, axis=1, keepdims=True))
    return Directions(names, (distances * vectors).astype("float32"), method)


def mean_of(codes, groups):
    """Returns the mean code of each group, a column of `groups`."""
    return groups.T @ codes / groups.sum(axis=0)[:, None]


def fill_in(has, known):
    """Returns attributes less their means, unknown ones as the others let expect."""
    centred = np.where(known, has - has.sum(axis=0) / known.sum(axis=0), 0)
    present = centred.copy()
    for j in np.flatnonzero(~known.all(axis=0)):
        # Not from what was filled in before: of two filled in from each other, one is the other.
        rows, others = known[:, j], np.delete(centred, j, axis=1)
        products = others[rows].T @ others[rows]
        # So that of few images little is expected.
        ridge = RIDGE * np.trace(products) / rows.sum() + 1e-12
        slopes = np.linalg.solve(
            products + ridge * np.eye(len(products)), others[rows].T @ centred[rows, j]
        )
        present[~rows, j] = others[~rows] @ slopes
    return present - present.mean(axis=0)


def check(codes, attributes, names, known):
    """Raises `ValueError` unless there is a direction for each attribute."""
    if codes.ndim != 2 or not np.isfinite(codes).all():
        raise ValueError(
            f"Argument `codes` must be finite, (n, latent_dim). Received: shape={codes.shape}"
        )
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"Argument `names` must be text, at least one attribute. Received: names={names}"
        )
    if attributes.shape != (len(codes), len(names)):
        raise ValueError(
            f"Argument `attributes` must have the shape (n, number of names), here "
            f"{(len(codes), len(names))}. Received: shape={attributes.shape}"
        )
    if not np.isin(attributes[known], (0, 1)).all():
        raise ValueError("Argument `attributes` must hold only True and False, or 0 and 1")
    if len(set(names)) != len(names):
        raise ValueError(f"Argument `names` must not name anything twice. Received: {names}")
    for name, column, rows in zip(names, attributes.T, known.T):
        if column[rows].all() or not column[rows].any():
            whose = "" if rows.all() else " of which it is known"
            raise ValueError(
                f"The attribute {name!r} is the same in all {rows.sum()} images{whose}, so that "
                "there is no direction from one group to the other"
            )
