"""What `python -m keras_vae` understands, and what it does before Keras is loaded.

Python imports a package before it runs the package as a command, and with this package comes
Keras, which takes seconds. So `keras_vae/__init__.py` calls `start_if_command` first. It reads
the arguments, tells mistakes at once, and loads Keras without the chatter of the frameworks. In
any other program it does nothing. The commands themselves are in `keras_vae/__main__.py`.
"""

import argparse
import contextlib
import importlib.util
import os
import signal
import sys
from pathlib import Path

PROGRAM = "python -m keras_vae"
BACKENDS = ("jax", "torch", "tensorflow")  # the order of preference, as in train.py
ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
MOST_IMAGES = 10_000
RUN = "folder of a run, or its name in runs/; default: the newest completed one"


class Parser(argparse.ArgumentParser):
    def error(self, message):  # one line, without the usage
        fail(message)


def fail(message):
    print(f"{PROGRAM}: error: {' '.join(str(message).splitlines())}", file=sys.stderr)
    raise SystemExit(2)


def number(kind, low, high):
    """Returns an argparse type: a number of this kind, from low to high."""

    def convert(text):
        value = kind(text)
        if not low <= value <= high:
            raise ValueError
        return value

    convert.__name__ = f"{'whole number' if kind is int else 'number'} from {low:,} to {high:,}"
    return convert


def strength(text):
    """The argparse type of what --set takes: ``(name, number)``. A name may hold any sign."""
    name, sign, value = text.rpartition("=")
    try:
        if sign:
            return name, number(float, -100, 100)(value)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text}: expected a number from -100 to 100 after the '='"
        ) from None
    hint = ". RUN and PHOTO come before --set" if os.path.exists(text) else ""
    raise argparse.ArgumentTypeError(f"{text}: expected NAME=NUMBER, such as smiling=1.5{hint}")


def parse_arguments(arguments=None):
    parser = Parser(
        prog=PROGRAM,
        description="Use a trained model: draw new images, edit a photo.",
        epilog="To train one: python train.py. KERAS_BACKEND is the backend to use, any of jax, "
        "torch and tensorflow, whichever the model was trained on; default: the first one "
        "installed.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for add_command in (add_sample, add_edit):
        add_command(commands)
    args, others = parser.parse_known_args(arguments)
    if args.command is None:
        parser.error(f"no command given; expected {' or '.join(commands.choices)}, see --help")
    if args.command == "edit":
        others = check_edit(parser, args, others)
    if others:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
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
        choices=("prior", "mixture"),
        help="where codes come from: the prior N(0, I), or the mixture of Gaussians that was "
        "fitted to the codes of training images and gives better ones; default: mixture if the "
        "run has one",
    )


def add_edit(commands):
    text = "Change what a photo shows: encode it, move the code along directions, decode it."
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


def add_output(add, default):
    add(
        "-o",
        "--output",
        default=default,
        metavar="FILE",
        help=f"picture to write, {', '.join(ENDINGS)}; default: {default}",
    )


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
        parser.error(f"the photo {args.photo} {what}; expected: edit [RUN] PHOTO")
    names = [name for name, _ in args.strengths]
    for name in names:
        if names.count(name) > 1:
            parser.error(f"argument --set: {name!r} is there more than once")
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


def choose_backend():
    """Returns KERAS_BACKEND, or else the first backend that is installed, without importing it."""
    wanted = os.environ.get("KERAS_BACKEND")
    installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
    if wanted and wanted not in BACKENDS:
        fail(f"KERAS_BACKEND is {wanted!r}; expected one of {', '.join(BACKENDS)}")
    if wanted and wanted not in installed:
        fail(f"the backend {wanted!r} is not installed. Install it with: pip install {wanted}")
    if not installed:
        fail(f"no backend is installed. Install one with: pip install {BACKENDS[0]}")
    return wanted or installed[0]


@contextlib.contextmanager
def without_chatter():
    """Keeps what compiled code prints on standard error away from the screen."""
    screen = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(screen, 2)
        os.close(screen)


def stop(*_):
    print("\nStopped.", file=sys.stderr)
    sys.exit(130)


def start():
    """Gets ready for a command: a mistake ends it here, before Keras is loaded."""
    for stream in (sys.stdout, sys.stderr):  # files may have names that are no text
        if stream is not None:  # closed
            stream.reconfigure(errors="backslashreplace")
    parse_arguments()
    os.environ["KERAS_BACKEND"] = backend = choose_backend()  # read when Keras is imported
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with without_chatter():
            import keras  # noqa: F401
    except KeyboardInterrupt:
        stop()
    except Exception as error:  # a broken installation can raise anything
        fail(f"the backend {backend!r} cannot be loaded: {type(error).__name__}: {error}")
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that it cleans up, too


def start_if_command():
    """Gets ready if it is `python -m keras_vae` that imports the package."""
    # Python calls the program "-m" as long as it looks for what to run.
    if sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)] in ("keras_vae", "-mkeras_vae"):
        start()
