"""A - B + C: arithmetic with pictures."""

import gradio as gr
import numpy as np

from demo import controls, pictures
from demo.actions import STRENGTH, SUMS
from demo.events import LIVE, told
from demo.picker import picker


def build(actions, images, has):
    """Lays out the tab. `has` says which images have the first attribute; None is not known."""
    gr.Markdown(
        "What A has and B lacks, added to C: codes can be added and subtracted, and the sum still "
        "stands for a picture. `z = C + a · (A − B)`",
        elem_classes="lead",
    )
    starts = three(actions, images, has)
    with gr.Row():
        picked = []
        for letter, what, start in zip("ABC", ("has it", "lacks it", "gets it"), starts):
            with gr.Column(min_width=220):
                picked.append(picker(f"{letter}: {what}", images, start, height=200))
    strength = controls.slider(-STRENGTH, STRENGTH, 1, step=0.1, label="How much of A − B")
    with gr.Row(equal_height=False, elem_classes="stack"):
        result, strip = gr.HTML(min_width=180), gr.HTML(min_width=320)

    def draw(a, b, c, strength):
        if None in (a, b, c):
            return pictures.note("A picture is missing: choose one, or upload one"), ""
        image, images = actions.arithmetic(*map(pictures.read, (a, b, c)), strength)
        labels = [pictures.signed(value) for value in SUMS]
        return (
            pictures.shown(image, f"C {pictures.signed(strength)} · (A − B)", "sum"),
            pictures.strip(images, labels, "More and more of A − B, from none of it"),
        )

    inputs = [*picked, strength]
    gr.on(
        [*(one.change for one in picked), strength.input],
        told(draw),
        inputs,
        [result, strip],
        **LIVE,
    )
    return told(draw), inputs, [result, strip]


def three(actions, images, has):
    """Returns which images to begin with: A has something that B and C lack.

    A and B are the pair that differs least otherwise, as far as codes tell.
    """
    if has is not None and 0 < has.sum() <= len(has) - 2:
        codes = actions.run.examples.codes[: len(images)]
        with_it, without = np.flatnonzero(has), np.flatnonzero(~has)
        distances = np.linalg.norm(codes[with_it][:, None] - codes[without], axis=-1)
        a, b = np.unravel_index(np.argmin(distances), distances.shape)
        return int(with_it[a]), int(without[b]), int(np.delete(without, b)[0])
    return tuple(min(row, max(len(images) - 1, 0)) for row in range(3))
