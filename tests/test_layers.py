import keras
import numpy as np
import pytest
from keras import ops

from keras_vae import VAE, DepthToSpace, DynamicBinarization, Sampling, build_mlp
from keras_vae.layers import Offset


def draw(layer, z_mean, z_log_var, **arguments):
    return ops.convert_to_numpy(layer([np.float32(z_mean), np.float32(z_log_var)], **arguments))


def test_sampling_keeps_the_shape_and_float32():
    z = Sampling()([np.zeros((5, 3), "float32"), np.zeros((5, 3), "float32")])
    assert tuple(z.shape) == (5, 3)
    assert keras.backend.standardize_dtype(z.dtype) == "float32"
    spec = keras.KerasTensor((None, 3))
    assert Sampling()([spec, spec]).shape == (None, 3)


def test_sampling_takes_a_tuple_as_well():
    pair = np.zeros((5, 3), "float32"), np.ones((5, 3), "float32")
    np.testing.assert_array_equal(
        ops.convert_to_numpy(Sampling(seed=1)(pair)),
        ops.convert_to_numpy(Sampling(seed=1)(list(pair))),
    )


def test_sampling_has_the_moments_of_the_distribution():
    z_mean = np.broadcast_to([1.0, -2.0], (200_000, 2))
    z_log_var = np.broadcast_to(np.log([0.25, 9.0]), (200_000, 2))
    z = draw(Sampling(seed=1), z_mean, z_log_var)
    np.testing.assert_allclose(z.mean(axis=0), [1, -2], atol=0.03)
    np.testing.assert_allclose(z.std(axis=0), [0.5, 3.0], rtol=0.01)
    assert abs(np.corrcoef(z.T)[0, 1]) < 0.01
    # The tails of a normal distribution, not only its first two moments.
    standardised = (z - [1, -2]) / [0.5, 3.0]
    assert np.mean(abs(standardised) > 1.96) == pytest.approx(0.05, abs=0.003)


def test_sampling_is_the_formula_for_given_noise():
    rng = np.random.default_rng(0)
    z_mean, z_log_var, eps = rng.standard_normal((3, 4, 2))
    z = draw(Sampling(), z_mean, z_log_var, eps=np.float32(eps))
    np.testing.assert_allclose(z, z_mean + np.exp(z_log_var / 2) * eps, rtol=1e-5)


def test_sampling_is_fresh_at_each_call_and_repeatable_under_a_seed():
    zeros = np.zeros((50, 2))
    layer, twin, other = Sampling(seed=42), Sampling(seed=42), Sampling(seed=43)
    first, second, third = (draw(layer, zeros, zeros) for _ in range(3))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(draw(twin, zeros, zeros), first)
    np.testing.assert_array_equal(draw(twin, zeros, zeros), second)
    # A neighbouring seed is another stream, not the same one a step later.
    for drawn in (draw(other, zeros, zeros) for _ in range(3)):
        for known in (first, second, third):
            assert not np.array_equal(drawn, known)


def test_sampling_without_a_seed_differs_between_layers():
    zeros = np.zeros((50, 2))
    assert not np.array_equal(draw(Sampling(), zeros, zeros), draw(Sampling(), zeros, zeros))


def test_sampling_stays_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = Sampling(seed=0)
        z = layer([ops.ones((4, 2), "bfloat16"), ops.zeros((4, 2), "bfloat16")])
    finally:
        keras.config.set_dtype_policy("float32")
    assert keras.backend.standardize_dtype(z.dtype) == "float32"


def test_sampling_round_trips_through_its_config():
    layer = Sampling(seed=7, name="draw")
    twin = Sampling.from_config(layer.get_config())
    assert twin.get_config() == layer.get_config()
    zeros = np.zeros((8, 2))
    np.testing.assert_array_equal(draw(layer, zeros, zeros), draw(twin, zeros, zeros))


def test_a_model_with_sampling_saves_and_loads(tmp_path):
    z_mean, z_log_var = keras.Input((2,)), keras.Input((2,))
    model = keras.Model([z_mean, z_log_var], Sampling(seed=3)([z_mean, z_log_var]))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    zeros = np.zeros((4, 2), "float32")
    first = ops.convert_to_numpy(model([zeros, zeros]))
    np.testing.assert_array_equal(ops.convert_to_numpy(loaded([zeros, zeros])), first)


@pytest.mark.parametrize("seed", [-1, 1.5, "a", True])
def test_sampling_refuses_a_bad_seed(seed):
    with pytest.raises(ValueError, match="Argument `seed` must be"):
        Sampling(seed=seed)


@pytest.mark.parametrize("shapes", [[(4, 2)], [(4, 2), (4, 3)], [(4, 2)] * 3])
def test_sampling_refuses_anything_but_a_pair(shapes):
    with pytest.raises(ValueError, match="z_mean, z_log_var"):
        Sampling()([np.zeros(shape, "float32") for shape in shapes])


# Offset


@pytest.mark.parametrize("trainable", [True, False])
def test_offset_adds_its_weight(trainable):
    layer = Offset(trainable=trainable, dtype="float32", name="mean")
    x = np.random.default_rng(0).standard_normal((4, 3, 2, 1)).astype("float32")
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), x)  # zero at first
    layer.offset.assign(x[0])
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), x + x[0])
    twin = Offset.from_config(layer.get_config())
    assert twin.get_config() == layer.get_config() and twin.trainable is trainable
    assert layer.compute_output_shape((None, 3, 2, 1)) == (None, 3, 2, 1)


# DepthToSpace


def test_depth_to_space_puts_each_channel_in_its_place():
    x = np.arange(2 * 3 * 2 * 12, dtype="float32").reshape(2, 3, 2, 12)
    y = ops.convert_to_numpy(DepthToSpace(2)(x))
    assert y.shape == (2, 6, 4, 3)
    for row in range(6):
        for column in range(4):
            channels = 3 * (2 * (row % 2) + column % 2) + np.arange(3)
            np.testing.assert_array_equal(y[:, row, column], x[:, row // 2, column // 2, channels])


def test_depth_to_space_infers_its_shape_and_comes_back_from_its_config():
    layer = DepthToSpace(3, dtype="float32", name="up")
    assert layer(keras.KerasTensor((None, 4, 5, 18))).shape == (None, 12, 15, 2)
    twin = DepthToSpace.from_config(layer.get_config())
    assert twin.get_config() == layer.get_config() and twin.factor == 3


@pytest.mark.parametrize("factor", [0, 1.5, True, "2", None])
def test_depth_to_space_refuses_a_factor_that_is_no_size(factor):
    with pytest.raises(ValueError, match="Argument `factor` must be a positive integer"):
        DepthToSpace(factor)


@pytest.mark.parametrize(
    "shape, multiple", [((1, 2, 2, 6), 4), ((1, 2, 7), 2), ((None, None, None, 4), 4)]
)
def test_depth_to_space_refuses_what_it_cannot_spread(shape, multiple):
    with pytest.raises(ValueError, match=f"channels a multiple of {multiple}"):
        DepthToSpace(2)(keras.KerasTensor(shape))


def binarise(layer, x, **arguments):
    return ops.convert_to_numpy(layer(np.float32(x), **arguments))


def test_binarised_pixels_are_ones_as_often_as_their_grey_says():
    grey = np.broadcast_to(np.float32([0, 0.25, 0.8, 1]), (50_000, 4))
    drawn = binarise(DynamicBinarization(seed=3), grey)
    assert drawn.dtype == np.float32 and set(np.unique(drawn)) == {0, 1}
    np.testing.assert_allclose(drawn.mean(axis=0), [0, 0.25, 0.8, 1], atol=0.01)
    assert np.all(drawn[:, 0] == 0) and np.all(drawn[:, 3] == 1)  # what is certain stays certain
    assert abs(np.corrcoef(drawn[:, 1], drawn[:, 2])[0, 1]) < 0.02  # each pixel by itself


def test_binarisation_is_fresh_repeatable_and_off_outside_of_training():
    grey = np.full((3, 6, 5, 1), 0.5, "float32")
    layer, twin, other = (DynamicBinarization(seed=seed) for seed in (1, 1, 2))
    first, second = binarise(layer, grey), binarise(layer, grey)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(binarise(twin, grey), first)
    np.testing.assert_array_equal(binarise(twin, grey), second)
    assert not np.array_equal(binarise(other, grey), first)
    np.testing.assert_array_equal(binarise(layer, grey, training=False), grey)
    assert DynamicBinarization.from_config(layer.get_config()).seed == 1
    with pytest.raises(ValueError, match="seed"):
        DynamicBinarization(seed=-1)
    with pytest.raises(ValueError, match=r"divide images by 255\. Received: uint8"):
        layer(np.zeros((3, 6, 5, 1), "uint8"))


def test_a_model_sees_other_binary_images_at_each_step(tmp_path):
    seen = []

    class Watched(VAE):
        def compute_losses(self, data, training):
            seen.append(ops.convert_to_numpy(data[0]))
            return super().compute_losses(data, training)

    parts = build_mlp((6, 5, 1), 2, (8,))
    model = Watched(*parts, "bernoulli", augmentation=DynamicBinarization(seed=0), seed=0)
    model.compile(run_eagerly=True)
    grey = np.full((4, 6, 5, 1), 128, "uint8")
    model.fit(grey, epochs=3, batch_size=4, verbose=0)
    assert len(seen) == 3 and all(set(np.unique(x)) == {0, 1} for x in seen)
    assert not np.array_equal(seen[0], seen[1]) and not np.array_equal(seen[1], seen[2])

    plain = VAE(*parts, "bernoulli", augmentation=DynamicBinarization(seed=0), seed=0)
    plain.compile()
    assert np.isfinite(plain.fit(grey, epochs=2, batch_size=4, verbose=0).history["loss"]).all()
    plain.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").augmentation.seed == 0
