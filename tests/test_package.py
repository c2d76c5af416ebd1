"""The package that is built from this folder: what is in it, and that it works once installed."""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import keras_vae

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]
VERSION = keras_vae.__version__


def run(*command, **options):
    result = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the sdist and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(built):
    return built / f"keras_vae-{VERSION}-py3-none-any.whl"


def test_the_wheel_has_one_package_with_all_of_its_files(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names} == {"keras_vae", f"keras_vae-{VERSION}.dist-info"}
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "keras_vae").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "keras_vae/pretrained/model.keras" in files
    assert {name for name in names if name.startswith("keras_vae/")} == files


def test_the_sdist_has_what_a_checkout_needs(built):
    with tarfile.open(built / f"keras_vae-{VERSION}.tar.gz") as archive:
        names = {Path(*Path(name).parts[1:]).as_posix() for name in archive.getnames()}
    for name in ("train.py", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"):
        assert name in names
    for name in ("CITATION.cff", "demo/__main__.py", "docs/tutorial.md", "tests/conftest.py"):
        assert name in names


def test_the_installed_package_works_in_an_empty_folder(wheel, tmp_path):
    """Without the checkout, with the packages that are installed for the tests."""
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    install = ("install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel)
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", *install)
    here = {"cwd": empty, "env": {**os.environ, "PYTHONPATH": str(site)}}
    code = "import keras_vae; print(keras_vae.VAE.__name__, keras_vae.__file__)"
    assert run(sys.executable, "-c", code, **here) == f"VAE {site}/keras_vae/__init__.py\n"
    command = site / "bin" / "keras-vae"
    assert run(sys.executable, command, "--version", **here) == f"keras_vae {VERSION}\n"
    run(sys.executable, command, "sample", "-n", 4, "-o", "x.png", **here)
    assert [path.name for path in empty.iterdir()] == ["x.png"]
    assert (empty / "x.png").read_bytes().startswith(b"\x89PNG")


def test_the_version_is_the_same_everywhere():
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [VERSION]
    assert re.findall(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text(), re.M)[0] == VERSION
