"""`keras-vae impute`: fills missing cells of a table, or missing values of arrays."""

from keras_vae.commands import inputs
from keras_vae.commands.inputs import add_inputs as add_inputs
from keras_vae.commands.inputs import find_inputs as find_inputs
from keras_vae.start import folders


def add_to(commands):
    parser = commands.add_parser(
        "impute",
        help="fill missing cells of a table",
        usage="keras-vae impute [RUN] DATA [-o FILE] [-k K] [--seed SEED] [--backend BACKEND]",
        description="Fill missing cells of a table, or NaN in arrays, with their expected values "
        "given the known ones. Known values stay as they are.",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="file to write: .csv, .tsv or .parquet for a table, .npy for arrays; default: "
        "complete.csv or complete.npy",
    )
    inputs.add_draws(parser.add_argument)
    return parser


def check(parser, args):
    if args.output is not None:
        inputs.check_output(parser, args, (*inputs.TABLES, ".npy"))


def check_run(args):
    config = folders.read_settings(args.folder)
    noun = config.get("noun", "images")
    if noun == "images":
        raise ValueError(f"{args.folder} is a model of images, which have no missing values")
    args.output = args.output or f"complete{'.npy' if noun == 'items' else '.csv'}"
    is_array = args.output.lower().endswith(".npy")
    if is_array != (noun == "items"):
        expected = "-o must end in .npy" if noun == "items" else "-o must be a table, such as .csv"
        raise ValueError(f"{args.folder} is a model of {noun}: {expected}")


def perform(args):
    """Writes the completed data; returns the text to print."""
    import numpy as np

    from keras_vae import runs, tables
    from keras_vae.atomic import atomic
    from keras_vae.runs import use

    run, filled = runs.load(args.folder), 0
    complete = use.complete_rows if run.table else use.complete_items

    def parts():
        nonlocal filled
        found = complete(run, args.data, args.k, args.seed)
        for part, count in inputs.counted(((1, part) for part in found), "batches"):
            filled += count
            yield part

    if run.table:
        tables.write(args.output, parts())
    else:
        with atomic(args.output) as temporary, open(temporary, "wb") as file:
            np.save(file, np.concatenate(list(parts())))
    cells = "1 value" if filled == 1 else f"{filled:,} values"
    return inputs.with_skipped(f"{args.output}: {cells} filled by {run.folder}", {})
