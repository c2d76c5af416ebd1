"""The data that `score`, `encode` and `impute` read, and the tables that they write."""

import os
import sys

from keras_vae.commands import pictures
from keras_vae.start import folders
from keras_vae.start.program import number, shown

TABLES = (".csv", ".tsv", ".parquet")
HELP = (
    "the data: for a model of a table a .csv, .tsv or .parquet file, for a model of images a "
    "folder, a picture or an .npy file, for one of other numbers an .npy or .npz file"
)


def add_inputs(parser):
    parser.add_argument("data", nargs="?", metavar="DATA", help=HELP)


def find_inputs(parser, args, others):
    """Finds RUN and DATA among all positional arguments; returns the arguments left over."""
    places = [place for place in (args.run, args.data, *others) if place is not None]
    if flags := [place for place in others if place.startswith("-")]:
        return flags
    if len(places) > 2:
        return places[2:]
    usage = f"{parser.prog} RUN DATA"
    if not places:
        parser.error(f"no data given; expected: {usage}")
    *run, args.data = places
    args.run = run[0] if run else None
    if not os.path.exists(os.path.expanduser(args.data)):
        parser.error(f"the data {args.data or repr('')} do not exist; expected: {usage}")
    if not run and os.path.exists(os.path.join(args.data, "config.json")):
        parser.error(f"no data given; expected: {usage}")
    return []


def add_draws(add):
    """Adds the arguments of estimates by importance sampling."""
    add(
        "-k",
        type=number(int, 1, 10**6),
        default=100,
        metavar="K",
        help="draws of z for each item; more are slower and more exact. Default: 100",
    )
    add(
        "--seed",
        type=number(int, 0, 2**32 - 1),
        default=0,
        help="seed of the draws; default: 0",
    )


def check_output(parser, args, endings):
    pictures.check_output(parser, args.output, endings)
    data = os.path.expanduser(args.data)
    if os.path.exists(args.output) and os.path.samefile(args.output, data):
        parser.error(f"{args.output} is the data, which must not change; choose another -o")


def refuse_others(args, what):
    """Raises `ValueError` if the run is not one of images."""
    noun = folders.read_settings(args.folder).get("noun", "images")
    if noun != "images":
        raise ValueError(f"{args.folder} is a model of {noun}, and not of images: {what}")


def counted(parts, noun):
    """Yields the parts of a long computation, and shows how many items are done."""
    from tqdm import tqdm

    with tqdm(unit=f" {noun}", leave=False, disable=None, file=sys.stderr) as bar:
        for count, part in parts:
            yield part
            bar.update(count)


def with_skipped(text, skipped):
    """Returns a line of output, and how many pictures could not be read."""
    if skipped:
        file, why = next(iter(skipped.items()))
        text += f"; skipped {len(skipped):,} that cannot be read, such as {file}: {why}"
    return shown(text)
