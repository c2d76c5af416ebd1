"""Writes docs/reference/commands.md: what --help of each program prints.

python docs/make_commands.py
"""

import contextlib
import io
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "commands.md"
HEAD = """# Commands

<!-- Written by docs/make_commands.py. Do not edit. -->

What `--help` prints. `python -m keras_vae` is the same as `keras-vae`.
"""


def main():
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)


def page():
    """Returns the page as text."""
    from keras_vae.commands import main, train

    os.environ["COLUMNS"] = "88"  # what argparse wraps at
    parts = [HEAD, section("train.py", train.parse)]
    parts += [section(f"keras-vae {name}", main.parse, name) for name in main.COMMANDS]
    return "\n".join(parts)


def section(title, parse, *words):
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        parse([*words, "--help"])
    return f"## {title}\n\n```text\n{text.getvalue().rstrip()}\n```\n"


if __name__ == "__main__":
    main()
