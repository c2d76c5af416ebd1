"""Export: graphs that compute what the model computes, in other programs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import keras_vae
from keras_vae import export, latent, likelihoods, runs
from keras_vae.commands import export as export_command
from keras_vae.export import folder as folders
from keras_vae.export import formats, parts
from keras_vae.export.agreement import differences, inputs
from keras_vae.latent import flow_network

BACKEND = keras.backend.backend()
SHAPE, NAMES = (16, 16, 3), ("a", "b", "c")


def make(builder, shape=SHAPE, likelihood="gaussian", condition=None, **arguments):
    likelihood = likelihoods.get(likelihood)
    channels = likelihood.output_channels(shape[-1])
    size = 0 if condition is None else condition.size
    networks = builder(shape, 4, output_channels=channels, condition=size, **arguments)
    return keras_vae.VAE(*networks, likelihood=likelihood, condition=condition, seed=0)


def mlp(shape=SHAPE, likelihood="gaussian", **arguments):
    return make(keras_vae.build_mlp, shape, likelihood, **{"hidden": (16,), **arguments})


def conv(shape=SHAPE, likelihood="gaussian", **arguments):
    return make(keras_vae.build_conv, shape, likelihood, **{"filters": (8, 8), **arguments})


def patches(shape=SHAPE, **arguments):
    return make(keras_vae.build_patches, shape, widths=(16, 4, 8), **arguments)


def half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return conv()
    finally:
        keras.config.set_dtype_policy("float32")


def autoencoder():
    networks = keras_vae.build_mlp(SHAPE, 4, hidden=(16,), variational=False)
    return keras_vae.AutoEncoder(*networks)


MODELS = {
    "mlp": mlp,
    "straight": lambda: mlp(straight=True),
    "larger, straight": lambda: mlp((80, 70, 3), straight=True),
    "conv": conv,
    "conv, odd sides": lambda: conv((17, 13, 1), straight=True),
    "patches": patches,
    "patches, larger": lambda: patches((90, 70, 3)),
    "signals": lambda: conv((32, 2), "normal"),
    "volumes": lambda: conv((8, 8, 8, 1), "normal"),
    "rows": lambda: mlp((6,), "student_t"),
    "counts": lambda: mlp((6,), "poisson"),
    "mse": lambda: mlp(likelihood="mse"),
    "continuous_bernoulli": lambda: mlp(likelihood="continuous_bernoulli"),
    "mixture of logistics": lambda: mlp(likelihood=likelihoods.LogisticMixture(2)),
    "condition": lambda: mlp(condition=keras_vae.Condition(NAMES)),
    "classes": lambda: mlp(condition=keras_vae.Condition(NAMES, exclusive=True)),
    "half precision": half_precision,
    "autoencoder": autoencoder,
}


WITH_FLOW = ("mlp", "patches", "condition")


@pytest.fixture
def short_flows(monkeypatch):
    """Flows take two steps, not ten: torch traces each operation of each step slowly."""
    for module in (flow_network, export.flow):
        monkeypatch.setattr(module, "HEUN_STEPS", 2)


def run_of(model, has_flow=False, exclusive=()):
    """What `export` needs of a run, with directions, and perhaps a flow."""
    rng, d = np.random.default_rng(0), model.latent_dim
    vectors = rng.standard_normal((3, d)).astype("float32")
    directions = latent.Directions(NAMES, vectors, "regression")
    flow, noun = None, {1: "rows", 3: "images"}.get(len(model.data_shape), "items")
    if has_flow:
        flow = latent.Flow(d, NAMES, exclusive, rows=1, components=3, width=16)
        flow.compile()
        for weight in flow.weights:  # as after training: the last layer is not zero
            if weight.dtype == "float32":
                weight.assign(weight + 0.2 * rng.standard_normal(weight.shape))
    switches = model.condition and latent.Switches(model.condition, d)
    methods = {"a": "flow", "b": "condition" if switches else "flow"}
    edits = latent.Edits(directions, flow, methods, switches)
    return SimpleNamespace(model=model, flow=flow, edits=edits, noun=noun, examples=None)


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def run_onnx(path, *arrays):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path)
    names = [entry.name for entry in session.get_inputs()]
    results = session.run(None, dict(zip(names, arrays)))
    return dict(zip([entry.name for entry in session.get_outputs()], results))


@pytest.mark.parametrize("kind", MODELS)
def test_the_parts_compute_what_python_does(kind, tmp_path, short_flows):
    pytest.importorskip("onnx")
    run = run_of(MODELS[kind](), kind in WITH_FLOW, ("b", "c") if kind == "mlp" else ())
    if (kind, BACKEND) == ("volumes", "torch"):
        with pytest.raises(Exception, match="memory_format"):  # so that another backend does it
            folders.write_parts(run, tmp_path, "onnx")
        return
    folders.write_parts(run, tmp_path, "onnx")
    found = differences(run, parts.parts_of(run), tmp_path)
    assert max(found.values()) < 1e-4, found
    by_name = {part.name: inputs(run, part) for part in parts.parts_of(run)}
    model, (x, strengths) = run.model, by_name["edit"]
    with parts.in_float32(model):
        code = {**run_onnx(tmp_path / "encoder.onnx", x)}
        if kind == "half precision":
            return  # in float32 it is more precise than the model
        for name, expected in zip(model.code, keras.tree.flatten(model.encode(x))):
            assert_close(code[name], expected)
        (z,) = by_name["decoder"]
        assert_close(*run_onnx(tmp_path / "decoder.onnx", z).values(), model.decode(z))
        edited = run_onnx(tmp_path / "edit.onnx", x, strengths)["edited"]
        z = model.codes(x)
        for i in range(3):
            shift = run.edits.shift(dict(zip(NAMES, strengths[i])), z[i : i + 1])
            assert_close(edited[i], model.decode(latent.moved(z[i : i + 1], shift))[0])
    if run.flow is not None:
        noise, signs = by_name["sampler"]
        expected = run.flow.codes(noise, (signs + 1) / 2)
        assert_close(run_onnx(tmp_path / "sampler.onnx", noise, signs)["z"], expected)


def test_a_flow_without_attributes(tmp_path, short_flows):
    pytest.importorskip("onnx")
    run = run_of(mlp())
    run.flow, run.edits = latent.Flow(4, components=3, width=8), None
    run.flow.last.kernel.assign(np.ones(run.flow.last.kernel.shape))
    folders.write_parts(run, tmp_path, "onnx")
    noise = np.random.default_rng(0).standard_normal((3, 4), "float32")
    found = run_onnx(tmp_path / "sampler.onnx", noise)["z"]
    assert_close(found, run.flow.codes(noise))
    assert np.abs(found - noise).max() > 0.1


def test_layers_have_their_policy_again():
    model = half_precision()
    policies = [layer.compute_dtype for layer in model.encoder.layers]
    assert "float16" in policies
    with parts.in_float32(model):
        assert {layer.compute_dtype for layer in model.encoder.layers} == {"float32"}
    assert [layer.compute_dtype for layer in model.encoder.layers] == policies


# Keras's own call


def after_fit(model, folder):
    model.compile("adam")
    model.fit(np.random.default_rng(0).random((8, *SHAPE), "float32"), verbose=0)
    return model


def after_loading(model, folder):
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


@pytest.mark.parametrize("how", [after_fit, after_loading])
@pytest.mark.parametrize("kind", ["patches", "autoencoder"])
def test_keras_exports_models_and_their_parts(kind, how, tmp_path):
    pytest.importorskip("onnx")
    model = how(MODELS[kind](), tmp_path)
    for n in (1, 3):  # any batch size
        x = np.random.default_rng(n).random((n, *SHAPE), "float32")
        expected = model.predict(x, verbose=0)
        path = tmp_path / f"model{n}.onnx"
        model.export(path, format="onnx", verbose=False)
        for found, name in zip(run_onnx(path, x).values(), sorted(expected)):
            assert_close(found, expected[name])  # z is z_mean, not a draw
        for part, data in ((model.encoder, x), (model.decoder, expected["z"])):
            part.export(path, format="onnx", verbose=False)
            results = keras.tree.flatten(part.predict(data, verbose=0))
            assert len(results) == len(run_onnx(path, data))
            for found, result in zip(run_onnx(path, data).values(), results):
                assert_close(found, result)


def test_keras_exports_saved_models(tmp_path):
    tf = pytest.importorskip("tensorflow")
    model = after_fit(patches(), tmp_path)
    x = np.random.default_rng(0).random((3, *SHAPE), "float32")
    if BACKEND == "torch":
        with pytest.raises(ValueError, match="Keras cannot write a SavedModel on torch"):
            model.export(tmp_path / "saved")
        return
    expected = model.predict(x, verbose=0)
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    for name, found in loaded.serve(x).items():
        assert_close(found, expected[name])
    model.encoder.export(tmp_path / "encoder", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "encoder"))
    assert_close(loaded.serve(x)[0], expected["z_mean"])


@pytest.mark.skipif(BACKEND != "torch", reason="a format of torch")
def test_torch_exports_programs(tmp_path):
    import torch

    model = after_fit(patches(), tmp_path)
    model.export(tmp_path / "model.pt2", format="torch", verbose=False)
    program = torch.export.load(tmp_path / "model.pt2").module()
    for n in (1, 4):
        x = np.random.default_rng(n).random((n, *SHAPE), "float32")
        found = program(torch.tensor(x))["reconstruction"].detach()
        assert_close(found, model.predict(x, verbose=0)["reconstruction"])


def test_a_model_that_has_seen_no_images_says_so(tmp_path):
    encoder = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])
    decoder = keras.Sequential([keras.layers.Dense(4), keras.layers.Reshape((2, 2, 1))])
    with pytest.raises(ValueError, match="has seen no images yet"):
        keras_vae.AutoEncoder(encoder, decoder).export(tmp_path / "x.onnx", format="onnx")


# The folder, as a user meets it


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    pytest.importorskip("onnx")
    run = run_of(patches(), has_flow=True)
    run.folder, run.config, run.table = tmp_path_factory.mktemp("run"), {}, None
    folder = tmp_path_factory.mktemp("exported") / "images"
    with pytest.MonkeyPatch.context() as patch:
        for module in (flow_network, export.flow):
            patch.setattr(module, "HEUN_STEPS", 2)
        return folder, export.write(run, folder)


@pytest.mark.once
def test_the_folder_describes_itself(exported):
    folder, content = exported
    assert json.loads((folder / "export.json").read_text()) == content
    files = {part["file"] for part in content["parts"].values()}
    assert {path.name for path in folder.iterdir()} == {*files, "export.json", "README.md"}
    encoder = content["parts"]["encoder"]
    assert encoder["inputs"][0] == {
        "name": "image",
        "shape": ["n", *SHAPE],
        "dtype": "float32",
        "unit": "pixels in [0, 1]",
    }
    assert [output["name"] for output in encoder["outputs"]] == ["z_mean", "z_log_var"]
    assert content["edits"] == [
        {"name": "a", "method": "flow"},
        {"name": "b", "method": "flow"},
        {"name": "c", "method": "regression"},
    ]
    assert content["signs"] == list(NAMES)
    assert max(content["largest_difference"].values()) < 1e-4
    assert content["written_with"]["keras_vae"] == keras_vae.__version__
    text = (folder / "README.md").read_text()
    for path in folder.iterdir():  # nothing of this computer
        assert str(Path(keras_vae.__file__).parent).encode() not in path.read_bytes(), path
    assert len(text.splitlines()) < 30


@pytest.mark.once
def test_its_readme_runs_without_keras(exported):
    folder, _ = exported
    code = re.search("```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)[1]
    code = f"import sys\nsys.modules['keras'] = sys.modules['keras_vae'] = None\n{code}"
    code += "\nimport numpy as np\nassert np.abs(edited - reconstruction).max() > 1e-3"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.once
def test_halved_files_are_half_as_large_and_nearly_the_same(exported, tmp_path):
    folder, _ = exported
    export.halve(folder / "decoder.onnx", tmp_path / "decoder.onnx")
    sizes = [(place / "decoder.onnx").stat().st_size for place in (tmp_path, folder)]
    assert sizes[0] < 0.6 * sizes[1]
    z = np.random.default_rng(0).standard_normal((4, 4), "float32")
    one, other = (run_onnx(place / "decoder.onnx", z)["image"] for place in (tmp_path, folder))
    assert 0 < np.abs(one - other).max() < 0.01


@pytest.mark.once
def test_saved_models_from_a_backend_that_cannot_write_them(tmp_path):
    """torch has another backend write them, and says so; they load without Keras."""
    pytest.importorskip("tensorflow")
    pytest.importorskip("torch")
    folder = tmp_path / "saved"
    command = [sys.executable, "-m", "keras_vae", "export", "pretrained", "-o", folder]
    result = subprocess.run(
        [*command, "--format", "saved_model", "--backend", "torch"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert (result.returncode, result.stderr) == (0, "")
    first, second = result.stdout.splitlines()
    assert first == f"{folder}/: encoder, decoder, shifts, edit, sampler, export.json, README.md"
    assert second.startswith("Written on tensorflow, since torch could not: it cannot write")
    code = (
        "import sys; sys.modules['keras'] = None\n"
        "import numpy as np, tensorflow as tf\n"
        "x, a = (np.load(f'{name}.npy') for name in ('x', 'a'))\n"
        "edit = tf.saved_model.load('saved/edit')\n"
        "np.save('edited.npy', edit.serve(x, a)['edited'])\n"
    )
    run = runs.load("pretrained")
    x = run.examples.images[:2].astype("float32") / 255
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "a.npy", np.eye(2, len(run.edits.names), dtype="float32"))
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    for i, name in enumerate(run.edits.names[:2]):
        expected = latent.edit(run.model, x[i : i + 1], run.edits, {name: 1})
        assert_close(np.load(tmp_path / "edited.npy")[i], expected[0])


@pytest.mark.once
@pytest.mark.parametrize(
    "missing, format, said",
    [
        (("onnx", "onnxruntime"), "onnx", 'onnx missing. Install: pip install "keras_vae[onnx]"'),
        (("tensorflow",), "saved_model", 'pip install "keras_vae[tensorflow]"'),
    ],
)
def test_what_no_backend_can_write_names_the_extra(missing, format, said, monkeypatch, tmp_path):
    found = folders.find_spec
    monkeypatch.setattr(
        folders, "find_spec", lambda name: (name not in missing and found(name)) or None
    )
    with pytest.raises(ValueError, match="no installed backend can export") as error:
        export.write(runs.load("pretrained"), tmp_path / "new", format)
    assert said in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.once
def test_a_converter_that_fails_is_replaced_by_another_backend(monkeypatch, tmp_path):
    def fail(run, folder, format):
        raise RuntimeError("no such operation\nin detail")

    asked = []
    monkeypatch.setattr(folders, "write_parts", fail)
    monkeypatch.setattr(folders, "write_elsewhere", lambda *arguments: asked.append(arguments[-1]))
    backend, reasons = folders.write_on_some_backend(runs.load("pretrained"), tmp_path, "onnx")
    assert [backend] == asked and backend != BACKEND
    assert reasons == {BACKEND: "RuntimeError: no such operation"}


@pytest.mark.once
def test_wrong_arguments_give_one_line(command, tmp_path):
    for arguments, said in (
        (("-o", ""), "--output is empty"),
        (("-o", tmp_path / "x", "--format", "pickle"), "invalid choice: 'pickle'"),
        (("-o", Path(__file__)), "is a file; expected a folder"),
        (("-o", Path(__file__).parent), "is not empty"),
    ):
        code, output, errors = command("export", "pretrained", *arguments)
        assert (code, output, len(errors.splitlines())) == (2, "", 1)
        assert said in errors
    with pytest.raises(ValueError, match="Argument `format` must be one of"):
        export.write(runs.load("pretrained"), tmp_path / "x", "pickle")


@pytest.mark.once
def test_a_folder_that_is_no_saved_model_is_not_replaced(tmp_path):
    own = tmp_path / "encoder" / "mine.txt"
    own.parent.mkdir()
    own.write_text("mine")
    with pytest.raises(ValueError, match="is not a SavedModel, so it is not replaced"):
        export.write(runs.load("pretrained"), tmp_path, "saved_model", overwrite=True)
    assert own.read_text() == "mine"


@pytest.mark.once
def test_the_command_offers_all_formats():
    assert export_command.FORMATS == export.FORMATS


@pytest.mark.once
def test_names_in_the_graph_do_not_clash():
    onnx = pytest.importorskip("onnx")
    reference = pytest.importorskip("onnx.reference")
    helper = onnx.helper
    value = [helper.make_tensor_value_info(name, 1, ["k"]) for name in ("a", "z", "b")]
    nodes = [helper.make_node("Neg", ["a"], ["z"]), helper.make_node("Abs", ["z"], ["b"])]
    graph = helper.make_graph(nodes, "g", [value[0]], [value[1], value[2]])
    formats.rename(graph, ["z"], ["x", "y"])
    model = helper.make_model(graph)
    onnx.checker.check_model(model)
    result = reference.ReferenceEvaluator(model).run(None, {"z": np.array([2], "float32")})
    assert [array.tolist() for array in result] == [[-2], [2]]
