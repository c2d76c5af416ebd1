"""`keras-vae evaluate`: measures the quality of a model, in numbers and figures."""

import sys

from keras_vae.start import folders, hub
from keras_vae.start.program import check_writable, number, shown

QUESTIONS = ("fit", "latents", "edits", "disentanglement", "samples")


def add_to(commands):
    parser = commands.add_parser(
        "evaluate",
        help="measure the quality of a model",
        usage="keras-vae evaluate [RUN] [--only PART ...] [-n N] [-k K] [--attribute NAME ...] "
        "[--watch NAME ...] [--seed SEED]",
        description="Measure the quality of a trained model on test images, which it was not "
        "trained on. Writes evaluation.json and figures into the run, and prints a table.",
    )
    add = parser.add_argument
    add(
        "--only",
        dest="parts",
        nargs="+",
        action="extend",
        choices=QUESTIONS,
        metavar="PART",
        help=f"measure only some of {', '.join(QUESTIONS)}; earlier results of the others are kept",
    )
    add(
        "-n",
        type=number(int, 1, 10_000_000),
        default=500,
        metavar="N",
        help="number of test images whose log-likelihood is estimated; default: 500",
    )
    add(
        "-k",
        type=number(int, 1, 1_000_000),
        default=100,
        metavar="K",
        help="samples per image; more give a tighter lower bound. Default: 100",
    )
    add(
        "--attribute",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="edit these attributes; default: all that the judge can recognise",
    )
    add(
        "--watch",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="count only leakage into these attributes; default: all that the judge can recognise",
    )
    add(
        "--seed",
        type=number(int, 0, 2**32 - 1),
        default=0,
        help="seed of the noise and the samples; default: 0",
    )
    return parser


def check(parser, args):
    args.parts = tuple(part for part in QUESTIONS if part in (args.parts or QUESTIONS))


def check_run(args):
    if folders.is_pretrained(args.folder):
        raise ValueError(
            "results are written into the run, and the pretrained model is part of the package. "
            "Evaluate a copy: keras-vae pack pretrained -o faces && keras-vae evaluate faces"
        )
    if name := hub.name_of(args.folder):
        raise ValueError(
            f"results are written into the run, and {name} is a download. Evaluate a copy: "
            f"keras-vae pack {name} -o copy && keras-vae evaluate copy"
        )
    folders.check_attributes(args.folder, [*(args.attribute or ()), *(args.watch or ())])


def perform(args):
    """Writes evaluation.json and figures; returns the text to print."""
    from keras_vae import plots, runs
    from keras_vae.runs import files, report, words

    run = runs.load(args.folder)
    report.check_directions(run, args.attribute)
    target = run.folder / "evaluation.json"
    for path in (target, *(run.folder / name for name in plots.EVALUATION)):
        if path.is_dir():
            raise ValueError(f"{path} is a folder; expected a file, or no such path")
    check_writable(run.folder, run.folder)  # before the evaluation, which takes minutes
    data = runs.load_data(run.config)
    report.check_data(run, data)
    numbers = measure(run, data, args)
    numbers = report.join(run.folder, numbers)
    text, figures = words.text(numbers), plots.evaluation(numbers)
    for name, figure in figures.items():
        files.write_figure(run.folder / name, figure)
    files.write_json(target, numbers)
    for name in set(plots.EVALUATION) - set(figures):  # figures of parts no longer in the report
        (run.folder / name).unlink(missing_ok=True)
    return f"{text}\n\n{run.folder}/: {', '.join([target.name, *figures])}"


def measure(run, data, args):
    """Returns the numbers, with a progress bar for each part that takes long."""
    from tqdm import tqdm

    from keras_vae.runs import report

    bars = []

    def close():
        while bars:
            bars.pop().close()

    def bar(what, total):
        close()  # the bar of the part before
        bars.append(tqdm(desc=what, total=total, leave=False, disable=None))
        return bars[-1].update

    try:
        return report.measure(run, data, args, bar, say)
    finally:
        close()


def say(text):
    from tqdm import tqdm

    tqdm.write(shown(text), file=sys.stderr)
