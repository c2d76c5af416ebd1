"""What runs the model in a browser: onnxruntime-web, by address or from a folder.

Its WebAssembly build on one thread needs no special headers, so any web space will do.
"""

import shutil
from pathlib import Path

from keras_vae.start.pages import RUNTIME

VERSION = "1.30.0"
ADDRESS = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{VERSION}/dist/"
# What a browser must find in the files if they come by address.
INTEGRITY = {
    "module": "sha384-PLWz+nHEVHpjwBsO0YVdvQj6n5814Iv8E3b8FG0Rp/uIAtjFMCKOpP66iPzedrIG",
    "wasm": "sha384-vjBJ1z7qrhkTyYsNqKeF6c7N+nOJSU94czEo+tvZcu8G75JparGq9kB+kTnEUNVM",
}


def add(page, folder=None):
    """Returns where the page finds the files, by what they are; copies them if a folder is given.

    Args:
        page: The folder of the page's own files.
        folder: The folder to copy from; None for the public address.
    """
    if folder is None:
        return {
            kind: {"url": ADDRESS + name, "integrity": INTEGRITY[kind]}
            for kind, name in RUNTIME.items()
        }
    Path(page, "runtime").mkdir()
    for name in RUNTIME.values():
        shutil.copyfile(Path(folder, name), Path(page, "runtime", name))
    return {kind: {"url": f"page/runtime/{name}"} for kind, name in RUNTIME.items()}
