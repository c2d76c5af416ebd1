"""What train.py, the commands and the demo share before Keras is loaded.

Types of arguments, mistakes in one line, the choice of a backend, signals and output. Only the
standard library is needed, so train.py takes this file without importing the package.
"""

import argparse
import contextlib
import importlib.util
import os
import re
import signal
import sys
import tempfile
import unicodedata

PROGRAM = "python -m keras_vae"
BACKENDS = ("jax", "torch", "tensorflow")  # the order of preference
BROKEN_PIPE = 141  # the exit code of a program that SIGPIPE ends
MEMORY_WORDS = ("resource_exhausted", "out of memory", "allocate memory", "unable to allocate")
MEMORY_WORDS += ("oom when allocating", "bad_alloc")


class Parser(argparse.ArgumentParser):
    def error(self, message):  # one line, without the usage
        message = re.sub(r"^argument (\S+): must ", r"\1 must ", message)
        fail(message, " ".join(self.prog.split()[:3]))  # prog may go on: edit


def fail(message, program=PROGRAM):
    """Ends the program with one line on standard error and exit code 2."""
    with contextlib.suppress(OSError):  # nobody listens
        print(f"{program}: error: {shown(message)}", file=sys.stderr, flush=True)
    raise SystemExit(2)


def shown(text):
    """Returns a text in one line: line breaks, escape codes and the like as Python writes them."""

    def is_plain(sign):
        return sign.isprintable() or unicodedata.category(sign) == "Zs"

    return "".join(
        sign if is_plain(sign) else sign.encode("unicode_escape").decode()
        for sign in str(text).strip()
    )


def number(kind, low, high=float("inf"), above=False):
    """Returns an argparse type: a finite number of this kind, from (or above) low to high."""
    what = "whole number" if kind is int else "number"
    limits = f"{'above' if above else 'of at least'} {low:,}"
    if high < float("inf"):
        limits = f"from {low:,} to {high:,}"

    def convert(text):
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high or value == float("inf") or (above and value == low):
            raise argparse.ArgumentTypeError(f"must be a {what} {limits}, not {text!r}")
        return value

    return convert


def check_writable(folder, what, program=PROGRAM):
    """Ends the program unless files can be made in a folder that is there."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        fail(f"{what} cannot be written to: {error.strerror or error}", program)


def choose_backend(wanted=None, trained_on=None, program=PROGRAM):
    """Returns the backend to use; nothing is imported to find out what is installed.

    Args:
        wanted: What --backend says, or None.
        trained_on: The backend of the run, to be used if it is installed; None is any.
        program: Who complains if there is no such backend.

    Returns:
        `wanted`, or else KERAS_BACKEND, or else `trained_on`, or else the first one installed.

    Raises:
        SystemExit: If the backend is unknown or not installed.
    """
    environment = os.environ.get("KERAS_BACKEND")
    installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
    if not wanted and environment and environment not in BACKENDS:
        expected = ", ".join(BACKENDS)
        fail(f"KERAS_BACKEND is {environment!r}; expected one of {expected}", program)
    wanted = wanted or environment
    if wanted and wanted not in installed:
        install = f"Install it with: pip install {wanted}"
        fail(f"the backend {wanted!r} is not installed. {install}", program)
    if not installed:
        fail(f"no backend is installed. Install one with: pip install {BACKENDS[0]}", program)
    return wanted or (trained_on if trained_on in installed else installed[0])


def is_out_of_memory(error):
    """Returns whether memory was lacking; each framework has a class of its own for that."""
    text = f"{type(error).__name__} {error}".lower()
    return isinstance(error, MemoryError) or any(words in text for words in MEMORY_WORDS)


def prepare_output():
    """Opens the standard streams that are closed, so that nothing else gets their numbers."""
    for number, mode in enumerate(("r", "w", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number
        name = ("stdin", "stdout", "stderr")[number]
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):  # files may have names that are no text
        stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def output():
    """Prepares the standard streams; once nobody reads them, the program ends without a word.

    The exit code is then that of a program ended by SIGPIPE, as of `yes | head -1`. Unlike the
    signal, this leaves time to clean up.
    """
    prepare_output()
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise SystemExit(BROKEN_PIPE) from None
    finally:
        give_up_broken_output()


def give_up_broken_output():
    """Sends what cannot be printed nowhere; Python would complain about it at the end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def clean_up_when_stopped():
    """Lets the program clean up when it is terminated, or its terminal is closed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
