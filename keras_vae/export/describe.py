"""What lies beside exported graphs: `export.json` and a README."""

UNITS = {
    "image": "pixels in [0, 1]",
    "values": "values in the units of the data",
    "edited": "as the data",
    "strengths": "amounts of the attributes of `edits`, in their order; 0 changes nothing",
    "noise": "draws from N(0, I)",
    "signs": "1 for present, -1 for absent, 0 for unknown, in the order of `signs`",
    "shifts": "what strength 1 of each attribute of `edits` adds to a code",
    "z": "codes",
    "z_mean": "means of q(z|x)",
    "z_log_var": "logarithms of the variances of q(z|x)",
}
USE = {
    "onnx": """import numpy as np, onnxruntime

def run(part, *arrays):
    session = onnxruntime.InferenceSession(f"{part}.onnx")
    results = session.run(None, dict(zip([i.name for i in session.get_inputs()], arrays)))
    return dict(zip([output.name for output in session.get_outputs()], results))
""",
    "saved_model": """import numpy as np, tensorflow as tf

def run(part, *arrays):
    loaded = tf.saved_model.load(part)
    return {name: array.numpy() for name, array in loaded.serve(*arrays).items()}
""",
}


def content(run, parts, ending):
    """Returns what ``export.json`` says of a run and its parts, whose files have this ending."""

    def arrays(shapes):
        return [
            {"name": name, "shape": ["n", *shape], "dtype": "float32", "unit": UNITS[name]}
            for name, shape in shapes.items()
        ]

    edits = run.edits
    result = {
        "model": type(run.model).__name__,
        "likelihood": run.config.get("likelihood"),
        "data_set": run.config.get("dataset_name"),
        "parts": {
            part.name: {
                "file": part.name + ending,
                "inputs": arrays(part.input_shapes),
                "outputs": arrays(part.output_shapes),
            }
            for part in parts
        },
    }
    if edits is not None:
        result["edits"] = [{"name": name, "method": edits.method(name)} for name in edits.names]
    if run.flow is not None:
        result["signs"] = list(run.flow.names)
    if run.model.condition is not None:
        result["condition"] = list(run.model.condition.names)
    if run.table is not None:
        result["table"] = run.config["table"]
    return result


def readme(run, content):
    """Returns the text of the README: how to run the parts."""
    data = content["parts"]["encoder"]["inputs"][0]
    shape = ", ".join(map(str, data["shape"][1:]))
    code = "z_mean" if len(content["parts"]["encoder"]["outputs"]) == 2 else "z"
    lines = [
        "# A model exported by keras_vae",
        "",
        "Each part is a graph of float32 arrays whose first axis may have any length, see "
        f"`export.json`. The data are {data['unit']}, of shape (n, {shape}).",
        "",
        "```python",
        *USE[content["format"]].rstrip().splitlines(),
        "",
        f"x = np.random.rand(2, {shape}).astype('float32')",
        f"z = run('encoder', x)['{code}']",
    ]
    if run.model.condition is None:
        lines += [f"reconstruction = run('decoder', z)['{data['name']}']"]
    if "edits" in content:
        lines += [
            f"strengths = np.zeros((2, {len(content['edits'])}), 'float32')",
            f"strengths[:, 0] = 1  # {content['edits'][0]['name']}",
            "edited = run('edit', x, strengths)['edited']",
        ]
    return "\n".join([*lines, "```", ""])
