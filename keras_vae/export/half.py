"""ONNX files with weights in half precision."""

import numpy as np


def halve(path, target=None):
    """Stores the weights of an ONNX file as float16; it still computes in float32.

    Each weight is followed by a ``Cast`` to float32, which runtimes carry out once, when they load
    the file. Weights that are too large for float16 stay as they are.

    Args:
        path: The file.
        target: Where to write the result; None replaces the file.

    Example:

    ```python
    keras_vae.export.write(keras_vae.runs.load(), "exported")
    keras_vae.export.halve("exported/decoder.onnx")
    ```
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    graph, casts = model.graph, []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        value = numpy_helper.to_array(tensor)
        if value.size < 64:  # a name and a node would be larger
            continue
        with np.errstate(over="ignore"):
            small = value.astype("float16")
        if not np.isfinite(small).all():
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(small, f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, target or path)
