"""Directions: how to move codes to add or remove an attribute."""

from dataclasses import dataclass

import numpy as np

from keras_vae import checks
from keras_vae.latent.files import read_arrays

METHODS = ("mean_difference", "regression", "discriminant")
RIDGE = 10  # penalty for imputing unknown values, relative to the summed attribute variances


@dataclass(frozen=True, eq=False)
class Directions:
    """A direction in latent space for each attribute, by name; returned by `fit_directions`.

    Attributes:
        names: Names of the attributes.
        vectors: float32 ``(number of attributes, latent_dim)``. The length of each is one unit of
            strength: the distance, along the direction, between the mean codes of images with
            and without the attribute.
        method: The method of fitting, one of `METHODS`.

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
        return self.vectors[index_of(name, self.names)]

    def shift(self, strengths, codes=None):
        """Returns the vector to add to codes, ``sum_i a_i * direction_i``.

        Args:
            strengths: Multiples of the direction of each attribute, by name.
            codes: Not used, because directions are the same for all codes; accepted for
                compatibility with `Flow.shift`.

        Returns:
            float32 ``(latent_dim,)``.

        Raises:
            ValueError: If a name is unknown or a strength is not a finite number.

        Example:

        ```python
        z_new = z + directions.shift({"smiling": 1.5})
        ```
        """
        check_strengths(strengths, self.names)
        shift = np.zeros(self.vectors.shape[1], "float32")
        for name, strength in strengths.items():
            shift += np.float32(strength) * self[name]
        return shift

    def save(self, path):
        """Writes an ``.npz`` file of plain arrays: ``names``, ``vectors``, ``method``.

        Args:
            path: The file to write.

        Example:

        ```python
        directions.save("directions.npz")
        ```
        """
        arrays = {"names": np.array(self.names), "vectors": self.vectors, "method": self.method}
        np.savez(path, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path):
        """Reads a file written by `save`; nothing in it is executed.

        Args:
            path: The file.

        Returns:
            `Directions`.

        Raises:
            ValueError: If it is damaged.

        Example:

        ```python
        directions.save("directions.npz")
        directions = latent.Directions.load("directions.npz")
        ```
        """
        arrays = read_arrays(path, numbers=("vectors",), texts=("names", "method"))
        names, vectors = tuple(arrays["names"].ravel().tolist()), arrays["vectors"]
        if vectors.ndim != 2 or not 0 < len(set(names)) == len(names) == len(vectors):
            raise ValueError(f"it holds {len(names)} names and vectors of shape {vectors.shape}")
        return cls(names, vectors.astype("float32"), str(arrays["method"]))


def fit_directions(codes, attributes, names, method="discriminant", known=None):
    """Returns the direction of each attribute in latent space.

    ``"mean_difference"``, the method of the VAE course and of Larsen et al. 2016
    (https://arxiv.org/abs/1512.09300): the mean code of images with the attribute
    minus the mean code of images without it. It includes all correlated differences.

    ``"regression"``: the coefficients of a least-squares regression of the codes on all
    attributes, ``z = B a + c + residual``: the effect of one attribute with the others constant.
    With a single attribute this is the mean difference.

    ``"discriminant"``: the regression's coefficients times ``(S + s I)^-1``, with S the
    covariance of its residuals and s the mean of their variances. With a single attribute this
    is the normal of Fisher's linear discriminant, shrunk halfway to a multiple of the identity
    (Friedman 1989): a linear classifier's normal, as in InterFaceGAN (Shen et al. 2020,
    https://arxiv.org/abs/1907.10786). It avoids directions with large variation, such as light
    and pose: a unit of it has more effect and changes fewer pixels than a unit of the regression,
    with about the same leakage into other attributes.

    Unknown values: the mean difference uses the images whose attribute is known. The other two
    methods need all attributes; an unknown value is imputed from the image's other attributes, by
    a ridge regression on the images with a known value.

    Args:
        codes: ``(n, latent_dim)``, `z_mean` of the training images.
        attributes: bool or 0 and 1, ``(n, number of attributes)``.
        names: Names of the attributes.
        method: One of the three methods.
        known: bool, of the shape of `attributes`: which values are known; None means all.

    Returns:
        `Directions`. For every method, one unit of strength is the distance along the direction
        between the mean codes with and without the attribute. If correlated attributes have the
        opposite effect, this distance, and so the unit, can be close to 0.

    Raises:
        ValueError: If an argument is invalid, or an attribute has the same value in all images in
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
    # Collinear attributes, such as classes, which sum to 1: lstsq returns the smallest solution.
    centred, present = codes - codes.mean(axis=0), fill_in(has, known)
    vectors = np.linalg.lstsq(present, centred, rcond=None)[0]
    if method == "discriminant":
        residuals = centred - present @ vectors
        covariance = residuals.T @ residuals / len(codes)
        mean_variance = max(np.trace(covariance) / len(covariance), 1e-12)
        vectors = np.linalg.solve(covariance + mean_variance * np.eye(len(covariance)), vectors.T).T
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors / np.maximum(lengths, 1e-12)
    # Only the length comes from the mean difference; the sign is that of the method.
    distances = np.abs(np.sum(vectors * differences, axis=1, keepdims=True))
    return Directions(names, (distances * vectors).astype("float32"), method)


def mean_of(codes, groups):
    """Returns the mean code of the rows in each column of the bool array `groups`."""
    return groups.T @ codes / groups.sum(axis=0)[:, None]


def fill_in(has, known):
    """Returns attributes minus their means, unknown values imputed from the other attributes."""
    centred = np.where(known, has - has.sum(axis=0) / known.sum(axis=0), 0)
    present = centred.copy()
    for j in np.flatnonzero(~known.all(axis=0)):
        # From `centred`: columns imputed from imputed columns would become collinear.
        rows, others = known[:, j], np.delete(centred, j, axis=1)
        products = others[rows].T @ others[rows]
        # The ridge keeps imputed values close to the mean if only a few images are known.
        ridge = RIDGE * np.trace(products) / rows.sum() + 1e-12
        slopes = np.linalg.solve(
            products + ridge * np.eye(len(products)), others[rows].T @ centred[rows, j]
        )
        present[~rows, j] = others[~rows] @ slopes
    return present - present.mean(axis=0)


def check(codes, attributes, names, known):
    """Raises `ValueError` unless a direction can be fitted for each attribute."""
    if codes.ndim != 2 or not np.isfinite(codes).all():
        raise ValueError(
            f"Argument `codes` must be finite, (n, latent_dim). Received: shape={codes.shape}"
        )
    if not names:
        raise ValueError("Argument `names` must name at least one attribute. Received: none")
    check_names(names, attributes, len(codes))
    if not np.isin(attributes[known], (0, 1)).all():
        raise ValueError("Argument `attributes` must hold only True and False, or 0 and 1")
    for name, column, rows in zip(names, attributes.T, known.T):
        if column[rows].all() or not column[rows].any():
            which = "" if rows.all() else " in which it is known"
            raise ValueError(
                f"The attribute {name!r} is the same in all {rows.sum()} images{which}. A "
                "direction needs images with the attribute and images without it"
            )


def check_names(names, attributes, n):
    """Raises `ValueError` unless names are distinct strings, one for each column of n rows."""
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise ValueError(f"Argument `names` must be distinct strings. Received: names={names}")
    if attributes.shape != (n, len(names)):
        raise ValueError(
            f"Argument `attributes` must have the shape (n, number of names), here "
            f"{(n, len(names))}. Received: shape={attributes.shape}"
        )


def check_strengths(strengths, names):
    """Raises `ValueError` unless `strengths` is a dict of finite numbers for known attributes."""
    if not isinstance(strengths, dict):
        raise ValueError(
            "Argument `strengths` must be a dict, such as {'smiling': 1.5}. "
            f"Received: strengths={strengths!r}"
        )
    for name, strength in strengths.items():
        index_of(name, names)
        checks.check_number(f"strengths[{name!r}]", strength)


def index_of(name, names):
    """Returns the index of an attribute, or raises `ValueError`."""
    if name not in names:
        raise ValueError(f"There is no attribute {name!r}. There are: {', '.join(names)}")
    return names.index(name)
