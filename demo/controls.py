"""Sliders whose number field may hold anything while it is typed in."""

import gradio as gr

from demo.actions import is_number


def slider(low, high, start, empty=None, **options):
    """Returns a `gr.Slider` that clips what is outside of its range.

    What is no number counts as `empty`, or without that as `start`: Gradio itself fails at an
    empty field, and every negative number begins with one.
    """
    empty = start if empty is None else empty
    control = gr.Slider(low, high, start, buttons=[], **options)
    whole = options.get("step") == 1

    def value(payload):
        number = min(max(payload, low), high) if is_number(payload) else empty
        return round(number) if whole else number

    control.preprocess = value
    return control
