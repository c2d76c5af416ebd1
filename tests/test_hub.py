"""Runs on the Hugging Face Hub, against a small imitation of it on this computer."""

import io
import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from fake_hub import READ, WRITE, Repo, serving
from PIL import Image
from test_demo import add_examples, add_flow
from test_main import save_run

import keras_vae
from keras_vae import latent, runs
from keras_vae.demo import serve
from keras_vae.demo.tabs import about
from keras_vae.runs import card, files
from keras_vae.runs import hub as pushing
from keras_vae.start import folders, hub

pytestmark = pytest.mark.once

constants = pytest.importorskip("huggingface_hub.constants")
ROOT = Path(__file__).parents[1]
POINT = {
    "strength": 1.5,
    "n": 103,
    "flip_rate": 0.98,
    "flip_rate_interval": [0.93, 0.995],
    "largest_leakage": 0.07,
    "largest_leakage_interval": [0.05, 0.09],
    "leaks_into": "two words",
    "identity": None,
    "identity_interval": None,
}
REPORT = {
    "version": 2,
    "fit": {
        "log_likelihood": 100.0,
        "log_likelihood_standard_error": 1.0,
        "log_likelihood_images": 60,
    },
    "edits": {
        "images": {"test": 200},
        "attributes": {
            "smiling": {"method": "flow", "measurable": True, "methods": {"flow": POINT}},
            "8": {
                "method": "flow",
                "measurable": False,
                "methods": {"flow": POINT | {"largest_leakage": 0.03, "leaks_into": "smiling"}},
            },
        },
    },
    "samples": {"missing": "there are no classes"},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = save_run(
        tmp_path_factory.mktemp("runs") / "run",
        model=keras_vae.VAE(*keras_vae.build_mlp((8, 8, 3), 2, hidden=(100,)), seed=0),
        backend="jax",
        dataset="/home/me/secret/my_photos",
        name="my_photos",
        attributes_file="/home/me/secret/list.csv",
        output="/home/me/run",
        cache="/home/me/cache",
        images={"train": 1000, "validation": 100, "test": 200},
        image_shape=[8, 8, 3],
    )
    files.write_json(folder / "metrics.json", {"test_mse": 0.5, "edit_attribute": "smiling"})
    files.write_json(folder / "evaluation.json", REPORT)
    (folder / "skipped.txt").write_text("/home/me/secret/broken.png: truncated\n")
    (folder / "notes.pkl").write_bytes(pickle.dumps("mine"))
    Image.new("RGB", (30, 20)).save(folder / "samples.png")
    return add_flow(add_examples(folder, n=60))


@pytest.fixture
def web(tmp_path, monkeypatch):
    """The imitation, for a user who is logged in, with a cache that is empty."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no_token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # it has another protocol
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    monkeypatch.setenv("HF_TOKEN", WRITE)
    with serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture(scope="module")
def copy(run, tmp_path_factory):
    """The files of a pushed run, as they are in a repository."""
    folder = tmp_path_factory.mktemp("copies") / "copy"
    pushing.write(run, folder, "me/faces")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def fetched(tmp_path):
    return {path.name for path in tmp_path.glob("hub/models--*/snapshots/*/**/*")}


def test_a_pushed_run_comes_back_the_same(run, web, tmp_path, capfd):
    done = runs.push(run, "me/faces", license="cc-by-4.0")
    repo = web.repos["me/faces"]
    assert repo.private and len(web.large) >= 2 and len(repo.commits) == 2
    assert done == {
        "url": f"{web.url}/me/faces",
        "private": True,
        "bytes": sum(map(len, repo.files.values())),
    }
    assert set(repo.files) == {
        *("config.json", "model.keras", "flow.keras", "directions.npz", "examples.npz"),
        *("metrics.json", "evaluation.json", "samples.png", "README.md", ".gitattributes"),
    }
    for name, content in repo.files.items():
        assert b"/home/me" not in content and b"secret" not in content, name
    loaded = runs.load("hf://me/faces")
    assert hub.name_of(loaded.folder) == "hf://me/faces"
    assert fetched(tmp_path) == set(repo.files) - {"README.md", ".gitattributes"}
    runs.pack(run, tmp_path / "packed")
    packed, images = runs.load(tmp_path / "packed"), loaded.examples.images
    for other, close in ((packed, 0.0), (runs.load(run), 0.02)):
        # A pack has no mixture: the run's own flow.
        expected = other.sample(5, seed=1, source="flow")
        np.testing.assert_allclose(loaded.sample(5, seed=1), expected, atol=close)
        wish = {"smiling": 1.5}
        expected = latent.edit(other.model, images, other.edits, wish)
        got = latent.edit(loaded.model, images, loaded.edits, wish)
        np.testing.assert_allclose(got, expected, atol=close)
    assert loaded.config["dataset"] == "my_photos"
    assert "run = runs.load('hf://me/faces')  # from the Hugging Face Hub\n" in about.code(loaded)
    assert capfd.readouterr().err == ""


def test_a_second_push_replaces_the_run_and_nothing_else(run, web, copy):
    web.repos["me/faces"] = Repo(files=copy | {"old.txt": b"mine", "mixture.npz": b"old"})
    done = runs.push(runs.load(run), "me/faces")
    there = web.repos["me/faces"].files
    assert "mixture.npz" not in there and there["old.txt"] == b"mine" and not done["private"]


def test_visibility(run, web, copy):
    assert not runs.push(run, "me/open", private=False)["private"]
    asked = len(web.asked)
    with pytest.raises(ValueError, match="me/open exists and is public; that can be changed in"):
        runs.push(run, "me/open", private=True)
    assert not any("commit" in path for _, path in web.asked[asked:])
    web.repos["me/bert"] = Repo(files={"config.json": b"{}", "model.safetensors": b""})
    with pytest.raises(ValueError, match="me/bert holds another model, which is not replaced"):
        runs.push(run, "me/bert")


@pytest.mark.parametrize(
    "token, repo, message",
    [
        ("", "me/faces", "me/faces needs a login that is valid. To log in: hf auth login"),
        (
            READ,
            "me/faces",
            r"me/faces is not allowed with this login \(the token may only read\). To log in: hf",
        ),
        (WRITE, "faces", "expected a repository such as name/repo, not 'faces'"),
        (WRITE, "me/../faces", "expected a repository such as name/repo"),
    ],
)
def test_a_push_that_is_refused_says_why(run, web, monkeypatch, token, repo, message):
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(ValueError, match=message) as problem:
        runs.push(run, repo)
    assert "\n" not in str(problem.value) and not web.repos


def test_what_cannot_be_loaded_says_why(web, copy, monkeypatch):
    web.repos["me/secret"] = Repo(private=True, files=copy)
    web.repos["me/text"] = Repo(files={"README.md": b"hello", "config.json": b"{}"})
    web.repos["me/faces"] = Repo(files=copy)
    monkeypatch.setenv("HF_TOKEN", "")
    for name, message in (
        ("hf://me/nothing", "hf://me/nothing was not found, or you may not see it. To log in: hf"),
        ("hf://me/secret", "hf://me/secret was not found, or you may not see it. To log in: hf"),
        ("hf://me/text", "hf://me/text is not a run: it has no model.keras"),
        ("hf://me/faces@old", "hf://me/faces@old was not found: the repository has no such branch"),
        ("hf://faces", "hf://faces is not a run on the Hugging Face Hub; expected hf://name/repo"),
        ("hf://me/../../etc", "is not a run on the Hugging Face Hub"),
        ("hf://me/faces@../x", "is not a run on the Hugging Face Hub"),
    ):
        with pytest.raises(ValueError) as problem:
            runs.load(name)
        assert str(problem.value).startswith(message) or message in str(problem.value)
        assert "\n" not in str(problem.value)
    assert not web.downloads()
    monkeypatch.setenv("HF_TOKEN", READ)
    runs.find("hf://me/secret")


@pytest.mark.parametrize(
    "file, size, has",
    [
        ("model.keras", 3_000_000_000, "3,000 MB; at most 2,000 MB"),
        ("config.json", 20_000_000, "20 MB; at most 10 MB"),
        ("samples.png", 60_000_000, "60 MB; at most 50 MB"),
        ("flow.keras", None, "an unknown size; at most 2,000 MB"),
    ],
)
def test_a_file_that_is_too_large_is_refused_before_any_download(
    web, copy, file, size, has, tmp_path
):
    web.repos["me/faces"] = Repo(files=copy)
    web.repos["me/faces"].claimed[file] = size
    with pytest.raises(ValueError, match=f"^hf://me/faces: {file} has {has} are downloaded$"):
        runs.load("hf://me/faces")
    assert len(web.asked) == 1 and not fetched(tmp_path)


def test_files_that_no_run_has_are_left_where_they_are(web, copy, tmp_path):
    evil = pickle.dumps({"os": "system"})
    foreign = {"evil.pkl": evil, "../x": b"x", "sub/model.keras": b"x", "model.keras.py": b"x"}
    web.repos["me/faces"] = Repo(files=copy | foreign)
    runs.load("hf://me/faces")
    assert set(web.downloads()) == set(copy) - {"README.md"} == fetched(tmp_path)
    assert not list(tmp_path.rglob("evil.pkl")) and not list(tmp_path.rglob("x"))


def with_lambda(path):
    """Returns the content of a file with a model that holds compiled code."""
    inputs = keras.Input((3,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs)).save(path)
    return path.read_bytes()


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("kind", ["pickle", "pickle in flow", "pickle in examples", "lambda"])
def test_nothing_in_a_file_is_executed(web, copy, kind, tmp_path):
    evil, file = Evil(tmp_path / "was_here"), "model.keras"
    bad = pickle.dumps(evil)
    if kind == "pickle in flow":
        file = "flow.keras"
    elif kind == "pickle in examples":
        file, content = "examples.npz", io.BytesIO()
        np.savez(content, images=np.array([evil], object), allow_pickle=True)
        bad = content.getvalue()
    elif kind == "lambda":
        bad = with_lambda(tmp_path / "lambda.keras")
    web.repos["me/faces"] = Repo(files=copy | {file: bad})
    with pytest.raises(ValueError, match=rf"{file} cannot be read: ") as problem:
        runs.load("hf://me/faces")
    assert not (tmp_path / "was_here").exists()
    assert kind != "lambda" or "Lambda" in str(problem.value)


def test_an_archive_that_unpacks_to_too_much_is_not_read(web, copy, monkeypatch):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("images.npy", bytes(1_000_000))
    monkeypatch.setitem(hub.MOST_BYTES, ".npz", 900_000)
    web.repos["me/faces"] = Repo(files=copy | {"examples.npz": content.getvalue()})
    for _ in range(2):  # the second time it is there already
        with pytest.raises(ValueError, match=r"examples.npz has 1 MB unpacked; at most 1 MB are"):
            runs.load("hf://me/faces")


@pytest.mark.parametrize("how", ["offline", "no server", "out of order"])
def test_what_was_downloaded_is_used_without_a_network(web, copy, monkeypatch, capfd, how):
    web.repos["me/faces"] = Repo(files=copy)
    folder = runs.find("hf://me/faces")
    assert capfd.readouterr() == ("", "")
    if how == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    elif how == "no server":
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    else:
        web.down = True
    assert runs.find("hf://me/faces") == folder
    commit = web.repos["me/faces"].head
    assert capfd.readouterr() == (
        "",
        "The Hugging Face Hub cannot be reached: using the last download of hf://me/faces, commit "
        f"{commit[:7]}\n",
    )
    assert runs.find(f"hf://me/faces@{commit}") == folder
    with pytest.raises(ValueError, match=r"hf://me/other: .*It was not downloaded before$") as p:
        runs.find("hf://me/other")
    assert "\n" not in str(p.value)


def test_a_new_commit_is_downloaded_and_an_old_one_can_be_named(web, copy, monkeypatch):
    web.repos["me/faces"] = repo = Repo(files=copy)
    first, before = repo.head, runs.find("hf://me/faces")
    asked = len(web.downloads())
    repo.commit(copy | {"metrics.json": b'{"test_mse": 0.25}'})
    after = runs.find("hf://me/faces")
    assert folders.read_json(after / "metrics.json") == {"test_mse": 0.25}
    assert runs.find(f"hf://me/faces@{first}") == before != after
    assert runs.find("hf://me/faces") == after and len(web.downloads()) > asked
    # A download that was refused does not stand in the way of the last one that was not.
    repo.commit(copy | {"model.keras": b""})
    repo.claimed["model.keras"] = 10**10
    with pytest.raises(ValueError, match="10,000 MB"):
        runs.find("hf://me/faces")
    web.down = True
    assert runs.find("hf://me/faces") == after


def test_the_commit_that_was_checked_is_the_one_that_is_downloaded(web, copy, monkeypatch):
    web.repos["me/faces"] = repo = Repo(files=copy)
    check = hub.check_listing

    def check_and_change(*arguments):
        repo.commit(copy | {"model.keras": b"replaced"})
        return check(*arguments)

    monkeypatch.setattr(hub, "check_listing", check_and_change)
    folder = runs.find("hf://me/faces")
    assert folder.name == next(iter(repo.commits))
    assert (folder / "model.keras").read_bytes() == copy["model.keras"]


def test_the_card(copy, web):
    text = copy["README.md"].decode()
    assert text.startswith(
        "---\nlibrary_name: keras\ntags:\n- keras_vae\n- variational-autoencoder\n---\n\n# faces\n"
    )
    for sentence in (
        "A variational autoencoder of images, trained with keras_vae on the data set my_photos: "
        "1,000 images to train, 100 images to validate, 200 images to test.",
        "| log p(x) of 60 images, estimated, nats per image | 100.00 | 98.04 to 101.96 |",
        "| squared error per pixel and channel | 0.50000 | not computed |",
        "| smiling | 1.5 | 0.980 ±0.050 | 103 | 0.070 ±0.020 | two words | - |",
        "| 8 (the classifier is unsure) | 1.5 |",
        "![new images from the flow, the mixture and the prior](samples.png)",
        "The largest leakage is that of smiling: it changes 0.070 ±0.020 of the verdicts on two "
        "words.",
        "Not measured: samples, because there are no classes.",
        "`examples.npz` contains test images",
        "`keras-vae demo hf://me/faces`",
    ):
        assert sentence in text
    assert "license" not in text and "evaluate" not in text
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    web.repos["me/faces"], names = Repo(files=copy), {}
    exec("\n".join(line for line in code.splitlines() if "environ" not in line), names)
    assert names["new"].shape == (16, 8, 8, 3) and names["edited"].shape[1:] == (8, 8, 3)


def test_the_card_of_a_run_that_was_not_evaluated(tmp_path):
    text = card.text(folders.PRETRAINED, "me/faces", "apache-2.0")
    assert text.startswith("---\nlicense: apache-2.0\nlibrary_name: keras\n")
    for sentence in (
        "works on 98.3% of test images judged to lack it; 98.1% are still recognised. No interval "
        "was computed for these shares.",
        "changes 7.0% of the verdicts on thick_brows, an estimate without an interval.",
        "The leakage of edits of other attributes was not measured.",
        "It was not evaluated (`keras-vae evaluate`)",
    ):
        assert sentence in text
    folder = save_run(tmp_path / "run", completed=False)
    text = card.text(folder, "me/small")
    assert "the leakage, was not measured." in text and "Nothing was measured." in text
    assert "Its training ended early" in text
    with pytest.raises(ValueError, match=r"expected a licence such as cc-by-4\.0, not 'no: thing'"):
        runs.push(folder, "me/small", license="no: thing")


def test_only_names_of_a_run_are_known():
    assert set(hub.NAMES) <= set(files.FILES) and len(set(hub.NAMES)) == len(hub.NAMES)
    assert {name for name in files.FILES if name.endswith(".png")} == set(hub.FIGURES)
    assert all(Path(name).suffix in hub.MOST_BYTES for name in hub.NAMES)


def test_the_extra_that_is_missing_is_named(run, monkeypatch, command):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    message = 'huggingface_hub is not installed. Install it with: pip install "keras_vae[hub]"'
    for use in (lambda: runs.load("hf://me/faces"), lambda: runs.push(run, "me/faces")):
        with pytest.raises(ValueError) as problem:
            use()
        assert str(problem.value) == message
    code, output, errors = command("push", run, "me/faces")
    assert (code, output, errors) == (2, "", f"keras-vae push: error: {message}\n")


def test_the_command_line_both_ways(run, web, tmp_path, command, monkeypatch):
    code, output, errors = command("push", run, "me/faces", "--public", "--license", "mit")
    assert (code, errors) == (0, "")
    assert re.fullmatch(
        rf"{web.url}/me/faces: {run}, 0\.\d MB, public\n"
        "To look at it: keras-vae demo hf://me/faces\n",
        output,
    )
    assert b"license: mit" in web.repos["me/faces"].files["README.md"]
    for path in (tmp_path / "new.png", tmp_path / "edited.png"):
        if path.stem == "new":
            result = command("sample", "hf://me/faces", "-n", 1, "-o", path)
        else:
            arguments = ("--set", "smiling=1", "-o", path)
            result = command("edit", "hf://me/faces", tmp_path / "new.png", *arguments)
        assert (result[0], result[2]) == (0, "") and path.exists()
    shown = []
    monkeypatch.setattr(serve, "show", lambda args: shown.append(args.folder))
    assert command("demo", "hf://me/faces") == (0, "", "")
    assert shown == [runs.find("hf://me/faces")]
    code, output, errors = command("evaluate", "hf://me/faces")
    assert (code, output) == (2, "") and "hf://me/faces is a download. Evaluate a copy" in errors
    for arguments, message in (
        (("push", run, "faces"), "expected a repository such as name/repo, not 'faces'"),
        (("push", run), "expected a repository such as name/repo"),
        (("push", run / "none", "me/faces"), "There is no run in"),
        (("push", run, "me/faces", "--private"), "me/faces exists and is public"),
        (("sample", "hf://me/none"), "hf://me/none was not found, or you may not see it"),
        (("demo", "hf://me/none"), "hf://me/none was not found, or you may not see it"),
    ):
        code, output, errors = command(*arguments)
        assert (code, output) == (2, "") and errors.count("\n") == 1 and message in errors, errors


def test_a_run_is_downloaded_before_keras_is_loaded(web, copy, tmp_path):
    """In a process of its own, where the endpoint and the cache come from the environment."""
    web.repos["me/faces"] = Repo(files=copy)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_CACHE": str(tmp_path / "hub")}
    environment.pop("HF_HUB_DISABLE_TELEMETRY", None)
    code = (
        "import sys\n"
        "from keras_vae.start import folders\n"
        "assert 'huggingface_hub' not in sys.modules\n"
        "print(folders.find('hf://me/faces').name)\n"
        "import huggingface_hub.constants\n"
        "assert huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY\n"
        "assert not {'keras', 'jax', 'gradio'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    commit = web.repos["me/faces"].head
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{commit}\n", "")


def test_settings_lose_their_paths():
    config = {
        "dataset": "C:\\me\\photos\\",
        "attributes_file": "~/a/b.csv",
        "problem": "/x",
        "n": 1,
    }
    config |= {"name": "/data/faces.npz"}
    assert pushing.without_places(config) == {
        "dataset": "photos",
        "attributes_file": "b.csv",
        "name": "faces.npz",
        "n": 1,
    }
    assert json.dumps(pushing.without_places({"dataset": None})) == '{"dataset": null}'
