"""The command line of train.py: its arguments, its run folder, its errors."""

import argparse
import contextlib
import importlib.util
import os
import re
import sys
import tempfile
from pathlib import Path

from keras_vae.commands import launch
from keras_vae.commands.compiled import keep_compiled
from keras_vae.commands.pieces import LIKELIHOODS, OF_VALUES, add_pieces, check_pieces
from keras_vae.start import folders
from keras_vae.start.backends import BACKENDS, choose_backend, hidden, load_keras
from keras_vae.start.program import (
    Parser,
    clean_up_when_stopped,
    fail,
    is_out_of_memory,
    number,
    one_line_errors,
    output,
    shown,
)

# TFDS image sets in which a mirrored image has another meaning, or none.
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


def parse(arguments=None):
    """Returns the arguments of train.py; invalid ones end the program with one line and code 2."""
    parser = Parser(
        prog="train.py",
        description="Train a Variational Autoencoder, by default on faces drawn by the package.",
        epilog="Defaults not listed here depend on the data set: the values that measured best.",
    )
    positive = number(int, 1, 2**31 - 1)
    add = parser.add_argument
    add(
        "--backend",
        choices=BACKENDS,
        help="backend of Keras; default: KERAS_BACKEND, else the first one installed",
    )
    add(
        "--dataset",
        default="faces",
        metavar="NAME",
        help="faces (the default) or sprites, painted by the package, an image set of TensorFlow "
        "Datasets such as mnist or celeb_a, a folder of images, an .npy or .npz file, or a table, "
        ".csv or .parquet",
    )
    add(
        "--limit",
        type=positive,
        help="use at most this many training images, and as many validation images",
    )
    add(
        "--image-size",
        type=number(int, 1, 4096),
        nargs="+",
        metavar=("HEIGHT", "WIDTH"),
        help="resize images to this size (one number: a square); default: their own size if "
        "small, else 64",
    )
    add(
        "--resize",
        choices=("crop", "pad"),
        help="how to fit images of another aspect ratio; default: crop",
    )
    add(
        "--attributes-file",
        metavar="FILE",
        help="attributes of the images in a folder: a CSV file, or a file in CelebA's format",
    )
    add("--attributes", nargs="+", metavar="NAME", help="use only these attributes; default: all")
    add(
        "--attribute",
        nargs="+",
        action="extend",
        metavar="NAME",
        default=[],
        help="show these attributes in arithmetic.png; default: smiling if there is one, else the "
        "first",
    )
    add(
        "--group",
        metavar="COLUMN",
        help="group column of the attributes file or of the table, such as the person; images or "
        "rows with the same value stay on the same side of the split",
    )
    add(
        "--cut-scores",
        action="store_true",
        help="also use columns of scores, such as 0.93, as attributes, cut at the middle of their "
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
        help="stream images from disk if they are larger than this; default: 2",
    )
    add(
        "--cache",
        metavar="FOLDER",
        help="cache for decoded images and compiled programs; default: KERAS_VAE_CACHE, else "
        "~/.cache/keras_vae",
    )
    add("--clear-cache", action="store_true", help="empty the cache and exit")
    add(
        "--model",
        choices=("vae", "ae"),
        default="vae",
        help="VAE (the default) or plain autoencoder",
    )
    add(
        "--network",
        choices=("patches", "mlp", "conv"),
        help="patches: each with its own weights; mlp: fully connected; conv: convolutional",
    )
    add(
        "--widths",
        type=positive,
        nargs="+",
        metavar="N",
        help="sizes of the encoder, which the decoder mirrors. mlp: units of each hidden layer. "
        "conv: channels of the first layer and after each halving. patches: units of the dense "
        "layer, features of a patch, hidden units that decode a patch",
    )
    add(
        "--straight",
        action=argparse.BooleanOptionalAction,
        help="add a linear path around the hidden layers: sharper with many latents",
    )
    add(
        "--activation",
        choices=("relu", "silu", "gelu", "tanh"),
        help="activation of the hidden layers",
    )
    add("--latent-dim", type=positive, help="number of latents")
    add(
        "--likelihood",
        choices=(*LIKELIHOODS, *OF_VALUES),
        help="p(x|z), which defines the reconstruction loss; of a table: of its numbers, normal or "
        "student_t",
    )
    add_pieces(parser)
    add("--beta", type=number(float, 0, 10**6), help="weight of the KL; default: 1")
    add(
        "--kl-warmup",
        type=number(float, 0, 10**5),
        metavar="EPOCHS",
        help="raise the weight of the KL from 0 over this many epochs; default: 0",
    )
    add(
        "--free-bits",
        type=number(float, 0, 10**6),
        metavar="NATS",
        help="do not reduce the KL of a latent below this; default: 0",
    )
    add(
        "--precision",
        choices=("float32", "mixed_float16", "mixed_bfloat16"),
        default="float32",
        help="precision of the hidden layers; codes and losses are always float32. Default: "
        "float32",
    )
    add(
        "--minutes",
        type=number(float, 0, 10**5, above=True),
        metavar="M",
        help="take this long in all: chooses network, latents and epochs for the time and for the "
        "speed of this machine",
    )
    add("--epochs", type=positive, help="passes over the training images; with --minutes, at most")
    add("--batch-size", type=positive, default=128, help="images per step; default: 128")
    add(
        "--learning-rate",
        type=number(float, 0, above=True),
        help="peak learning rate, between a warm-up and a decay",
    )
    add(
        "--seed",
        type=number(int, 0, 2**32 - 1),
        default=0,
        help="seed of the split, the weights and the noise; default: 0",
    )
    add("--output", help="run folder; default: runs/<dataset>-<UTC time>")
    add(
        "--resume",
        nargs="?",
        const=True,
        metavar="RUN",
        help="continue a run that was interrupted, with its settings; default: the newest one",
    )
    add("--overwrite", action="store_true", help="allow an output folder that is not empty")
    add(
        "--tensorboard",
        nargs="?",
        const=True,
        metavar="FOLDER",
        help="write losses and pictures for TensorBoard into this folder, by default tensorboard/ "
        "in the run folder",
    )
    launch.add_devices(parser)
    args = parser.parse_args(arguments)
    if args.resume is not None:
        return settings_of_run(parser, args)
    for name, default in (("beta", 1.0), ("kl_warmup", 0.0), ("free_bits", 0.0)):
        if args.model == "vae":
            setattr(args, name, default if getattr(args, name) is None else getattr(args, name))
        elif getattr(args, name) is not None:
            flag = f"--{name.replace('_', '-')}"
            parser.error(
                f"{flag} cannot be combined with --model ae: a plain autoencoder has no KL"
            )
    check_pieces(parser, args)
    for name, expected in (
        ("dataset", "faces, or the name or path of a data set"),
        ("attributes_file", "a file"),
        ("cache", "a folder"),
        ("output", "a folder"),
        ("tensorboard", "a folder"),
    ):
        if getattr(args, name) == "":
            parser.error(f"--{name.replace('_', '-')} is empty; expected {expected}")
    if args.image_size and len(args.image_size) > 2:
        parser.error("--image-size takes one number or two, height and width")
    name = re.split("[/:]", args.dataset)[0]
    if args.augment and name in NOT_TO_MIRROR and not os.path.isdir(args.dataset):
        parser.error(f"--augment mirrors images, which does not suit {args.dataset}")
    with one_line_errors("train.py"):
        args.backend = choose_backend(args.backend)
        launch.check_places(args)
        check_files(args)
    return args


def settings_of_run(parser, args):
    """Returns the arguments of an interrupted run."""
    defaults = vars(parser.parse_args([]))
    for name in defaults:
        if name not in ("resume", *launch.PLACES) and getattr(args, name) != defaults[name]:
            flag = f"--{name.replace('_', '-')}"
            parser.error(f"{flag} cannot be combined with --resume: the run keeps its settings")
    with one_line_errors("train.py"):
        folder = folders.find_unfinished(None if args.resume is True else args.resume)
        saved = folders.read_settings(folder)
        places = {name: getattr(args, name) for name in launch.PLACES}
        saved = {name: saved.get(name, defaults[name]) for name in defaults}
        args = argparse.Namespace(**saved | places)
        args.resume, args.backend = folder, choose_backend(args.backend)
        launch.check_places(args)
        check_files(args)
    return args


def check_files(args):
    """Raises `ValueError` if a file or folder in the arguments cannot be used."""
    if re.match(r"[~/.\\]|[a-zA-Z]:\\", args.dataset):  # a path, not a TFDS name
        check_readable("--dataset", args.dataset)
    if args.attributes_file is not None:
        check_readable("--attributes-file", args.attributes_file)
    if args.tensorboard is not None:
        check_tensorboard(args.tensorboard)
    if args.cache is not None and not args.clear_cache:
        folder = Path(args.cache).expanduser()
        if folder.is_file():
            raise ValueError(f"--cache {args.cache} is a file; expected a folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            why = error.strerror or error
            raise ValueError(f"--cache {args.cache} cannot be used: {why}") from None


def check_tensorboard(place):
    """Raises `ValueError` if tensorboardX is missing, or the folder could not be made."""
    if importlib.util.find_spec("tensorboardX") is None:
        raise ValueError(
            "--tensorboard needs tensorboardX, which is not installed. Install it with: "
            'pip install "keras_vae[tensorboard]"'
        )
    if place is True:  # in the run folder
        return
    try:
        path = Path(place).expanduser()
        nearest = next(folder for folder in (path, *path.parents) if folder.exists())
        tempfile.TemporaryFile(dir=nearest).close()
    except (OSError, RuntimeError) as error:  # RuntimeError: no home folder for "~"
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"--tensorboard {place} cannot be used: {why}") from None


def check_readable(flag, place):
    try:
        path = Path(place).expanduser()
        if path.is_dir():
            os.scandir(path).close()
        else:
            open(path, "rb").close()
    except (OSError, RuntimeError) as error:  # RuntimeError: no home folder for "~"
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"{flag} {place} cannot be read: {why}") from None


def main(train):
    """Runs train.py.

    Args:
        train: A function of the arguments, the run folder, which exists, the content of its
            config.json if it is to be continued, and a function that removes the run. It returns
            the exit code.
    """
    with output():
        args = parse()
        clean_up_when_stopped()
        places = launch.take_places(args)
        with launch.ending_with_others(args):
            try:
                return train_somewhere(args, places, train)
            except BrokenPipeError:  # handled by `output`
                raise
            except OSError as error:
                fail(error, "train.py")
            except KeyboardInterrupt:
                print("\nStopped before training began.", file=sys.stderr)
                return 130
            except Exception as error:
                if is_out_of_memory(error):
                    fail("not enough memory: try a smaller --batch-size or --limit", "train.py")
                raise


def train_somewhere(args, places, train):
    """Trains alone, or together with other processes, which may have to be started first."""
    if args.clear_cache:
        return clear_cache(args)
    count = launch.torch_devices(args, places)
    if count > 1:
        if not args.resume:  # a mistake is reported once
            folders.remove_empty(new_folder(args)[1])
        with one_line_errors("train.py"):
            return launch.torch_launcher().run(count, sys.argv)
    folder = vars(args).pop("resume")
    if launch.is_one_of_several(args, places):
        return train_with_others(args, places, folder, train)
    if folder:
        return continue_run(args, places, folder, train)
    return train_in_new_folder(args, places, train)


def train_with_others(args, places, folder, train):
    """Joins other processes and trains; the first one writes the run folder."""
    with one_line_errors("train.py"):
        start(args, places)
        from keras_vae import parallel
    if folder:
        return continue_run(args, None, folder, train)
    if parallel.is_first():
        return train_in_new_folder(args, None, train)
    with one_line_errors("train.py"):
        return train(args, Path(args.output or "runs"), None, lambda: None)


def continue_run(args, places, folder, train):
    """Continues a run in its folder; `places` is None if Keras is loaded already."""
    with one_line_errors("train.py"):
        before = folders.read_settings(folder)
        if places:
            start(args, places)
        return train(args, folder, before, lambda: None)


def train_in_new_folder(args, places, train):
    """Creates a run folder and trains; removes the folder if that fails before a model is saved.

    Args:
        args: See `parse`.
        places: See `launch.take_places`; None if Keras is loaded already.
        train: See `main`.
    """
    folder, made = new_folder(args)

    def discard():
        from keras_vae.runs import files

        files.clear(folder)
        folders.remove_empty(made)

    try:
        if places:
            with one_line_errors("train.py"):
                start(args, places)
        return train(args, folder, None, discard)
    except BaseException:
        folders.remove_empty(made)  # keeps the folder if a model was saved
        raise


def new_folder(args):
    """Creates the run folder; returns it and the list of folders that were missing."""
    new = []
    try:
        new = folders.missing(args.output or "runs")
        folder = folders.create(args.dataset, args.output, args.overwrite)
    except OSError as error:
        folders.remove_empty(new)
        why = error.strerror or error
        fail(f"--output {args.output or 'runs'} cannot be used: {why}", "train.py")
    except ValueError as error:
        fail(error, "train.py")
    return folder, new if args.output else [folder, *new]


def start(args, places=None):
    """Loads Keras, chooses the devices, and sets seed, precision and cache."""
    if args.cache:
        os.environ["KERAS_VAE_CACHE"] = args.cache
    load_keras(args.backend)
    if places:
        launch.start(args, places)
    set_seeds(args)
    import keras

    keras.config.set_dtype_policy(args.precision)
    keep_compiled()


def set_seeds(args):
    """Calls `keras.utils.set_random_seed` without loading TensorFlow on other backends.

    Keras loads TensorFlow to seed it, and to save models, which takes seconds. Once Keras has
    failed to import it, it does not try again.
    """
    import keras

    with contextlib.nullcontext() if args.backend == "tensorflow" else hidden("tensorflow"):
        keras.utils.set_random_seed(args.seed)


def clear_cache(args):
    start(args)
    from keras_vae.datasets import cache

    print(f"Removed {cache.clear() / 1e6:,.0f} MB from {shown(cache.folder())}.")
    return 0
