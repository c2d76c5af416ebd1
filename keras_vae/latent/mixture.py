"""A Gaussian mixture, fitted on codes after training: a second way to sample."""

import warnings
from dataclasses import dataclass

import numpy as np

from keras_vae import checks
from keras_vae.latent.files import read_arrays

COMPONENTS = (1, 5, 20, 50)
LEAST, LEAST_PER_LATENT = 50, 5  # codes needed per component, and per component and latent


@dataclass(frozen=True, eq=False)
class Mixture:
    """``p(z) = sum_k weights_k N(means_k, factors_k factors_k^T)``; returned by `fit_mixture`.

    Attributes:
        weights: ``(k,)``, with sum 1.
        means: ``(k, latent_dim)``.
        factors: ``(k, latent_dim, latent_dim)``, lower triangular Cholesky factors of the
            covariances.

    Example:

    ```python
    images = model.decode(mixture.sample(16, seed=0))
    ```
    """

    weights: np.ndarray
    means: np.ndarray
    factors: np.ndarray

    def sample(self, n, seed=None, temperature=1.0):
        """Returns codes drawn from the mixture, the same on every backend.

        Args:
            n: Number of codes.
            seed: None or a non-negative integer.
            temperature: Scale of the noise around the components' means; below 1 images are
                more typical and less diverse.

        Returns:
            float32 ``(n, latent_dim)``.

        Raises:
            ValueError: If an argument is invalid.

        Example:

        ```python
        z = mixture.sample(16, seed=0)
        ```
        """
        checks.check_integer("n", n, 0)
        checks.check_integer("seed", seed, 0, optional=True)
        checks.check_number("temperature", temperature, low=0)
        rng = np.random.default_rng(seed)
        chosen = rng.choice(len(self.weights), n, p=self.weights)
        noise = rng.standard_normal((n, self.means.shape[1]))
        codes = np.empty(noise.shape, "float32")
        for k in np.unique(chosen):
            rows = chosen == k
            codes[rows] = self.means[k] + temperature * (noise[rows] @ self.factors[k].T)
        return codes

    def save(self, path):
        """Writes an ``.npz`` file of plain arrays: ``weights``, ``means``, ``factors``.

        Args:
            path: The file to write.

        Example:

        ```python
        mixture.save("mixture.npz")
        ```
        """
        arrays = {"weights": self.weights, "means": self.means, "factors": self.factors}
        np.savez(path, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path):
        """Reads a file written by `save`; nothing in it is executed.

        Args:
            path: The file.

        Returns:
            A `Mixture`.

        Raises:
            ValueError: If it is damaged.

        Example:

        ```python
        mixture.save("mixture.npz")
        mixture = latent.Mixture.load("mixture.npz")
        ```
        """
        arrays = read_arrays(path, numbers=("weights", "means", "factors"))
        weights, means, factors = arrays["weights"], arrays["means"], arrays["factors"]
        k, latent_dim = means.shape if means.ndim == 2 else (0, 0)
        shapes_fit = weights.shape == (k,) and factors.shape == (k, latent_dim, latent_dim)
        if not (shapes_fit and weights.min(initial=1) >= 0 and abs(weights.sum() - 1) < 1e-6):
            raise ValueError("it holds arrays that do not fit together")
        return cls(weights / weights.sum(), means, factors)  # NumPy needs an exact sum of 1


def fit_mixture(codes, validation_codes, components=COMPONENTS, seed=0):
    """Returns a mixture of Gaussians fitted to codes, by scikit-learn's `GaussianMixture`.

    The codes of a VAE match N(0, I) only approximately: there are gaps and clusters. Sampling from
    a density fitted to the codes gives better images (Ghosh et al. 2020,
    https://arxiv.org/abs/1903.12436, section 4: ex-post density estimation), and a plain
    autoencoder has no other density to sample from.

    Args:
        codes: ``(n, latent_dim)``, `z_mean` of training images; ten thousand are enough.
        validation_codes: ``(m, latent_dim)``, for choosing the number of components.
        components: Numbers of components to try in increasing order, as long as the likelihood
            of the validation codes increases. Numbers with fewer than 50 codes per component, or
            5 per component and latent, are skipped, except the first.
        seed: A non-negative integer, for the initialisation.

    Returns:
        The `Mixture` with the last number of components that increased the likelihood.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    ```python
    mixture = latent.fit_mixture(z_mean, validation_z_mean)
    ```
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    codes, validation_codes = np.asarray(codes, "float64"), np.asarray(validation_codes, "float64")
    for name, array, least in (("codes", codes, 2), ("validation_codes", validation_codes, 1)):
        if array.ndim != 2 or len(array) < least or not np.isfinite(array).all():
            raise ValueError(
                f"Argument `{name}` must be finite, (n, latent_dim), with {least} or more rows. "
                f"Received: shape={array.shape}"
            )
    if codes.shape[1] != validation_codes.shape[1]:
        raise ValueError(
            "Arguments `codes` and `validation_codes` must have equally many latents. Received: "
            f"{codes.shape[1]} and {validation_codes.shape[1]}"
        )
    checks.check_sizes("components", components)
    checks.check_integer("seed", seed, 0, below=2**32)
    components = sorted(components)
    if components[0] > len(codes):
        raise ValueError(
            f"{components[0]} components need at least as many codes. Received: {len(codes)}"
        )
    # Standardised, so that the same regularisation suits every model.
    middle, spread = codes.mean(axis=0), np.maximum(codes.std(axis=0), 1e-6)
    codes, validation_codes = (codes - middle) / spread, (validation_codes - middle) / spread
    least = max(LEAST, LEAST_PER_LATENT * codes.shape[1])
    best, best_score = None, -np.inf
    for k in components:
        if k != components[0] and len(codes) < k * least:
            break
        model = GaussianMixture(k, reg_covar=1e-4, tol=1e-2, max_iter=20, random_state=seed)
        # Many small matrix products: threads wait for each other (once 70 s instead of 3 s).
        with threadpool_limits(1, "blas"), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 20 steps are close enough
            model.fit(codes)
            score = model.score(validation_codes)
        if score < best_score:
            break
        best, best_score = model, score
    weights = best.weights_.astype("float64")
    factors = np.linalg.cholesky(best.covariances_.astype("float64"))
    return Mixture(
        weights / weights.sum(),
        (best.means_ * spread + middle).astype("float64"),
        factors * spread[:, None],
    )
