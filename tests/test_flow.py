"""The flow on codes whose clouds, and what an edit should do to them, are known."""

import zipfile

import keras
import numpy as np
import pytest

from keras_vae import latent

CLASSES = ("a", "b", "c")
NAMES = ("bright", *CLASSES)
CENTRES = np.array([[4, 0], [-2, 3.5], [-2, -3.5]], "float32")


def clouds(n, seed=0):
    """Codes of three latents: a class is a cloud in the first two, bright is up in the third."""
    rng = np.random.default_rng(seed)
    labels, bright = rng.integers(3, size=n), rng.random(n) < 0.5
    codes = np.column_stack([CENTRES[labels], np.where(bright, 2, -2)])
    codes = codes + rng.normal(0, [0.5, 0.5, 0.4], (n, 3))
    attributes = np.column_stack([bright, labels[:, None] == np.arange(3)]).astype("float32")
    return codes.astype("float32"), attributes


def nearest(codes):
    return np.linalg.norm(codes[:, None, :2] - CENTRES, axis=2).argmin(axis=1)


def ring(n, seed=0):
    rng = np.random.default_rng(seed)
    angles, radii = rng.uniform(0, 2 * np.pi, n), rng.normal(3, 0.1, n)
    return np.column_stack([radii * np.cos(angles), radii * np.sin(angles)]).astype("float32")


@pytest.fixture(scope="module")
def flow():
    codes, attributes = clouds(2000)
    attributes[:400, 0] = np.nan  # nobody knows whether these are bright
    return latent.fit_flow(codes, attributes, NAMES, CLASSES, steps=1000, width=64)


@pytest.fixture(scope="module")
def plain():
    return latent.fit_flow(ring(2000), steps=1000, width=64)


@pytest.fixture(scope="module")
def small():
    """Barely trained: for what does not depend on how well."""
    codes, attributes = clouds(50)
    return latent.fit_flow(codes, attributes, NAMES, CLASSES, steps=3, width=8, seed=1)


def test_it_is_listed_by_name(flow, plain):
    assert list(flow) == list(NAMES) and len(flow) == 4
    assert "bright" in flow and "d" not in flow
    assert flow.names == NAMES and flow.exclusive == CLASSES and flow.method == "flow"
    assert len(plain) == 0 and plain


def test_samples_have_the_attributes_wished_for(flow):
    bright = flow.sample(500, seed=0, attributes={"bright": True})
    assert bright.shape == (500, 3) and bright.dtype == np.float32
    assert (bright[:, 2] > 0).mean() >= 0.95
    assert np.bincount(nearest(bright), minlength=3).min() > 100
    for i, name in enumerate(CLASSES):
        dark = flow.sample(300, seed=i, attributes={name: True, "bright": False})
        assert ((nearest(dark) == i) & (dark[:, 2] < 0)).mean() >= 0.95
    assert (nearest(flow.sample(300, seed=0, attributes={"a": False})) != 0).mean() >= 0.95


def test_samples_without_a_wish_are_like_the_codes(flow):
    codes, _ = clouds(2000)
    samples = flow.sample(2000, seed=0)
    np.testing.assert_allclose(samples.mean(axis=0), codes.mean(axis=0), atol=0.25)
    np.testing.assert_allclose(samples.std(axis=0), codes.std(axis=0), rtol=0.1)
    distances = np.linalg.norm(samples[:, :2] - CENTRES[nearest(samples)], axis=1)
    assert (distances < 1.75).mean() > 0.95  # nothing between the clouds


def test_seed_and_temperature(flow):
    np.testing.assert_array_equal(flow.sample(9, seed=1), flow.sample(9, seed=1))
    assert not np.array_equal(flow.sample(9, seed=1), flow.sample(9, seed=2))
    assert not np.array_equal(flow.sample(9), flow.sample(9))
    wish = {"a": True, "bright": True}
    cold = flow.sample(200, seed=0, temperature=0.1, attributes=wish)
    assert cold.std(axis=0).max() < flow.sample(200, seed=0, attributes=wish).std(axis=0).min()
    assert flow.sample(0).shape == (0, 3)


def test_attributes_are_guessed(flow):
    codes, attributes = clouds(500, seed=1)
    guess = flow.guess(codes)
    assert guess.shape == (500, 4) and guess.dtype == np.float32
    assert guess.min() >= 0 and guess.max() <= 1
    np.testing.assert_array_equal(flow.guessed(codes), attributes)
    somewhere = np.random.default_rng(0).normal(0, 5, (100, 3))
    np.testing.assert_array_equal(flow.guessed(somewhere)[:, 1:].sum(axis=1), 1)


def test_there_and_back(flow, plain):
    codes, attributes = clouds(500, seed=1)
    noise = flow.noise(codes, attributes)
    assert noise.shape == (500, 3) and noise.dtype == np.float32
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.25)
    np.testing.assert_allclose(noise.std(axis=0), 1, atol=0.25)
    assert np.abs(flow.codes(noise, attributes) - codes).mean() < 0.02
    circle = ring(500, seed=1)
    assert np.abs(plain.codes(plain.noise(circle)) - circle).mean() < 0.05


def test_a_shift_changes_an_attribute_and_nothing_else(flow):
    codes, attributes = clouds(500, seed=1)
    bright = attributes[:, 0] > 0
    shift = flow.shift({"bright": 1.0}, codes)
    assert shift.shape == (500, 3) and shift.dtype == np.float32
    assert ((codes + shift)[~bright, 2] > 0).mean() >= 0.95
    assert ((codes - shift)[bright, 2] < 0).mean() >= 0.95
    assert (nearest(codes + shift)[~bright] == nearest(codes)[~bright]).mean() >= 0.95


def test_with_an_exclusive_attribute_the_others_go(flow):
    codes, attributes = clouds(500, seed=1)
    is_a = attributes[:, 1] > 0
    shift = flow.shift({"a": 1.0}, codes)
    moved = codes + shift
    assert (nearest(moved)[~is_a] == 0).mean() >= 0.95
    assert ((moved[:, 2] > 0) == (codes[:, 2] > 0))[~is_a].mean() >= 0.95
    assert (nearest(codes - shift)[is_a] != 0).mean() >= 0.9


def test_a_shift_is_linear_in_the_strengths(flow):
    codes, _ = clouds(20, seed=1)
    one, other = flow.shift({"bright": 1.0}, codes), flow.shift({"a": 1.0}, codes)
    both = flow.shift({"bright": -0.5, "a": 2.0}, codes)
    np.testing.assert_allclose(both, 2 * other - 0.5 * one, rtol=1e-3, atol=1e-4)
    for nothing in ({}, {"bright": 0}, {"bright": 0.0, "a": 0.0}):
        assert not flow.shift(nothing, codes).any()
    np.testing.assert_array_equal(flow.shift({"bright": 1.0, "a": 0}, codes), one)
    assert flow.shift({"bright": 1.0}, codes[:0]).shape == (0, 3)


def test_a_way_through_the_noise_stays_on_the_ring(plain):
    codes = np.array([[3, 0], [-2.1, 2.1], [0, -3]], "float32")
    path = latent.interpolate(codes, steps=9, flow=plain)
    assert path.shape == (17, 2) and path.dtype == np.float32
    np.testing.assert_array_equal(path[::8], codes)
    assert np.linalg.norm(path, axis=1).min() > 2
    assert np.linalg.norm(latent.interpolate(codes, steps=9), axis=1).min() < 1.5


def test_a_way_with_attributes_ends_at_the_codes(flow):
    codes, _ = clouds(3, seed=1)
    path = latent.interpolate(codes, steps=5, flow=flow)
    assert path.shape == (9, 3) and np.isfinite(path).all()
    np.testing.assert_array_equal(path[::4], codes)
    with pytest.raises(ValueError, match=r"\(n, 3\)"):
        latent.interpolate(np.zeros((2, 4)), flow=flow)


def test_an_edit_takes_a_flow_or_directions(make_vae, images):
    model = make_vae()
    z = model.encode(images)[0]
    attributes = z[:, :1] > np.median(z[:, 0])
    flow = latent.fit_flow(z, attributes, ["right"], steps=5, width=8)
    directions = latent.fit_directions(z, attributes, ["right"])
    for how in (flow, directions):
        expected = model.decode(z + how.shift({"right": 1.5}, z))
        pictures = latent.edit(model, images, how, {"right": 1.5})
        np.testing.assert_allclose(pictures, expected, atol=1e-6)
        np.testing.assert_allclose(
            latent.edit(model, images, how, {"right": 0}), model.decode(z), atol=1e-6
        )
    np.testing.assert_array_equal(directions.shift({"right": 1}, z), directions.shift({"right": 1}))
    with pytest.raises(ValueError, match=r"no attribute 'left'. There are: right"):
        latent.edit(model, images, flow, {"left": 1})
    other = latent.fit_flow(np.random.default_rng(0).normal(size=(20, 3)), steps=1, width=8)
    with pytest.raises(ValueError, match=r"\(n, 3\)"):
        latent.edit(model, images, other, {})


def test_it_is_saved_without_optimizer(flow, tmp_path):
    path = tmp_path / "flow.keras"
    flow.save(path)
    with zipfile.ZipFile(path) as file:
        assert b"WarmUpAndCosine" not in file.read("config.json")
    loaded = keras.saving.load_model(path)
    assert isinstance(loaded, latent.Flow) and not loaded.compiled
    assert loaded.get_config() == flow.get_config()
    codes, attributes = clouds(20, seed=1)
    for run in (
        lambda flow: flow.sample(9, seed=0, attributes={"a": True}),
        lambda flow: flow.guess(codes),
        lambda flow: flow.noise(codes, attributes),
        lambda flow: flow.shift({"b": 1.5}, codes),
    ):
        np.testing.assert_allclose(run(loaded), run(flow), rtol=1e-6, atol=1e-6)


def test_config(small):
    config = small.get_config()
    made = latent.Flow.from_config(config)
    assert made.get_config() == config
    expected = {"latent_dim": 3, "names": NAMES, "exclusive": CLASSES}
    expected |= {"rows": 50, "width": 8, "seed": 1}
    assert {name: config[name] for name in expected} == expected
    assert [w.shape for w in made.get_weights()] == [w.shape for w in small.get_weights()]


def test_the_same_seed_gives_the_same_flow(small):
    codes, attributes = clouds(50)
    arguments = {"steps": 3, "width": 8}
    again = latent.fit_flow(codes, attributes, NAMES, CLASSES, seed=1, **arguments)
    other = latent.fit_flow(codes, attributes, NAMES, CLASSES, seed=2, **arguments)
    np.testing.assert_allclose(again.sample(5, 0), small.sample(5, 0), rtol=1e-6, atol=1e-6)
    assert np.abs(other.sample(5, 0) - small.sample(5, 0)).max() > 1e-4


def test_progress_counts_the_steps():
    begun, done = [], []

    def progress(what, total):
        begun.append((what, total))
        return done.append

    latent.fit_flow(clouds(20)[0], steps=7, width=8, progress=progress)
    assert begun == [("flow", 7)] and sum(done) == 7


@pytest.mark.parametrize("latent_dim", [1, 2])
def test_few_codes_and_few_latents(latent_dim):
    codes = np.random.default_rng(0).normal(0, 1, (10, latent_dim)) * [3.0, 0.0][:latent_dim]
    flow = latent.fit_flow(codes, np.arange(10)[:, None] % 2, ["odd"], width=8)
    samples = flow.sample(5, seed=0)
    assert samples.shape == (5, latent_dim) and np.isfinite(samples).all()
    assert np.abs(samples[:, 1:]).max(initial=0) < 1e-4  # a latent that never changes
    assert latent.interpolate(codes[:2], flow=flow).shape == (8, latent_dim)


def test_some_attributes_are_left_out_in_training(small):
    signs = np.array([[1, -1, 1, -1]] * 4, "float32")
    uniform = np.array(
        [
            [0.05, 0.6, 0.3, 0.9, 0.4],  # all
            [0.30, 0.6, 0.3, 0.9, 0.4],  # of the exclusive ones all but one
            [0.30, 0.4, 0.1, 0.2, 0.4],  # and about half of the others
            [0.40, 0.1, 0.1, 0.1, 0.1],  # none
        ],
        "float32",
    )
    left = small._hide_some(*map(keras.ops.convert_to_tensor, (signs, uniform)))
    expected = [[0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, -1], [1, -1, 1, -1]]
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(left), expected)


def test_wishes_that_no_image_has():
    """A round one is never red: of those that match best the rest is taken."""
    names, codes = ("round", "red", "small"), clouds(30)[0]
    attributes = np.array([[1, 0, 1], [0, 1, 1], [0, 0, 0]] * 10)
    flow = latent.fit_flow(codes, attributes, names, steps=1, width=8)
    rows = flow._matching({"round": True, "red": True})
    np.testing.assert_array_equal(np.unique(rows, axis=0), [[1, 1, 1]])
    np.testing.assert_array_equal(
        np.unique(flow._matching({"small": False}), axis=0), [[-1, -1, -1]]
    )


def test_states_of_exclusive_attributes(small):
    own = np.array([[1, 1, -1, -1], [1, -1, 1, -1]], "float32")
    on, off = small._with(own, "a", True), small._with(own, "a", False)
    np.testing.assert_array_equal(on, [[1, 1, -1, -1]] * 2)
    np.testing.assert_array_equal(off, [[1, -1, 0, 0], [1, -1, 1, -1]])
    np.testing.assert_array_equal(small._with(own, "bright", False), own * [-1, 1, 1, 1])


CODES, ATTRIBUTES = clouds(30)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": CODES[:9]}, "10 or more"),
        ({"codes": CODES[0]}, r"\(n, latent_dim\)"),
        ({"codes": np.full((30, 3), np.nan)}, "must be finite"),
        ({"codes": np.zeros((30, 0))}, r"\(n, latent_dim\)"),
        ({"names": NAMES[:2]}, r"here \(30, 2\)"),
        ({"attributes": None}, r"here \(30, 4\)"),
        ({"attributes": np.full((30, 4), 2)}, "0 and 1, or NaN"),
        ({"attributes": np.ones((30, 4), bool)}, "'bright' is the same in all 30"),
        ({"attributes": ATTRIBUTES[:, [0, 1, 1, 2]]}, "no more than one of the attributes a, b, c"),
        ({"names": ("a", "a", "b", "c")}, "must be distinct strings"),
        ({"names": (1, 2, 3, 4)}, "must be distinct strings"),
        ({"exclusive": ("a", "d")}, "two or more of: bright, a, b, c"),
        ({"exclusive": ("a",)}, "two or more of"),
        ({"seed": -1}, "seed"),
        ({"seed": None}, "seed"),
        ({"steps": 0}, "steps"),
        ({"width": 1.5}, "width"),
    ],
)
def test_mistakes(change, message):
    arguments = {"codes": CODES, "attributes": ATTRIBUTES, "names": NAMES, "exclusive": CLASSES}
    with pytest.raises(ValueError, match=message):
        latent.fit_flow(**arguments | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": -1}, "`n`"),
        ({"seed": -1}, "seed"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": np.nan}, "temperature"),
        ({"attributes": {"d": True}}, "no attribute 'd'. There are: bright, a, b, c"),
        ({"attributes": {"a": "yes"}}, "True or False"),
        ({"attributes": ["a"]}, "must be a dict"),
        ({"attributes": {"a": True, "b": True}}, "only one of: a, b"),
    ],
)
def test_mistakes_in_sampling(small, change, message):
    with pytest.raises(ValueError, match=message):
        small.sample(**{"n": 1} | change)


def test_mistakes_in_use(small):
    with pytest.raises(ValueError, match=r"no attribute 'Bright'. There are: bright"):
        small.shift({"Bright": 1}, CODES)
    with pytest.raises(ValueError, match="must be a dict"):
        small.shift("bright", CODES)
    for strength in (np.nan, np.inf, "1", None, True):
        with pytest.raises(ValueError, match=r"strengths\['bright'\]"):
            small.shift({"bright": strength}, CODES)
    for codes in (CODES[0], CODES[:, :2], np.full((2, 3), np.inf)):
        for use in (small.guess, small.noise, lambda codes: small.shift({"a": 1}, codes)):
            with pytest.raises(ValueError, match=r"`codes` must be finite, \(n, 3\)"):
                use(codes)
        with pytest.raises(ValueError, match=r"`noise` must be finite, \(n, 3\)"):
            small.codes(codes)
    for attributes in (ATTRIBUTES[:5], ATTRIBUTES[:, :1], 2 * ATTRIBUTES, -ATTRIBUTES):
        with pytest.raises(ValueError, match=r"`attributes` must be in \[0, 1\] or NaN"):
            small.noise(CODES, attributes)


def test_an_unknown_attribute_is_none_at_all(small):
    unknown = np.full((30, 4), np.nan)
    np.testing.assert_array_equal(small.noise(CODES, unknown), small.noise(CODES))
    assert np.abs(small.noise(CODES, ATTRIBUTES) - small.noise(CODES)).max() > 1e-6


def test_it_moves_only_the_components_with_most_of_the_variance():
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(80, 80)))[0].astype("float32")
    spread = np.repeat([1, 0.5, 0.01], [2, 62, 16])
    codes = (rng.normal(size=(500, 80)) * spread).astype("float32") @ rotation + 3
    flow = latent.fit_flow(codes, steps=3, width=8)
    assert flow.components == 64
    noise = flow.noise(codes)
    np.testing.assert_allclose(flow.codes(noise), codes, atol=1e-2)
    # What is left are uncorrelated numbers of variance 1, which are noise already.
    rest = noise[:, 64:]
    np.testing.assert_allclose(np.cov(rest, rowvar=False, bias=True), np.eye(16), atol=1e-2)
    drawn = (flow.sample(4000, seed=0) - 3) @ rotation.T
    np.testing.assert_allclose(drawn[:, 64:].std(axis=0), 0.01, rtol=0.2)
