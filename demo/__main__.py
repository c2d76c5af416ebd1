"""Serves the page on a run: `python -m demo --help`."""

import contextlib
import io
import os
import sys
import tempfile
import time

started = time.perf_counter()

import keras_vae  # noqa: E402, F401  (reads the arguments, and loads Keras on the right backend)
from keras_vae import arguments, program, runs  # noqa: E402


def main():
    with program.output():
        try:
            show(arguments.parse_demo())
        except BrokenPipeError:  # nobody reads where the page is
            raise
        except OSError as error:
            hint = "Pictures need room in the folder of temporary files, which TMPDIR names"
            program.fail(f"{error}. {hint}", arguments.DEMO)
        except Exception as error:
            if program.is_out_of_memory(error):
                program.fail("there is not enough memory", arguments.DEMO)
            raise
    return 0


def show(args):
    """Serves a run until it is stopped."""
    # Visitors' pictures go here, and nowhere else, and are gone afterwards.
    with tempfile.TemporaryDirectory(prefix="keras_vae-demo-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        try:
            run = runs.load(args.run)
        except ValueError as error:
            program.fail(error, arguments.DEMO)
        from demo import app  # Gradio takes a second; a wrong run is told before

        page = app.build_demo(run, args.queue_size)
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
    chatter = io.StringIO()  # Gradio's words for what is said below
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
        program.fail(f"{error}. Choose another --host or --port", arguments.DEMO)
    seconds = time.perf_counter() - started
    print(f"{run.folder} is served at {page.local_url} (ready after {seconds:.0f} s; Ctrl-C stops)")
    if args.share and page.share_url:
        print(f"Link for everybody, good for a week at most: {page.share_url}")
    elif args.share:
        print(
            "No link could be made: that needs the internet, and Gradio's service for it. "
            "The page stays where it is.",
            file=sys.stderr,
        )
    sys.stdout.flush()
    page.block_thread()


if __name__ == "__main__":
    sys.exit(main())
