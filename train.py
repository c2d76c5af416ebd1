"""Trains a VAE (or a plain autoencoder) and writes a run folder: `python train.py --help`.

The steps: data -> model -> fit -> metrics -> latent space -> figures.
"""

import functools
import math
import shlex
import sys
import time
from pathlib import Path

from keras_vae.commands import train as command_line
from keras_vae.commands.pieces import (
    check_likelihood,
    make_condition,
    make_likelihood,
    make_pieces,
)
from keras_vae.start.program import fail, one_line_errors, shown

SHOWN = 8  # test images whose reconstructions TensorBoard shows
MOST_PICTURES = 10  # of them during training, about: each takes a tenth of a second or two


def main():
    started = time.monotonic()  # --minutes includes the seconds in which Keras is loaded
    return command_line.main(functools.partial(train, started))


def train(started, args, folder, before, discard):
    """Trains a model with the given arguments and writes the run folder.

    Args:
        started: When the program was started, a time of `time.monotonic`.
        args: See `keras_vae.commands.train.parse`.
        folder: The run folder, which exists.
        before: The content of config.json if the run is to be continued, else None.
        discard: A function that removes the files that the run has written.

    Returns:
        The exit code.
    """
    from keras_vae import parallel
    from keras_vae.evaluate.judges import Judges
    from keras_vae.runs import callbacks, config, files, summary
    from keras_vae.runs.timetable import Timetable
    from keras_vae.training.checkpoint import Checkpoint
    from keras_vae.training.clock import FollowClock

    # Data and model. Mistakes that show only with the data are reported here.
    with one_line_errors("train.py"):
        data = read_data(args)
        config.check_same_data(before, data)
        judges = Judges(data, announce)
        plan = args.minutes and Timetable(started + 60 * args.minutes, data, judges)
        with parallel.scope():
            model = make_model(args, data, plan)
        if not data.is_of_images:
            for part in (data.train, data.validation, data.test):
                model.likelihood.data.check(part.images, data.image_shape, args.dataset)
    settings = config.describe(vars(args), data, model, before)

    # Fit. The model with the lowest validation loss is kept.
    clock = None
    if plan:
        settings["plan"] = plan.start_training(before and before.get("plan"))
        steps = steps_per_epoch(args, data.train.images) * args.epochs
        clock = FollowClock(args.learning_rate, settings["plan"]["training_seconds"], steps)
    checkpoint = Checkpoint(folder, keep=True)
    clocks = [clock] if clock else []
    if not parallel.is_first():  # of several processes the first one writes
        fit(model, data, args, [*clocks, checkpoint])  # the first one also reports problems
        parallel.stop()
        return 0
    say(summary.first_line(settings, folder))
    for line in summary.data_lines(data, folder):
        say(line)
    progress = callbacks.Progress(
        len(data.train), args.batch_size, args.epochs, clock, noun=data.noun
    )
    best = callbacks.SaveBest(folder / "model.keras")
    boards = for_tensorboard(args, folder, model, data)

    def leave():
        if before or checkpoint.exists() or best.epoch is not None:
            announce(f"To continue: python train.py --resume {shlex.quote(str(folder))}")
        else:
            discard()

    interrupt = callbacks.StopOnInterrupt(folder, checkpoint, leave)
    result = None
    try:
        if not before:
            files.clear(folder)
        files.write_json(folder / "config.json", settings)
        write_data(folder, data)
        problem = fit(model, data, args, [*clocks, best, progress, *boards, checkpoint, interrupt])
        parallel.stop()
        if plan and before:
            plan.continue_after_training()
        if best.epoch is not None:
            result = finish(
                args, folder, settings, data, judges, plan, model, best, progress, problem
            )
    except BaseException as error:
        if not (before and isinstance(error, ValueError)):  # a checkpoint that cannot be used
            leave()
        raise
    if not isinstance(problem, KeyboardInterrupt):
        checkpoint.remove()
    if result:
        print(result(), flush=True)
    parallel.end()
    if isinstance(problem, KeyboardInterrupt):
        leave()
        return 130
    if problem:
        where = "" if best.epoch is None else f". The saved model is from epoch {best.epoch}"
        if best.epoch is None:
            discard()
        fail(f"{problem}{where}", "train.py")
    return 0


def finish(args, folder, settings, data, judges, plan, model, best, progress, problem):
    """Measures the saved model, explores its latent space, and writes the figures.

    Args:
        args, folder: See `train`.
        settings: The content of config.json.
        data, judges, plan: See `train`.
        model: The model that was trained.
        best, progress: The callbacks of these names.
        problem: The error that ended training early, or None.

    Returns:
        A function that returns the text to print at the end.
    """
    from keras_vae import runs
    from keras_vae.runs import files, gallery, summary, values

    history, completed = model.history.history, problem is None
    if plan:
        settings["epochs"] = len(history["loss"])
    if isinstance(problem, FloatingPointError):
        settings["problem"] = str(problem)
    command_line.set_seeds(args)  # the same random numbers as if training had been continued
    model = runs.load_model(folder)
    metrics = test(model, data) | {
        "best_epoch": best.epoch,
        "train_seconds": progress.total_seconds,
        "images_per_second": progress.images_per_second,
    }
    files.write_history(folder / "history.csv", history)
    files.write_json(folder / "metrics.json", metrics)
    judged = completed and data.is_of_images and (plan is None or plan.judged)
    if judged and plan:
        judges.prepare()  # before the flow, which is fitted in the time that is left
    finished = explore(model, data, args.seed, folder, settings, plan and plan.for_flow)
    if judged:
        metrics |= judge_edits(finished, data, judges)
        files.write_json(folder / "metrics.json", metrics)
    elif plan and finished.edits and settings["best_source"] == "flow":
        settings["edit_methods"] = dict.fromkeys(finished.edits, "flow")
    attributes = []
    if data.is_of_images:
        attributes = editable(args.attribute, finished)
        figures = gallery.figures(finished, data, history, attributes, args.seed)
    else:
        figures = values.write(finished, data, history, args.seed)
    for name, figure in figures.items():
        files.write_figure(folder / name, figure)
    files.write_json(folder / "config.json", settings | {"completed": completed})
    epochs = len(history["loss"])
    return functools.partial(summary.last_lines, finished, metrics, epochs, *attributes[:1])


def read_data(args):
    from keras_vae import runs

    announce(f"Reading {args.dataset} ...")
    data = runs.load_data(vars(args))
    check_likelihood(args, data)
    for name in args.attribute:
        if name not in data.attribute_names:
            known = ", ".join(data.attribute_names) or "none"
            raise ValueError(f"--attribute: there is no {name!r} in the data. There are: {known}")
    return data


def make_model(args, data, plan):
    """Returns the model, compiled; sets the arguments that were not given.

    With --minutes, how many images the first steps train per second decides what is best.
    """
    from keras_vae import parallel
    from keras_vae.training import clock, recipes

    images, given = data.train.images, dict(vars(args))
    if plan is None:
        fill_in_defaults(args, data)
        model = build(args, data)
        steps = steps_per_epoch(args, images) * args.epochs
        model.compile(recipes.make_optimizer(args.learning_rate, steps))
        return model
    settings = None
    for _ in range(3):  # not for ever: the speed of each of two networks may call for the other
        vars(args).update(given)
        before, settings = settings, fill_in_defaults(args, data, parallel.agreed(plan.minutes))
        if settings == before:
            return model
        model = build(args, data)
        model.compile(recipes.make_optimizer(args.learning_rate / 20))
        if given["widths"] or given["latent_dim"] or "images_per_second" not in settings:
            return model  # nothing to choose, or no other speed to compare with
        speed = parallel.agreed(clock.first_steps(model, images, args.batch_size))
        plan.speed = speed / settings["images_per_second"]
    return model


def fill_in_defaults(args, data, minutes=None):
    """Sets the arguments that were not given to the best settings known; returns these."""
    from keras_vae.training import recipes

    images = len(data.train)
    best = recipes.settings_for(
        args.dataset, data.image_shape, images, args.network, minutes, data.is_of_images
    )
    for name, value in best.items():
        if vars(args).get(name, value) is None:
            setattr(args, name, value)
    return best


def build(args, data):
    import keras

    import keras_vae
    from keras_vae.training import backends, memory

    images, image_shape = data.train.images, data.image_shape
    values = math.prod(image_shape)
    if args.latent_dim > values:
        one = {"images": "an image", "rows": "a row", "items": "an item"}[data.noun]
        raise ValueError(f"--latent-dim is {args.latent_dim}; {one} has only {values} values")
    likelihood = make_likelihood(args, data)
    condition = make_condition(args, data)
    variational = args.model == "vae"
    build_parts = functools.partial(
        getattr(keras_vae, f"build_{args.network}"),
        image_shape,
        args.latent_dim,
        args.widths,
        activation=args.activation,
        variational=variational,
        straight=args.straight,
        output_channels=likelihood.output_channels(image_shape[-1]),
        condition=condition.size if condition else 0,
    )
    if data.is_of_images:
        mean = images[:1000].mean(axis=0) / 255  # the images are in random order
        build_parts = functools.partial(build_parts, pixel_mean=mean)
    if backends.device_name() == "cpu":
        memory.check(build_parts, min(args.batch_size, len(images)))
    encoder, decoder = build_parts()
    mirror = None
    if args.augment:
        mirror = keras.layers.RandomFlip("horizontal", seed=args.seed, dtype="float32")
    pieces = make_pieces(args, images)
    if not variational:
        return keras_vae.AutoEncoder(encoder, decoder, likelihood, augmentation=mirror, **pieces)
    return keras_vae.VAE(
        encoder,
        decoder,
        likelihood,
        beta=args.beta,
        kl_warmup_steps=round(args.kl_warmup * steps_per_epoch(args, images)),
        free_bits=args.free_bits,
        augmentation=mirror,
        seed=args.seed,
        condition=condition,
        **pieces,
    )


def steps_per_epoch(args, images):
    return -(-len(images) // args.batch_size)


def write_data(folder, data):
    """Writes a figure of training images, and the list of the files that were skipped."""
    from keras_vae import plots
    from keras_vae.runs import files

    if data.is_of_images:
        files.write_figure(folder / "data.png", plots.data(data.train.images[:48]))
    if data.skipped:
        files.write_lines(
            folder / "skipped.txt", [f"{f}: {why}" for f, why in data.skipped.items()]
        )


def for_tensorboard(args, folder, model, data):
    """Returns a list of the callback that writes for TensorBoard; empty without --tensorboard."""
    from keras_vae.runs import TensorBoard, config

    if args.tensorboard is None:
        return []
    place = folder / "tensorboard"
    if args.tensorboard is not True:
        place = Path(args.tensorboard).expanduser()
    say(f"To watch: tensorboard --logdir {shlex.quote(str(place))}")
    images = condition = None
    if data.is_of_images:
        images, condition = data.test.images[:SHOWN], config.condition_of(model, data, data.test)
        condition = None if condition is None else condition[:SHOWN]
    return [TensorBoard(place, images, condition, every=-(-args.epochs // MOST_PICTURES))]


def fit(model, data, args, callbacks):
    """Trains; returns the error or Ctrl-C that ended training early, or None."""
    from keras_vae.runs import config

    try:
        condition, validation = (
            config.condition_of(model, data, part) for part in (data.train, data.validation)
        )
        model.fit(
            data.train.images,
            condition,
            validation_data=(data.validation.images, validation),
            batch_size=args.batch_size,
            epochs=args.epochs,
            callbacks=callbacks,
            verbose=0,
        )
    except (FloatingPointError, KeyboardInterrupt) as error:
        for callback in callbacks:
            callback.on_train_end()
        return error


def test(model, data):
    from keras_vae import evaluate
    from keras_vae.runs import config, values

    condition = config.condition_of(model, data, data.test)
    metrics = evaluate.test_metrics(model, data.test.images, condition=condition)
    return metrics if data.is_of_images else metrics | values.compare(model, data, condition)


def explore(model, data, seed, folder, settings, seconds):
    """Fits directions, a mixture and a flow to the codes; returns the `Run`, saved."""
    from keras_vae import runs
    from keras_vae.runs import examples, explore, files

    found = explore.explore(model, data, seed, announce, seconds)
    kept = examples.collect(model, data)
    for name, part in (
        ("directions.npz", found.directions),
        ("mixture.npz", found.mixture),
        ("flow.keras", found.flow),
        ("examples.npz", kept),
    ):
        if part is not None:
            files.save(folder / name, part)
    for note in found.notes:
        say(note)
    settings |= {"best_source": found.best_source, "edit_methods": {}}
    return runs.Run(folder, settings, model, found.directions, found.mixture, found.flow, kept)


def judge_edits(run, data, judges):
    """Chooses a method for each attribute; returns the metrics of editing one of them."""
    from keras_vae.runs import report

    run.config["edit_methods"] = report.choose_methods(run, data, judges)
    return report.headline(run, data, judges)


def editable(wanted, run):
    """Returns the attributes that the run can edit, without repeats."""
    wanted = list(dict.fromkeys(wanted))
    for name in wanted:
        if not (run.edits and name in run.edits):
            say(f"{name!r} is not in arithmetic.png: too few images with it, or without it")
    return [name for name in wanted if run.edits and name in run.edits]


def say(text):
    print(shown(text), flush=True)


def announce(text):
    """Prints a line before a long operation, on stderr, so that it does not mix with results."""
    from keras_vae import parallel

    if parallel.is_first():
        print(shown(text), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
