"""The one backend-specific place: how a step is differentiated, how a function is compiled.

Each file defines a `Trainer` of the same shape: `train_step` and `test_step` as Keras has them, and
`run_steps`, `best_pace`, `can_run_steps` and `on_device` for our loop; and then `without_gradient`,
`keep_compiled` and `device_name`.
"""

import keras

if keras.backend.backend() == "jax":
    from keras_vae.training.backends.jax import (
        Trainer,
        device_name,
        keep_compiled,
        without_gradient,
    )
elif keras.backend.backend() == "tensorflow":
    from keras_vae.training.backends.tensorflow import (
        Trainer,
        device_name,
        keep_compiled,
        without_gradient,
    )
elif keras.backend.backend() == "torch":
    from keras_vae.training.backends.torch import (
        Trainer,
        device_name,
        keep_compiled,
        without_gradient,
    )
else:
    raise ValueError(
        "keras_vae trains on the Keras backends 'jax', 'tensorflow' and 'torch'. "
        f"Received: backend={keras.backend.backend()!r}. Set the environment variable "
        "KERAS_BACKEND to one of them before Keras is imported."
    )

__all__ = ["Trainer", "device_name", "keep_compiled", "without_gradient"]
