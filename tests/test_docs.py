"""README.md and the pages: their code runs, and what they link to and name exists.

Every block of Python and of commands is run, in the order of its page, in a folder with pictures, a
table and a trained model. A block that is not run says why in a comment below it, such as
`<!-- not run: needs a GPU -->`; at the top of a page such a comment is about all of its blocks.
Trainings are made short. docs/tutorial.md has a test of its own.
"""

import functools
import re
import shlex
import shutil
from pathlib import Path
from urllib.parse import unquote

import gradio as gr
import keras
import numpy as np
import pytest
import yaml
from PIL import Image
from test_main import save_run

import keras_vae
from keras_vae import datasets, latent
from keras_vae.datasets import faces
from keras_vae.runs import files

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        *sorted(ROOT.glob("docs/**/*.md")),
        ROOT / "benchmarks" / "README.md",
    )
}
FENCED = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(
    r"^```(\w*)[^\n]*\n(.*?)^```\n(?:<!-- not run: (.*?) -->)?", re.DOTALL | re.MULTILINE
)
TEXT = "text", "markdown"  # blocks that are not code
SHORT = ("--limit", "64"), ("--epochs", "1"), ("--network", "mlp"), ("--widths", "8")
ONCE = "docs/how-to/share.md"  # its code starts a server


def blocks(page):
    """Returns the blocks of code of a page: (language, code, why it is not run or "")."""
    (all_of_it,) = re.findall(r"\A<!-- not run: (.*?) -->", PAGES[page]) or [""]
    return [
        (kind, code, why or all_of_it)
        for kind, code, why in BLOCK.findall(PAGES[page])
        if kind not in TEXT
    ]


def runnable(page):
    return page != "docs/tutorial.md" and any(not why for _, _, why in blocks(page))


CODE = {page: [code for kind, code, _ in blocks(page) if kind == "python"] for page in PAGES}


def test_every_block_says_what_it_is():
    for page, text in PAGES.items():
        kinds = {kind for kind, _, _ in blocks(page)}
        assert kinds <= {"python", "sh"}, page
        indented = re.findall(r"(?<=\n\n)    \S.*", FENCED.sub("", text))
        assert not indented, f"{page} has an indented block, not a fenced one: {indented}"
        assert len(BLOCK.findall(text)) == len(FENCED.findall(text)), f"a fence of {page} is nested"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Makes a folder with what the pages use the current one."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "keras_vae" / "pretrained", "runs/faces")
    drawn = faces.draw(60, seed=5)
    Path("photos").mkdir()
    rows = ["file,person,smiling,glasses"]
    for number, image in enumerate(drawn.images):
        name = f"face{number}.jpg"
        Image.fromarray(image).save(f"photos/{name}")
        rows.append(f"{name},p{number // 2},{number % 2},{number // 2 % 2}")
    Path("photos/list.csv").write_text("\n".join(rows) + "\n")
    for number, name in enumerate(("photo", "first", "last", "me")):
        Image.fromarray(drawn.images[number]).resize((90, 70)).save(f"{name}.jpg")
    write_tables()
    np.save("signals.npy", np.random.default_rng(0).normal(size=(120, 32, 1)))
    return tmp_path


def write_tables():
    rng = np.random.default_rng(0)
    header = "age,weight,visits:count,smoker:category,diagnosis:label,hospital:group,remarks:ignore"
    rows = [
        f"{a:.0f},{'' if i % 9 == 0 else f'{w:.1f}'},{v},{'yn'[i % 2]},{'AB'[i % 2]},h{i % 8},x"
        for i, (a, w, v) in enumerate(
            zip(rng.normal(50, 9, 160), rng.normal(70, 8, 160), rng.poisson(3, 160))
        )
    ]
    for name, part in (("patients", rows), ("new", rows[:20])):
        Path(f"{name}.csv").write_text("\n".join([header, *part]) + "\n")


@pytest.fixture
def quick(monkeypatch):
    """Makes trainings and data sets small."""
    load, fit = datasets.load, keras_vae.AutoEncoder.fit

    def few(name="faces", limit=None, *args, **options):
        return load(name, min(limit or 64, 64), *args, **options)

    @functools.wraps(fit)
    def short(model, *args, epochs=1, verbose=0, **options):
        return fit(model, *args, epochs=min(epochs, 3), verbose=0, **options)

    monkeypatch.setattr(datasets, "load", few)
    monkeypatch.setattr(keras_vae.AutoEncoder, "fit", short)


@pytest.mark.parametrize("page", [page for page in PAGES if runnable(page) and page != ONCE])
def test_code_runs(page, place, quick, make_vae, images, run_here, command):
    names = {"keras": keras, "np": np, "keras_vae": keras_vae}
    if page in ("docs/how-to/resume.md", "docs/how-to/watch.md"):
        names |= {"model": make_vae(), "images": images}
    if page == "docs/reference/pieces.md":
        rng = np.random.default_rng(0)
        names["images"] = rng.integers(0, 256, (32, 28, 28, 1), "uint8")
        names["labels"] = rng.integers(10, size=32)
    backend = keras.backend.backend()
    for kind, code, why in blocks(page):
        if why:
            continue
        if kind == "python":
            exec(code.replace('"KERAS_BACKEND"] = "jax"', f'"KERAS_BACKEND"] = "{backend}"'), names)
            continue
        for line in code.replace("\\\n", " ").splitlines():
            for part in re.split(r" && ", line):
                run_command(shlex.split(part, comments=True), run_here, command)
    check = CHECKS.get(page)
    if check:
        check(names)


def run_command(words, run_here, command):
    """Runs a command line as it stands, but for what makes training short."""
    if not words:
        return
    words = [{"RUN": "runs/faces", "FOLDER": "folder"}.get(word, word) for word in words]
    if "--backend" in words:
        words[words.index("--backend") + 1] = keras.backend.backend()
    program, *arguments = words
    if program == "keras-vae":
        code, output, errors = command(*arguments)
    else:
        assert [program, arguments.pop(0)] == ["python", "train.py"], f"say why not: {words}"
        arguments += [word for pair in SHORT if pair[0] not in arguments for word in pair]
        code, output, errors = run_here(*arguments)
    assert code in (0, None), f"{words}: {output}{errors}"


def check_readme(names):
    assert names["z_mean"].shape == (2000, 32) and names["images"].shape[1:] == (64, 64, 3)
    assert isinstance(keras.saving.load_model("faces.keras"), keras_vae.VAE)
    assert names["happy"].shape == (8, 64, 64, 3) and names["new"].shape == (16, 64, 64, 3)


def check_resume(names):
    assert Path("checkpoints").is_dir() and int(names["model"].steps) == 6


def check_latent(names):
    for name, n in (("happy", 8), ("sharp", 8), ("new", 16), ("sad", 16), ("strip", 8)):
        assert names[name].shape == (n, 64, 64, 3)
    assert Path("new.png").exists() and Path("edited.png").exists() and Path("smile.gif").exists()


def check_table(names):
    assert np.isfinite(names["complete"]).all() and names["complete"].shape == (1000, 6)
    assert names["new_rows"].shape == (100, 6) and abs(names["new_rows"].mean() - 170) < 5
    assert len(names["scores"]) == 3 and names["scores"]["atypicality"].shape == (200,)
    assert Path("complete.csv").exists() and Path("runs/patients/columns.csv").exists()


def check_pieces(names):
    model, images, labels = names["model"], names["images"], names["labels"]
    assert model.reconstruct(images, condition=labels, to=3).shape == images.shape
    assert np.abs(model.sample(8, 0, condition=7) - model.sample(8, 0, condition=3)).max() > 1e-4


def check_likelihood(names):
    assert names["density"].sum() * names["step"] == pytest.approx(1, abs=1e-3)


def check_networks(names):
    model = names["model"]
    model.compile()
    history = model.fit(np.zeros((8, 28, 28, 1), "uint8")).history
    assert np.isfinite(history["loss"]).all()
    assert model.sample(3, seed=0).shape == (3, 28, 28, 1)


def check_anneal(names):
    np.testing.assert_allclose(names["history"]["kl_weight"], [0.0, 0.5, 1.0])


def check_penalty(names):
    assert min(names["history"]["penalty_loss"]) > 0


def check_losses(names):
    assert names["outputs"] == 16 == names["model"].decoder.output_shape[-1]


def check_data(names):
    assert names["new"].images.shape == (1000, 64, 64, 1)
    assert names["turning"].shape == (40, 64, 64, 1) and names["between"].shape == (1, 64, 64, 1)


def check_export(names):
    assert Path("vae.onnx").exists() and Path("encoder.onnx").exists()


def check_watch(names):
    assert len(list(Path("logs/first").iterdir())) == 1


CHECKS = {
    "README.md": check_readme,
    "docs/how-to/anneal.md": check_anneal,
    "docs/how-to/export.md": check_export,
    "docs/how-to/latent-space.md": check_latent,
    "docs/how-to/likelihood.md": check_likelihood,
    "docs/how-to/networks.md": check_networks,
    "docs/how-to/penalty.md": check_penalty,
    "docs/how-to/resume.md": check_resume,
    "docs/how-to/table.md": check_table,
    "docs/how-to/watch.md": check_watch,
    "docs/reference/data.md": check_data,
    "docs/reference/losses.md": check_losses,
    "docs/reference/pieces.md": check_pieces,
}


def test_the_model_in_15_lines_has_no_more():
    assert len([line for line in CODE["README.md"][0].splitlines() if line.strip()]) <= 15


@pytest.mark.once
def test_the_demo_is_used_as_it_says(tmp_path, monkeypatch):
    """The app.py of a Space serves the run beside it, and a program asks it."""
    client, space = CODE[ONCE]
    folder = save_run(tmp_path / "run")
    (folder / "directions.npz").unlink()
    directions = latent.Directions(("smiling",), np.eye(1, 2, dtype="f"), "regression")
    files.save(folder / "directions.npz", directions)
    pages, launch = [], gr.Blocks.launch

    def launch_here(page, **options):
        pages.append(page)
        return launch(page, prevent_thread_lock=True, quiet=True, **options)

    monkeypatch.setattr(gr.Blocks, "launch", launch_here)
    monkeypatch.chdir(tmp_path)
    assert len([line for line in space.splitlines() if line]) <= 4
    exec(space, {})
    Image.new("RGB", (30, 20)).save("me.jpg")
    names = {}
    exec(client.replace("http://127.0.0.1:7860", pages[0].local_url), names)
    endpoints = names["client"].view_api(return_format="dict")["named_endpoints"]
    pages[0].close()
    assert Image.open(names["after"]).size == (8, 8)
    (listed,) = re.findall(r"lists the endpoints: (.*?)\. ", PAGES[ONCE])
    assert {f"/{name}" for name in re.findall(r"`(\w+)`", listed)} == set(endpoints)


@pytest.mark.once
def test_every_file_of_a_run_is_explained():
    for name, what in files.FILES.items():
        assert f"| `{name}` | {what}" in PAGES["docs/reference/run-folder.md"]


@pytest.mark.once
@pytest.mark.parametrize("page", PAGES)
def test_pictures_are_there(page):
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", PAGES[page]):
        if picture.endswith(".svg"):
            assert "</svg>" in ((ROOT / page).parent / picture).read_text()
            continue
        with Image.open((ROOT / page).parent / picture) as content:
            content.load()
            assert content.format == Path(picture).suffix[1:].upper()


@pytest.mark.once
@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", PAGES[page])):
        if re.match(r"[a-z]+:", link):  # the web is left alone
            continue
        place, _, anchor = unquote(link).partition("#")
        path = ((ROOT / page).parent / place).resolve() if place else ROOT / page
        assert path.exists(), f"{page} links to {link}, which is not there"
        assert path.is_relative_to(ROOT), f"{page} links to {link}, which is outside"
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), f"{page}: {link}"


def anchors(text):
    """Returns what the headings of a page are called in links, by GitHub's rule."""
    headings = re.findall(r"^#+ +(.*?) *$", FENCED.sub("", text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in headings}


@pytest.mark.once
@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_are_there(page):
    """Paths in the source, such as `keras_vae/models/vae.py` or `demo/tabs/`."""
    places = r"(?:keras_vae|demo|benchmarks|tests|docs)/"
    named = re.findall(rf"`({places}[\w./-]*|train\.py)`", PAGES[page])
    named += [path for *_, why in blocks(page) for path in re.findall(r"tests/\w+\.py", why)]
    folders = [path for path in named if path.endswith("/")]
    missing = [path for path in folders if not (ROOT / path).is_dir()]
    missing += [path for path in {*named} - {*folders} if not (ROOT / path).is_file()]
    assert not missing, f"{page} names {sorted(missing)}, which are not there"


@pytest.mark.once
def test_every_page_is_on_the_site():
    def listed(entry):
        if isinstance(entry, str):
            return {entry}
        return set().union(*map(listed, entry.values() if isinstance(entry, dict) else entry))

    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    pages = {page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")}
    assert listed(settings["nav"]) == pages


@pytest.mark.once
def test_the_page_of_commands_is_what_help_prints(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    monkeypatch.setenv("COLUMNS", "")  # is restored after the script has set it
    import make_commands

    assert PAGES["docs/reference/commands.md"] == make_commands.page(), "run docs/make_commands.py"
