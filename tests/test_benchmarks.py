"""The page of benchmarks: its pictures show the numbers of the tables, its programs exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "benchmarks"
PAGE = (FOLDER / "index.md").read_text(encoding="utf-8")
PICTURES = sorted(path.name for path in FOLDER.glob("*.svg"))


@pytest.fixture(scope="module")
def drawn_now(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    command = [sys.executable, ROOT / "benchmarks" / "plots.py", "--output", folder]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return folder


def test_pictures_are_those_that_are_drawn(drawn_now):
    assert sorted(path.name for path in drawn_now.iterdir()) == PICTURES


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_shows_the_numbers_of_the_tables(drawn_now, name):
    """Else run `python benchmarks/plots.py`, and see whether the text still agrees."""
    texts, places = content(FOLDER / name)
    texts_now, places_now = content(drawn_now / name)
    assert texts_now == texts
    # Not the same bytes: another version of matplotlib may move texts by a little. A change of
    # 0.001 in the figure with the finest numbers moves a mark by more than this.
    assert places_now == pytest.approx(places, abs=0.3)


def content(path):
    """Returns the texts of an SVG file, and the coordinates of its texts, marks and lines."""
    svg = path.read_text(encoding="utf-8")
    places = " ".join(re.findall(r'\b(?:x|y|d)="([^"]*)"', svg))
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    return texts, [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", places)]


def test_the_page_shows_and_describes_each_picture():
    shown = re.findall(r"^!\[(.+)\]\((.+)\)\n\n\*(?!\*).+\*$", PAGE, flags=re.MULTILINE)
    assert sorted(name for _, name in shown) == PICTURES
    assert all(len(description) > 50 for description, _ in shown)


@pytest.mark.parametrize("page", ["docs/benchmarks/index.md", "benchmarks/README.md"])
def test_the_programs_of_a_page_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    commands = set(re.findall(r"python (benchmarks/\w+\.py)", text))
    assert len(commands) > 10
    assert [name for name in commands if not (ROOT / name).is_file()] == []
    headings = re.findall(r"^## (\w+\.py)$", text, flags=re.MULTILINE)
    assert {f"benchmarks/{name}" for name in headings} <= commands
