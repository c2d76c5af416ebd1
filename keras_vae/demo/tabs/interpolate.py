"""Interpolate: between two pictures."""

import gradio as gr
import numpy as np

from keras_vae import plots
from keras_vae.demo import controls, pictures
from keras_vae.demo.actions import MOST_STEPS
from keras_vae.demo.events import LIVE, reporting
from keras_vae.demo.picker import picker

WAYS = {
    "flow": ("Through the flow", "the codes are mapped to noise, the noise is interpolated and "
             "mapped back to codes. Each step is as plausible as a new image"),
    "straight": ("Straight", "the codes are interpolated linearly. The middle is often blurred, "
                 "like two pictures on top of each other"),
    "spherical": ("Spherical", "the code rotates around the origin at constant speed. The middle "
                  "is as far from the origin as the ends"),
}  # fmt: skip


def build(actions, images):
    """Lays out the tab."""
    gr.Markdown(
        "The code moves in equal steps from one picture to the other, and each step is decoded.",
        elem_classes="lead",
    )
    with gr.Row():
        with gr.Column(min_width=220):
            first = picker("From", images, 0, height=220)
        with gr.Column(min_width=220):
            last = picker("To", images, min(1, max(len(images) - 1, 0)), height=220)
    with gr.Row():
        way = gr.Radio(
            [(WAYS[name][0], name) for name in actions.ways],
            value=actions.ways[0],
            label="Way",
        )
        steps = controls.slider(2, MOST_STEPS, 8, step=1, label="Steps")
    strip = gr.HTML()
    animation = gr.HTML(elem_classes="animation")

    def draw(first, last, way, steps):
        if None in (first, last):
            return pictures.note("A picture is missing. Choose or upload one"), ""
        images = actions.interpolate(pictures.read(first), pictures.read(last), way, steps)
        labels = [f"{share:.0%}" for share in np.linspace(0, 1, len(images))]
        labels = labels if len(labels) <= 12 else [labels[0], *[""] * (len(labels) - 2), labels[-1]]
        return (
            pictures.strip(images, labels, ": ".join(WAYS[way])),
            pictures.framed(plots.animation(images), "gif", "Animation", "interpolation"),
        )

    inputs = [first, last, way, steps]
    gr.on(
        [first.change, last.change, way.input, steps.input],
        reporting(draw),
        inputs,
        [strip, animation],
        **LIVE,
    )
    return reporting(draw), inputs, [strip, animation]
