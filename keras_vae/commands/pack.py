"""`keras-vae pack`: writes a small copy of a run."""

from keras_vae.start import folders
from keras_vae.start.program import shown


def add_to(commands):
    parser = commands.add_parser(
        "pack",
        help="write a small copy of a run",
        description="Write a small copy of a run, with weights in half precision and without "
        "figures, that edits, samples, interpolates and can be shown by the demo.",
    )
    add = parser.add_argument
    add("-o", "--output", required=True, metavar="FOLDER", help="folder to write")
    add("--overwrite", action="store_true", help="allow an output folder that is not empty")
    return parser


def check(parser, args):
    if args.output == "":
        parser.error("--output is empty; expected a folder")


def check_run(args):
    folders.check_target(args.folder, args.output, args.overwrite)


def perform(args):
    """Writes the copy; returns the text to print."""
    from keras_vae import runs

    size = runs.pack(args.folder, args.output, args.overwrite)
    return shown(f"{args.output}/: a copy of {args.folder}, {size / 1e6:.1f} MB")
