"""Serving the page on a run until it is stopped."""

import contextlib
import io
import os
import sys
import tempfile

from keras_vae import runs


def show(args):
    """Serves a run until it is stopped.

    Args:
        args: What `keras_vae_cli.demo` reads from the command line.
    """
    # Visitors' pictures go only here, and are removed afterwards.
    with tempfile.TemporaryDirectory(prefix="keras_vae-demo-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        run = runs.load(args.folder)
        try:
            from demo import app  # Gradio takes a second to load; a wrong run is reported before

            page = app.build_demo(run, args.queue_size)
        except OSError as error:
            hint = "Pictures need space in the folder for temporary files, set by TMPDIR"
            raise ValueError(f"{error}. {hint}") from None
        try:
            serve(page, run, args)
        finally:
            with contextlib.redirect_stdout(io.StringIO()):
                page.close()


def serve(page, run, args):
    """Opens the page, says where it is, and stays until it is stopped."""
    import httpx  # by which Gradio asks its own server for an answer

    from demo.app import LAUNCH

    if args.share and not args.auth:
        print(
            "Warning: with --share and without --auth, anyone who has the link can use the page. "
            "To ask for a password: --auth user:password",
            file=sys.stderr,
        )
    chatter = io.StringIO()  # what Gradio prints; the lines below replace it
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
            "No public link could be made: that needs the internet and Gradio's service. "
            "The page is still served locally.",
            file=sys.stderr,
        )
    sys.stdout.flush()
    page.block_thread()
