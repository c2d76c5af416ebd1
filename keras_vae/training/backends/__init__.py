"""All code that depends on the backend: gradients, compilation, loops over steps.

The module of each backend defines the same names. `Trainer` is a base class of the models:

- ``train_step``, ``test_step``: one step, with the arguments that Keras passes on this backend.
- ``can_run_steps()``: whether our loop may run; otherwise Keras's own does.
- ``hold(images)``: the images, if possible in memory that `run_steps` reads without a copy of each
  batch; otherwise the array itself.
- ``best_pace(batch_size)``: the number of steps in the first execution, and the largest number.
- ``part_to_read(training)``: the function `part` of the sources, which tells which rows of a batch
  this process reads.
- ``run_steps(block, at_once, training)``: one execution, of a `sources.Block`. Step ``i`` takes the
  images ``images[rows[i]]`` and, unless they are None, ``labels[i]`` and ``weights[i]``, and adds
  its losses to the epoch means. The last executions of an epoch may have fewer steps than the
  others: ``at_once`` is the number in a full one, so that a backend can pad them; 1 for a smaller
  last batch, which comes alone.

Functions:

- ``without_gradient(model, function)``: `function` of tensors, compiled, without gradients.
- ``keep_compiled(folder)``: caches compiled programs there, if the backend can.
- ``export_arguments(format)``: what `keras.Model.export` needs to export a model of ours.
- ``device_name()``: the device that Keras uses, such as ``"cpu"``.
"""

import keras

if keras.backend.backend() == "jax":
    from keras_vae.training.backends.jax import (
        Trainer,
        device_name,
        export_arguments,
        keep_compiled,
        without_gradient,
    )
elif keras.backend.backend() == "tensorflow":
    from keras_vae.training.backends.tensorflow import (
        Trainer,
        device_name,
        export_arguments,
        keep_compiled,
        without_gradient,
    )
elif keras.backend.backend() == "torch":
    from keras_vae.training.backends.torch import (
        Trainer,
        device_name,
        export_arguments,
        keep_compiled,
        without_gradient,
    )
else:
    raise ValueError(
        "keras_vae trains on the Keras backends 'jax', 'tensorflow' and 'torch'. "
        f"Received: backend={keras.backend.backend()!r}. Set the environment variable "
        "KERAS_BACKEND to one of them before Keras is imported."
    )

__all__ = ["Trainer", "device_name", "export_arguments", "keep_compiled", "without_gradient"]
