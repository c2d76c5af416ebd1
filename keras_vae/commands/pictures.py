"""The picture files of the commands: photos that are read, pictures that are written."""

import os
import warnings
from pathlib import Path

from keras_vae.start.program import check_writable

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
MOVING = (".gif", ".webp")  # formats of animations
LARGE = 256  # pixels; the longer side of an animation's frames, at least about
MOST_BYTES = 500_000_000  # of a photo


def add_output(parser, default, endings=ENDINGS):
    parser.add_argument(
        "-o",
        "--output",
        default=default,
        metavar="FILE",
        help=f"picture to write, {', '.join(endings)}; default: {default}",
    )


def check_output(parser, output, endings=ENDINGS):
    """Ends the program if the output has an unknown format or cannot be created."""
    if not output.lower().endswith(endings):
        parser.error(f"the output {output!r} must end in one of {', '.join(endings)}")
    if os.path.isdir(output):
        parser.error(f"the output {output} is a folder; expected a file")
    folder = Path(output).parent
    if not folder.is_dir():
        parser.error(f"the folder {folder} of the output does not exist")
    check_writable(folder, f"the folder {folder} of the output")


def check_photo(parser, photo, run, usage):
    """Ends the program if a photo does not exist."""
    if os.path.isdir(photo) or not os.path.exists(photo):
        if not run and any(os.path.isdir(Path(root, photo)) for root in ("", "runs")):
            parser.error(f"no photo given; expected: {usage.replace('[RUN]', photo)}")
        what = "is a folder" if os.path.isdir(photo) else "does not exist"
        parser.error(f"the photo {photo or repr('')} {what}; expected: {usage}")


def check_kept(parser, output, *photos):
    """Ends the program if the output would replace one of the photos."""
    if any(os.path.exists(output) and os.path.samefile(photo, output) for photo in photos):
        parser.error(f"{output} is the photo itself, which must not change; choose another -o")


def read(path, longest=None):
    """Returns a photo and its colour profile; raises `ValueError` if it cannot be used."""
    from keras_vae import photos

    # Pillow warns of large pictures, which are rejected below.
    warnings.filterwarnings("ignore", "Image size .* decompression bomb")
    try:
        with open(path, "rb") as file:  # read once, since it may be a pipe
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES / 1e6:,.0f} MB")
        return photos.read(content, longest), photos.colour_profile(content)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"the photo {path}: {why}") from None


def write_animation(frames, path):
    """Writes images ``(n, height, width, channels)`` as an animation, small ones enlarged."""
    from keras_vae import plots
    from keras_vae.atomic import atomic

    content = plots.animation(frames, Path(path).suffix[1:].lower(), LARGE)
    try:
        with atomic(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror or error}") from None


def write(picture, path, **options):
    """Writes a Pillow image; raises `ValueError` if that fails, and leaves no partial file."""
    from keras_vae.atomic import atomic

    try:
        with atomic(path) as temporary:
            picture.save(temporary, quality=95, **options)  # PNG ignores the quality
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"{path} cannot be written: {why}") from None
