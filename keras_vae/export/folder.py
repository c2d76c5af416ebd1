"""The folder of an exported run."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import keras

import keras_vae
from keras_vae.atomic import TEMPORARY
from keras_vae.export import describe
from keras_vae.export.agreement import differences
from keras_vae.export.formats import save_onnx, save_saved_model
from keras_vae.export.parts import in_float32, parts_of
from keras_vae.start.folders import check_target

FORMATS = ("onnx", "saved_model")
SAVE = {"onnx": (save_onnx, ".onnx"), "saved_model": (save_saved_model, "")}
# What writes a format on a backend, beside Keras. torch has no way to write a SavedModel.
WRITERS = {
    ("torch", "onnx"): ("onnx",),
    ("tensorflow", "onnx"): ("onnx", "tf2onnx"),
    ("jax", "onnx"): ("onnx", "jax2onnx"),
    ("tensorflow", "saved_model"): (),
    ("jax", "saved_model"): ("tensorflow",),
}
IN_ANOTHER_PROCESS = """
import sys
from keras_vae import runs
from keras_vae.export.folder import write_parts

write_parts(runs.load(sys.argv[1]), sys.argv[2], sys.argv[3])
"""


def write(run, folder, format="onnx", overwrite=False):
    """Exports a run: its parts as graphs that other programs can use without this package.

    If the current backend cannot write the format, another installed one does, in a process of its
    own.

    Args:
        run: A `keras_vae.runs.Run`.
        folder: The folder to write. It appears when it is complete.
        format: ``"onnx"``, for onnxruntime on any device and in browsers, or ``"saved_model"``, for
            TensorFlow.
        overwrite: Whether `folder` may contain files; those of an export are replaced.

    Returns:
        The content of ``export.json``, a dict: the names and shapes of the inputs and outputs of
        each part, the attributes that ``edit`` changes, and versions.

    Raises:
        ValueError: If the format is unknown or no installed backend can write it, or `folder` is
            not empty and `overwrite` is False.
        OSError: If `folder` cannot be written.

    Example:

    ```python
    keras_vae.export.write(keras_vae.runs.load(), "exported")
    ```
    """
    if format not in FORMATS:
        raise ValueError(f"Argument `format` must be one of {FORMATS}. Received: format={format!r}")
    folder = Path(folder)
    check_target(run.folder, folder, overwrite)
    check_folders(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=folder.parent) as temporary:
        new = Path(temporary, "export")
        new.mkdir()
        backend, reasons = write_on_some_backend(run, new, format)
        parts = parts_of(run)
        content = {
            "format": format,
            "written_with": {"backend": backend, **versions(backend)},
            "not_written_with": reasons,
            **describe.content(run, parts, ending=SAVE[format][1]),
        }
        if format == "onnx" and find_spec("onnxruntime"):
            content["largest_difference"] = differences(run, parts, new)
        (new / "export.json").write_text(json.dumps(content, indent=2) + "\n")
        (new / "README.md").write_text(describe.readme(run, content))
        place(new, folder)
    return content


def check_folders(folder):
    """Raises `ValueError` if a folder with the name of a part is no SavedModel: it stays."""
    for name in ("encoder", "decoder", "shifts", "edit", "sampler"):
        if (folder / name).is_dir() and not (folder / name / "saved_model.pb").is_file():
            raise ValueError(f"{folder / name} is not a SavedModel, so it is not replaced")


def versions(*packages):
    return {"keras_vae": keras_vae.__version__, **{n: version(n) for n in ("keras", *packages)}}


def place(new, folder):
    """Moves the files of a new folder into a folder, which may exist."""
    if not folder.exists():
        os.replace(new, folder)
        return
    for path in new.iterdir():
        if (folder / path.name).is_dir():
            shutil.rmtree(folder / path.name)
        os.replace(path, folder / path.name)


def write_on_some_backend(run, folder, format):
    """Writes the parts with the first backend that can.

    Returns its name, and by name why the ones before it could not.
    """
    here, reasons = keras.backend.backend(), {}
    others = [name for name in ("tensorflow", "torch", "jax") if name != here and find_spec(name)]
    for backend in (here, *others):
        reasons[backend] = why_not(backend, format)
        if reasons[backend] is None:
            try:
                if backend == here:
                    write_parts(run, folder, format)
                else:
                    write_elsewhere(run, folder, format, backend)
                return backend, {name: why for name, why in reasons.items() if why}
            except Exception as error:  # a converter can raise anything
                reasons[backend] = first_line(error)
                shutil.rmtree(folder)  # parts that were written before
                folder.mkdir()
    what = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    raise ValueError(f"no installed backend can export to {format!r}. {what}")


def why_not(backend, format):
    """Returns why a backend cannot write a format, or None."""
    writers = WRITERS.get((backend, format))
    if writers is None:
        return 'it cannot write this format. Install: pip install "keras_vae[tensorflow]"'
    missing = [name for name in writers if find_spec(name) is None]
    if missing:
        extra = "tensorflow" if missing == ["tensorflow"] else "onnx"
        return f'{" and ".join(missing)} missing. Install: pip install "keras_vae[{extra}]"'
    return None


def write_parts(run, folder, format):
    """Writes the parts of a run into a folder, on the current backend."""
    save, ending = SAVE[format]
    parts = parts_of(run)
    models = [model for model in (run.model, run.flow) if model is not None]
    with in_float32(*models):
        for part in parts:
            save(part, Path(folder, f"{part.name}{ending}"))


def write_elsewhere(run, folder, format, backend):
    """Writes the parts in a process of its own, on another backend."""
    arguments = [str(run.folder), str(folder), format]
    result = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, *arguments],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise RuntimeError(([*result.stderr.strip().splitlines()] or ["it ended"])[-1])


def first_line(error):
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"
