"""The page on a trained model: `python -m demo --help`. It reads a run folder and nothing else."""

import os

QUEUE_SIZE = 100  # requests that may wait

# Nobody is told what is done here, and Gradio keeps no table of past requests. Read when it is
# imported, which is after this.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**9))
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")
