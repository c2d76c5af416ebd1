"""`keras-vae demo`, also `python -m demo`: serves a web page for a trained model."""

import argparse
import importlib.util
import socket

from keras_vae.demo import QUEUE_SIZE, check_noun
from keras_vae.start import folders
from keras_vae.start.program import number


def credentials(text):
    """The argparse type of --auth: returns ``(user, password)``."""
    user, _, password = text.partition(":")
    if not (user and password):  # the message omits the value, since errors end up in logs
        raise argparse.ArgumentTypeError("expected USER:PASSWORD, neither of them empty")
    return user, password


def add_to(commands):
    parser = commands.add_parser(
        "demo",
        help="serve a web page: sample, edit, interpolate",
        description="Serve a web page for a trained model: draw new images, edit a photo; of a "
        "table, draw new rows and see what is unusual about a row. Ctrl-C stops it.",
        allow_abbrev=False,  # options that open the page to others must be spelled out
    )
    add = parser.add_argument
    add(
        "--share",
        action="store_true",
        help="also request a public link from Gradio's server; without --auth, anyone who has the "
        "link can use the page",
    )
    add(
        "--auth",
        type=credentials,
        metavar="USER:PASSWORD",
        help="require visitors to log in; default: no login",
    )
    add(
        "--host",
        default="127.0.0.1",
        help="address to serve on, 0.0.0.0 for all addresses of this computer; default: 127.0.0.1, "
        "which other computers cannot reach",
    )
    add(
        "--port",
        type=number(int, 1, 65535),
        help="port to serve on; default: the first free one from 7860",
    )
    add(
        "--queue-size",
        type=number(int, 1, 10_000),
        default=QUEUE_SIZE,
        metavar="N",
        help=f"number of requests that may wait; further ones are rejected. Default: {QUEUE_SIZE}",
    )
    return parser


def check(parser, args):
    if not args.host or any(sign in args.host for sign in "/: "):
        parser.error(
            f"argument --host: {args.host!r}: expected a name or an IPv4 address, such as 0.0.0.0"
        )
    if importlib.util.find_spec("gradio") is None:
        parser.error('Gradio is not installed. Install it with: pip install "keras_vae[demo]"')


def check_run(args):
    noun = folders.read_settings(args.folder).get("noun", "images")
    check_noun(args.folder, noun)
    check_address(args.host, args.port)


def check_address(host, port):
    """Raises `ValueError` if the address cannot be served on; Gradio would retry for minutes."""
    try:
        family, *_, address = socket.getaddrinfo(
            host, port or 0, socket.AF_INET, socket.SOCK_STREAM
        )[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
            # A multicast address can be bound, but not connected to.
            socket.create_connection(probe.getsockname(), timeout=10).close()
    except (OSError, UnicodeError) as error:  # UnicodeError: not a host name
        where = f"--host {host}" + (f" --port {port}" if port else "")
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"{where} cannot be used: {why}. Choose another") from None


def perform(args):
    """Serves the page until the process is stopped."""
    from keras_vae.demo import serve

    serve.show(args)
