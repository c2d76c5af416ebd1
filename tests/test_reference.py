"""The reference: every public name is documented and stands on a page, and its examples run."""

import ast
import contextlib
import dataclasses
import functools
import importlib
import inspect
import io
import re
import shutil
import textwrap
import tokenize
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import keras_vae
from keras_vae import datasets, evaluate, latent, parallel, public, runs
from keras_vae.runs import files

PAGES = Path(__file__).parents[1] / "docs" / "reference" / "api"
# Modules of public names beside those that `keras_vae/public.py` lists.
DEEPER = ("datasets.faces", "datasets.sprites", "pieces", "training.clock", "training.recipes")


def names_of(module):
    """Returns the classes and functions that a module lists for its users, by name."""
    listed = getattr(module, "__all__", None) or vars(module)
    found = {name: getattr(module, name) for name in listed if not name.startswith("_")}
    return {name: value for name, value in found.items() if is_ours(value)}


def is_ours(value):
    is_code = inspect.isclass(value) or inspect.isfunction(value)
    return is_code and value.__module__.startswith("keras_vae.")


def public_modules():
    """Returns the modules with public names, by their public path."""
    named = {name: value for name, value in vars(public).items() if inspect.ismodule(value)}
    found = {f"keras_vae.{name}": module for name, module in named.items() if name != "_"}
    deeper = {f"keras_vae.{name}": importlib.import_module(f"keras_vae.{name}") for name in DEEPER}
    return {"keras_vae": public} | found | deeper


MODULES = public_modules()
PUBLIC = {
    f"{path}.{name}": value
    for path, module in MODULES.items()
    for name, value in names_of(module).items()
}


def entries(text):
    """Returns the names on a page of the reference, each with the members that it lists."""
    found, name = {}, None
    for line in text.splitlines():
        if match := re.match(r"::: ([\w.]+)$", line):
            name = match[1]
            found[name] = []
        elif name and (match := re.match(r" +- (\w+)$", line)):
            found[name].append(match[1])
        elif line and not line.startswith(" "):
            name = None
    return found


def public_path(path):
    """Returns the public path of a function of which each backend has one of its own."""
    return re.sub(r"^keras_vae\.parallel\.(jax|tensorflow|torch)\.", "keras_vae.parallel.", path)


ENTRIES = {
    public_path(path): members
    for page in sorted(PAGES.glob("*.md"))
    for path, members in entries(page.read_text(encoding="utf-8")).items()
}
# The public names, and the methods and properties that the pages list.
DOCUMENTED = PUBLIC | {
    f"{path}.{name}": inspect.getattr_static(PUBLIC[path], name)
    for path, members in ENTRIES.items()
    if path in PUBLIC
    for name in members
}


@pytest.mark.once
def test_every_public_name_stands_on_a_page():
    assert set(ENTRIES) == set(PUBLIC)


@pytest.mark.once
def test_every_page_is_in_the_index():
    linked = re.findall(r"\]\((\w+\.md)\)", (PAGES / "index.md").read_text(encoding="utf-8"))
    pages = {page.name for page in PAGES.glob("*.md")}
    assert sorted(linked) == sorted(pages - {"index.md"})


# What a docstring must have.

# What these modules compute has been published, or an equation says it. A function that ends in
# "_report" puts together what others compute.
HAVE_A_SOURCE = ("keras_vae",) + tuple(
    f"keras_vae.{name}"
    for name in ("likelihoods", "priors", "bounds", "penalties", "latent", "evaluate")
)
HAVE_NO_SOURCE = {
    "Checkpoint": "saves",
    "latent.Directions": "returned by `fit_directions`, which has it",
    "latent.Edits": "holds other editors",
    "latent.codes_of": "encodes",
    "latent.edit": "decodes what an editor returns",
    "latent.group": "selects rows",
    "latent.fit_flow": "`Flow` has it",
    "latent.order": "sorts",
    "latent.traverse": "evenly spaced values",
    "evaluate.Classifier": "a plain classifier",
    "evaluate.train_classifier": "a plain classifier",
    "evaluate.choose_methods": "compares the numbers of `edit_report`",
    "evaluate.advice": "sentences",
}


def function_of(value):
    """Returns the function that a documented name calls, or None for a class without one."""
    if inspect.isclass(value):
        made = value.__init__
        return made if is_ours(made) and not dataclasses.is_dataclass(value) else None
    if isinstance(value, (staticmethod, classmethod)):
        return value.__func__
    return getattr(value, "fget", value)


def body_of(function):
    """Returns the syntax nodes of a function, without functions inside of it."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    nodes = list(tree.body)
    for node in nodes:
        if not isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            nodes.extend(ast.iter_child_nodes(node))
    return nodes


def returns(nodes):
    return any(
        isinstance(node, ast.Yield) or (isinstance(node, ast.Return) and node.value is not None)
        for node in nodes
    )


def refuses(nodes):
    """Returns whether a function itself raises an error for a user's mistake."""
    raised = (ast.unparse(node.exc) for node in nodes if isinstance(node, ast.Raise) and node.exc)
    called = (ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call))
    return any("NotImplementedError" not in error for error in raised) or any(
        re.search(r"(^|\.)check(_\w+)?$", name) for name in called
    )


def arguments_of(function):
    kinds = inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL
    parameters = inspect.signature(function).parameters.values()
    return {p.name for p in parameters if p.kind not in kinds} - {"self", "cls"}


def sections(doc):
    """Returns the text of each section of a docstring, by its title."""
    parts = re.split(r"^(\w[\w ]*):\n", doc, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def listed(section):
    """Returns the names that a section such as "Args" explains."""
    names = re.findall(r"^    (\*{0,2}\w+):", section, flags=re.MULTILINE)
    return {name.strip("*") for name in names}


def needs_a_source(path):
    place, _, name = path.rpartition(".")
    if place not in HAVE_A_SOURCE or name == "get" or name.endswith("_report"):
        return False
    return not is_a_base(PUBLIC[path]) and path.removeprefix("keras_vae.") not in HAVE_NO_SOURCE


def is_a_base(value):
    classes = filter(inspect.isclass, PUBLIC.values())
    return inspect.isclass(value) and any(value in other.__mro__[1:] for other in classes)


def problems(path, value):
    function = function_of(value)
    doc = inspect.cleandoc((value if inspect.isclass(value) else function).__doc__ or "")
    found, parts = [], sections(doc)
    if not re.match(r"[A-Z`\"].*[.:](\n\n|$)", doc):
        found.append("no summary in one line")
    if isinstance(value, (property, functools.cached_property)):
        return found
    nodes = body_of(function) if function else []
    is_class = inspect.isclass(value)
    if dataclasses.is_dataclass(value) and is_class:
        wanted = {field.name for field in dataclasses.fields(value)}
        found += [f"no attribute {name}" for name in wanted - listed(parts.get("Attributes", ""))]
    elif function:
        wanted, given = arguments_of(function), listed(parts.get("Args", ""))
        if "The other arguments are those of Keras" not in doc:
            found += [f"no argument {name}" for name in sorted(wanted - given)]
        if function.__code__.co_flags & inspect.CO_VARKEYWORDS == 0:
            found += [f"there is no argument {name}" for name in sorted(given - wanted)]
    if not is_class and returns(nodes) and not {"Returns", "Yields"} & set(parts):
        found.append("no Returns")
    if refuses(nodes) and "Raises" not in parts:
        found.append("no Raises")
    if "```python\n" not in parts.get("Example", ""):
        found.append("no Example")
    text = doc.split("\nExample:\n")[0]
    equations = re.findall(r"(?<!`)``([^`]+)``", text)
    if needs_a_source(path) and not (
        "https://" in text
        or any(re.search(r"[=+*/|~-] |\^|\blog\b", equation) for equation in equations)
    ):
        found.append("no source")
    return found


@pytest.mark.parametrize("path", DOCUMENTED)
def test_every_public_name_is_documented(path):
    assert not problems(path, DOCUMENTED[path])


# The examples

NOT_RUN = {
    "keras_vae.runs.push": "needs the Hub: test_hub.py runs it against an imitation",
    "keras_vae.VAE.export": "takes long: test_docs.py runs it",
    "keras_vae.export.write": "takes a minute: test_export.py runs it",
    "keras_vae.export.halve": "needs what `write` writes",
}
# What takes long is made small.
SMALL = (
    (keras_vae, "build_mlp", {"hidden": (8,)}),
    (latent, "fit_flow", {"steps": 2, "width": 8}),
    (evaluate, "train_classifier", {"pictures": 64}),
    (evaluate, "choose_methods", {"images": 20}),
)


class Things:
    """Small things that examples refer to by name, made when the first example needs them."""

    def __init__(self, folder):
        self.folder = folder

    @functools.cached_property
    def faces(self):
        splits = [datasets.faces.draw(n, seed=i) for i, n in enumerate((60, 40, 40), 10)]
        names = ("smiling", "eyeglasses")
        columns = [datasets.faces.ATTRIBUTES.index(name) for name in names]
        splits = [
            # A quarter of the size.
            datasets.Split(s.images[:, ::4, ::4], None, s.attributes[:, columns], s.factors)
            for s in splits
        ]
        factors = datasets.faces.FACTORS
        return datasets.Dataset("faces", *splits, attribute_names=names, factor_names=factors)

    @property
    def data(self):
        return self.faces

    @property
    def images(self):
        return self.faces.test.images[:8]

    @property
    def others(self):
        return self.faces.validation.images[:8]

    @functools.cached_property
    def parts(self):
        return keras_vae.build_mlp((16, 16, 3), latent_dim=3, hidden=(8,))

    @property
    def encoder(self):
        return self.parts[0]

    @property
    def decoder(self):
        return self.parts[1]

    @functools.cached_property
    def model(self):
        model = keras_vae.VAE(*self.parts, likelihood="gaussian", seed=0)
        model.compile()
        return model

    @functools.cached_property
    def posterior(self):
        return self.model.encode(self.faces.train.images)

    @property
    def z_mean(self):
        return self.posterior[0]

    @property
    def validation_z_mean(self):
        return self.z_mean[30:]

    @property
    def z(self):
        return self.z_mean[:8]

    @functools.cached_property
    def directions(self):
        train = self.faces.train
        return latent.fit_directions(self.z_mean, train.attributes, self.faces.attribute_names)

    @functools.cached_property
    def flow(self):
        train = self.faces.train
        names = self.faces.attribute_names
        return latent.fit_flow(self.z_mean, train.attributes, names, steps=2, width=8)

    @functools.cached_property
    def mixture(self):
        return latent.fit_mixture(self.z_mean, self.validation_z_mean, components=(1,))

    @functools.cached_property
    def judge(self):
        train = self.faces.train
        names = self.faces.attribute_names
        return evaluate.train_classifier(train.images, train.attributes, names, pictures=64)

    @functools.cached_property
    def runs(self):
        """The folder of a run, to be copied."""
        folder = self.folder / "faces-20260101-120000"
        folder.mkdir(parents=True)
        parts = {"model.keras": self.model, "flow.keras": self.flow}
        parts |= {"directions.npz": self.directions, "mixture.npz": self.mixture}
        for name, part in parts.items():
            files.save(folder / name, part)
        methods = {"smiling": "flow"}
        config = {"completed": True, "dataset": "faces", "seed": 0, "edit_methods": methods}
        files.write_json(folder / "config.json", config)
        return self.folder

    @functools.cached_property
    def run(self):
        return runs.load(self.runs / "faces-20260101-120000")

    @functools.cached_property
    def photo(self):
        return np.random.default_rng(0).integers(0, 256, (90, 120, 3), "uint8")


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    return Things(tmp_path_factory.mktemp("things") / "runs")


def code_of(path):
    value = DOCUMENTED.get(path, MODULES.get(path))
    function = function_of(value) if path in DOCUMENTED and not inspect.isclass(value) else value
    doc = inspect.cleandoc(function.__doc__ or "")
    blocks = re.findall(r"```python\n(.*?)^```", doc, flags=re.DOTALL | re.MULTILINE)
    return "\n".join(blocks)


EXAMPLES = {path: code for path in [*DOCUMENTED, *MODULES] if (code := code_of(path))}


def namespace_of(code, things):
    """Returns what an example may refer to: the public modules, and `Things`."""
    names = {
        path.split(".")[-1]: module for path, module in MODULES.items() if module is not public
    }
    names |= {"np": np, "keras": keras, "keras_vae": keras_vae}
    names |= {"Path": Path, "Image": Image}
    used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    made = {name: getattr(things, name) for name in used - {"runs"} if hasattr(Things, name)}
    return names | made


def comments_of(code):
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    comments = [token for token in tokens if token.type == tokenize.COMMENT]
    return {token.start[0]: token.string.removeprefix("#").strip() for token in comments}


def stated(comment):
    """Returns the value that a comment such as "(4, 2), the means" begins with, or None."""
    comment = re.sub(r"(\d)\.\.\.", r"\1", comment)
    ends = [match.start() for match in re.finditer(", ", comment)]
    for end in [*ends, len(comment)][::-1]:
        with contextlib.suppress(ValueError, SyntaxError):
            return ast.literal_eval(comment[:end])
    return None


def check(value, expected):
    """Compares a value with a stated one: a shape, numbers, or a name."""
    if expected is None:
        return
    if isinstance(expected, str):
        assert value == expected
    elif isinstance(expected, tuple) and hasattr(value, "shape"):
        assert tuple(value.shape) == expected
    elif isinstance(expected, (tuple, list)) and not np.isscalar(expected[0]):
        assert len(value) == len(expected)
        for part, wanted in zip(value, expected):
            check(part, wanted)
    else:
        value = value if isinstance(value, tuple) else keras.ops.convert_to_numpy(value)
        np.testing.assert_allclose(value, expected, rtol=1e-2, atol=1e-3)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A working directory of its own; what takes long is made small, and put back afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_VAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.faces, "TEST_SIZE", 20)
    monkeypatch.setattr(datasets.faces, "DEVELOPMENT_SIZE", 200)
    monkeypatch.setattr(parallel.backend, "chosen", None, raising=False)
    for module, name, arguments in SMALL:
        monkeypatch.setattr(module, name, functools.partial(getattr(module, name), **arguments))
    np.random.seed(0)


@pytest.mark.parametrize("path", [path for path in EXAMPLES if path not in NOT_RUN])
def test_every_example_runs(path, things, small, tmp_path):
    code = re.sub(r"epochs=[\d_]+", "epochs=1", EXAMPLES[path])
    names = namespace_of(code, things)
    if re.search(r"\bruns\b", code):
        shutil.copytree(things.runs, tmp_path / "runs")
    if "me.jpg" in code:
        Image.fromarray(things.photo).save("me.jpg")
    comments = comments_of(code)
    for statement in ast.parse(code).body:
        value = None
        if isinstance(statement, ast.Expr):
            value = eval(compile(ast.Expression(statement.value), path, "eval"), names)
        else:
            exec(compile(ast.Module([statement], []), path, "exec"), names)
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            value = names[statement.targets[0].id]
        if value is not None:
            check(value, stated(comments.get(statement.end_lineno, "")))
