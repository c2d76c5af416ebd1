"""How the page's events run: together in one bounded queue, and with words for mistakes."""

import functools

import gradio as gr

AT_ONCE = 2  # requests that the model works on at the same time

# Of every event of the page. The endpoints for programs are in `api.py`.
TOGETHER = {"concurrency_id": "model", "concurrency_limit": AT_ONCE}
QUIET = {**TOGETHER, "api_visibility": "private", "show_progress": "hidden"}
# Of a slider: while it moves, only its latest value matters.
LIVE = {**QUIET, "trigger_mode": "always_last"}


def told(function):
    """Returns a function whose `ValueError` reaches the visitor as a message."""

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None
        except MemoryError:
            raise gr.Error("There is not enough memory for that", print_exception=False) from None

    return wrapped
