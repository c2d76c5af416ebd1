"""How train.py optimises: what measured best for these networks, for use elsewhere too."""

import keras


def make_optimizer(learning_rate, steps):
    """Returns Adam with a learning rate that warms up and then falls to 0 along a cosine.

    Its memory of squared gradients is short (``beta_2=0.98``), which suits runs of a few
    thousand steps.

    Args:
        learning_rate: The highest one, reached after a twentieth of the steps.
        steps: How many steps training takes in all.

    Returns:
        A Keras optimizer.

    Example:

    ```python
    model.compile(make_optimizer(2e-3, steps=1000))
    ```
    """
    warmup = max(1, steps // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        learning_rate / 20, max(1, steps - warmup), warmup_target=learning_rate, warmup_steps=warmup
    )
    return keras.optimizers.Adam(schedule, beta_2=0.98)
