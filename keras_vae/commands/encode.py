"""`keras-vae encode`: writes the codes of rows, images or other items, for other tools."""

from keras_vae.commands import inputs
from keras_vae.commands.inputs import add_inputs as add_inputs
from keras_vae.commands.inputs import find_inputs as find_inputs


def add_to(commands):
    parser = commands.add_parser(
        "encode",
        help="write codes for other tools",
        usage="keras-vae encode [RUN] DATA [-o FILE] [--backend BACKEND]",
        description="Write the code of each row, image or other item: z_mean and z_log_var.",
    )
    parser.add_argument(
        "-o",
        "--output",
        default="codes.npz",
        metavar="FILE",
        help="file to write, .npz, .csv, .tsv or .parquet; default: codes.npz",
    )
    return parser


def check(parser, args):
    inputs.check_output(parser, args, (".npz", *inputs.TABLES))


def perform(args):
    """Writes the codes; returns the text to print."""
    import numpy as np

    from keras_vae import runs, tables
    from keras_vae.atomic import atomic
    from keras_vae.runs import items, use

    run, skipped, total = runs.load(args.folder), {}, 0
    what = items.name_of(run, args.data)

    def parts():
        nonlocal total
        found = use.codes(run, args.data, skipped)
        for names, *codes in inputs.counted(((len(part[0]), part) for part in found), run.noun):
            total += len(names)
            kinds = zip(("z_mean", "z_log_var"), codes)
            yield names, {name: code for name, code in kinds if code is not None}

    if args.output.lower().endswith(".npz"):
        names, codes = zip(*parts())
        arrays = {name: np.concatenate([part[name] for part in codes]) for name in codes[0]}
        arrays[f"{what}s"] = np.concatenate(names)
        with atomic(args.output) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)
    else:
        columns = (
            {what: names}
            | {f"{name}_{j + 1}": z[:, j] for name, z in part.items() for j in range(z.shape[1])}
            for names, part in parts()
        )
        tables.write(args.output, columns)
    text = f"{args.output}: codes of {total:,} {run.noun} by {run.folder}"
    return inputs.with_skipped(text, skipped)
