"""The web page for a trained model: `python -m demo --help`. It reads only the run folder."""

import os

QUEUE_SIZE = 100  # most requests that wait

# No telemetry, and no table of past requests. Gradio reads these when it is imported, later.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**9))
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")
