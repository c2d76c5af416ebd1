"""The web page for a trained model: `python -m demo --help`. It reads only the run folder."""

import os

QUEUE_SIZE = 100  # most requests that wait

# No telemetry, and no table of past requests. Gradio reads these when it is imported, later.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**9))
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")


def check_noun(folder, noun):
    """Raises `ValueError` if there is no page for a run of `noun`: images, rows or items."""
    if noun == "items":
        raise ValueError(
            f"{folder} is a model of arrays; the page shows images and tables only. Use "
            "keras-vae sample RUN -o new.npy, keras-vae score RUN DATA or keras-vae encode RUN DATA"
        )
