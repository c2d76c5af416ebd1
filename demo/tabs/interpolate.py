"""Interpolate: from one picture to another."""

import gradio as gr
import numpy as np

from demo import controls, pictures
from demo.actions import MOST_STEPS
from demo.events import LIVE, told
from demo.picker import picker

WAYS = {
    "flow": ("Through the flow", "back to the noise that the flow turns into codes, across "
             "there, and forward again: each step is as plausible as a new picture"),
    "straight": ("Straight", "a straight line from code to code: the middle is often blurred, "
                 "like two pictures on top of each other"),
    "spherical": ("Spherical", "the code turns around the origin at constant speed, so that the "
                  "middle is as far from it as the ends"),
}  # fmt: skip


def build(actions, images):
    """Lays out the tab."""
    gr.Markdown(
        "From the code of one picture to the code of another in equal steps, each of them decoded.",
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
            return pictures.note("A picture is missing: choose one, or upload one"), ""
        images = actions.interpolate(pictures.read(first), pictures.read(last), way, steps)
        labels = [f"{share:.0%}" for share in np.linspace(0, 1, len(images))]
        labels = labels if len(labels) <= 12 else [labels[0], *[""] * (len(labels) - 2), labels[-1]]
        return (
            pictures.strip(images, labels, ": ".join(WAYS[way])),
            pictures.framed(pictures.gif(images), "gif", "There and back", "between"),
        )

    inputs = [first, last, way, steps]
    gr.on(
        [first.change, last.change, way.input, steps.input],
        told(draw),
        inputs,
        [strip, animation],
        **LIVE,
    )
    return told(draw), inputs, [strip, animation]
