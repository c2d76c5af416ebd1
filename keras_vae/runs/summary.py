"""The lines that train.py prints: settings and data at the start, results at the end."""

import shlex
import sys
from pathlib import Path

from keras_vae.datasets import attributes, names
from keras_vae.runs.files import FILES


def first_line(config, folder):
    """Returns backend, data and model in one line; `config` is the content of config.json."""
    images, noun = config["images"], config.get("noun", "images")
    kl = f", beta {config['beta']:g}" if config["model"] == "vae" else ""
    if config["kl_warmup"]:
        kl += f" after {config['kl_warmup']:g} epochs of warm-up"
    if config["free_bits"]:
        kl += f", {config['free_bits']:g} nats free per latent"
    if config.get("prior", "normal") not in (None, "normal"):
        kl += f", prior {config['prior']}"
    if config.get("bound") == "importance":
        kl += f", importance-weighted bound of {config['draws']} draws"
    if config.get("condition") is not None:
        everything = "the class" if len(config["label_names"]) > 1 else "all attributes"
        kl += f", given {' '.join(config['condition']) or everything}"
    if config.get("penalty"):
        kl += f", penalty {config['penalty']} x {config['penalty_weight']:g}"
    where = "streamed from disk" if config["streamed"] else "in memory"
    precision = "" if config["precision"] == "float32" else f" in {config['precision']}"
    return " · ".join(
        (
            f"{config['backend']} on {config['device']}{precision}",
            f"{config['name']} {'x'.join(map(str, config['image_shape']))}",
            f"{images['train']:,} {noun} to train, {images['validation']:,} to validate, "
            f"{images['test']:,} to test, {size_of(config['gigabytes'])} {where}"
            + (", mirrored at random" if config["augment"] else ""),
            f"{config['model']}, {config['network']} {'-'.join(map(str, config['widths']))}, "
            f"{config['latent_dim']} latents, {config['likelihood']} likelihood{kl}, "
            f"{number_of(config['parameters'])} parameters",
            f"{folder}/",
        )
    )


def size_of(gigabytes):
    return f"{gigabytes:.2g} GB" if gigabytes >= 0.001 else f"{1e6 * gigabytes:.3g} kB"


def number_of(parameters):
    return f"{parameters / 1e6:.1f}M" if parameters >= 100_000 else f"{parameters:,}"


def data_lines(data, folder):
    """Returns lines about skipped files, unused columns and unknown values in the data."""
    lines = attributes.notes(data)
    if data.skipped:
        count = "1 file" if len(data.skipped) == 1 else f"{len(data.skipped):,} files"
        lines = [f"Skipped {count}; the reasons are in {folder}/skipped.txt", *lines]
    return lines


def last_lines(run, metrics, epochs, attribute=None):
    """Returns the results of training, the files of the run, and commands that use it.

    Args:
        run: A `keras_vae.runs.Run`.
        metrics: The content of metrics.json.
        epochs: Number of epochs trained.
        attribute: The attribute in the example of an edit; None is `names.favourite`.

    Returns:
        A string of several lines.
    """
    noun = run.config.get("noun", "images")
    lines = ["", result_line(metrics, epochs, run.config)]
    lines += [worth_line(metrics, noun)] if "linear_log_likelihood" in metrics else []
    lines += [speed_line(metrics, noun)]
    if "edit_attribute" in metrics:
        lines += [edit_line(metrics)]
    lines += [f"{run.folder}/"]
    lines += [
        f"  {name:20} {said_of(name, what, noun)}"
        for name, what in FILES.items()
        if (run.folder / name).exists()
    ]
    lines += ["To use the model:"]
    where, command = shlex.quote(str(run.folder)), f"  {command_line()}"
    if run.sources:
        new = "new.png" if run.is_of_images else "new.csv" if run.table else "new.npy"
        lines += [f"{command} sample {where} -n 64 -o {new}"]
    if not run.is_of_images:
        data = shlex.quote(str(run.config["dataset"]))
        lines += [f"{command} score {where} {data} -o scores.csv"]
        lines += [f"{command} encode {where} {data} -o codes.csv"]
    elif run.edits:
        wish = f"{attribute or names.favourite(run.edits.names)}=1"
        wish = shlex.quote(f"--set={wish}") if wish[0] == "-" else f"--set {shlex.quote(wish)}"
        lines += [f"{command} edit {where} photo.png {wish} -o edited.png"]
    lines += [f"{command} evaluate {where}", f"{command} demo {where}"]
    code = f"from keras_vae import runs; run = runs.load({str(run.folder)!r})"
    backend, python = run.config["backend"], shlex.quote(sys.executable)
    lines += [f"  KERAS_BACKEND={backend} {python} -ic {shlex.quote(code)}"]
    return "\n".join(lines)


def said_of(name, what, noun):
    """Returns what to print of a file, whose description in `FILES` is `what`."""
    what = what.split(" (if")[0]
    if noun != "images" and name == "samples.png":  # of one source only
        what = what.split(" from")[0]
    return what.replace("images", noun)


def command_line():
    """Returns a command for `keras-vae` that works without activating its environment."""
    script = Path(sys.executable).with_name("keras-vae")
    if script.is_file():
        return shlex.quote(str(script))
    return f"{shlex.quote(sys.executable)} -m keras_vae"


def result_line(metrics, epochs, config):
    """Returns a sentence with the best epoch and the losses on test images."""
    loss = f"{metrics['test_loss']:.2f}"
    if "test_kl_loss" in metrics:
        nats = f"reconstruction {metrics['test_reconstruction_loss']:.2f}"
        kl, beta = f"KL {metrics['test_kl_loss']:.2f}", config.get("beta", 1)
        if config.get("bound") == "importance" or config.get("penalty"):
            loss += f" ({nats}, {kl})"  # not their sum
        else:
            loss += f" = {nats} + {kl}" if beta == 1 else f" = {nats} + {beta:g} x {kl}"
    bits = metrics.get("bits_per_dim")
    return (
        f"Best epoch: {metrics['best_epoch']} of {epochs}. Test loss {loss} nats per "
        f"{config.get('noun', 'images')[:-1]}"
        + (
            f"; MSE {metrics['test_mse']:.5f} per pixel and channel"
            if "test_mse" in metrics
            else ""
        )
        + (f", {bits:.2f} bits per dimension." if bits else ".")
    )


def worth_line(metrics, noun="rows"):
    """Returns a sentence that compares the model with a linear one, which needs no training."""
    line = ""
    if metrics["test_r2"] is not None:
        of = "columns" if noun == "rows" else "channels"
        line = f"R² {metrics['test_r2']:.3f}, the mean over the {of}. "
    if metrics["linear_log_likelihood"] is None:
        return (
            f"{line}No linear model to compare with: it needs complete {noun}, of at most 2,000 "
            "numbers that are not all categories."
        )
    network, linear = metrics["test_log_likelihood"], metrics["linear_log_likelihood"]
    return (
        f"{line}log p(x) of {metrics['compared']:,} complete test {noun}: {network:.2f} nats; the "
        f"linear model with as many latents has {linear:.2f}, so the network is worth "
        f"{network - linear:.2f}."
    )


def speed_line(metrics, noun="images"):
    speed = metrics["images_per_second"]
    return f"Trained for {metrics['train_seconds']:.0f} s" + (
        f" at {speed:,.0f} {noun} per second." if speed else "."
    )


def edit_line(metrics):
    """Returns a sentence with the quality of edits of one attribute."""
    line = f"Edits: {metrics['edit_attribute']}={metrics['edit_strength']:g} by "
    line += f"{metrics['edit_method']} works on {metrics['edit_flip_rate']:.1%} of test images "
    line += "judged to lack it"
    if metrics["edit_largest_leakage"] is not None:
        line += f", leakage {metrics['edit_largest_leakage']:.1%} into {metrics['edit_leaks_into']}"
    if metrics["edit_identity"] is not None:
        line += f", {metrics['edit_identity']:.1%} still recognised"
    return f"{line}."
