"""The structure of the package: imports point down only, and importing it starts nothing."""

import ast
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]
PACKAGES = ("keras_vae", "demo")
# Who may import jax, tensorflow or torch by name: the backends; what joins processes and sums over
# devices; the readers of TFRecords and of batches of tf.data, which come with TensorFlow.
FRAMEWORKS = {"jax", "tensorflow", "torch"}
MAY_IMPORT_FRAMEWORKS = (
    "keras_vae.training.backends.",
    "keras_vae.parallel.",
    "keras_vae.start.torch_launcher",
    "keras_vae.datasets.tfds",
)
# Upper rooms may import lower ones; rooms in one row do not import each other in a circle.
ROWS = (
    ("keras_vae.commands", "keras_vae.__main__", "keras_vae.public", "demo"),
    ("keras_vae.demo", "keras_vae.export.page"),
    ("keras_vae.export",),
    ("keras_vae.runs",),
    ("keras_vae.evaluate", "keras_vae.plots"),
    ("keras_vae.latent", "keras_vae.models", "keras_vae.photos", "keras_vae.priors"),
    ("keras_vae.training", "keras_vae.datasets", "keras_vae.tables", "keras_vae.networks"),
    ("keras_vae.layers", "keras_vae.likelihoods", "keras_vae.images", "keras_vae.noise"),
    ("keras_vae.checks", "keras_vae.atomic", "keras_vae.parallel", "keras_vae.pieces"),
    ("keras_vae.start",),
)


def modules():
    """Returns the path of each module, by its name."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imports(path, known):
    """Returns the modules of ours that a file imports anywhere, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if name in known else node.module)
    return found


@pytest.fixture(scope="module")
def graph():
    known = modules()
    return {name: imports(path, known) for name, path in known.items()}


def test_few_files_lie_at_the_top_of_the_package():
    files = [path.name for path in (ROOT / "keras_vae").glob("*.py")]
    assert len([name for name in files if not name.startswith("__")]) <= 10


def test_no_circle_of_imports(graph):
    # What a package's __init__ lists are its public names; files import each other directly.
    done, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name in done:
            return
        path.append(name)
        for other in graph[name]:
            if other in graph and other != "keras_vae":
                visit(other)
        path.pop()
        done.add(name)

    for name in graph:
        visit(name)


def row_of(name):
    rows = (i for i, row in enumerate(ROWS) for room in row if f"{name}.".startswith(f"{room}."))
    return next(rows, None)


def test_imports_point_down(graph):
    upwards = [
        f"{name} imports {other}"
        for name, others in graph.items()
        for other in others
        if None not in (row_of(name), row_of(other)) and row_of(other) < row_of(name)
    ]
    assert not upwards
    assert all(row_of(name) is not None for name in graph if name.count(".") > 0), "a new room"


def test_only_the_backends_import_a_framework(graph):
    for name, others in graph.items():
        if not name.startswith(MAY_IMPORT_FRAMEWORKS):
            assert not FRAMEWORKS & {other.split(".")[0] for other in others}, name


@pytest.fixture
def architecture(monkeypatch):
    """The script that draws the picture of the architecture."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    import make_architecture

    return make_architecture


def test_the_picture_of_the_architecture_is_true(graph, architecture):
    drawn = [[f"keras_vae.{room}" for room in row] for row in architecture.ROWS]
    assert {room for row in drawn for room in row} | {"demo"} == {
        room for row in ROWS for room in row
    } - {"keras_vae.__main__", "keras_vae.public"}
    for upper, lower in pairwise(drawn):
        assert max(map(row_of, upper)) <= min(map(row_of, lower))
    for first, last in architecture.ARROWS:
        assert any(
            f"{name}.".startswith(f"keras_vae.{first}.")
            and any(f"{other}.".startswith(f"keras_vae.{last}.") for other in others)
            for name, others in graph.items()
        ), f"nothing in {first} imports {last}"
    assert architecture.PICTURE.read_text() == architecture.drawn(), "run docs/make_architecture.py"


def run_code(code, backend, *arguments):
    """Runs Python code in a process of its own, as another program would."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )


def test_programs_start_without_keras():
    code = (
        "import sys\n"
        "import keras_vae\n"
        "from keras_vae import commands, start\n"
        "import keras_vae.commands.main, keras_vae.commands.train\n"
        "heavy = {'keras', 'jax', 'numpy', 'matplotlib', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    result = run_code(code, "jax")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "code",
    [
        "import keras_vae; from keras_vae import datasets",
        "from keras_vae.models.vae import VAE; import keras_vae; keras_vae.build_mlp",
        "import keras_vae.latent, keras_vae; keras_vae.VAE",
    ],
)
def test_the_first_name_used_registers_all_classes(code):
    code += (
        "\nimport keras\n"
        "for name in ('VAE', 'AutoEncoder', 'Sampling'):\n"
        "    assert keras.saving.get_registered_object(f'keras_vae>{name}'), name\n"
        "assert not hasattr(keras_vae, 'nothing') and 'VAE' in dir(keras_vae)\n"
    )
    result = run_code(code, "jax")
    assert result.returncode == 0, result.stderr


def test_importing_the_package_only_defines_and_registers():
    code = (
        "import os, signal, sys\n"
        "import keras, matplotlib, PIL\n"
        "before = dict(os.environ), signal.getsignal(signal.SIGINT), sys.argv[:]\n"
        "import keras_vae\n"
        "assert before == (dict(os.environ), signal.getsignal(signal.SIGINT), sys.argv)\n"
        "heavy = {'gradio', 'skimage', 'tensorflow_datasets', 'grain'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert keras.saving.get_registered_object('keras_vae>VAE') is keras_vae.VAE\n"
    )
    result = run_code(code, "jax", "--help")
    assert (result.returncode, result.stdout) == (0, ""), result.stderr


@pytest.mark.parametrize(
    "missing, code, message",
    [
        (
            "tensorflow_datasets",
            "keras_vae.datasets.load('mnist')",
            "tensorflow_datasets is needed to read the data set 'mnist' and is not installed. "
            'Install it with: pip install "keras_vae[tfds]"',
        ),
        (
            "gradio",
            "from keras_vae.commands.main import main; main(['demo'])",
            "keras-vae demo: error: Gradio is not installed. Install it with: "
            'pip install "keras_vae[demo]"',
        ),
    ],
)
def test_a_missing_extra_is_named(missing, code, message, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, missing, None)
    names = {}
    with pytest.raises((ValueError, SystemExit)) as stop:
        exec(f"import keras_vae\n{code}", names)
    assert message in (str(stop.value) + capsys.readouterr().err)


def test_the_library_works_without_its_extras():
    """A folder of images, training, directions, pictures: none needs TensorFlow or Gradio."""
    code = (
        "import sys\n"
        "for name in ('tensorflow', 'tensorflow_datasets', 'gradio'): sys.modules[name] = None\n"
        "import keras_vae\n"
        "faces = keras_vae.datasets.load('faces', limit=64)\n"
        "model = keras_vae.VAE(*keras_vae.build_mlp(faces.image_shape, 2, hidden=(8,)))\n"
        "model.compile('adam')\n"
        "model.fit(faces.train.images, verbose=0)\n"
        "keras_vae.plots.reconstructions(faces.test.images[:4], model.sample(4))\n"
        "assert keras_vae.evaluate.test_metrics(model, faces.test.images[:64])['test_mse'] < 1\n"
    )
    result = run_code(code, "jax")
    assert result.returncode == 0, result.stderr


def test_a_backend_of_keras_that_is_not_installed_is_named():
    code = (
        "import sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] == 'tensorflow':\n"
        "            raise ModuleNotFoundError('No module', name='tensorflow')\n"
        "sys.meta_path.insert(0, Hidden())\n"
        "import keras_vae; keras_vae.VAE\n"
    )
    result = run_code(code, "tensorflow")
    assert result.returncode == 1
    assert "ImportError: Keras would use the backend 'tensorflow', which is not" in result.stderr
