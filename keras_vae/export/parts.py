"""The parts of a run that can be exported, as Keras models."""

import contextlib

import keras
import numpy as np
from keras import ops

from keras_vae.export import flow as flows


class Part(keras.Model):
    """A function of one or two arrays; `export` writes it as a graph.

    Args:
        name: Name of the part, and of its file.
        function: Takes tensors, and returns a dict of tensors by name.
        inputs: Shape of each input without the batch, by name.
        outputs: Shape of each output without the batch, by name.
        model: The `VAE` or `AutoEncoder` that the function uses, or None.
        flow: The `Flow` that it uses, or None.
    """

    def __init__(self, name, function, inputs, outputs, model=None, flow=None):
        super().__init__(name=name, dtype="float32", autocast=False)
        self.function = function
        self.model, self.flow = model, flow  # so that their weights belong to the graph
        for i, block in enumerate([] if flow is None else flow.blocks):
            setattr(self, f"block_{i}", block)  # torch does not find layers in lists
        self.input_shapes, self.output_shapes = dict(inputs), dict(outputs)
        self.built = True

    def call(self, first, second=None):
        return self.function(first) if second is None else self.function(first, second)

    def signature(self):
        """Returns what Keras's `export` takes as `input_signature`: any batch size."""
        return [
            keras.InputSpec(shape=(None, *shape), dtype="float32", name=name)
            for name, shape in self.input_shapes.items()
        ]


def parts_of(run):
    """Returns the parts of a run.

    Args:
        run: A `keras_vae.runs.Run`, or anything with its `model`, `edits`, `flow` and `noun`.

    Returns:
        A list of `Part`: ``encoder`` (data to codes) and ``decoder`` (codes to data); with
        directions ``shifts`` (codes to what an edit of strength 1 adds to them) and ``edit``
        (data and strengths to data); with a flow ``sampler`` (noise and signs of attributes to
        codes). A code of a model with a condition is followed by the condition for the decoder.

    Example:

    ```python
    encoder, decoder, *others = keras_vae.export.parts_of(keras_vae.runs.load())
    ```
    """
    model, edits, flow = run.model, run.edits, run.flow
    shape, d = model.data_shape, model.latent_dim
    data = "image" if run.noun == "images" else "values"
    columns = d + (0 if model.condition is None else model.condition.size)

    def encode(x):
        # Sorted by name, as JAX and TensorFlow give the entries of a dict.
        return dict(sorted(zip(model.code, keras.tree.flatten(model._encode(x)))))

    def decode(z):
        parts = (z,) if columns == d else (z[:, :d], z[:, d:])
        return {data: model._decode(*parts)}

    codes = {name: (d,) for name in model.code}
    parts = [
        Part("encoder", encode, {data: shape}, codes, model),
        Part("decoder", decode, {"z": (columns,)}, {data: shape}, model),
    ]
    if edits is not None:
        k, shifts = len(edits.names), shifts_of(edits, d, columns)

        def give_shifts(z):
            return {"shifts": shifts(z)}

        def edit(x, strengths):
            z = encode(x)["z_mean" if "z_mean" in model.code else "z"]
            moved = ops.einsum("nk,nkc->nc", strengths, shifts(z))
            return {"edited": decode(padded(z, columns) + moved)[data]}

        parts += [
            Part("shifts", give_shifts, {"z": (d,)}, {"shifts": (k, columns)}, flow=flow),
            Part("edit", edit, {data: shape, "strengths": (k,)}, {"edited": shape}, model, flow),
        ]
    if flow is not None:

        def sample(noise, signs=None):
            signs = noise[:, :0] if signs is None else signs  # there are no attributes
            return {"z": flows.codes(flow, noise, signs)}

        inputs = {"noise": (d,)} | ({"signs": (len(flow.names),)} if flow.names else {})
        parts.append(Part("sampler", sample, inputs, {"z": (d,)}, flow=flow))
    return parts


def shifts_of(edits, latent_dim, columns):
    """Returns a function of codes ``(n, latent_dim)``: the shifts ``(n, attributes, columns)``."""
    straight = np.zeros((len(edits.names), columns), "float32")
    by_flow = []
    for i, name in enumerate(edits.names):
        if edits.method(name) == "flow":
            by_flow.append(name)
        else:
            # `shift` is linear in the strengths, and depends on the code only for the flow.
            shift = edits.shift({name: 1.0}, np.zeros((1, latent_dim), "float32"))
            straight[i, : shift.shape[1]] = shift[0]
    places = np.array([[name == other for other in edits.names] for name in by_flow], "float32")

    def shifts(z):
        constant = ops.convert_to_tensor(straight[None]) + 0 * z[:, :1, None]
        if not by_flow:
            return constant
        changes = padded(flows.changes(edits.flow, by_flow, z), columns)  # (n, flow names, columns)
        return constant + ops.einsum("nmc,mk->nkc", changes, ops.convert_to_tensor(places))

    return shifts


def padded(x, columns):
    """Returns an array with zeros appended to its last axis up to `columns`."""
    more = columns - x.shape[-1]
    return ops.pad(x, [(0, 0)] * (len(x.shape) - 1) + [(0, more)]) if more else x


@contextlib.contextmanager
def in_float32(*models):
    """Lets layers compute in float32, whatever their policy; their weights are float32 anyway."""
    changed = {}
    for model in models:
        for layer in model._flatten_layers():
            if layer.compute_dtype != "float32" and layer.variable_dtype == "float32":
                changed[layer] = layer.dtype_policy
                layer.dtype_policy = "float32"
    try:
        yield
    finally:
        for layer, policy in changed.items():
            layer.dtype_policy = policy
