"""What the commands understand: `python -m keras_vae` and `python -m demo`.

Nothing here needs Keras, so that a mistake is told at once, see `command_line.py`.
"""

import argparse
import os
from pathlib import Path

from keras_vae import run_folders
from keras_vae.program import BACKENDS, PROGRAM, Parser, check_writable, fail, number

DEMO = "python -m demo"
QUEUE_SIZE = 100
ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
MOST_IMAGES = 10_000
PARTS = ("fit", "latents", "edits", "disentanglement", "samples")  # of what `evaluate` measures
RUN = "folder of a run, or its name in runs/; default: the newest completed one"


def strength(text):
    """The argparse type of what --set takes: ``(name, number)``. A name may hold any sign."""
    name, sign, value = text.rpartition("=")
    if sign:
        try:
            return name, number(float, -100, 100)(value)
        except argparse.ArgumentTypeError:
            why = f"{text}: expected a number from -100 to 100 after the '='"
            raise argparse.ArgumentTypeError(why) from None
    hint = ". RUN and PHOTO come before --set" if os.path.exists(text) else ""
    raise argparse.ArgumentTypeError(f"{text}: expected NAME=NUMBER, such as smiling=1.5{hint}")


def wish(text):
    """The argparse type of what --set of `sample` takes: ``(name, True or False)``."""
    name, sign, value = text.rpartition("=")
    if not sign or value not in ("0", "1"):
        raise argparse.ArgumentTypeError(
            f"{text}: expected NAME=1 for images that have it or NAME=0, such as smiling=1"
        )
    return name, value == "1"


def credentials(text):
    """The argparse type of what --auth takes: ``(user, password)``."""
    user, _, password = text.partition(":")
    if not (user and password):  # without what came: errors end up in logs
        raise argparse.ArgumentTypeError("expected USER:PASSWORD, both of them not empty")
    return user, password


def parse_command(arguments=None):
    """Returns what `python -m keras_vae` was asked to do; a mistake ends the program.

    Args:
        arguments: A list of texts; None is those of this program.

    Returns:
        An `argparse.Namespace` with a `command` and its arguments.

    Raises:
        SystemExit: At a mistake (code 2, after one line that names it), and after ``--help``.

    Example:

    ```python
    arguments.parse_command(["sample", "-n", "4"]).n  # 4
    ```
    """
    parser = Parser(
        prog=PROGRAM,
        description="Use a trained model: draw new images, edit a photo, say what it is worth.",
        epilog="To train one: python train.py. KERAS_BACKEND is the backend to use, any of jax, "
        "torch and tensorflow, whichever the model was trained on; default: the first one "
        "installed.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for add_command in (add_sample, add_edit, add_evaluate):
        add_command(commands)
    args, others = parser.parse_known_args(arguments)
    if args.command is None:
        parser.error(f"no command given; expected {', '.join(commands.choices)}, see --help")
    if args.command == "edit":
        others = check_edit(parser, args, others)
    if args.command == "sample":
        check_sample(parser, args)
    if others:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    if args.command == "evaluate":
        args.parts = tuple(part for part in PARTS if part in (args.parts or PARTS))
    else:
        check_output(parser, args.output)
    return args


def add_sample(commands):
    text = "Draw new images with a trained model, side by side in one picture."
    add = commands.add_parser("sample", help="draw new images", description=text).add_argument
    add("run", nargs="?", metavar="RUN", help=RUN)
    add(
        "-n",
        type=number(int, 1, MOST_IMAGES),
        default=64,
        metavar="N",
        help="how many images; default: 64",
    )
    add_output(add, "samples.png")
    add(
        "--seed",
        type=number(int, 0, 2**32 - 1),
        help="whole number that decides which images; default: another one every time, printed",
    )
    add(
        "--temperature",
        type=number(float, 0, 100),
        default=1.0,
        help="below 1 images are more typical and less diverse; default: 1",
    )
    add(
        "--from",
        dest="source",
        choices=("flow", "mixture", "prior"),
        help="where codes come from: the flow or the mixture of Gaussians that were fitted to the "
        "codes of training images, or the prior N(0, I); default: whichever of the first two "
        "suits the codes better",
    )
    add(
        "--set",
        dest="wishes",
        type=wish,
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=0|1",
        help="what the images are to show, such as smiling=1 eyeglasses=0 (by the flow)",
    )
    add("--class", dest="wanted", metavar="NAME", help="draw images of that class (by the flow)")


def add_edit(commands):
    text = "Change what a photo shows: encode it, move the code, decode it."
    parser = commands.add_parser(
        "edit",
        help="change what a photo shows, such as a smile",
        usage=f"{PROGRAM} edit [RUN] PHOTO --set NAME=NUMBER ... [--keep-detail] [-o FILE]",
        description=text,
    )
    add = parser.add_argument
    add("run", nargs="?", metavar="RUN", help=RUN)
    add("photo", nargs="?", metavar="PHOTO", help="picture file of any size and format")
    add(
        "--set",
        dest="strengths",
        type=strength,
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=NUMBER",
        help="how much more of an attribute, such as smiling=1.5 eyeglasses=-1: 1 is the distance "
        "between images that have it and those that do not. Without --set you are told which "
        "attributes there are",
    )
    add(
        "--keep-detail",
        action="store_true",
        help="add only what changes to the photo itself, which keeps its size and sharpness; "
        "without it you get the model's own drawing, at the model's size",
    )
    add_output(add, "edited.png")


def add_evaluate(commands):
    text = (
        "Say what a trained model is worth, in numbers, on test images that it has not seen. "
        "Writes evaluation.json and figures into the run, and prints a table."
    )
    parser = commands.add_parser(
        "evaluate",
        help="say what a model is worth, in numbers",
        usage=f"{PROGRAM} evaluate [RUN] [--only PART ...] [-n N] [-k K] [--attribute NAME ...] "
        "[--watch NAME ...] [--seed SEED]",
        description=text,
    )
    add = parser.add_argument
    add("run", nargs="?", metavar="RUN", help=RUN)
    add(
        "--only",
        dest="parts",
        nargs="+",
        action="extend",
        choices=PARTS,
        metavar="PART",
        help=f"measure only these of {', '.join(PARTS)}; what was measured of the others before is "
        "kept",
    )
    add(
        "-n",
        type=number(int, 1, 10_000_000),
        default=500,
        metavar="N",
        help="test images whose log-likelihood is estimated; default: 500",
    )
    add(
        "-k",
        type=number(int, 1, 1_000_000),
        default=100,
        metavar="K",
        help="samples for each of them; more come closer, and from below; default: 100",
    )
    add(
        "--attribute",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="edit these attributes; default: all that the judge can tell",
    )
    add(
        "--watch",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="count only leakage into these attributes; default: all that the judge can tell",
    )
    add(
        "--seed",
        type=number(int, 0, 2**32 - 1),
        default=0,
        help="of the noise and the samples; default: 0",
    )


def add_output(add, default):
    add(
        "-o",
        "--output",
        default=default,
        metavar="FILE",
        help=f"picture to write, {', '.join(ENDINGS)}; default: {default}",
    )


def check_sample(parser, args):
    """Turns --set and --class into one dict of wishes by name."""
    args.wishes += [(args.wanted, True)] if args.wanted is not None else []
    check_once(parser, args.wishes)
    args.wishes = dict(args.wishes)
    if args.wishes and args.source not in (None, "flow"):
        parser.error(f"--from {args.source} does not go with --set and --class: only the flow does")


def check_once(parser, pairs):
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            parser.error(f"argument --set: {name!r} is there more than once")


def check_edit(parser, args, others):
    """Finds RUN and PHOTO wherever they stand; returns the arguments that nobody wants."""
    places = [args.run, args.photo, *others]
    places = [place for place in places if place is not None]
    flags = [place for place in others if place.startswith("-")]
    if flags:
        return flags
    if len(places) > 2:
        return places[2:]
    if not places:
        parser.error("no photo given; expected: edit [RUN] PHOTO --set NAME=NUMBER")
    *run, args.photo = places
    args.run = run[0] if run else None
    if os.path.isdir(args.photo) or not os.path.exists(args.photo):
        if not run and any(os.path.isdir(Path(root, args.photo)) for root in ("", "runs")):
            parser.error(f"no photo given; expected: edit {args.photo} PHOTO --set NAME=NUMBER")
        what = "is a folder" if os.path.isdir(args.photo) else "does not exist"
        parser.error(f"the photo {args.photo or repr('')} {what}; expected: edit [RUN] PHOTO")
    check_once(parser, args.strengths)
    args.strengths = dict(args.strengths)
    if os.path.exists(args.output) and os.path.samefile(args.photo, args.output):
        parser.error(f"{args.output} is the photo itself, which is kept; choose another -o")
    return []


def check_output(parser, output):
    """Ends with an error if a picture cannot be written there, as far as can be seen by now."""
    if not output.lower().endswith(ENDINGS):
        parser.error(f"the output {output!r} must end in one of {', '.join(ENDINGS)}")
    if os.path.isdir(output):
        parser.error(f"the output {output} is a folder; expected a file")
    folder = Path(output).parent
    if not folder.is_dir():
        parser.error(f"the folder {folder} of the output does not exist")
    check_writable(folder, f"the folder {folder} of the output")


def check_run(args):
    """Ends with an error if there is no such run, or it lacks what is named of it."""
    try:
        folder = run_folders.find(args.run)
        if args.command == "evaluate":
            run_folders.check_attributes(folder, [*(args.attribute or ()), *(args.watch or ())])
        if args.command == "edit":
            names = run_folders.direction_names(folder)
            if not args.strengths:
                expected = "nothing to change; expected --set NAME=NUMBER"
                fail(f"{expected}. The attributes are: {', '.join(names)}")
            for name in set(args.strengths).difference(names):
                there = ", ".join(names)
                fail(f"There is no attribute {name!r} in {folder}. There are: {there}")
    except (OSError, ValueError) as error:
        fail(error)


def parse_demo(arguments=None):
    """Returns how `python -m demo` was asked to run; a mistake ends the program.

    Args:
        arguments: A list of texts; None is those of this program.

    Returns:
        An `argparse.Namespace` with `run` (or None), `backend` (or None), `share`, `auth` (a pair
        of user and password, or None), `host`, `port` (or None) and `queue_size`.

    Raises:
        SystemExit: At a mistake (code 2, after one line that names it), and after ``--help``.

    Example:

    ```python
    arguments.parse_demo(["--auth", "me:secret"]).auth  # ("me", "secret")
    ```
    """
    parser = Parser(
        prog=DEMO,
        description="Show a trained model in the browser: draw new images, edit a photo.",
        epilog="To train one: python train.py. Ctrl-C ends the demo.",
        allow_abbrev=False,  # what opens a page to others is spelled out
    )
    add = parser.add_argument
    add("run", nargs="?", metavar="RUN", help=RUN)
    add(
        "--backend",
        choices=BACKENDS,
        help="default: KERAS_BACKEND, else the one that the model was trained on if it is "
        "installed, else the first one installed",
    )
    add(
        "--share",
        action="store_true",
        help="give the page a public address as well, through a server of Gradio's; anyone who has "
        "the address can use it, see --auth",
    )
    add(
        "--auth",
        type=credentials,
        metavar="USER:PASSWORD",
        help="let in only who knows these; default: everyone who has the address",
    )
    add(
        "--host",
        default="127.0.0.1",
        help="address of this computer to answer on, 0.0.0.0 for all it has; default: 127.0.0.1, "
        "which others cannot reach",
    )
    add(
        "--port",
        type=number(int, 1, 65535),
        help="default: the first free one from 7860 on",
    )
    add(
        "--queue-size",
        type=number(int, 1, 10_000),
        default=QUEUE_SIZE,
        metavar="N",
        help=f"how many requests may wait, further ones are turned away; default: {QUEUE_SIZE}",
    )
    args = parser.parse_args(arguments)
    if not args.host or any(sign in args.host for sign in "/: "):
        parser.error(
            f"argument --host: {args.host!r}: expected a name or an IPv4 address, such as 0.0.0.0"
        )
    return args
