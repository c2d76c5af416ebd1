"""Settings of a model that may be changed at any time, such as beta."""

import keras
from keras import ops

from keras_vae.checks import check_number
from keras_vae.training.programs import sync


class Setting:
    """An attribute of a model: a number of at least 0 that compiled programs read in each step.

    Like `optimizer.learning_rate` it is read as a variable and set to a number. The variable is not
    a weight: it is saved in the model's config (see `number`), and `load_weights` ignores it.
    """

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, model, owner=None):
        if model is None:
            return self
        settings = vars(model).get("_settings", {})
        if self.name not in settings:  # TensorFlow reads it before it is set
            raise AttributeError(self.name)
        return settings[self.name]

    def __set__(self, model, value):
        check_number(self.name, value, low=0)
        model.check_setting(self.name, value)
        settings = vars(model).setdefault("_settings", {})
        if self.name in settings:
            sync(model)
            settings[self.name].assign(float(value))
        else:
            settings[self.name] = keras.Variable(
                float(value), trainable=False, dtype="float32", autocast=False, name=self.name
            )


def settings(model):
    """Returns the variables of a model's settings, to be included in its `variables`."""
    return list(vars(model).get("_settings", {}).values())


def number(setting):
    """Returns a setting as the number it was set to, with 7 digits: 0.1, not 0.100000001."""
    return float(str(ops.convert_to_numpy(setting)))
