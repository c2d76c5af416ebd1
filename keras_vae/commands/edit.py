"""`keras-vae edit`: changes attributes of a photo."""

import argparse
import os

from keras_vae.commands import pictures
from keras_vae.commands.inputs import refuse_others
from keras_vae.commands.sample import check_once
from keras_vae.start import folders
from keras_vae.start.program import number, shown

OUTPUTS = (*pictures.ENDINGS, ".gif")
FRAMES, LONGEST = 12, 512  # of an animation, and of the longer side of a photo in it
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
    pictures.add_output(parser, "edited.png", OUTPUTS)
    return parser


def add_inputs(parser):
    parser.add_argument("photo", nargs="?", metavar="PHOTO", help="picture of any size and format")


def find_inputs(parser, args, others):
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
    pictures.check_photo(parser, args.photo, args.run, USAGE)
    return []


def check(parser, args):
    check_once(parser, args.strengths)
    args.strengths = dict(args.strengths)
    pictures.check_kept(parser, args.output, args.photo)
    pictures.check_output(parser, args.output, OUTPUTS)


def check_run(args):
    refuse_others(args, "`edit` changes photos")
    names = folders.direction_names(args.folder)
    if not args.strengths:
        raise ValueError(
            f"nothing to change; expected --set NAME=NUMBER. The attributes are: {', '.join(names)}"
        )
    folders.check_names(args.strengths, names, args.folder)


def perform(args):
    """Writes a photo with attributes changed; returns the text to print."""
    import numpy as np
    from PIL import Image

    from keras_vae import latent, photos, runs
    from keras_vae.images import to_uint8

    moving = args.output.lower().endswith(".gif")
    photo, profile = pictures.read(args.photo, LONGEST if moving else None)
    run = runs.load(args.folder)
    image = photos.view(photo, run.model.data_shape, run.resize)[None]
    z = latent.codes_of(run.model, image)
    edited = []
    for share in np.linspace(0, 1, FRAMES) if moving else [1]:
        strengths = {name: share * strength for name, strength in args.strengths.items()}
        edited += [latent.edit(run.model, z, run.edits, strengths)[0]]
    if args.keep_detail:
        before = run.model.decode(z)[0]
        edited = [photos.add(photo, after - before, run.resize) for after in edited]
    else:
        edited = [to_uint8(after) for after in edited]
        profile = None  # the photo's profile does not apply to decoded colours
    if moving:
        pictures.write_animation(np.stack(edited), args.output)
    else:
        (pixels,) = edited
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        pictures.write(picture, args.output, icc_profile=profile)
    changes = " ".join(f"{name}={strength:g}" for name, strength in args.strengths.items())
    return shown(f"{args.output}: {args.photo} with {changes} by {run.folder}")
