"""The folder of a page without a server."""

import hashlib
import html
import json
import os
import shutil
import tempfile
from pathlib import Path

from keras_vae.atomic import TEMPORARY
from keras_vae.checks import check_integer
from keras_vae.demo.words import label
from keras_vae.export.folder import write as export
from keras_vae.export.half import halve
from keras_vae.export.page import content, runtime
from keras_vae.start import pages

STATIC = Path(__file__).parent / "static"
EXAMPLES = 8


def write(run, folder, title=None, examples=EXAMPLES, runtime_folder=None, overwrite=False):
    """Writes a page that edits and draws images in the visitor's browser, as static files.

    The model is stored in half precision and computes in float32, in WebAssembly. No picture
    leaves the browser. Once loaded, the page works offline.

    Args:
        run: A `keras_vae.runs.Run` of images.
        folder: The folder to write. It appears when it is complete.
        title: The heading of the page; None is the name of the data set.
        examples: How many test images visitors can start from. They become public.
        runtime_folder: The folder ``dist`` of the package onnxruntime-web, to copy what the page
            needs from; None: the page fetches it from a public address, and checks it.
        overwrite: Whether `folder` may contain files; those of a page are replaced.

    Returns:
        The size of the written files in bytes, by name.

    Raises:
        ValueError: If the run is not one of images, nothing installed can write its parts, or
            `folder` is not empty and `overwrite` is False.
        OSError: If `folder` cannot be written.

    Example:

    ```python
    keras_vae.export.page.write(keras_vae.runs.load(), "site")
    ```
    """
    folder = Path(folder)
    check_integer("examples", examples, 0)
    pages.check_noun(run.folder, run.noun)
    pages.check_folder(run.folder, folder, overwrite)
    if runtime_folder is not None:
        pages.check_runtime(runtime_folder)
    title = title or label(str(run.config.get("name") or run.noun))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=folder.parent) as temporary:
        site = Path(temporary, "site")
        shutil.copytree(STATIC, site)
        page = site / "page"
        where = runtime.add(page, runtime_folder)
        exported = export(run, Path(temporary, "export"))
        (page / "model").mkdir()
        says = content.content(run, exported, title, page)
        for part in says["parts"].values():
            name = Path(part["file"]).name
            halve(Path(temporary, "export", name), site / part["file"])
            part["bytes"] = (site / part["file"]).stat().st_size
        says["examples"] = content.save_examples(run, examples, page / "examples")
        says["runtime"] = where
        (page / "page.json").write_text(json.dumps(says), encoding="utf-8")
        finish(site, title, where)
        sizes = {name: (site / name).stat().st_size for name in files_of(site)}
        place(site, folder)
    return sizes


def files_of(site):
    """Returns the paths of all files relative to the folder, in a fixed order."""
    paths = sorted(path for path in site.rglob("*") if path.is_file())
    return [path.relative_to(site).as_posix() for path in paths]


def finish(site, title, where):
    """Fills in what index.html and the service worker must know: title, version, list of files.

    The version changes with any file, so that visitors get the new files.
    """
    digest = hashlib.sha256()
    for name in files_of(site):
        digest.update(name.encode() + (site / name).read_bytes())
    version = digest.hexdigest()[:16]
    others = {one["url"]: one["integrity"] for one in where.values() if "integrity" in one}
    from_there = " ".join(sorted({url.rsplit("/", 1)[0] + "/" for url in others}))
    index = (site / "index.html").read_text(encoding="utf-8")
    for mark, text in (("TITLE", title), ("VERSION", version), ("RUNTIME", from_there)):
        index = index.replace(f"{{{{{mark}}}}}", html.escape(text))
    (site / "index.html").write_text(index, encoding="utf-8")
    # "./" is index.html under the address that visitors use.
    own = ["./", *(name for name in files_of(site) if name not in ("index.html", "sw.js"))]
    worker = (site / "sw.js").read_text(encoding="utf-8")
    lists = f"const VERSION = {json.dumps(version)};\nconst FILES = {json.dumps(own)};\n"
    lists += f"const OTHERS = {json.dumps(others)}; // address: what must be found there\n"
    (site / "sw.js").write_text(lists + worker, encoding="utf-8")


def place(site, folder):
    """Moves a new page to its place, where an earlier one may be."""
    if not folder.exists():
        os.replace(site, folder)
        return
    shutil.rmtree(folder / "page", ignore_errors=True)
    for path in site.iterdir():
        os.replace(path, folder / path.name)
