"""Files of one part, ONNX or SavedModel, written by Keras; names are those of the part."""

import tempfile
import warnings
from pathlib import Path

from keras_vae.start.quiet import OUTPUT, quiet


def save_onnx(part, path):
    """Writes a `Part` as an ONNX file whose inputs and outputs have the part's names.

    Raises whatever Keras, or the converter it uses on this backend, raises.
    """
    import onnx

    with tempfile.TemporaryDirectory() as folder:  # some converters put weights beside the file
        first = Path(folder, "part.onnx")
        # Tracing warns, and so do converters about NumPy; torch prints what it cannot write.
        with warnings.catch_warnings(), quiet(OUTPUT):
            warnings.simplefilter("ignore")
            part.export(first, format="onnx", verbose=False, input_signature=part.signature())
        model = onnx.load(first)
    graph = model.graph
    rename(graph, [*part.input_shapes], sorted(part.output_shapes))  # the order of converters
    in_order = sorted(graph.output, key=lambda value: [*part.output_shapes].index(value.name))
    del graph.output[:]
    graph.output.extend(in_order)
    for node in graph.node:  # which may name files of this computer
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
    graph.name = part.name
    model.ClearField("metadata_props")
    onnx.checker.check_model(model)
    onnx.save(model, path)


def rename(graph, inputs, outputs):
    """Gives inputs and outputs of an ONNX graph these names, and their first axis the name n."""
    from onnx import helper

    tensors = {name for node in graph.node for name in [*node.input, *node.output]}
    tensors |= {tensor.name for tensor in graph.initializer}
    names = {name: f"inner_{name}" for name in tensors & {*inputs, *outputs}}
    names |= {value.name: name for value, name in zip(graph.input, inputs)}
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for named in [*graph.initializer, *graph.value_info]:
        named.name = names.get(named.name, named.name)
    for value, name in zip(graph.output, outputs):  # one tensor may be two outputs
        inner = names.get(value.name, value.name)
        graph.node.append(helper.make_node("Identity", [inner], [name]))
        value.name = name
    for value, name in zip(graph.input, inputs):
        value.name = name
    for value in [*graph.input, *graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = "n"


def save_saved_model(part, path):
    """Writes a `Part` as a folder that `tf.saved_model.load` reads; its `serve` is the part."""
    part.export(path, format="tf_saved_model", verbose=False, input_signature=part.signature())
