"""Checks of a page without a server, before Keras is loaded."""

from pathlib import Path

from keras_vae.start.folders import check_target

# The files of onnxruntime-web that a page needs, by what they are.
RUNTIME = {"module": "ort.wasm.bundle.min.mjs", "wasm": "ort-wasm-simd-threaded.wasm"}


def check_noun(folder, noun):
    """Raises `ValueError` unless a run is one of images."""
    if noun != "images":
        what = "arrays" if noun == "items" else "a table"
        raise ValueError(
            f"{folder} is a model of {what}; a page without a server shows images only"
        )


def check_folder(run_folder, folder, overwrite=False):
    """Raises `ValueError` unless a page of a run may be written to a folder."""
    check_target(run_folder, folder, overwrite)
    own = Path(folder, "page")
    if own.exists() and not (own / "page.json").is_file():
        raise ValueError(f"{own} is not part of a page, so it is not replaced. Choose another -o")


def check_runtime(folder):
    """Raises `ValueError` unless a folder has the files of the runtime."""
    for name in RUNTIME.values():
        if not Path(folder, name).is_file():
            raise ValueError(
                f"{folder} has no {name}. Expected the folder dist of the package "
                "onnxruntime-web, such as node_modules/onnxruntime-web/dist"
            )
