"""Which columns are attributes, what is unknown, and how scores are cut."""

import numpy as np
import pytest

from keras_vae.datasets import Dataset, Split, attributes
from keras_vae.datasets.names import first_few

pytestmark = pytest.mark.once

ON, OFF, GAP = (True, True), (False, True), (False, False)  # value, known


def read(texts, **arguments):
    return attributes.read({"a": attributes.numbers_of(texts)}, **arguments)


def cells(said):
    known = np.ones(said.values.shape, bool) if said.known is None else said.known
    return list(zip(said.values[:, 0].tolist(), known[:, 0].tolist()))


@pytest.mark.parametrize(
    "texts, expected",
    [
        (["1", "0", "1"], [ON, OFF, ON]),
        (["1.000000", "0.0", "1e0"], [ON, OFF, ON]),
        (["-1", "1", "-1.0"], [OFF, ON, OFF]),
        (["yes", "No", "TRUE"], [ON, OFF, ON]),
        (["1", "", "0"], [ON, GAP, OFF]),
        (["NA", "?", "1", "0"], [GAP, GAP, ON, OFF]),
        (["nan", "yes", "no", "unknown"], [GAP, ON, OFF, GAP]),
        (["-1", "0", "1"], [OFF, GAP, ON]),  # as files with three values have it
        (["1", "1"], [ON, ON]),
    ],
)
def test_values_and_what_is_unknown(texts, expected):
    said = read(texts)
    assert said.names == ("a",) and cells(said) == expected and not said.unused
    assert (said.known is None) == (GAP not in expected)


@pytest.mark.parametrize(
    "texts, why",
    [
        (["1", "0", "Ann", "Bea"], "text such as 'Ann'"),
        (["1", "0", "1_0"], "text such as '1_0'"),
        (["1", "0", "inf"], "text such as 'inf'"),
        (["0.93", "0.2"], "numbers from 0.2 to 0.93"),
        (["3", "1", "", "2"], "numbers from 1 to 3"),
        (["", "?"], "no value is known"),
    ],
)
def test_what_is_no_attribute_and_why(texts, why):
    said = read(texts)
    assert said.names == () and said.values is said.known is None and said.columns() == {}
    assert said.unused == {"a": why}


@pytest.mark.parametrize(
    "texts, middle, expected",
    [
        (["0.93", "0.2", "", "0.5"], 0.5, [ON, OFF, GAP, GAP]),
        (["-2.31", "0.7", "1.9"], 0, [OFF, ON, ON]),  # as LFW's
        (["1", "5", "3", "4"], 3, [OFF, ON, GAP, ON]),
    ],
)
def test_scores_are_cut_at_the_middle_if_asked(texts, middle, expected):
    said = read(texts, cut_scores=True)
    assert cells(said) == expected and said.cuts == {"a": middle} and not said.unused
    assert read(["1", "0"], cut_scores=True).cuts == {}  # these are no scores


def test_infinite_numbers_are_no_scores():
    numbers = np.array([np.inf, 0, 1])
    for cut in (False, True):
        assert attributes.read({"a": numbers}, cut).unused == {"a": "infinite numbers"}


def test_several_columns_keep_their_order():
    columns = {"a": "texts", "b": np.array([0.0, 1]), "c": np.array([np.nan, 1])}
    said = attributes.read(columns)
    assert said.names == ("b", "c") and said.unused == {"a": "texts"}
    np.testing.assert_array_equal(said.values, [[False, False], [True, True]])
    np.testing.assert_array_equal(said.known, [[True, False], [True, True]])
    taken = said.columns(np.array([1]))
    assert taken["attributes"].tolist() == taken["known"].tolist() == [[True, True]]


def test_lines_about_columns_are_short():
    has = np.zeros((40, 2), bool)
    known = np.ones((40, 2), bool)
    known[:7, 1] = False
    split = Split(np.zeros((40, 2, 2, 1), "uint8"), attributes=has, known=known)
    names = ("hat", "a\nb")
    data = Dataset("x", split, split, split, attribute_names=names)
    assert attributes.notes(data) == ["Known for only some training images: a b (33 of 40)"]
    unused = {"age": "numbers from 1 to 9"} | {f"t{i}": "text such as 'Ann'" for i in range(4)}
    data = Dataset("x", Split(split.images), split, split, unused=unused)
    (line,) = attributes.notes(data)
    assert line == (
        "Columns not used as attributes: age (numbers from 1 to 9), t0 (text such as 'Ann'), "
        "t1 (text such as 'Ann') and 2 others. If these are scores, use --cut-scores"
    )
    data = Dataset("x", split[:0], split, split, attribute_names=names, cuts={"hat": 0.5, "no": 1})
    assert attributes.notes(data) == ["Scores thresholded: hat at 0.5"]
    assert attributes.notes(Dataset("x", Split(split.images), split, split)) == []


def test_first_few():
    assert first_few(["a", "b", "c"]) == "a, b, c"
    assert first_few(["a", "b", "c", "d"]) == "a, b, c and 1 other"
