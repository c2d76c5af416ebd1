"""Sample: images of what never was."""

import gradio as gr
import numpy as np

from demo import controls
from demo.actions import MOST_IMAGES, MOST_TEMPERATURE
from demo.events import LIVE, QUIET, told
from demo.picker import displayed

SOURCES = {
    "prior": "Prior N(0, I)",
    "mixture": "Mixture of Gaussians",
}


def build(actions, tabs, photo):
    """Lays out the tab; a click on an image sends it to `photo`, in the tab "edit"."""
    sources = actions.run.sources
    if not sources:
        gr.Markdown(
            "**Nothing to sample from:** nothing ties the codes of a plain autoencoder to a known "
            "distribution, and this run has no mixture fitted to them. That is what the V in VAE "
            "is for: `python train.py --model vae`.",
            elem_classes="note",
        )
        return
    gr.Markdown(
        "Draw random codes and decode them: images of what never was. A VAE can do that because "
        "training pulls its codes towards N(0, I). **Click an image to edit it.**",
        elem_classes="lead",
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=260):
            source = gr.Radio(
                [(SOURCES[name], name) for name in sources],
                value=sources[0],
                label="Codes from",
                info="The prior is where training pulls the codes to; the mixture was fitted to "
                "where they do lie",
            )
            count = controls.slider(1, MOST_IMAGES, 24, step=1, label="How many")
            temperature = controls.slider(
                0,
                MOST_TEMPERATURE,
                1,
                step=0.05,
                label="Temperature",
                info="Below 1: more typical and less diverse",
            )
            seed = gr.Number(
                0, label="Seed", info="The same seed shows the same images", precision=0
            )
            draw = gr.Button("Draw others", variant="primary")
        with gr.Column(scale=3, min_width=320):
            grid = gr.Gallery(
                [displayed(image) for image in actions.sample(24)],
                show_label=False,
                label="Samples: click one to edit it",
                format="png",
                object_fit="cover",
                height="auto",
                allow_preview=False,
                interactive=False,
                buttons=[],
                elem_classes="samples",
            )
    # What the grid shows, to find the image that was clicked: the sliders may have moved since.
    # The browser keeps it, so that the server can forget visitors.
    last = gr.JSON([24, 0, 1.0, sources[0]], visible="hidden")

    def show(count, seed, temperature, source):
        images = actions.sample(count, seed, temperature, source)
        return [displayed(image) for image in images], [count, seed, temperature, source]

    def others(count, temperature, source):
        seed = int(np.random.SeedSequence().generate_state(1)[0])
        return seed, *show(count, seed, temperature, source)

    def send(last, event: gr.SelectData):
        if not isinstance(last, list) or len(last) != 4:
            raise ValueError("There is no such picture")
        images = actions.sample(*last)
        if type(event.index) is not int or not 0 <= event.index < len(images):
            raise ValueError("There is no such picture")
        return displayed(images[event.index]), gr.Tabs(selected="edit")

    how = [count, seed, temperature, source]
    gr.on(
        [count.input, temperature.input, source.input, seed.submit],
        told(show),
        how,
        [grid, last],
        **LIVE,
    )
    draw.click(told(others), [count, temperature, source], [seed, grid, last], **QUIET)
    grid.select(told(send), last, [photo, tabs], **QUIET)
