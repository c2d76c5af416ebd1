import keras
import numpy as np
import pytest
from keras import ops

from keras_vae import likelihoods


def test_mse_is_the_squared_error_summed_over_pixels():
    rng = np.random.default_rng(0)
    x = rng.random((3, 4, 5, 2)).astype("float32")
    outputs = rng.standard_normal((3, 4, 5, 2)).astype("float32")
    mse = likelihoods.get("mse")
    pixels = 1 / (1 + np.exp(-outputs.astype("float64")))
    np.testing.assert_allclose(ops.convert_to_numpy(mse.pixels(outputs)), pixels, rtol=1e-5)
    nats = ops.convert_to_numpy(mse.nats(x, outputs))
    assert nats.shape == (3,)
    np.testing.assert_allclose(nats, ((x - pixels) ** 2).sum(axis=(1, 2, 3)), rtol=1e-5)


def test_get_takes_a_name_an_object_and_a_saved_one():
    mse = likelihoods.get("mse")
    assert likelihoods.get(mse) is mse
    saved = keras.saving.serialize_keras_object(mse)
    assert isinstance(likelihoods.get(saved), likelihoods.MSE)


@pytest.mark.parametrize("wrong", ["mean", None, 3, object()])
def test_get_refuses_what_is_no_likelihood(wrong):
    with pytest.raises(ValueError, match=r"Argument `likelihood` must be one of \['mse'\]"):
        likelihoods.get(wrong)
