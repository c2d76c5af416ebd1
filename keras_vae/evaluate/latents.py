"""What the latents carry."""

import numpy as np


def active_units(z_mean, threshold=0.01):
    """Returns how many latents carry something: variance of ``z_mean`` over images above 0.01.

    The definition of Burda, Grosse and Salakhutdinov 2016 (https://arxiv.org/abs/1509.00519),
    section 5.2.

    Args:
        z_mean: ``(n, latent_dim)``.
        threshold: The variance to exceed.

    Returns:
        An integer in 0..latent_dim.

    Example:

    ```python
    active_units(np.zeros((10, 4)))  # 0
    ```
    """
    return int(np.sum(np.var(z_mean, axis=0) > threshold))
