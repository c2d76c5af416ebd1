"""Loads modules of keras_vae that need only the standard library, without the package.

Importing them by name would first import the package, and with it Keras, which takes seconds.
"""

import importlib.util


def load_alone(path):
    """Returns the module at a path within the package."""
    (root,) = importlib.util.find_spec("keras_vae").submodule_search_locations
    spec = importlib.util.spec_from_file_location(f"keras_vae_cli {path}", f"{root}/{path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


folders = load_alone("runs/folders.py")
quiet = load_alone("datasets/quiet.py").quiet
