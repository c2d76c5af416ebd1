"""Trains a VAE (or a plain autoencoder) and leaves a run folder: `python train.py --help`."""

import argparse
import contextlib
import functools
import importlib.util
import logging
import math
import os
import re
import shlex
import sys
import tempfile
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path


def without_keras(name):
    """Returns a module of the package without importing the package, which would load Keras."""
    (folder,) = importlib.util.find_spec("keras_vae").submodule_search_locations
    spec = importlib.util.spec_from_file_location(f"keras_vae {name}", f"{folder}/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


program, run_folders = without_keras("program"), without_keras("run_folders")
fail = functools.partial(program.fail, program="train.py")

# What measured best on validation in one to three minutes of training on two CPU cores, see
# benchmarks/README.md. What depends on the network stands below its name. All sets but faces and
# mnist take those of mnist, if their images are small and grey, or of photographs. Networks that
# are not a set's own were tried less. "images" is how many to train on in all epochs.
DEFAULTS = {
    "faces": {
        "network": "patches",
        "likelihood": "gaussian",
        "latent_dim": 64,
        "activation": "silu",
        "patches": {
            "widths": [512, 32, 128],
            "straight": True,
            "epochs": 16,
            "learning_rate": 4e-3,
        },
        "mlp": {"widths": [384], "straight": True, "epochs": 16, "learning_rate": 3e-3},
        "conv": {"widths": [64], "straight": True, "epochs": 8, "learning_rate": 4e-3},
    },
    "mnist": {
        "network": "mlp",
        "likelihood": "gaussian",
        "latent_dim": 32,
        "activation": "silu",
        "patches": {"widths": [384, 16, 48], "straight": True, "epochs": 10, "learning_rate": 4e-3},
        "mlp": {"widths": [384, 384], "straight": True, "epochs": 20, "learning_rate": 4e-3},
        "conv": {"widths": [48], "straight": True, "epochs": 7, "learning_rate": 6e-3},
    },
    "photographs": {
        "network": "conv",
        "likelihood": "gaussian",
        "latent_dim": 256,
        "activation": "silu",
        "patches": {
            "widths": [512, 32, 128],
            "straight": True,
            "images": 130_000,
            "learning_rate": 4e-3,
        },
        "mlp": {"widths": [512], "straight": True, "images": 130_000, "learning_rate": 2e-3},
        "conv": {"widths": [64], "straight": True, "images": 130_000, "learning_rate": 4e-3},
    },
}
MOST_EPOCHS = 50
MEAN_OF = 1000  # images, for a mean image

# Image sets of TFDS in which a mirrored image is another thing, or none.
NOT_TO_MIRROR = (
    "mnist",
    "mnist_corrupted",
    "binarized_mnist",
    "cmaterdb",
    "emnist",
    "kmnist",
    "omniglot",
    "svhn_cropped",
)


def parse_arguments(arguments=None):
    number = program.number
    parser = program.Parser(
        prog="train.py",
        description="Train a Variational Autoencoder. Without any flag: on faces drawn here.",
        epilog="Where a default is not named, it is the one that measured best for the data set.",
    )
    positive = number(int, 1, 2**31 - 1)
    add = parser.add_argument
    add(
        "--backend",
        choices=program.BACKENDS,
        help="default: KERAS_BACKEND, else the first one installed",
    )
    add(
        "--dataset",
        default="faces",
        metavar="NAME",
        help="faces (the default: drawn, no download), an image set of TensorFlow Datasets such as "
        "mnist or celeb_a, a folder of images, or an .npy or .npz file",
    )
    add("--limit", type=positive, help="use at most that many images to train and to validate")
    add(
        "--image-size",
        type=number(int, 1, 4096),
        nargs="+",
        metavar=("HEIGHT", "WIDTH"),
        help="bring images to that size (one number: a square); default: as they are if small, "
        "else 64",
    )
    add("--resize", choices=("crop", "pad"), help="how, where shapes differ; default: crop")
    add(
        "--attributes-file",
        metavar="FILE",
        help="of a folder: a CSV, or a file like CelebA's, that says which image shows what",
    )
    add("--attributes", nargs="+", metavar="NAME", help="use only these; default: all there are")
    add(
        "--attribute",
        nargs="+",
        action="extend",
        metavar="NAME",
        default=[],
        help="show these of the attributes in arithmetic.png; default: the smile if there is one, "
        "else the first",
    )
    add(
        "--group",
        metavar="COLUMN",
        help="of the attributes file, such as a person: its images are never on both sides of "
        "the split",
    )
    add(
        "--cut-scores",
        action="store_true",
        help="make attributes of columns of scores, too, such as 0.93: cut at the middle of their "
        "scale",
    )
    add(
        "--augment",
        action="store_true",
        help="mirror the training images left to right at random",
    )
    add(
        "--memory",
        type=number(float, 0),
        default=2.0,
        metavar="GB",
        help="stream images from disk if they are more than that; default: 2",
    )
    add(
        "--cache",
        metavar="FOLDER",
        help="of decoded images and compiled programs; default: KERAS_VAE_CACHE, else "
        "~/.cache/keras_vae",
    )
    add("--clear-cache", action="store_true", help="empty the cache, and end")
    add(
        "--model",
        choices=("vae", "ae"),
        default="vae",
        help="VAE (the default) or plain autoencoder",
    )
    add(
        "--network",
        choices=("patches", "mlp", "conv"),
        help="in patches with weights of their own, fully connected, or convolutional",
    )
    add(
        "--widths",
        type=positive,
        nargs="+",
        metavar="N",
        help="size of the encoder, which the decoder mirrors: units of each hidden layer (mlp), "
        "channels of the first layer and after each halving (conv), or three: units of the dense "
        "layer, numbers that a patch is read into, units that draw a patch (patches)",
    )
    add(
        "--straight",
        action=argparse.BooleanOptionalAction,
        help="a linear map past the hidden layers: sharper with many latents",
    )
    add("--activation", choices=("relu", "silu", "gelu", "tanh"), help="of the hidden layers")
    add("--latent-dim", type=positive, help="length of a code")
    add("--likelihood", choices=("mse", "bernoulli", "gaussian"), help="p(x|z), hence the loss")
    add("--beta", type=number(float, 0, 10**6), help="weight of the KL; default: 1")
    add(
        "--kl-warmup",
        type=number(float, 0, 10**5),
        metavar="EPOCHS",
        help="raise the weight of the KL from 0 over that many epochs; default: 0",
    )
    add(
        "--free-bits",
        type=number(float, 0, 10**6),
        metavar="NATS",
        help="do not press the KL of a latent below that; default: 0",
    )
    add(
        "--precision",
        choices=("float32", "mixed_float16", "mixed_bfloat16"),
        default="float32",
        help="of the hidden layers; codes and losses are always float32. Default: float32",
    )
    add("--epochs", type=positive, help="passes over the images")
    add("--batch-size", type=positive, default=128, help="images in a step; default: 128")
    add("--learning-rate", type=number(float, 0, above=True), help="its peak; it rises and falls")
    add(
        "--seed",
        type=number(int, 0, 2**32 - 1),
        default=0,
        help="of the split, the weights and the noise; default: 0",
    )
    add("--output", help="run folder; default: runs/<dataset>-<UTC time>")
    add("--overwrite", action="store_true", help="allow an output folder that is not empty")
    args = parser.parse_args(arguments)
    for name, default in (("beta", 1.0), ("kl_warmup", 0.0), ("free_bits", 0.0)):
        if args.model == "vae":
            setattr(args, name, default if getattr(args, name) is None else getattr(args, name))
        elif getattr(args, name) is not None:
            flag = f"--{name.replace('_', '-')}"
            parser.error(f"{flag} does not go with --model ae: a plain autoencoder has no KL")
    for name, expected in (
        ("dataset", "faces, or the name or path of a data set"),
        ("attributes_file", "a file"),
        ("cache", "a folder"),
        ("output", "a folder"),
    ):
        if getattr(args, name) == "":
            parser.error(f"--{name.replace('_', '-')} is empty; expected {expected}")
    if args.image_size and len(args.image_size) > 2:
        parser.error("--image-size takes one number or two, height and width")
    name = re.split("[/:]", args.dataset)[0]
    if args.augment and name in NOT_TO_MIRROR and not os.path.isdir(args.dataset):
        parser.error(f"--augment mirrors images, which does not suit {args.dataset}")
    args.backend = program.choose_backend(args.backend, program="train.py")
    return args


def check_places(args):
    """Ends with an error if a file or folder is named that cannot be used, before Keras loads."""
    if re.match(r"[~/.\\]|[a-zA-Z]:\\", args.dataset):  # a path, and no name of TFDS
        check_readable("--dataset", args.dataset)
    if args.attributes_file is not None:
        check_readable("--attributes-file", args.attributes_file)
    if args.cache is not None and not args.clear_cache:
        try:
            folder = Path(args.cache).expanduser()
            if folder.is_file():
                fail(f"--cache {args.cache} is a file; expected a folder")
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            fail(f"--cache {args.cache} cannot be used: {error.strerror or error}")


def check_readable(flag, place):
    try:
        path = Path(place).expanduser()
        if path.is_dir():
            os.scandir(path).close()
        else:
            open(path, "rb").close()
    except (OSError, RuntimeError) as error:  # the latter: no such home
        fail(f"{flag} {place} cannot be read: {getattr(error, 'strerror', None) or error}")


def main():
    with program.output():
        args = parse_arguments()
        program.clean_up_when_stopped()
        check_places(args)
        try:
            return clear_cache(args) if args.clear_cache else train_in_new_folder(args)
        except BrokenPipeError:  # nobody reads what is said
            raise
        except OSError as error:
            fail(error)
        except KeyboardInterrupt:
            print("\nStopped before training began.", file=sys.stderr)
            return 130
        except Exception as error:
            if program.is_out_of_memory(error):
                fail("there is not enough memory: try a smaller --batch-size or --limit")
            raise


def train_in_new_folder(args):
    """Trains into a run folder, and leaves none if that fails before there is a model."""
    new = []
    try:
        new = run_folders.missing(args.output or "runs")
        folder = run_folders.create(args.dataset, args.output, args.overwrite)
    except OSError as error:
        run_folders.remove_empty(new)
        fail(f"--output {args.output or 'runs'} cannot be used: {error.strerror or error}")
    except ValueError as error:
        fail(error)
    made = new if args.output else [folder, *new]
    try:
        load_keras(args)
        return train(args, folder, made)
    except BaseException:
        run_folders.remove_empty(made)  # unless there is a model
        raise


def load_keras(args):
    os.environ["KERAS_BACKEND"] = args.backend  # read once, when Keras is imported
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if args.cache:
        os.environ["KERAS_VAE_CACHE"] = args.cache
    warnings.filterwarnings("ignore", "Image size .* decompression bomb")  # refused, and listed
    warnings.filterwarnings("ignore", "Glyph .* missing from font")  # in names, drawn as boxes
    with quiet_imports():
        import keras

        set_seeds(args)
        keras.config.set_dtype_policy(args.precision)


def set_seeds(args):
    """`keras.utils.set_random_seed`; unless that is the backend, without loading TensorFlow.

    Which Keras does, for seconds, to seed it, and again to save a model; once it is not to be had,
    Keras does not look for it any more.
    """
    import keras

    hidden = args.backend != "tensorflow" and "tensorflow" not in sys.modules
    if hidden:
        sys.modules["tensorflow"] = None
    try:
        keras.utils.set_random_seed(args.seed)
    finally:
        if hidden:
            del sys.modules["tensorflow"]


def clear_cache(args):
    load_keras(args)
    from keras_vae.datasets import cache

    print(f"Removed {cache.clear() / 1e6:,.0f} MB from {program.shown(cache.folder())}.")
    return 0


def train(args, folder, made):
    from keras_vae import (
        callbacks,
        evaluate,
        examples,
        explore,
        gallery,
        judges,
        recipe,
        report,
        runs,
        trainers,
    )
    from keras_vae.datasets import attributes, cache

    trainers.keep_compiled(cache.folder() / cache.COMPILED)

    # Data and model: all that can go wrong by a user's mistake goes wrong here.
    try:
        told(f"Reading {args.dataset} ...")
        data = runs.load_data(vars(args))
        check_attribute(args.attribute, data.attribute_names)
        fill_in_defaults(args, data)
        model = build(args, data.train.images)
    except ValueError as error:
        fail(error)
    config = describe(args, data, model)
    print(program.shown(first_line(config, folder)), flush=True)
    if data.skipped:
        files = "1 file" if len(data.skipped) == 1 else f"{len(data.skipped):,} files"
        print(program.shown(f"Skipped {files}, see {folder}/skipped.txt"), flush=True)

    for line in attributes.told(data):
        print(line, flush=True)

    # Fit. The model with the lowest validation loss is the one that is kept.
    steps = steps_per_epoch(len(data.train), args.batch_size) * args.epochs
    model.compile(recipe.make_optimizer(args.learning_rate, steps))
    progress = callbacks.Progress(len(data.train), args.batch_size, args.epochs)
    best = callbacks.SaveBest(folder / "model.keras")

    def leave_nothing():  # of a run that never had a good epoch
        if best.epoch is None:
            runs.clear(folder)
            run_folders.remove_empty(made)

    interrupt = callbacks.StopOnInterrupt(folder, leave_nothing)
    runs.clear(folder)
    problem = None
    try:
        runs.write_json(folder / "config.json", config)
        write_data(folder, data)
        started = time.perf_counter()
        model.fit(
            data.train.images,
            validation_data=(data.validation.images,),
            batch_size=args.batch_size,
            epochs=args.epochs,
            callbacks=[best, progress, interrupt],
            verbose=0,
        )
    except FloatingPointError as error:
        problem = error
        for callback in (progress, interrupt):
            callback.on_train_end()
    except BaseException:
        leave_nothing()
        raise
    train_seconds = time.perf_counter() - started
    if best.epoch is None:
        leave_nothing()
        fail(problem)
    history = model.history.history

    # Numbers, the latent space and pictures, all of the saved model.
    model = runs.load_model(folder)
    metrics = evaluate.test_metrics(model, data.test.images)
    metrics |= {
        "best_epoch": best.epoch,
        "train_seconds": train_seconds,
        "images_per_second": progress.images_per_second,
    }
    runs.write_history(folder / "history.csv", history)
    runs.write_json(folder / "metrics.json", metrics)
    found, kept = explore.explore(model, data, args.seed, told), examples.collect(model, data)
    for name, part in (
        ("directions.npz", found.directions),
        ("mixture.npz", found.mixture),
        ("flow.keras", found.flow),
        ("examples.npz", kept),
    ):
        if part is not None:
            runs.save(folder / name, part)
    for note in found.notes:
        print(program.shown(note))
    config |= {"best_source": found.best_source, "edit_methods": {}}
    completed = not (interrupt.asked or problem)
    run = runs.Run(folder, config, model, found.directions, found.mixture, found.flow, kept)
    if completed:
        judge = judges.Judges(data, told)
        config["edit_methods"] = report.choose_methods(run, data, judge)
        metrics |= report.headline(run, data, judge)
        runs.write_json(folder / "metrics.json", metrics)
    wanted = list(dict.fromkeys(args.attribute))  # each once
    shown = [name for name in wanted if run.edits and name in run.edits]
    for name in [name for name in wanted if name not in shown]:
        print(f"{name!r} is not in arithmetic.png: too few images have it, or lack it")
    for name, figure in gallery.figures(run, data, history, shown, args.seed).items():
        runs.write_figure(folder / name, figure)
    runs.write_json(folder / "config.json", config | {"completed": completed})
    print(last_lines(folder, metrics, len(history["loss"]), args, run, shown), flush=True)
    if problem:
        fail(f"{problem}. The saved model is that of epoch {best.epoch}")
    return 130 if interrupt.asked else 0


def told(text):
    print(program.shown(text), file=sys.stderr, flush=True)


def check_attribute(wanted, names):
    for name in wanted:
        if name not in names:
            there = ", ".join(names) or "none"
            raise ValueError(f"--attribute: there is no {name!r} in the data. There are: {there}")


def fill_in_defaults(args, data):
    """Sets what was left open to what measured best for such data (and the network)."""
    height, width, channels = data.image_shape
    kind = "mnist" if channels == 1 and max(height, width) <= 32 else "photographs"
    best = dict(DEFAULTS["faces" if args.dataset == "faces" else kind])
    networks = {name: best.pop(name) for name in ("patches", "mlp", "conv")}
    args.network = args.network or best["network"]
    best |= networks[args.network]
    if "images" in best:
        epochs = round(best.pop("images") / len(data.train))
        best["epochs"] = min(max(epochs, 1), MOST_EPOCHS)
    best["latent_dim"] = min(best["latent_dim"], max(1, height * width * channels // 2))
    for name, value in best.items():
        if getattr(args, name) is None:
            setattr(args, name, value)


def build(args, images):
    import keras

    import keras_vae
    from keras_vae import memory, trainers

    image_shape, values = images.shape[1:], math.prod(images.shape[1:])
    if args.latent_dim > values:
        raise ValueError(f"--latent-dim is {args.latent_dim}; an image has only {values} values")
    variational = args.model == "vae"
    build_parts = functools.partial(
        getattr(keras_vae, f"build_{args.network}"),
        image_shape,
        args.latent_dim,
        args.widths,
        activation=args.activation,
        pixel_mean=images[:MEAN_OF].mean(axis=0) / 255,  # in random order
        variational=variational,
        straight=args.straight,
    )
    parameters, needed = memory.to_train(build_parts, min(args.batch_size, len(images)))
    free = memory.free() if trainers.device_name() == "cpu" else None
    if free is not None and needed > free:
        raise ValueError(
            f"not enough memory: to train {parameters / 1e6:,.1f}M parameters at --batch-size "
            f"{args.batch_size} takes about {needed / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are "
            "free. Try smaller --widths or a smaller --batch-size"
        )
    parts = build_parts()
    mirror = None
    if args.augment:
        mirror = keras.layers.RandomFlip("horizontal", seed=args.seed, dtype="float32")
    if not variational:
        return keras_vae.AutoEncoder(*parts, args.likelihood, augmentation=mirror)
    return keras_vae.VAE(
        *parts,
        args.likelihood,
        beta=args.beta,
        kl_warmup_steps=round(args.kl_warmup * steps_per_epoch(len(images), args.batch_size)),
        free_bits=args.free_bits,
        augmentation=mirror,
        seed=args.seed,
    )


def steps_per_epoch(images, batch_size):
    return -(-images // batch_size)


def describe(args, data, model):
    """Returns config.json: every setting and version."""
    import keras
    import numpy as np

    import keras_vae
    from keras_vae import trainers

    return {
        "completed": False,
        "started": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        **vars(args),
        "parameters": model.count_params(),
        "name": data.name,
        "image_shape": data.image_shape,
        "streamed": data.streamed,
        "gigabytes": data.nbytes / 1e9,
        "images": {part: len(getattr(data, part)) for part in ("train", "validation", "test")},
        "label_names": data.label_names,
        "attribute_names": data.attribute_names,
        "device": trainers.device_name(),
        "versions": {
            "keras_vae": keras_vae.__version__,
            "python": sys.version.split()[0],
            "keras": keras.__version__,
            args.backend: sys.modules[args.backend].__version__,
            "numpy": np.__version__,
        },
    }


def first_line(config, folder):
    images = config["images"]
    kl = f", beta {config['beta']:g}" if config["model"] == "vae" else ""
    if config["kl_warmup"]:
        kl += f" after {config['kl_warmup']:g} epochs of warm-up"
    if config["free_bits"]:
        kl += f", {config['free_bits']:g} nats free per latent"
    where = "streamed from disk" if config["streamed"] else "in memory"
    precision = "" if config["precision"] == "float32" else f" in {config['precision']}"
    return " · ".join(
        (
            f"{config['backend']} on {config['device']}{precision}",
            f"{config['name']} {'x'.join(map(str, config['image_shape']))}",
            f"{images['train']:,} images to train, {images['validation']:,} to validate, "
            f"{images['test']:,} to test, {config['gigabytes']:.2g} GB {where}"
            + (", mirrored at random" if config["augment"] else ""),
            f"{config['model']}, {config['network']} {'-'.join(map(str, config['widths']))}, "
            f"{config['latent_dim']} latents, {config['likelihood']} likelihood{kl}, "
            f"{config['parameters'] / 1e6:.1f}M parameters",
            f"{folder}/",
        )
    )


def write_data(folder, data):
    """Writes what the model will see, and which files it will not see."""
    from keras_vae import plots, runs

    runs.write_figure(folder / "data.png", plots.data(data.train.images[:48]))
    if data.skipped:
        lines = [f"{file}: {reason}" for file, reason in data.skipped.items()]
        lines = [line.replace("\n", r"\n").replace("\r", r"\r") for line in lines]
        runs.write_text(folder / "skipped.txt", "\n".join(lines) + "\n")


def last_lines(folder, metrics, epochs, args, run, shown):
    from keras_vae import names, runs

    loss = f"{metrics['test_loss']:.2f}"
    if "test_kl_loss" in metrics:
        weight = "" if args.beta == 1 else f"{args.beta:g} x "
        loss += f" = reconstruction {metrics['test_reconstruction_loss']:.2f} + "
        loss += f"{weight}KL {metrics['test_kl_loss']:.2f}"
    speed = metrics["images_per_second"]
    bits = metrics.get("bits_per_dim")
    lines = [
        "",
        f"Best of {epochs} epochs: {metrics['best_epoch']}. Test loss {loss} nats per image; "
        f"MSE {metrics['test_mse']:.5f} per pixel and channel"
        + (f", {bits:.2f} bits per dimension." if bits else "."),
        f"Trained for {metrics['train_seconds']:.0f} s"
        + (f" at {speed:,.0f} images per second." if speed else "."),
    ]
    if "edit_attribute" in metrics:
        lines += [edit_line(metrics)]
    lines += [f"{folder}/"]
    lines += [
        f"  {name:20} {what.split(' (if')[0]}"
        for name, what in runs.FILES.items()
        if (folder / name).exists()
    ]
    lines += ["Next, to use the model:"]
    python = shlex.quote(sys.executable)
    start = f"  KERAS_BACKEND={args.backend} {python}"
    where = shlex.quote(str(folder))
    if (folder / "samples.png").exists():
        lines += [f"{start} -m keras_vae sample {where} -n 64 -o new.png"]
    if run.edits:
        wish = f"{(shown or [names.favourite(run.edits.names)])[0]}=1"
        wish = shlex.quote(f"--set={wish}") if wish[0] == "-" else f"--set {shlex.quote(wish)}"
        lines += [f"{start} -m keras_vae edit {where} photo.png {wish} -o edited.png"]
    lines += [f"{start} -m keras_vae evaluate {where}"]
    lines += [f"  {python} -m demo {where}"]  # it takes the run's backend by itself
    code = f"from keras_vae import runs; run = runs.load({str(folder)!r})"
    lines += [f"{start} -ic {shlex.quote(code)}"]
    return "\n".join(lines)


def edit_line(metrics):
    """Returns what edits are worth, in a sentence."""
    line = f"Edits: {metrics['edit_attribute']}={metrics['edit_strength']:g} by "
    line += f"{metrics['edit_method']} works on {metrics['edit_flip_rate']:.1%} of test images "
    line += "judged to lack it"
    if metrics["edit_largest_leakage"] is not None:
        line += f", leakage {metrics['edit_largest_leakage']:.1%} into {metrics['edit_leaks_into']}"
    if metrics["edit_identity"] is not None:
        line += f", {metrics['edit_identity']:.1%} still recognised"
    return f"{line}."


@contextlib.contextmanager
def quiet_imports():
    """Holds back what frameworks print while they load; shows it after all if loading fails."""
    for name in ("absl", "tensorflow"):  # which counts programs, and warns of more than a few
        logging.getLogger(name).setLevel(logging.ERROR)
    with tempfile.TemporaryFile() as log, contextlib.ExitStack() as stack:
        stderr = os.dup(2)
        stack.callback(os.close, stderr)
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(stderr, 2)
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(stderr, 2)


if __name__ == "__main__":
    sys.exit(main())
