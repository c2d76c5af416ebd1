"""`keras-vae edit`: changes attributes of a photo."""

import argparse
import os
import warnings
from pathlib import Path

from keras_vae_cli import pictures
from keras_vae_cli.alone import folders
from keras_vae_cli.program import number, shown
from keras_vae_cli.sample import check_once

MOST_BYTES = 500_000_000  # largest photo
USAGE = "edit [RUN] PHOTO --set NAME=NUMBER"


def strength(text):
    """The argparse type of --set: returns ``(name, number)``. Names may contain any character."""
    name, sign, value = text.rpartition("=")
    if sign:
        try:
            return name, number(float, -100, 100)(value)
        except argparse.ArgumentTypeError:
            why = f"{text}: expected a number from -100 to 100 after the '='"
            raise argparse.ArgumentTypeError(why) from None
    hint = ". RUN and PHOTO come before --set" if os.path.exists(text) else ""
    raise argparse.ArgumentTypeError(f"{text}: expected NAME=NUMBER, such as smiling=1.5{hint}")


def add_to(commands):
    parser = commands.add_parser(
        "edit",
        help="change an attribute of a photo, such as a smile",
        usage=f"keras-vae {USAGE} ... [--keep-detail] [-o FILE]",
        description="Change attributes of a photo: encode it, move the code, decode it.",
    )
    add = parser.add_argument
    add(
        "--set",
        dest="strengths",
        type=strength,
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=NUMBER",
        help="strength of an attribute, such as smiling=1.5 eyeglasses=-1; 1 is the distance "
        "between images with and without it, negative numbers remove it. Without --set, the "
        "command lists the attributes",
    )
    add(
        "--keep-detail",
        action="store_true",
        help="add the change to the photo, which keeps its size and sharpness; without it, the "
        "result is a decoded image of the model's size",
    )
    pictures.add_output(parser, "edited.png")
    return parser


def add_photo(parser):
    parser.add_argument("photo", nargs="?", metavar="PHOTO", help="picture of any size and format")


def find_places(parser, args, others):
    """Finds RUN and PHOTO among all positional arguments; returns the arguments left over."""
    places = [place for place in (args.run, args.photo, *others) if place is not None]
    flags = [place for place in others if place.startswith("-")]
    if flags:
        return flags
    if len(places) > 2:
        return places[2:]
    if not places:
        parser.error(f"no photo given; expected: {USAGE}")
    *run, args.photo = places
    args.run = run[0] if run else None
    if os.path.isdir(args.photo) or not os.path.exists(args.photo):
        if not run and any(os.path.isdir(Path(root, args.photo)) for root in ("", "runs")):
            parser.error(f"no photo given; expected: edit {args.photo} PHOTO --set NAME=NUMBER")
        what = "is a folder" if os.path.isdir(args.photo) else "does not exist"
        parser.error(f"the photo {args.photo or repr('')} {what}; expected: edit [RUN] PHOTO")
    return []


def check(parser, args):
    check_once(parser, args.strengths)
    args.strengths = dict(args.strengths)
    if os.path.exists(args.output) and os.path.samefile(args.photo, args.output):
        parser.error(f"{args.output} is the photo itself, which must not change; choose another -o")
    pictures.check_output(parser, args.output)


def check_run(args):
    names = folders.direction_names(args.folder)
    if not args.strengths:
        raise ValueError(
            f"nothing to change; expected --set NAME=NUMBER. The attributes are: {', '.join(names)}"
        )
    folders.check_names(args.strengths, names, args.folder)


def perform(args):
    """Writes a photo with attributes changed; returns the text to print."""
    from PIL import Image

    from keras_vae import latent, photos, runs
    from keras_vae.images import to_uint8

    # Pillow warns of large pictures, which are rejected below.
    warnings.filterwarnings("ignore", "Image size .* decompression bomb")
    try:
        with open(args.photo, "rb") as file:  # read once, since it may be a pipe
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES / 1e6:,.0f} MB")
        photo, profile = photos.read(content), photos.colour_profile(content)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"the photo {args.photo}: {why}") from None
    run = runs.load(args.folder)
    image = photos.view(photo, run.model.image_shape, run.resize)[None]
    z = latent.codes_of(run.model, image)
    edited = latent.edit(run.model, z, run.edits, args.strengths)
    if args.keep_detail:
        change = (edited - run.model.decode(z))[0]
        picture = Image.fromarray(photos.add(photo, change, run.resize))
    else:
        pixels = to_uint8(edited[0])
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        profile = None  # the photo's profile does not apply to decoded colours
    pictures.write(picture, args.output, icc_profile=profile)
    changes = " ".join(f"{name}={strength:g}" for name, strength in args.strengths.items())
    return shown(f"{args.output}: {args.photo} with {changes} by {run.folder}")
