"""`keras-vae sample`: draws new images."""

import argparse

from keras_vae.commands import pictures
from keras_vae.commands.inputs import TABLES
from keras_vae.start import folders
from keras_vae.start.program import number, shown

MOST_IMAGES = 10_000
WIDTH = 1000  # approximate width of the picture in pixels; smaller ones are enlarged


def wish(text):
    """The argparse type of --set: returns ``(name, True or False)``."""
    name, sign, value = text.rpartition("=")
    if not sign or value not in ("0", "1"):
        raise argparse.ArgumentTypeError(
            f"{text}: expected NAME=1 for images that have it or NAME=0, such as smiling=1"
        )
    return name, value == "1"


def add_to(commands):
    parser = commands.add_parser(
        "sample",
        help="draw new images or rows",
        description="Draw new images with a trained model, side by side in one picture; new rows "
        "of a model of a table, or an array of other items.",
    )
    add = parser.add_argument
    add(
        "-n",
        type=number(int, 1, MOST_IMAGES),
        default=64,
        metavar="N",
        help="number of images or rows; default: 64",
    )
    endings = f"{', '.join(pictures.ENDINGS)}; of a table {', '.join(TABLES)}; of other items .npy"
    add(
        "-o",
        "--output",
        metavar="FILE",
        help=f"file to write: {endings}. Default: samples.png, samples.csv or samples.npy",
    )
    add(
        "--seed",
        type=number(int, 0, 2**32 - 1),
        help="whole number; the same seed draws the same images. Default: random, and printed",
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
        "codes of training images, or the prior of the model; default: the one that fits the codes "
        "best",
    )
    add(
        "--set",
        dest="wishes",
        type=wish,
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=0|1",
        help="attributes of the images, such as smiling=1 eyeglasses=0 (from the flow, or "
        "from the prior of a model trained with --condition)",
    )
    add(
        "--class",
        dest="wanted",
        metavar="NAME",
        help="draw images of this class (as --set)",
    )
    return parser


def check(parser, args):
    """Checks the arguments; turns --set and --class into one dict by name."""
    args.wishes += [(args.wanted, True)] if args.wanted is not None else []
    check_once(parser, args.wishes)
    args.wishes = dict(args.wishes)
    if args.wishes and args.source == "mixture":
        parser.error("--from mixture cannot be combined with --set and --class: use --from flow")
    if args.output is not None:
        pictures.check_output(parser, args.output, (*pictures.ENDINGS, *TABLES, ".npy"))


def check_run(args):
    noun = folders.read_settings(args.folder).get("noun", "images")
    endings = {"rows": TABLES, "items": (".npy",)}.get(noun, pictures.ENDINGS)
    args.output = args.output or f"samples{endings[0]}"
    if not args.output.lower().endswith(endings):
        raise ValueError(
            f"{args.folder} is a model of {noun}: the output {args.output!r} must end in "
            f"{' or '.join(endings)}"
        )


def check_once(parser, pairs):
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            parser.error(f"argument --set: {name!r} is given more than once")


def perform(args):
    """Writes a picture of new images; returns the text to print."""
    import numpy as np
    from PIL import Image

    from keras_vae import runs

    run = runs.load(args.folder)
    size = args.n * np.prod(run.model.data_shape[:2])
    if run.is_of_images and size > Image.MAX_IMAGE_PIXELS:
        raise ValueError(
            f"{args.n:,} images have {size:,} pixels; expected at most "
            f"{Image.MAX_IMAGE_PIXELS:,}. Choose a smaller -n"
        )
    seed = np.random.SeedSequence().generate_state(1)[0] if args.seed is None else args.seed
    images = run.sample(args.n, int(seed), args.temperature, args.source, args.wishes)
    write(run, images, args.output)
    what = f"1 {run.noun[:-1]}" if args.n == 1 else f"{args.n:,} {run.noun}"
    source = args.source or next(iter(run.wishes if args.wishes else run.sources))
    wishes = "".join(f" {name}={has:d}" for name, has in args.wishes.items())
    wishes = wishes and f" with{wishes}"
    return shown(f"{args.output}: {what}{wishes} from the {source} of {run.folder}, seed {seed}")


def write(run, images, path):
    """Writes new images as a picture, rows as a table, other items as an array."""
    import numpy as np

    from keras_vae import tables
    from keras_vae.atomic import atomic

    if run.is_of_images:
        pictures.write(side_by_side(images), path)
    elif run.table:
        tables.write(path, run.table.decode(images))
    else:
        with atomic(path) as temporary, open(temporary, "wb") as file:
            np.save(file, images)


def columns_for(n):
    """Returns the number of columns with the fewest empty cells, from n**0.5 to twice that."""
    root = int(n**0.5)
    root += root * root < n
    return min(range(root, 2 * root + 1), key=lambda columns: (-n % columns, columns))


def side_by_side(images):
    """Returns a Pillow image of images ``(n, height, width, channels)``, pixels in [0, 1]."""
    from PIL import Image

    from keras_vae import plots
    from keras_vae.images import to_uint8

    picture = Image.fromarray(plots.grid(to_uint8(images), columns_for(len(images))))
    scale = max(1, round(WIDTH / picture.width))
    return picture.resize([scale * side for side in picture.size], Image.Resampling.NEAREST)
