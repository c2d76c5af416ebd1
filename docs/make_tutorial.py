"""Runs the notebook docs/tutorial.py and writes the page docs/tutorial.md with what it shows.

    python docs/make_tutorial.py                  # the page and its pictures
    python docs/make_tutorial.py --backend torch  # only runs it there, and prints the time

It needs the extra `docs`. To open the notebook in Jupyter: jupytext --to ipynb docs/tutorial.py
"""

import argparse
import base64
import io
import shutil
import time
from pathlib import Path

import jupytext
import nbclient
from PIL import Image

HERE = Path(__file__).parent
NOTEBOOK, PAGE, PICTURES = HERE / "tutorial.py", HERE / "tutorial.md", HERE / "tutorial"
BACKEND = 'os.environ["KERAS_BACKEND"] = "jax"'
NOTE = "<!-- Written by docs/make_tutorial.py from docs/tutorial.py. Do not edit. -->\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=["jax", "tensorflow", "torch"])
    args = parser.parse_args()
    notebook, seconds = run(args.backend or "jax")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            times = cell.metadata.execution
            print(f"{spent(times):6.1f} s  {cell.source.splitlines()[0]}")
    print(f"{seconds:6.1f} s on {args.backend or 'jax'}")
    if args.backend is None:
        shutil.rmtree(PICTURES, ignore_errors=True)
        PICTURES.mkdir()
        PAGE.write_text(NOTE + "\n" + "\n\n".join(map(shown, notebook.cells)) + "\n")


def run(backend):
    """Returns the notebook with its outputs, and the seconds that it took."""
    notebook = jupytext.reads(
        NOTEBOOK.read_text().replace(BACKEND, BACKEND.replace("jax", backend))
    )
    started = time.monotonic()
    nbclient.NotebookClient(notebook, timeout=None, record_timing=True).execute()
    return notebook, time.monotonic() - started


def spent(times):
    first, last = (
        time.mktime(time.strptime(times[name][:19], "%Y-%m-%dT%H:%M:%S"))
        + float(times[name][19:-1])
        for name in ("iopub.execute_input", "shell.execute_reply")
    )
    return last - first


def shown(cell):
    """Returns a cell of the notebook and its outputs as Markdown."""
    if cell.cell_type == "markdown":
        return cell.source
    code = f"```python\n{cell.source}\n```"
    parts = [] if is_listing(cell) else [code]
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stdout":
            kind = "python" if is_listing(cell) else "text"
            parts.append(f"```{kind}\n{output.text.rstrip()}\n```")
        elif "image/png" in output.get("data", {}):
            parts.append(picture(cell.metadata, output.data["image/png"]))
    return "\n\n".join(parts)


def is_listing(cell):
    """Returns whether a cell prints code of the package, which is shown in its place."""
    return "source" in cell.metadata.get("tags", ())


def picture(metadata, content):
    name = f"{metadata['picture']}.webp"
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        image.convert("RGB").save(PICTURES / name, quality=85, method=6)
    return f"![{metadata['alt']}](tutorial/{name})"


if __name__ == "__main__":
    main()
