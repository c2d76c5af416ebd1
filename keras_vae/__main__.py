"""The commands: `python -m keras_vae --help`.

To add one: a function here, its name in `COMMANDS`, its arguments in `arguments.py`.
"""

import sys
import warnings

import numpy as np
from PIL import Image
from tqdm import tqdm

from keras_vae import latent, photos, plots, report, runs, tables, trainers
from keras_vae.arguments import check_run, parse_command
from keras_vae.datasets import cache
from keras_vae.images import to_uint8
from keras_vae.program import check_writable, fail, is_out_of_memory, output, shown

MOST_BYTES = 500_000_000  # of a photo
WIDTH = 1000  # about, of a picture of samples: smaller ones are enlarged


def main(arguments=None):
    with output():
        perform(arguments)


def perform(arguments):
    args = parse_command(arguments)
    check_run(args)
    warnings.filterwarnings("ignore", "Image size .* decompression bomb")  # refused anyway
    trainers.keep_compiled(cache.folder() / cache.COMPILED)
    try:
        text = COMMANDS[args.command](args)
    except BrokenPipeError:  # nobody reads what is said meanwhile
        raise
    except (OSError, ValueError) as error:
        fail(error)
    except Exception as error:
        if is_out_of_memory(error):
            fail("there is not enough memory")
        raise
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        fail(f"what there is to say cannot be printed: {error.strerror or error}")


def sample(args):
    """Writes a picture of new images; returns what to print."""
    run = runs.load(args.run)
    size = args.n * np.prod(run.model.image_shape[:2])
    if size > Image.MAX_IMAGE_PIXELS:
        fail(f"{args.n:,} images are {size:,} pixels, more than a picture may have; try fewer")
    seed = np.random.SeedSequence().generate_state(1)[0] if args.seed is None else args.seed
    images = run.sample(args.n, int(seed), args.temperature, args.source, args.wishes)
    write(side_by_side(images), args.output)
    what = "1 image" if args.n == 1 else f"{args.n:,} images"
    source = "flow" if args.wishes else args.source or run.sources[0]
    wishes = "".join(f" {name}={has:d}" for name, has in args.wishes.items())
    wishes = wishes and f" with{wishes}"
    return shown(f"{args.output}: {what}{wishes} from the {source} of {run.folder}, seed {seed}")


def edit(args):
    """Writes a photo with attributes changed; returns what to print."""
    try:
        with open(args.photo, "rb") as file:  # once: it may be a pipe
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES / 1e6:,.0f} MB")
        photo, profile = photos.read(content), photos.colour_profile(content)
    except (OSError, ValueError) as error:
        fail(f"the photo {args.photo}: {getattr(error, 'strerror', None) or error}")
    run = runs.load(args.run)
    resize = run.resize
    image = photos.view(photo, run.model.image_shape, resize)[None]
    z = latent.codes_of(run.model, image)
    edited = latent.edit(run.model, z, run.edits, args.strengths)
    if args.keep_detail:
        change = (edited - run.model.decode(z))[0]
        picture = Image.fromarray(photos.add(photo, change, resize))
    else:
        pixels = to_uint8(edited[0])
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        profile = None  # that of the photo says nothing about the model's colours
    write(picture, args.output, icc_profile=profile)
    changes = " ".join(f"{name}={strength:g}" for name, strength in args.strengths.items())
    return shown(f"{args.output}: {args.photo} with {changes} by {run.folder}")


def columns_for(n):
    """Returns how many columns leave the fewest cells of a grid empty, not much wider than high."""
    root = int(np.ceil(np.sqrt(n)))
    return min(range(root, 2 * root + 1), key=lambda columns: (-n % columns, columns))


def side_by_side(images):
    """Returns a Pillow image of images ``(n, height, width, channels)``, pixels in [0, 1]."""
    picture = Image.fromarray(plots.grid(to_uint8(images), columns_for(len(images))))
    scale = max(1, round(WIDTH / picture.width))
    return picture.resize([scale * side for side in picture.size], Image.Resampling.NEAREST)


def write(picture, path, **options):
    try:
        with runs.atomic(path) as temporary:
            picture.save(temporary, quality=95, **options)  # of JPEG and WebP
    except (OSError, ValueError) as error:
        fail(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}")


def evaluate(args):
    """Writes what a run is worth in numbers, and figures; returns what to print."""
    run = runs.load(args.run)
    report.check_directions(run, args.attribute)
    target = run.folder / "evaluation.json"
    for path in (target, *(run.folder / name for name in plots.EVALUATION)):
        if path.is_dir():
            fail(f"{path} is a folder; expected a file, or none")
    check_writable(run.folder, run.folder)  # before minutes of work
    if run.config.get("completed") is False:
        told(f"{run.folder} was stopped before it was completed; this is the model it has")
    data = runs.load_data(run.config)
    report.check_data(run, data)

    def bar(what, total):
        close(bars)  # of the part before
        bars.append(tqdm(desc=what, total=total, leave=False, disable=None))
        return bars[-1].update

    bars = []
    try:
        numbers = report.measure(run, data, args, bar, told)
    finally:
        close(bars)
    numbers = report.join(run.folder, numbers)
    text, figures = tables.text(numbers), plots.evaluation(numbers)
    for name, figure in figures.items():
        runs.write_figure(run.folder / name, figure)
    runs.write_json(target, numbers)
    for name in set(plots.EVALUATION) - set(figures):  # of parts that are no longer there
        (run.folder / name).unlink(missing_ok=True)
    return f"{text}\n\n{run.folder}/: {', '.join([target.name, *figures])}"


def close(bars):
    while bars:
        bars.pop().close()


def told(text):
    tqdm.write(shown(text), file=sys.stderr)


COMMANDS = {"sample": sample, "edit": edit, "evaluate": evaluate}

if __name__ == "__main__":
    sys.exit(main())
