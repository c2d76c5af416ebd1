"""The tutorial: the notebook runs, shows what it says, and its page is what it prints."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

DOCS = Path(__file__).parents[1] / "docs"
NOTEBOOK = (DOCS / "tutorial.py").read_text(encoding="utf-8")
PAGE = (DOCS / "tutorial.md").read_text(encoding="utf-8")
# In full on torch, and on the others with `--every-case`: it takes a few minutes, and more on JAX,
# whose programs the tests compile without most optimizations.
SHORTER = {
    "limit=4000": "limit=400",
    "epochs=10": "epochs=1",
    "epochs=15": "epochs=2",
    "epochs=16": "epochs=2",
    "draw(3000": "draw(300",
    "pictures=9000": "pictures=600",
    "steps=1500": "steps=100",
}


def test_it_runs_and_shows_what_it_says(request, tmp_path, monkeypatch, capsys):
    backend = keras.backend.backend()
    full = backend == "torch" or request.config.option.every_case
    code = NOTEBOOK.replace('"KERAS_BACKEND"] = "jax"', f'"KERAS_BACKEND"] = "{backend}"')
    assert code != NOTEBOOK or backend == "jax"
    for long, short in SHORTER.items():
        assert long in code
        code = code if full else code.replace(long, short)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(code, str(DOCS / "tutorial.py"), "exec"), names)
    printed = capsys.readouterr().out

    # What it prints of the package's code is on the page, and so is the KL by draws.
    listings = re.findall(
        r"^# keras_vae/\S+\.py\n(?:(?: |\w+\(|\w+ = |\w+_\w+ = |def ).*\n)+", printed, re.M
    )
    assert len(listings) == 5
    for listing in listings:
        assert listing in PAGE, "run docs/make_tutorial.py"
    assert np.mean(names["log_q"] - names["log_p"]) == pytest.approx(names["formula"], rel=0.03)
    assert "the same reconstructions: True" in printed
    if not full:
        return
    # The codes of the autoencoder are anywhere, those of the VAE close to N(0, I).
    vae_codes, _ = names["vae"].encode(names["faces"].test.images)
    assert np.abs(vae_codes.std(axis=0) - 1).max() < 0.4 < 1 < np.abs(names["codes"]).max() / 3
    history = names["history"]
    assert history["reconstruction_loss"][-1] < -15_000 and history["kl_loss"][-1] > 200
    # A difference of means drags glasses along; the regression and the flow do not.
    assert names["before"][0] < 0.05 and names["before"][1] < 0.05
    assert names["dragged"][0] > 0.9 and names["dragged"][1] > 0.7
    assert names["alone"][0] > 0.75 and names["alone"][1] < 0.05
    assert names["by_flow"][0] > 0.7 and names["by_flow"][1] < 0.06


@pytest.mark.once
def test_its_page_has_all_of_it():
    """The words and the code of the page are those of the notebook, in the same order."""
    place = 0
    for cell in re.split(r"^# %%", NOTEBOOK.split("# ---\n")[-1], flags=re.MULTILINE)[1:]:
        title, content = cell.split("\n", 1)
        if "markdown" in title:
            content = re.sub(r"^# ?", "", content, flags=re.MULTILINE)
        if 'tags=["source"]' in title:  # its output is shown in its place
            continue
        place = PAGE.find(content.strip(), place)
        assert place >= 0, f"run docs/make_tutorial.py: not on the page\n{content}"


@pytest.mark.once
def test_each_picture_has_a_text():
    named = set(re.findall(r'picture="([\w-]+)"', NOTEBOOK))
    assert named == {path.stem for path in (DOCS / "tutorial").iterdir()}
    texts = re.findall(r"!\[(.*?)\]\(tutorial/(.*?)\.webp\)", PAGE)
    assert {name for _, name in texts} == named and all(len(text) > 10 for text, _ in texts)
