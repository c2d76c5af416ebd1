"""`keras-vae demo`, also `python -m demo`: a page in the browser."""

import argparse
import importlib.util
import socket

from demo import QUEUE_SIZE
from keras_vae_cli.program import number


def credentials(text):
    """The argparse type of --auth: returns ``(user, password)``."""
    user, _, password = text.partition(":")
    if not (user and password):  # without the value: errors end up in logs
        raise argparse.ArgumentTypeError("expected USER:PASSWORD, both of them not empty")
    return user, password


def add_to(commands):
    parser = commands.add_parser(
        "demo",
        help="serve a page: sample, edit, interpolate",
        description="Serve a page on a trained model: draw new images, edit a photo. Ctrl-C stops.",
        allow_abbrev=False,  # what opens the page to others must be spelled out
    )
    add = parser.add_argument
    add(
        "--share",
        action="store_true",
        help="give the page a public link as well, through Gradio's server; anyone who has the "
        "link can use the page, see --auth",
    )
    add(
        "--auth",
        type=credentials,
        metavar="USER:PASSWORD",
        help="ask visitors for these; default: no password",
    )
    add(
        "--host",
        default="127.0.0.1",
        help="address of this computer to serve on, 0.0.0.0 for all; default: 127.0.0.1, "
        "which other computers cannot reach",
    )
    add(
        "--port",
        type=number(int, 1, 65535),
        help="default: the first free one from 7860 on",
    )
    add(
        "--queue-size",
        type=number(int, 1, 10_000),
        default=QUEUE_SIZE,
        metavar="N",
        help=f"how many requests may wait; further ones are rejected. Default: {QUEUE_SIZE}",
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
    check_address(args.host, args.port)


def check_address(host, port):
    """Raises `ValueError` if nothing can be served there; Gradio would try for minutes."""
    try:
        family, *_, address = socket.getaddrinfo(
            host, port or 0, socket.AF_INET, socket.SOCK_STREAM
        )[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)  # and answers: a multicast address does not
            socket.create_connection(probe.getsockname(), timeout=10).close()
    except (OSError, UnicodeError) as error:  # the latter: not a host name
        where = f"--host {host}" + (f" --port {port}" if port else "")
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"{where} cannot be used: {why}. Choose another") from None


def perform(args):
    """Serves the page until it is stopped."""
    from demo import serve

    serve.show(args)
