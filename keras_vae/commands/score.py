"""`keras-vae score`: says how unusual each row, image or other item is."""

import heapq
from pathlib import Path

from keras_vae.commands import inputs, pictures
from keras_vae.commands.inputs import add_inputs as add_inputs
from keras_vae.commands.inputs import find_inputs as find_inputs
from keras_vae.start.program import number


def add_to(commands):
    parser = commands.add_parser(
        "score",
        help="find unusual rows or images",
        usage="keras-vae score [RUN] DATA [-o FILE] [--heat-maps FOLDER] [-n N] [-k K] "
        "[--seed SEED] [--backend BACKEND]",
        description="Write how unusual each row, image or other item is, in nats; the higher, the "
        "more unusual. negative_log_likelihood, -log p(x), is meant for tables; of images it "
        "depends on the likelihood. reconstruction_loss is what the model cannot draw. atypicality "
        "is how far -log p(x) is from its mean over validation data: also high for "
        "what is too likely.",
    )
    add = parser.add_argument
    add(
        "-o",
        "--output",
        default="scores.csv",
        metavar="FILE",
        help="table to write, .csv, .tsv or .parquet; default: scores.csv",
    )
    add(
        "--heat-maps",
        metavar="FOLDER",
        help="also write pictures of the most unusual images: the image, its reconstruction, and "
        "the nats of each pixel",
    )
    add(
        "-n",
        type=number(int, 1, 10_000),
        default=20,
        metavar="N",
        help="number of heat maps, those with the highest reconstruction_loss; default: 20",
    )
    inputs.add_draws(add)
    return parser


def check(parser, args):
    inputs.check_output(parser, args, inputs.TABLES)
    if args.heat_maps is not None:
        folder = Path(args.heat_maps)
        if not args.heat_maps or (folder.exists() and not folder.is_dir()):
            parser.error(f"--heat-maps {args.heat_maps!r}: expected a folder")
        if folder.is_dir() and any(folder.iterdir()):
            parser.error(f"--heat-maps {folder}: the folder is not empty; choose another")


def check_run(args):
    if args.heat_maps is not None:
        inputs.refuse_others(args, "--heat-maps need pixels")


def perform(args):
    """Writes the scores; returns the text to print."""
    from keras_vae import runs, tables
    from keras_vae.runs import use

    run, skipped, notes = runs.load(args.folder), {}, []
    usual = None
    try:
        usual = use.typical(run, args.k, args.seed)
    except ValueError as error:
        notes.append(f"without atypicality: {error}")
    worst, total = [], 0
    found = use.scores(run, args.data, usual, args.k, args.seed, skipped=skipped)

    def columns():
        nonlocal total
        for x, part in inputs.counted(((len(x), (x, p)) for x, p in found), run.noun):
            for row in range(len(x)) if args.heat_maps is not None else ():
                entry = float(part["reconstruction_loss"][row]), -total - row
                heapq.heappush(worst, (*entry, part[next(iter(part))][row], x[row]))
                if len(worst) > args.n:
                    heapq.heappop(worst)
            total += len(x)
            yield part

    tables.write(args.output, columns())
    text = f"{args.output}: scores of {total:,} {run.noun} by {run.folder}"
    if args.heat_maps is not None:
        write_heat_maps(run, sorted(worst, key=lambda item: -item[0]), args.heat_maps)
        text += f"; {args.heat_maps}/: the {len(worst):,} most unusual"
    return inputs.with_skipped("; ".join([text, *notes]), skipped)


def write_heat_maps(run, worst, folder):
    """Writes a picture for each of the most unusual images, numbered, the most unusual first."""
    import numpy as np

    from keras_vae import evaluate, plots

    images = np.stack([image for *_, image in worst])
    nats = evaluate.value_losses(run.model, images)
    Path(folder).mkdir(parents=True, exist_ok=True)
    made = plots.heat_maps(images, run.model.reconstruct(images), nats)
    for rank, ((_, _, name, _), picture) in enumerate(zip(worst, made), 1):
        name = "-".join(Path(name).with_suffix("").parts)[-100:]
        pictures.write(picture, Path(folder, f"{rank:03d}-{name}.png"))
