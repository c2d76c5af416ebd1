"""`keras-vae demo` until Keras is loaded: its arguments, its backend, its errors.

Of the other commands see test_main.py.
"""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from keras_vae.commands import demo
from keras_vae.commands.main import parse
from keras_vae.start import backends, folders

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]


def make_run(folder, content):
    """A run folder with nothing but settings."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(content)
    return folder


@pytest.fixture
def start(tmp_path):
    """Returns a function that starts the demo with a page that only prints its backend."""
    program = tmp_path / "start.py"
    program.write_text(
        "import runpy, sys, time, types\n"
        "def show(args):\n"
        "    import keras\n"
        "    print(args.run, keras.backend.backend(), flush=True)\n"
        "    time.sleep(1000 * args.share)\n"
        "sys.modules['keras_vae.demo.serve'] = types.SimpleNamespace(show=show)\n"
        "runpy.run_module('demo', run_name='__main__')\n"
    )

    def call(*arguments, **environment):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        return subprocess.Popen(
            [sys.executable, program, *map(str, arguments)],
            env={name: value for name, value in environment.items() if value is not None},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return call


def test_what_the_demo_is_told():
    args = parse(["demo"])
    assert (args.run, args.backend, args.share, args.auth) == (None, None, False, None)
    assert (args.host, args.port, args.queue_size) == ("127.0.0.1", None, 100)
    args = parse(
        ["demo", "--share", "a run", "--auth", "me:a:b ", "--host", "0.0.0.0", "--port", "80"]
        + ["--queue-size", "1", "--backend", "torch"]
    )
    assert (args.run, args.backend, args.share, args.auth) == (
        "a run",
        "torch",
        True,
        ("me", "a:b "),
    )
    assert (args.host, args.port, args.queue_size) == ("0.0.0.0", 80, 1)


@pytest.mark.parametrize(
    "given, message",
    [
        (["a", "b"], "unrecognized arguments: b"),
        (["--sha"], "unrecognized arguments: --sha"),
        (["--backend", "theano"], "argument --backend: invalid choice: 'theano'"),
        (["--port", "0"], "--port must be a whole number from 1 to 65,535, not '0'"),
        (["--port", "65536"], "whole number from 1 to 65,535"),
        (["--queue-size", "0"], "whole number from 1 to 10,000"),
        (["--queue-size", "10001"], "whole number from 1 to 10,000"),
        (
            ["--host", ""],
            "argument --host: '': expected a name or an IPv4 address, such as 0.0.0.0",
        ),
        (["--host", "http://me"], "expected a name or an IPv4 address, such as 0.0.0.0"),
        (["--host", "::1"], "expected a name or an IPv4 address"),
        (["--auth", "me"], "argument --auth: expected USER:PASSWORD"),
        (["--auth", "me:"], "argument --auth: expected USER:PASSWORD"),
        (["--auth", ":secret"], "argument --auth: expected USER:PASSWORD"),
    ],
)
def test_a_mistake_gives_one_line_and_no_password(capsys, given, message):
    with pytest.raises(SystemExit) as stop:
        parse(["demo", *given])
    output = capsys.readouterr()
    assert (stop.value.code, output.out) == (2, "")
    assert output.err.startswith("keras-vae demo: error: ") and len(output.err.splitlines()) == 1
    assert message in output.err and "secret" not in output.err


def test_the_backend_is_the_one_asked_for_or_the_runs_own_or_the_first(monkeypatch):
    choose = backends.choose_backend
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name != "tensorflow" or None)
    monkeypatch.setenv("KERAS_BACKEND", "")
    assert choose(None, "torch") == "torch"
    for unusable in ("tensorflow", "theano", None):
        assert choose(None, unusable) == "jax"
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert choose(None, "torch") == "jax"
    assert choose("torch", "jax") == "torch"
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    assert choose("torch") == "torch"
    for wanted, message in (
        (None, "KERAS_BACKEND is 'theano'; expected one of jax, torch, tensorflow"),
        ("tensorflow", "'tensorflow' is not installed. Install it with: pip install "),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            choose(wanted, "jax")


@pytest.mark.parametrize(
    "content, expected",
    [
        ('{"backend": "torch"}', "torch"),
        ("{}", None),
        ('{"backend": 3}', None),
        ("[]", None),
        ("{", None),
        ("[" * 100_000, None),
    ],
)
def test_which_backend_a_run_is_from(tmp_path, content, expected):
    assert folders.backend_of(make_run(tmp_path / "run", content)) == expected


@pytest.mark.parametrize("host", ["a" * 300, "no-such\nname", "224.0.0.1"])
def test_an_address_that_cannot_be_used_is_reported(host):
    with pytest.raises(ValueError, match=r"(?s)^--host .* cannot be used: .*Choose another"):
        demo.check_address(host, None)
    demo.check_address("127.0.0.1", None)
    demo.check_address("0.0.0.0", None)


def test_help_and_mistakes_do_not_wait_for_keras(start, tmp_path):
    """With no backend at all, Keras cannot be loaded."""
    run = make_run(tmp_path / "run", "{}")
    for given, code, message in (
        (["--help"], 0, "--auth USER:PASSWORD"),
        (["--port", "x"], 2, "whole number from 1 to 65,535"),
        ([], 2, "KERAS_BACKEND is 'foo'; expected one of jax, torch, tensorflow"),
        (["none"], 2, "There is no run in none."),
        (["n" * 5000], 2, "File name too long"),
        ([run], 2, "KERAS_BACKEND is 'foo'; expected one of jax, torch, tensorflow"),
    ):
        output, errors = (process := start(*given, KERAS_BACKEND="foo")).communicate(timeout=60)
        assert process.returncode == code and message in (errors if code else output)
        assert len(errors.splitlines()) == (1 if code else 0)
        assert not code or errors.startswith("keras-vae demo: error: ")


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("jax", "torch"))), reason="needs two backends"
)
def test_a_run_is_shown_on_the_backend_that_it_is_from(start, tmp_path):
    make_run(tmp_path / "runs" / "a", json.dumps({"backend": "torch"}))
    for given, environment, expected in (
        (["a"], {"KERAS_BACKEND": None}, "a torch\n"),
        (["a", "--backend", "jax"], {"KERAS_BACKEND": "torch"}, "a jax\n"),
    ):
        process = start(*given, TF_CPP_MIN_LOG_LEVEL=None, **environment)
        assert process.communicate(timeout=300) == (expected, "")
        assert process.returncode == 0


@pytest.mark.parametrize("sent, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_is_quiet(start, tmp_path, sent, code):
    process = start(make_run(tmp_path / "run", "{}"), "--share")
    try:
        process.stdout.readline()
        process.send_signal(sent)
        _, errors = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == code
    assert errors == ("\nStopped.\n" if sent == signal.SIGINT else "")
