"""Shared by train.py and the commands: one-line errors, argument types, signals, output."""

import argparse
import contextlib
import os
import re
import signal
import sys
import tempfile
import time
import unicodedata

BROKEN_PIPE = 141  # exit code of a process ended by SIGPIPE
MEMORY_WORDS = ("resource_exhausted", "out of memory", "allocate memory", "unable to allocate")
MEMORY_WORDS += ("oom when allocating", "bad_alloc")


class Parser(argparse.ArgumentParser):
    def error(self, message):  # one line, without the usage
        fail(re.sub(r"^argument (\S+): must ", r"\1 must ", message), self.prog)


def fail(message, program):
    """Ends the program with one line on standard error and exit code 2.

    Of the processes that torchrun has started on a machine, the first one prints the line. If
    another one has a problem of its own, it prints it before the launcher ends it.
    """
    if os.environ.get("LOCAL_RANK", "0") != "0":
        time.sleep(3)  # the launcher ends this process first if all have the same problem
    with contextlib.suppress(OSError):  # stderr may be closed
        print(f"{program}: error: {shown(message)}", file=sys.stderr, flush=True)
    raise SystemExit(2)


def shown(text):
    """Returns text on one line, with line breaks and control characters escaped."""

    def is_plain(sign):
        return sign.isprintable() or unicodedata.category(sign) == "Zs"

    return "".join(
        sign if is_plain(sign) else sign.encode("unicode_escape").decode()
        for sign in str(text).strip()
    )


def number(kind, low, high=float("inf"), above=False):
    """Returns an argparse type: a finite int or float from `low` (or `above` it) to `high`."""
    what = "whole number" if kind is int else "number"
    limits = f"{'above' if above else 'of at least'} {low:,}"
    if high < float("inf"):
        limits = f"above {low:,}, at most {high:,}" if above else f"from {low:,} to {high:,}"

    def convert(text):
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high or value == float("inf") or (above and value == low):
            raise argparse.ArgumentTypeError(f"must be a {what} {limits}, not {text!r}")
        return value

    return convert


def check_writable(folder, what):
    """Raises `ValueError` unless files can be created in an existing folder."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(f"{what} cannot be written to: {error.strerror or error}") from None


@contextlib.contextmanager
def one_line_errors(program, out_of_memory="not enough memory"):
    """Ends the program with one line and exit code 2 on a user's mistake or lack of memory."""
    try:
        yield
    except BrokenPipeError:  # handled by `output`
        raise
    except (OSError, ValueError) as error:
        fail(error, program)
    except Exception as error:
        if is_out_of_memory(error):
            fail(out_of_memory, program)
        raise


def is_out_of_memory(error):
    """Returns True if an error means lack of memory; each framework has its own class for that."""
    text = f"{type(error).__name__} {error}".lower()
    return isinstance(error, MemoryError) or any(words in text for words in MEMORY_WORDS)


def prepare_output():
    """Opens standard streams that are closed, so that no other file gets their descriptors."""
    for number, mode in enumerate(("r", "w", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number
        name = ("stdin", "stdout", "stderr")[number]
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):  # file names may be invalid text
        stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def output():
    """Prepares the standard streams; ends the program silently once their reader has closed them.

    The exit code is then that of a process ended by SIGPIPE, like `yes` in `yes | head -1`. Unlike
    the signal, this allows the program to clean up.
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
    """Discards output that cannot be written; Python would report it at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def clean_up_when_stopped():
    """Turns SIGTERM and SIGHUP into `SystemExit`, so that the program cleans up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
