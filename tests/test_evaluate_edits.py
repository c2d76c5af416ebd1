"""Edits judged by judges and made by models whose every answer is known."""

import json

import numpy as np
import pytest

from keras_vae import evaluate
from keras_vae.datasets import Split
from keras_vae.evaluate import edits
from keras_vae.latent import Directions
from keras_vae.runs import words

pytestmark = pytest.mark.once

NAMES = ("hat", "red", "old")
PEOPLE = 40  # pixels that tell people apart
LATENTS = len(NAMES) + PEOPLE


class Judge:
    """Looks at one pixel for each attribute, and at the others for who it is."""

    names, digest = NAMES, "0123456789abcdef"

    def look(self, images):
        pixels = images[:, 0, :, 0] / (255 if images.dtype == np.uint8 else 1)
        people = pixels[:, len(NAMES) :] - 0.5
        layout = people / np.linalg.norm(people, axis=1, keepdims=True)
        return layout, people, 10 * (pixels[:, : len(NAMES)] - 0.5)

    def logits(self, images):
        return self.look(images)[2]


class Model:
    """Codes are pixels; `blind` says what the encoder makes of them."""

    latent_dim, data_shape = LATENTS, (1, LATENTS, 1)

    def __init__(self, blind=lambda z: z):
        self.blind = blind

    def encode(self, images, batch_size=128):
        return self.blind(images[:, 0, :, 0] / np.float32(255))

    codes = encode

    def decode(self, z, batch_size=128):
        return np.asarray(z, "float32").clip(0, 1)[:, None, :, None]

    def reconstruct(self, images):
        return self.decode(self.encode(images))


def people(n, seed, mislabelled=()):
    """Images of 204 where they have an attribute, or else 51; some attributes are noted wrong."""
    rng = np.random.default_rng(seed)
    pixels = rng.random((n, LATENTS)) < 0.5
    attributes = pixels[:, : len(NAMES)].copy()
    for name in mislabelled:
        attributes[:, NAMES.index(name)] = rng.random(n) < 0.5
    images = np.where(pixels, 204, 51).astype("uint8")[:, None, :, None]
    return Split(images, attributes=attributes)


def towards(**pixels):
    """A direction that moves some attributes, and with `people` all to one person."""
    vector = np.zeros(LATENTS, "float32")
    for name, step in pixels.items():
        if name == "people":
            vector[len(NAMES) :] = step * np.where(np.arange(PEOPLE) % 2, 1, -1)
        else:
            vector[NAMES.index(name)] = step
    return vector


def report(direction, model=None, others=(), identity_of=lambda name: Judge(), **arguments):
    """The report of one direction for "hat", and directions that do nothing for the others."""
    still = towards()
    found = Directions(NAMES, np.stack([direction, still, still]), "regression")
    arguments = {"validation": people(50, 1), "test": people(80, 2), "names": NAMES, **arguments}
    by_method = {"regression": found, **dict(others)}
    return evaluate.edit_report(model or Model(), Judge(), identity_of, by_method, **arguments)


def hat(numbers):
    return numbers["attributes"]["hat"]["methods"]["regression"]


def test_a_perfect_editor():
    numbers = report(towards(hat=0.7))
    edit, test = hat(numbers), people(80, 2)
    assert edit["strength"] == 0.5
    wearing = int(test.attributes[:, 0].sum())
    assert (edit["n"], edit["mirror"]["n"]) == (80 - wearing, wearing)
    for point in (edit, edit["mirror"], edit["keep_detail"], edit["keep_detail"]["mirror"]):
        assert point["flip_rate"] == 1 and point["largest_leakage"] == 0 and point["identity"] == 1
        assert point["leakage"] == {"red": 0, "old": 0}
    assert edit["logit_change"] == pytest.approx({"hat": 3.5, "red": 0, "old": 0}, abs=1e-5)
    assert edit["mirror"]["logit_change"]["hat"] == pytest.approx(-3.5, abs=1e-5)
    assert numbers["images"] == {"validation": 50, "curve": 80, "test": 80}
    assert numbers["watched"] == list(NAMES)
    assert numbers["attributes"]["hat"]["method"] == "regression"
    assert numbers["judge"]["digest"] == Judge.digest


def test_the_method_that_a_run_uses_is_said_and_looked_at_with_detail():
    better = Directions(NAMES, np.stack([towards(hat=0.7), towards(), towards()]), "discriminant")
    chosen = {"hat": "discriminant"}
    numbers = report(towards(hat=0.7), others={"discriminant": better}.items(), chosen=chosen)
    entry = numbers["attributes"]["hat"]
    assert entry["method"] == "discriminant"
    assert [name for name, point in entry["methods"].items() if "keep_detail" in point] == [
        "discriminant"
    ]
    assert numbers["attributes"]["red"]["method"] == "regression"


class ByCode:
    """Edits whose shift depends on the code, as a flow's does: it moves only who lacks it."""

    names = NAMES

    def shift(self, strengths, codes):
        ((name, strength),) = strengths.items()
        column = NAMES.index(name)
        shift = np.zeros_like(codes)
        shift[:, column] = strength * np.where(codes[:, column] < 0.5, 0.7, 0)
        return shift


def test_edits_may_depend_on_the_code():
    numbers = report(towards(hat=0.7), others={"by code": ByCode()}.items())
    edit = numbers["attributes"]["hat"]["methods"]["by code"]
    assert edit["flip_rate"] == 1 and edit["mirror"]["flip_rate"] == 0


def test_the_method_that_leaks_less_is_chosen():
    still, clean = towards(), towards(hat=0.7)
    leaky = Directions(NAMES, np.stack([towards(hat=0.7, red=0.7), still, still]), "regression")
    better = Directions(NAMES, np.stack([clean, still, still]), "discriminant")
    validation = people(60, 1)
    for methods in ({"a": leaky, "b": better}, {"b": better, "a": leaky}):
        chosen = evaluate.choose_methods(Model(), Judge(), methods, validation)
        assert chosen["hat"] == "b"
        assert chosen["red"] == next(iter(methods))  # of equals the first
    stranger = towards(hat=0.7, people=1.0)
    other = Directions(NAMES, np.stack([stranger, still, still]), "regression")
    methods = {"a": other, "b": better}
    assert evaluate.choose_methods(Model(), Judge(), methods, validation)["hat"] == "b"
    # Of classes one has to give way to another, so that leakage between them does not count.
    methods = {"a": leaky, "b": better}
    chosen = evaluate.choose_methods(Model(), Judge(), methods, validation, ("hat", "red"))
    assert chosen["hat"] == "a"


def test_the_judge_is_judged_only_on_what_is_known():
    """A third of the notes are wrong, and known not to be known."""
    test = people(90, 2)
    known = np.ones(test.attributes.shape, bool)
    known[::3, 0] = False
    wrong = np.where(known, test.attributes, ~test.attributes)
    masked = Split(test.images, attributes=wrong, known=known)
    numbers = report(towards(hat=0.7), test=masked)
    hats = numbers["judge"]["balanced_accuracy"]["hat"]
    assert hats == {"photos": 1, "reconstructions": 1, "measurable": True, "known": 60}
    assert "known" not in numbers["judge"]["balanced_accuracy"]["red"]
    assert "images with known values: hat 60" in words.text({"edits": numbers})
    believed = report(towards(hat=0.7), test=Split(test.images, attributes=wrong))
    assert believed["judge"]["balanced_accuracy"]["hat"]["photos"] < 0.75
    assert "known values" not in words.text({"edits": believed})


def test_an_editor_that_does_nothing_keeps_the_identity_of_reconstructions():
    def blind(z):  # a quarter of the people are drawn as one and the same
        z = z.copy()
        z[: len(z) // 4, len(NAMES) :] = 0.2
        return z

    numbers = report(towards(), Model(blind))
    edit = hat(numbers)
    assert edit["flip_rate"] == edit["mirror"]["flip_rate"] == edit["largest_leakage"] == 0
    n, m = edit["n"], edit["mirror"]["n"]
    found = (n * edit["identity"] + m * edit["mirror"]["identity"]) / (n + m)
    assert found == pytest.approx(0.75, abs=0.02)
    for part in (edit, edit["mirror"]):
        assert part["identity"] == part["identity_ceiling"]
    assert edit["keep_detail"]["identity_ceiling"] == 1  # the photos themselves


def test_an_editor_that_swaps_people_loses_them():
    edit = hat(report(towards(hat=0.7, people=9)))
    assert edit["flip_rate"] == 1 and edit["largest_leakage"] == 0
    assert edit["identity"] <= 1 / edit["n"] and edit["mirror"]["identity"] < 0.1


def test_what_is_always_carried_along_leaks_into_half():
    """Those that have the other attribute already, or lose what they lack, do not change."""
    edit = hat(report(towards(hat=0.7, red=2)))
    for point in (edit, edit["mirror"], edit["keep_detail"]):
        assert point["flip_rate"] == 1
        assert point["largest_leakage"] == 0.5 and point["leaks_into"] == "red"
        assert point["leakage"] == {"red": 0.5, "old": 0}


def test_only_watched_attributes_count():
    direction = towards(hat=0.7, red=2)
    numbers = report(direction, watch=["old"])
    edit = hat(numbers)
    assert numbers["watched"] == ["old"]
    assert edit["largest_leakage"] == 0 and edit["leaks_into"] == "old"
    assert edit["leakage"]["red"] == 0.5  # it is told all the same
    assert hat(report(direction, watch=["hat"]))["largest_leakage"] is None


def test_with_detail_photos_are_compared():
    """The model draws no hats: all reconstructions can get one, and of photos those without."""

    def blind(z):
        return np.where(np.arange(LATENTS) == 0, np.float32(0.2), z)

    edit = hat(report(towards(hat=0.7), Model(blind), attributes=["hat"]))
    with_hat = int(people(80, 2).attributes[:, 0].sum())
    assert edit["n"] == 80 and edit["mirror"]["n"] == 0 and edit["mirror"]["flip_rate"] is None
    detail = edit["keep_detail"]
    assert (detail["n"], detail["mirror"]["n"]) == (80 - with_hat, with_hat)
    assert detail["flip_rate"] == 1
    assert detail["mirror"]["flip_rate"] == 0  # there is no hat in the drawing to be taken away


def test_the_strength_is_chosen_on_validation_and_the_curve_is_of_test_images():
    edit = hat(report(towards(hat=0.25)))  # 0.2 + 1.5 * 0.25 is above a half
    assert edit["strength"] == 1.5 and edit["flip_rate"] == 1
    assert [point["strength"] for point in edit["curve"]] == [0.5, 1, 1.5, 2, 2.5, 3]
    assert [point["flip_rate"] for point in edit["curve"]] == [0, 0, 1, 1, 1, 1]
    half = people(50, 1)
    half.images[::2, 0, 0, 0] = np.where(half.attributes[::2, 0], 255, 0)  # these need more
    assert hat(report(towards(hat=0.25), validation=half))["strength"] == 2.5


def test_other_methods_are_measured_too():
    vectors = np.stack([towards(hat=0.35), towards(red=0.7)])
    others = {"discriminant": Directions(("hat", "red"), vectors, "discriminant")}
    both = Directions(("hat", "red"), np.stack([towards(hat=0.7), towards()]), "regression")
    numbers = evaluate.edit_report(
        Model(), Judge(), None, {"regression": both, **others}, people(50, 1), people(80, 2), NAMES
    )
    assert list(numbers["attributes"]) == ["hat", "red"]
    methods = numbers["attributes"]["hat"]["methods"]
    assert methods["regression"]["strength"] == 0.5 and methods["discriminant"]["strength"] == 1
    assert "keep_detail" in methods["regression"] and "keep_detail" not in methods["discriminant"]
    methods = numbers["attributes"]["red"]["methods"]
    assert methods["regression"]["flip_rate"] == 0 and methods["discriminant"]["flip_rate"] == 1


def test_what_the_judge_cannot_tell_is_left_out_unless_named():
    sets = {"validation": people(50, 1, ["hat"]), "test": people(80, 2, ["hat"])}
    numbers = report(towards(hat=0.7), **sets)
    seen = numbers["judge"]["balanced_accuracy"]
    assert 0.3 < seen["hat"]["photos"] < 0.7 and not seen["hat"]["measurable"]
    assert seen["red"] == {"photos": 1, "reconstructions": 1, "measurable": True}
    assert list(numbers["attributes"]) == numbers["watched"] == ["red", "old"]
    numbers = report(towards(hat=0.7), attributes=["hat"], **sets)
    assert list(numbers["attributes"]) == ["hat"] and hat(numbers)["flip_rate"] == 1
    assert numbers["attributes"]["hat"]["measurable"] is False


def test_attributes_are_found_by_name():
    split = people(80, 2)
    columns = np.column_stack([split.attributes[:, 1], np.zeros(80), split.attributes[:, [2, 0]]])
    mixed = Split(split.images, attributes=columns.astype(bool))
    arguments = {"test": mixed, "validation": mixed, "names": ("red", "rare", "old", "hat")}
    seen = report(towards(hat=0.7), **arguments)["judge"]["balanced_accuracy"]
    assert list(seen) == list(NAMES) and all(entry["photos"] == 1 for entry in seen.values())


def test_without_identity_there_are_no_numbers_of_it():
    for identity_of in (None, lambda name: None):
        numbers = report(towards(hat=0.7), identity_of=identity_of)
        entry = numbers["attributes"]["hat"]
        assert hat(numbers)["identity_ceiling"] is None and entry["identity_digest"] is None
        assert hat(numbers)["identity"] is None and hat(numbers)["identity_interval"] is None


def test_identity_is_judged_without_the_attribute():
    asked = []
    report(towards(), identity_of=lambda name: asked.append(name) or Judge())
    assert asked == list(NAMES)


@pytest.mark.parametrize("argument", ["attributes", "watch"])
def test_unknown_names(argument):
    with pytest.raises(
        ValueError, match=r"does not know the attribute 'nose'; .* It knows: hat, red, old"
    ):
        report(towards(), **{argument: ["hat", "nose"]})


def points(numbers):
    """Every dict with a flip rate and an interval, wherever it is."""
    if isinstance(numbers, dict):
        if "flip_rate_interval" in numbers:
            yield numbers
        for part in numbers.values():
            yield from points(part)


def test_the_report_is_plain_and_its_intervals_hold_its_values():
    numbers = report(towards(hat=0.3, red=0.2, people=0.1))
    assert json.loads(json.dumps(numbers, allow_nan=False)) is not None
    found = list(points(numbers))
    assert len(found) == 3 * 4  # for each attribute the edit, with detail, and their mirrors
    for point in found:
        for key in ("flip_rate", "largest_leakage", "identity"):
            low, high = point[f"{key}_interval"]
            assert 0 <= low <= point[key] <= high <= 1 and low < high


def test_progress_reaches_its_total():
    totals, steps = [], []

    def begin(what, total):
        totals.append(total)
        return steps.append

    report(towards(), progress=begin)
    assert len(totals) == 1 and sum(steps) == totals[0]


# The parts.


def test_classes_must_give_way_to_each_other():
    """Carrying `red` along is no leakage where an image has either a hat or is red."""
    carried = towards(hat=0.7, red=0.7)
    assert hat(report(carried))["leaks_into"] == "red"
    edit = hat(report(carried, exclusive=("hat", "red")))
    assert edit["leaks_into"] != "red" and edit["largest_leakage"] == 0
    assert edit["identity"] is edit["identity_ceiling"] is None


def test_leakage_into_what_few_have_does_not_count():
    before = np.full((30, 3), -1.0)
    before[:9, 1] = before[:10, 2] = 1  # too few are red, enough are old
    after = before * [-1, -1, 1]
    numbers = edits.score(before, after, NAMES, "hat")
    assert numbers["leakage"]["red"] == 1 and numbers["leaks_into"] == "old"
    assert numbers["largest_leakage"] == 0


def test_score(monkeypatch):
    monkeypatch.setattr(edits, "LEAST_PER_SIDE", 0)
    before = np.array([[-1.0, 1, -1], [-1, 1, -1], [-1, -1, -1], [-1, -1, -1]])
    after = np.array([[2.0, -1, -1], [2, 1, -1], [2, -1, -1], [-1, -1, 5]])
    own = np.array([True, True, True, False])
    numbers = edits.score(before, after, NAMES, "hat", own)
    assert numbers["n"] == 4 and numbers["flip_rate"] == 0.75 and numbers["identity"] == 0.75
    assert numbers["flip_rate_interval"] == evaluate.wilson(3, 4)
    assert numbers["leakage"] == {"red": (0.5 + 0) / 2, "old": 0.25}  # no one is old at first
    assert numbers["logit_change"] == {"hat": 2.25, "red": -0.5, "old": 1.5}
    assert numbers["largest_leakage"] == 0.25
    assert edits.score(before, after, NAMES, "hat", watched=["old"])["leaks_into"] == "old"
    assert edits.score(before, after, NAMES, "hat")["identity"] is None


def test_score_of_nothing():
    nothing = np.zeros((0, 3))
    numbers = edits.score(nothing, nothing, NAMES, "hat", np.zeros(0, bool))
    assert numbers["n"] == 0 and numbers["leakage"] == numbers["logit_change"] == {}
    keys = ("flip_rate", "largest_leakage", "identity")
    assert all(numbers[key] is None and numbers[f"{key}_interval"] is None for key in keys)
    alone = edits.score(np.array([[-1.0]]), np.array([[1.0]]), ["hat"], "hat")
    assert alone["flip_rate"] == 1 and alone["largest_leakage"] is alone["leaks_into"] is None


def test_group_mean_counts_both_groups_alike():
    was = np.arange(110) < 100
    changed = np.where(was, np.arange(110) < 10, np.arange(110) < 105)
    share, (low, high) = edits.group_mean(changed, was)
    assert share == pytest.approx((0.1 + 0.5) / 2)
    few, many = evaluate.wilson(5, 10), evaluate.wilson(10, 100)
    assert low == pytest.approx(share - np.hypot(0.5 - few[0], 0.1 - many[0]) / 2)
    assert high == pytest.approx(share + np.hypot(few[1] - 0.5, many[1] - 0.1) / 2)
    share, interval = edits.group_mean(changed[:100], was[:100])
    assert share == 0.1 and interval == pytest.approx(many)


def test_recognised_is_who_is_nearest():
    originals = np.random.default_rng(0).standard_normal((30, 5))
    layouts = originals[[3, 4, 8]] + 1e-3
    assert edits.recognised(layouts, originals, [3, 4, 9]).tolist() == [True, True, False]
    # The nearest, not the one with the largest product.
    assert edits.recognised(np.array([[1.0]]), np.array([[5.0], [1.1]]), [1]).all()


def test_choose_takes_the_weakest_that_is_enough_or_the_best_compromise():
    def curve(*rows):
        keys = ("flip_rate", "largest_leakage", "identity")
        return [{**dict(zip(keys, row)), "identity_ceiling": 0.9} for row in rows]

    assert edits.choose(curve((0.5, 0, 1), (0.95, 0.9, 0), (1, 0, 1))) == 1
    assert edits.choose(curve((0.5, 0.1, None), (0.8, 0.5, None), (0.9, 0.4, None))) == 2
    assert edits.choose(curve((0.5, 0.1, 0.9), (0.8, 0.1, 0.5), (0.9, 0.6, 0.9))) == 0
    assert edits.choose(curve((0.5, None, 0.9), (0.9, None, 0.8))) == 1
    assert edits.choose(curve((None, None, None), (None, None, None))) == 0
