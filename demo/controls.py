"""Sliders whose number field may hold anything while it is typed in."""

import gradio as gr

from demo.actions import is_number


def slider(low, high, start, **options):
    """Returns a `gr.Slider`: what is no number counts as its start, what is outside as its end.

    Gradio itself fails at an empty field, and every negative number begins with one.
    """
    control = gr.Slider(low, high, start, buttons=[], **options)
    whole = options.get("step") == 1

    def value(payload):
        number = min(max(payload, low), high) if is_number(payload) else start
        return round(number) if whole else number

    control.preprocess = value
    return control
