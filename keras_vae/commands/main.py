"""`keras-vae`: uses a trained model. `keras-vae --help` lists the commands.

A command is a module with `add_to(commands)`, which adds its parser; `check(parser, args)`, which
checks the arguments; optionally `check_run(args)`, which checks the run before Keras is loaded;
and `perform(args)`, which returns the text to print.
"""

import signal
import sys
import warnings

from keras_vae import __version__
from keras_vae.commands import (
    demo,
    edit,
    encode,
    evaluate,
    export,
    impute,
    interpolate,
    pack,
    page,
    push,
    sample,
    score,
)
from keras_vae.commands.compiled import keep_compiled
from keras_vae.start import backends, folders, program

COMMANDS = {
    "sample": sample,
    "edit": edit,
    "interpolate": interpolate,
    "score": score,
    "encode": encode,
    "impute": impute,
    "evaluate": evaluate,
    "export": export,
    "pack": pack,
    "page": page,
    "push": push,
    "demo": demo,
}

PRETRAINED = (
    "No completed run in runs/: using the pretrained model of drawn faces. To train your own: "
    "python train.py"
)


def main(arguments=None):
    """Runs a command.

    Args:
        arguments: A list of strings; None takes those of this process.

    Raises:
        SystemExit: After ``--help`` (code 0), on invalid input (2), on Ctrl-C (130), and if the
            reader of the output has closed it (141).
    """
    with program.output():
        args = parse(arguments)
        command = COMMANDS[args.command]
        with program.one_line_errors(f"keras-vae {args.command}"):
            args.folder = folders.find(args.run)
            if hasattr(command, "check_run"):
                command.check_run(args)
            trained_on = folders.backend_of(args.folder)
            backend = backends.choose_backend(args.backend, trained_on)
            if args.run is None and folders.is_pretrained(args.folder):
                print(PRETRAINED, file=sys.stderr, flush=True)
            config = folders.read_settings(args.folder)
            if config.get("completed") is False:
                print(folders.is_incomplete(args.folder, config), file=sys.stderr, flush=True)
                warnings.filterwarnings("ignore", ".* is not complete: using")  # said already
            if "keras" not in sys.modules:
                start(backend)
            text = command.perform(args)
            if text:
                print(text, flush=True)


def parse(arguments=None):
    """Returns the arguments of a command.

    Raises:
        SystemExit: On invalid arguments (code 2, after one line of error), and after ``--help`` or
            ``--version``.

    Example:

    ```python
    parse(["sample", "-n", "4"]).n  # 4
    ```
    """
    parser = program.Parser(
        prog="keras-vae",
        description="Use a trained model: draw new images, edit a photo, measure its quality.",
        epilog="To train a model: python train.py",
    )
    parser.add_argument("--version", action="version", version=f"keras_vae {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    parsers = {}
    for name, command in COMMANDS.items():
        parsers[name] = command.add_to(commands)
        parsers[name].add_argument(
            "run",
            nargs="?",
            metavar="RUN",
            help="run folder, its name in runs/, or hf://NAME/REPO; default: the newest completed "
            "run, or the pretrained model if there is none",
        )
        if hasattr(command, "add_inputs"):  # positional arguments after RUN
            command.add_inputs(parsers[name])
        backends.add_backend(parsers[name].add_argument)
    args, others = parser.parse_known_args(arguments)
    if args.command is None:
        parser.error(f"no command given; expected one of {', '.join(COMMANDS)} (see --help)")
    parser = parsers[args.command]
    if hasattr(COMMANDS[args.command], "find_inputs"):
        others = COMMANDS[args.command].find_inputs(parser, args, others)
    if others:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    with program.one_line_errors(parser.prog):
        COMMANDS[args.command].check(parser, args)
    return args


def start(backend):
    """Loads Keras, and installs the signal handlers."""
    try:
        backends.load_keras(backend)
        keep_compiled()
    except KeyboardInterrupt:
        stop()
    signal.signal(signal.SIGINT, stop)
    program.clean_up_when_stopped()


def stop(*_):
    print("\nStopped.", file=sys.stderr)
    sys.exit(130)
