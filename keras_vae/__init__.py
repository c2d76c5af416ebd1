"""keras_vae: Variational Autoencoders for Keras 3, on JAX, TensorFlow and torch.

The public names are those of `keras_vae/public.py`. They are imported when the first of them is
used, or at once if Keras has been imported before. So the programs, which need only
`keras_vae/start/` and `keras_vae/commands/` at first, choose Keras's backend before it is loaded.
"""

import importlib
import sys
from typing import TYPE_CHECKING

__version__ = "0.1.0"

WITHOUT_KERAS = "keras_vae.start", "keras_vae.commands"


def __getattr__(name):
    if not name.startswith("_") and f"{__name__}.{name}" not in WITHOUT_KERAS:
        if not any(map(is_half_imported, list(sys.modules))):
            importlib.import_module("keras_vae.public")
        public = sys.modules.get("keras_vae.public")
        if hasattr(public, name):
            return getattr(public, name)
    # Python now looks for a module of this name.
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def is_half_imported(name):
    """Returns whether a module is of this package, needs Keras, and is being imported."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    ours = name.startswith("keras_vae.") and not name.startswith(WITHOUT_KERAS)
    return ours and getattr(spec, "_initializing", False)


def __dir__():
    return [*globals(), *vars(importlib.import_module("keras_vae.public"))]


if TYPE_CHECKING or "keras" in sys.modules:
    from keras_vae.public import *  # noqa: F403
