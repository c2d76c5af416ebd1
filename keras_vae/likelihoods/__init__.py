"""p(x|z): converts the decoder's raw outputs to pixels or values, and to a loss in nats.

A likelihood also says what data the model takes: most are of pixels; those of `reals.py`,
`counts.py` and `columns.py` are of numbers, counts and categories. It includes the decoder's last
activation. To add one, write a class with `value_nats` (or, for a loss that is no sum over values,
`nats`) and, if the defaults do not fit, `mean` (a sigmoid), `update` (does nothing),
`output_channels` (those of the data), `data` and `inputs` (for data that are no pixels) and
`get_config`. See `keras_vae.pieces.Piece` for its variables and attributes.

```python
@keras.saving.register_keras_serializable(package="mine")
class L1(keras_vae.likelihoods.Likelihood):
    def value_nats(self, x, outputs):
        return keras.ops.abs(x - self.mean(outputs))

model = keras_vae.VAE(encoder, decoder, likelihood=L1())
```

Losses of different likelihoods are not comparable: scales differ, and some omit a constant.
Across likelihoods compare ``test_mse`` and ``bits_per_dim``, see `keras_vae.evaluate`.
"""

from keras_vae.likelihoods.base import Likelihood
from keras_vae.likelihoods.bernoulli import Bernoulli, ContinuousBernoulli
from keras_vae.likelihoods.by_name import BY_NAME, get
from keras_vae.likelihoods.columns import Columns
from keras_vae.likelihoods.counts import NegativeBinomial, Poisson
from keras_vae.likelihoods.gaussian import MSE, Gaussian, Laplace, PixelGaussian
from keras_vae.likelihoods.logistic import DiscretizedLogistic, LogisticMixture
from keras_vae.likelihoods.reals import Categorical, Normal, StudentT

__all__ = [
    "BY_NAME",
    "MSE",
    "Bernoulli",
    "Categorical",
    "Columns",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "Gaussian",
    "Laplace",
    "Likelihood",
    "LogisticMixture",
    "NegativeBinomial",
    "Normal",
    "PixelGaussian",
    "Poisson",
    "StudentT",
    "get",
]
