"""Serves the page for a run."""

import contextlib
import io
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from keras_vae import runs
from keras_vae.demo import warm
from keras_vae.demo.actions import Actions


def show(args):
    """Serves the page for a run until the process is stopped.

    Args:
        args: The arguments that `keras_vae.commands.demo` defines.
    """
    # Visitors' pictures are stored only in this folder, which is removed at the end.
    with tempfile.TemporaryDirectory(prefix="keras_vae-demo-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        run = runs.load(args.folder)
        try:
            with ThreadPoolExecutor(1) as pool:
                compiling = pool.submit(warm.first, Actions(run))
                from keras_vae.demo import (
                    app,  # imports Gradio, which takes seconds; wrong runs fail before
                )
            compiling.result()
            page = app.build_demo(run, args.queue_size)
        except OSError as error:
            hint = "Free space in the folder for temporary files, or set TMPDIR to another one"
            raise ValueError(f"{error}. {hint}") from None
        try:
            serve(page, run, args)
        finally:
            with contextlib.redirect_stdout(io.StringIO()):
                page.close()


def serve(page, run, args):
    """Launches the page, prints its address, and waits until the process is stopped."""
    import httpx  # Gradio checks its own server with it

    from keras_vae.demo.app import LAUNCH

    if args.share and not args.auth:
        print(
            "Warning: with --share and without --auth, anyone who has the link can use the page. "
            "To require a password, add --auth USER:PASSWORD",
            file=sys.stderr,
        )
    chatter = io.StringIO()  # Gradio's output, replaced by the lines below
    try:
        with contextlib.redirect_stdout(chatter):
            page.launch(
                server_name=args.host,
                server_port=args.port,
                share=args.share,
                auth=args.auth,
                prevent_thread_lock=True,
                inbrowser=False,
                quiet=True,
                **LAUNCH,
            )
    except (OSError, httpx.HTTPError) as error:
        raise ValueError(f"{error}. Choose another --host or --port") from None
    print(f"{run.folder} is served at {page.local_url} (Ctrl-C stops)")
    if args.share and page.share_url:
        print(f"Public link, valid for a week at most: {page.share_url}")
    elif args.share:
        print(
            "No public link could be created: this requires internet access and Gradio's service. "
            "The page is still served locally.",
            file=sys.stderr,
        )
    sys.stdout.flush()
    warm.rest(Actions(run))
    page.block_thread()
