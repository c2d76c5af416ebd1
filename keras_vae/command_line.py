"""What happens before Keras is loaded: by `python -m keras_vae`, and by `python -m demo`.

Python imports a package before it runs the package as a command, and with this package comes
Keras, which takes seconds. So `keras_vae/__init__.py` calls `start_if_command` first. It reads
the arguments, tells mistakes at once, chooses the backend and loads Keras without the chatter of
the frameworks. In any other program it does nothing. What the commands understand is in
`arguments.py`, the commands themselves are in `keras_vae/__main__.py` and in `demo/`.
"""

import contextlib
import logging
import os
import signal
import socket
import sys
from pathlib import Path

from keras_vae import run_folders
from keras_vae.arguments import DEMO, check_run, parse_command, parse_demo
from keras_vae.program import PROGRAM, choose_backend, clean_up_when_stopped, fail, output


@contextlib.contextmanager
def without_chatter():
    """Keeps what compiled code prints on standard error away from the screen."""
    screen = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(screen, 2)
        os.close(screen)


def stop(*_):
    print("\nStopped.", file=sys.stderr)
    sys.exit(130)


def start_command():
    """Gets ready for `python -m keras_vae`: a mistake ends it here, before Keras is loaded."""
    with output():
        check_run(parse_command())
        load_keras(choose_backend())


def start_demo():
    """Gets ready for `python -m demo`, which shows a run on the backend that it is from."""
    with output():
        args = parse_demo()
        check_address(args.host, args.port)
        try:
            folder = run_folders.find(args.run)
        except (OSError, ValueError) as error:
            fail(error, DEMO)
        trained_on = run_folders.backend_of(folder)
        load_keras(choose_backend(args.backend, trained_on, DEMO), DEMO)


def check_address(host, port):
    """Ends with an error if nothing can be served there; Gradio would try for minutes."""
    try:
        family, *_, address = socket.getaddrinfo(
            host, port or 0, socket.AF_INET, socket.SOCK_STREAM
        )[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)  # and answers: an address of a group of computers does not
            socket.create_connection(probe.getsockname(), timeout=10).close()
    except (OSError, UnicodeError) as error:  # the latter: no name of a computer
        where = f"--host {host}" + (f" --port {port}" if port else "")
        why = getattr(error, "strerror", None) or error
        fail(f"{where} cannot be used: {why}. Choose another", DEMO)


def load_keras(backend, program=PROGRAM):
    """Loads Keras without a word, and sets what is to happen when the program is stopped."""
    os.environ["KERAS_BACKEND"] = backend  # read when Keras is imported
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("absl", "tensorflow"):  # which counts programs, and warns of more than a few
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with without_chatter():
            import keras  # noqa: F401
    except KeyboardInterrupt:
        stop()
    except Exception as error:  # a broken installation can raise anything
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        fail(f"the backend {backend!r} cannot be loaded: {what}", program)
    signal.signal(signal.SIGINT, stop)
    clean_up_when_stopped()


def start_if_command():
    """Gets ready if it is `python -m keras_vae` or `python -m demo` that imports the package."""
    # Python calls the program "-m" as long as it looks for what to run.
    if sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)] in ("keras_vae", "-mkeras_vae"):
        start_command()
    # The demo is found by then, and is what imports the package.
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    ours = Path(__file__).parents[1] / "demo" / "__main__.py"  # others may have a demo, too
    if getattr(spec, "name", None) == "demo.__main__" and Path(spec.origin) == ours:
        start_demo()
