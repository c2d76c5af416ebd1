"""Options of the page's events: all share one bounded queue, and report mistakes as messages."""

import functools

import gradio as gr

AT_ONCE = 2  # requests processed at the same time

TOGETHER = {"concurrency_id": "model", "concurrency_limit": AT_ONCE}  # all events
# Events of the page itself; `api.py` has the endpoints for programs.
QUIET = {**TOGETHER, "api_visibility": "private", "show_progress": "hidden"}
# Events of sliders: while one moves, only its latest value is processed.
LIVE = {**QUIET, "trigger_mode": "always_last"}


def reporting(function):
    """Returns a function that shows a `ValueError` to the visitor as a message."""

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None
        except MemoryError:
            raise gr.Error("Not enough memory for this request", print_exception=False) from None

    return wrapped
