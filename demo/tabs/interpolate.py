"""Interpolate: from one picture to another."""

import gradio as gr
import numpy as np

from demo import controls, pictures
from demo.actions import MOST_STEPS
from demo.events import LIVE, told
from demo.picker import picker


def build(actions, images):
    """Lays out the tab."""
    gr.Markdown(
        "The way from one code to another, decoded. In a good latent space every step on it is a "
        "plausible picture, not two pictures on top of each other.",
        elem_classes="lead",
    )
    with gr.Row():
        with gr.Column(min_width=220):
            first = picker("From", images, 0, height=220)
        with gr.Column(min_width=220):
            last = picker("To", images, min(1, max(len(images) - 1, 0)), height=220)
    with gr.Row():
        how = gr.Radio(
            [("Linear: straight through", "linear"), ("Spherical: around the middle", "spherical")],
            value="linear",
            label="Which way",
        )
        steps = controls.slider(2, MOST_STEPS, 8, step=1, label="Steps")
    strip = gr.HTML()
    animation = gr.HTML(elem_classes="animation")

    def draw(first, last, how, steps):
        if None in (first, last):
            return pictures.note("A picture is missing: choose one, or upload one"), ""
        images = actions.interpolate(
            pictures.read(first), pictures.read(last), how == "spherical", steps
        )
        labels = [f"{share:.0%}" for share in np.linspace(0, 1, len(images))]
        labels = labels if len(labels) <= 12 else [labels[0], *[""] * (len(labels) - 2), labels[-1]]
        return (
            pictures.strip(images, labels, "From the one to the other, as the model draws them"),
            pictures.framed(pictures.gif(images), "gif", "There and back", "between"),
        )

    inputs = [first, last, how, steps]
    gr.on(
        [first.change, last.change, how.input, steps.input],
        told(draw),
        inputs,
        [strip, animation],
        **LIVE,
    )
    return told(draw), inputs, [strip, animation]
