"""Probabilistic PCA: what the best model with linear networks reaches, in closed form."""

import numpy as np

from keras_vae.checks import check


class LinearModel:
    """``p(x) = N(mean, W W^T + variance I)`` with the W and variance of the largest likelihood.

    W has the leading eigenvectors of the covariance, and the variance is the mean of the other
    eigenvalues (Tipping & Bishop 1999, https://doi.org/10.1111/1467-9868.00196, equations 7 and
    8). A VAE with linear networks and one learned variance can reach this and no more (Lucas et
    al. 2019, https://arxiv.org/abs/1911.02469); networks are worth what they gain over it.
    Columns are standardised, so that one variance suits them all; log p(x) is in the units of the
    data.

    Args:
        x: Training data ``(n, ...)``, without missing values.
        latent_dim: Length of a code, below the number of values of an item.
        standardise: Whether to standardise each value.

    Attributes:
        variance: The variance around the linear map, after standardising.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    ```python
    rows = np.random.default_rng(0).normal(170, 10, (200, 3))
    evaluate.LinearModel(rows, latent_dim=1).log_likelihood(rows).mean()
    ```
    """

    def __init__(self, x, latent_dim, standardise=True):
        x = flat(x)
        columns = x.shape[1]
        fits = isinstance(latent_dim, int) and 0 < latent_dim < columns
        check("latent_dim", latent_dim, fits, f"a positive integer below {columns}")
        check("x", x.shape, len(x) > 1 and np.isfinite(x).all(), "two finite items or more")
        self.mean, self.std = x.mean(axis=0), np.ones(columns)
        if standardise:
            std = x.std(axis=0)
            self.std = np.where(std > 1e-6 * np.maximum(np.abs(self.mean), 1e-30), std, 1.0)
        values, vectors = np.linalg.eigh(np.cov(((x - self.mean) / self.std).T, bias=True))
        self.variance = max(values[: columns - latent_dim].mean(), 1e-6)
        # Of the covariance of the model; eigh sorts upwards.
        self.values = np.maximum(values, self.variance)
        self.values[: columns - latent_dim] = self.variance
        self.vectors = vectors

    def log_likelihood(self, x):
        """Returns log p(x) of each item.

        Args:
            x: ``(n, ...)``.

        Returns:
            NumPy float64 ``(n,)``, in nats per item.

        Example:

        ```python
        rows = np.random.default_rng(0).normal(170, 10, (200, 3))
        evaluate.LinearModel(rows[:100], latent_dim=1).log_likelihood(rows[100:])  # (100,)
        ```
        """
        z = (flat(x) - self.mean) / self.std @ self.vectors
        logs = np.log(2 * np.pi * self.values).sum() + 2 * np.log(self.std).sum()
        return -0.5 * (np.square(z) / self.values).sum(axis=1) - 0.5 * logs


def flat(x):
    x = np.asarray(x, "float64")
    return x.reshape(len(x), -1)
