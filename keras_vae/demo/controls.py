"""Sliders whose number field accepts incomplete input."""

import gradio as gr

from keras_vae.demo.actions import is_number


def slider(low, high, start, empty=None, **options):
    """Returns a `gr.Slider` that clips values outside its range.

    Anything but a number counts as `empty`, by default `start`. Gradio's own slider fails on an
    empty field, which it receives whenever a visitor begins to type a negative number.
    """
    empty = start if empty is None else empty
    control = gr.Slider(low, high, start, buttons=[], **options)
    whole = options.get("step") == 1

    def value(payload):
        number = min(max(payload, low), high) if is_number(payload) else empty
        return round(number) if whole else number

    control.preprocess = value
    return control
