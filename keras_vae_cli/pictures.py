"""Writes picture files."""

import os
from pathlib import Path

from keras_vae_cli.program import check_writable

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


def add_output(parser, default):
    parser.add_argument(
        "-o",
        "--output",
        default=default,
        metavar="FILE",
        help=f"picture to write, {', '.join(ENDINGS)}; default: {default}",
    )


def check_output(parser, output):
    """Ends the program if the output has an unknown format or cannot be created."""
    if not output.lower().endswith(ENDINGS):
        parser.error(f"the output {output!r} must end in one of {', '.join(ENDINGS)}")
    if os.path.isdir(output):
        parser.error(f"the output {output} is a folder; expected a file")
    folder = Path(output).parent
    if not folder.is_dir():
        parser.error(f"the folder {folder} of the output does not exist")
    check_writable(folder, f"the folder {folder} of the output")


def write(picture, path, **options):
    """Writes a Pillow image; raises `ValueError` if that fails, and leaves no partial file."""
    from keras_vae.runs import files

    try:
        with files.atomic(path) as temporary:
            picture.save(temporary, quality=95, **options)  # PNG ignores the quality
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"{path} cannot be written: {why}") from None
