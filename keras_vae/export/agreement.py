"""Whether exported ONNX files compute what the model computes."""

import numpy as np
from keras import ops

from keras_vae.export.parts import in_float32

N = 5


def differences(run, parts, folder):
    """Returns the largest difference between a part and its ONNX file, by the part's name.

    The inputs are examples of the run where it has some, and random numbers otherwise. Of large
    outputs the difference is relative.
    """
    import onnxruntime

    found = {}
    for part in parts:
        arrays = inputs(run, part)
        with in_float32(*(model for model in (run.model, run.flow) if model is not None)):
            expected = part(*map(ops.convert_to_tensor, arrays))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # no warnings about constants
        session = onnxruntime.InferenceSession(f"{folder}/{part.name}.onnx", options)
        names = [entry.name for entry in session.get_inputs()]
        result = session.run([*part.output_shapes], dict(zip(names, arrays)))
        found[part.name] = max(
            float(np.max(np.abs(a - b) / np.maximum(1, np.abs(b))))
            for a, b in zip(result, (ops.convert_to_numpy(expected[n]) for n in part.output_shapes))
        )
    return found


def inputs(run, part):
    """Returns an array for each input of a part."""
    rng = np.random.default_rng(0)

    def array(name, shape):
        if name == "image" and run.examples is not None:
            images = run.examples.images[np.arange(N) % len(run.examples.images)]
            return images.astype("float32") / 255
        if name == "image":
            return rng.random((N, *shape), "float32")
        if name == "values":  # which may be counts
            return rng.integers(0, 4, (N, *shape)).astype("float32")
        x = rng.standard_normal((N, *shape), "float32")
        return np.sign(x) if name == "signs" else x

    return [array(name, shape) for name, shape in part.input_shapes.items()]
