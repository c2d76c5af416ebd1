"""A likelihood for each group of columns, for tables of mixed kinds."""

import keras
import numpy as np
from keras import ops

from keras_vae.checks import check_integer
from keras_vae.likelihoods import by_name
from keras_vae.likelihoods.base import Likelihood
from keras_vae.likelihoods.data import Blocks


@keras.saving.register_keras_serializable(package="keras_vae")
class Columns(Likelihood):
    """Groups of consecutive columns (the last axis), each with a likelihood of its own.

    Given z the groups are independent, so their nats add up: ``p(x|z) = prod_g p_g(x_g|z)``.

    Args:
        groups: Pairs ``(likelihood, width)``, in the order of the columns: a name or an object,
            and the number of its columns. A categorical column of K categories has a group of
            width K, zeros and a one.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    ```python
    heights = np.random.default_rng(0).normal(170, 10, (100, 2))
    colours = keras.utils.to_categorical(np.arange(100) % 3)
    rows = np.concatenate([heights, colours], axis=1)  # (100, 5)
    likelihood = keras_vae.likelihoods.Columns([("normal", 2), ("categorical", 3)])
    model = keras_vae.VAE(*keras_vae.build_mlp((5,), latent_dim=2), likelihood)
    model.compile("adam")
    model.fit(rows)
    ```
    """

    values = "continuous"

    def __init__(self, groups, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(groups, (list, tuple)) or not groups:
            raise ValueError(
                "Argument `groups` must be pairs (likelihood, width), such as "
                f"[('normal', 3), ('categorical', 4)]. Received: groups={groups!r}"
            )
        self.parts, self.widths = [], []
        for group in groups:
            if not isinstance(group, (list, tuple)) or len(group) != 2:
                raise ValueError(
                    f"Argument `groups` must be pairs (likelihood, width). Received: {group!r}"
                )
            part = by_name.get(group[0])
            check_integer("width", group[1], 1)
            if not hasattr(part.data, "problem"):
                raise ValueError(
                    "Argument `groups` must have likelihoods of numbers. Received: "
                    f"{type(part).__name__}, which is of pixels"
                )
            self.parts.append(part)
            self.widths.append(int(group[1]))
        self.data = Blocks(tuple(part.data for part in self.parts), tuple(self.widths))
        self.built = False

    def build(self, shape):
        for part, width in zip(self.parts, self.widths):
            if not part.built:
                part.build((*shape[:-1], width))
        self.built = True

    def output_channels(self, channels):
        if channels != sum(self.widths):
            raise ValueError(
                f"The groups of `Columns` have {sum(self.widths)} columns together, "
                f"{self.widths}. Received: data of {channels} columns"
            )
        return sum(map(Likelihood.output_channels, self.parts, self.widths))

    def split(self, x):
        """Returns the columns of each group."""
        ends = [int(end) for end in np.cumsum(self.widths)]
        return [x[..., end - width : end] for end, width in zip(ends, self.widths)]

    def joined(self, parts):
        parts = list(parts)
        return ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]

    def adapt(self, x):
        for part, columns in zip(self.parts, self.split(x)):
            part.adapt(columns)

    @property
    def is_adapted(self):
        return all(part.is_adapted for part in self.parts)

    def inputs(self, x):
        return self.joined(part.inputs(x) for part, x in zip(self.parts, self.split(x)))

    def mean(self, outputs):
        return self.joined(part.mean(y) for part, y in zip(self.parts, self.split(outputs)))

    def by_group(self, x, outputs):
        """Returns the likelihood, the columns and the outputs of each group."""
        return zip(self.parts, self.split(x), self.split(outputs))

    def value_nats(self, x, outputs):
        """Returns ``-log p(x|z)`` of each value, those of the groups side by side."""
        return self.joined(part.value_nats(x, y) for part, x, y in self.by_group(x, outputs))

    def nats(self, x, outputs):
        # Not the sum of `value_nats`, since a group's likelihood may define `nats` only.
        return sum(part.nats(x, y) for part, x, y in self.by_group(x, outputs))

    def draw(self, means, rng):
        parts = [part.draw(x, rng) for part, x in zip(self.parts, self.split(means))]
        return np.concatenate(parts, axis=-1)

    def update(self, x, outputs, sample_weight=None):
        for part, *columns in self.by_group(x, outputs):
            part.update(*columns, sample_weight)

    def why_no_distribution(self, x):
        return None

    def get_config(self):
        groups = [
            [keras.saving.serialize_keras_object(part), width]
            for part, width in zip(self.parts, self.widths)
        ]
        return {**super().get_config(), "groups": groups}

    @classmethod
    def from_config(cls, config):
        groups = [
            [keras.saving.deserialize_keras_object(part), width] for part, width in config["groups"]
        ]
        return cls(**{**config, "groups": groups})
