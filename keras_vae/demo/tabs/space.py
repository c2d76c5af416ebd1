"""Latent space: a map of the codes, and the decoded picture at any point."""

import gradio as gr
import numpy as np

from keras_vae.demo import controls, pictures
from keras_vae.demo.actions import LATENTS, REACH, is_number
from keras_vae.demo.events import LIVE, QUIET, reporting

NEAREST = "Nearest test image on the map, reconstructed"


def build(actions, space_map):
    """Lays out the tab; `space_map` is a `SpaceMap`, or None without test images."""
    examples = actions.run.examples
    if examples is None:
        gr.Markdown(
            "**No map:** this run has no codes of test images.",
            elem_classes="note",
        )
        return None
    latents = np.argsort(-examples.carried, kind="stable")[:LATENTS]
    mean, spread = examples.codes.mean(axis=0), examples.codes.std(axis=0)
    is_plane = examples.codes.shape[1] <= 2
    gr.Markdown(
        "Each dot is the code of a test image. **Click the map to decode a point.** "
        + ("" if is_plane else "The map is the plane in which the codes vary most; all other "
           "directions stay at their mean, so the pictures look more average than real images. ")
        + "The sliders change the latents with the most information.",
        elem_classes="lead",
    )  # fmt: skip
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            chart = gr.Image(
                space_map.marked(middle_of(space_map, is_plane)),
                show_label=False,
                label="Map of the test set: click to decode",
                format="png",
                interactive=False,
                buttons=[],
                elem_classes="map",
            )
        with gr.Column(scale=2, min_width=280):
            with gr.Row(elem_classes="pair"):
                decoded, nearest = gr.HTML(min_width=100), gr.HTML(min_width=100)
            another = gr.Button("Start from a test image")
            sliders = []
            for j in latents:
                reach = REACH * max(spread[j], 0.1)  # so that unused latents can move as well
                sliders.append(
                    controls.slider(
                        *(round(float(mean[j] + side * reach), 2) for side in (-1, 1, 0)),
                        step=0.01,
                        elem_classes="latents",
                        label=name(j, examples.carried[j], "prior" in actions.run.sources),
                    )
                )
    start = middle_of(space_map, is_plane)
    code = gr.JSON(space_map.code(start).tolist(), visible="hidden")  # stored in the browser

    def values(code):
        """Returns the values of the sliders for a code, clipped to their ranges."""
        return [
            round(float(np.clip(code[j], one.minimum, one.maximum)), 2)
            for j, one in zip(latents, sliders)
        ]

    def show(point, code, what):
        row = space_map.nearest(point)
        images = actions.decode(np.stack([code, examples.codes[row]]))
        return (
            pictures.shown(images[0], what, "decoded"),
            pictures.shown(images[1], NEAREST),
            space_map.marked(point),
            code.tolist(),
            *values(code),
        )

    def click(event: gr.SelectData):
        x, y = pixel(event.index)
        point = space_map.point(x, y)
        where = ", ".join(pictures.signed(round(float(value), 2)) for value in point)
        return show(point, space_map.code(point), f"Decoded at ({where})")

    def jump():
        row = np.random.default_rng().integers(len(examples.codes))
        code = examples.codes[row].astype("float32")
        return show(space_map.points[row], code, "Test image, reconstructed")

    def move(code, *new):
        code, new = actions.code(code), np.array(new)
        moved = new != values(code)  # other sliders show rounded values, which must not be used
        code[latents[moved]] = new[moved]
        row = space_map.nearest(space_map.place(code))
        images = actions.decode(np.stack([code, examples.codes[row]]))
        return (
            pictures.shown(images[0], "Decoded at the sliders' values", "decoded"),
            pictures.shown(images[1], NEAREST),
        )

    outputs = [decoded, nearest, chart, code, *sliders]
    chart.select(reporting(click), None, outputs, **LIVE)
    another.click(reporting(jump), None, outputs, **QUIET)
    gr.on(
        [one.input for one in sliders],
        reporting(move),
        [code, *sliders],
        [decoded, nearest],
        **LIVE,
    )
    return (
        reporting(lambda: show(start, space_map.code(start), "Decoded at the centre")),
        None,
        outputs,
    )


def middle_of(space_map, is_plane):
    return space_map.points.mean(axis=0) if is_plane else np.zeros(2)


def name(latent, carried, has_prior):
    unit = "nats" if has_prior else "variance"
    return f"z {latent + 1} · {carried:.2g} {unit}"


def pixel(index):
    """Returns the x and y of a click, or raises `ValueError` if a request holds anything else."""
    is_pair = isinstance(index, (list, tuple)) and len(index) == 2
    if not is_pair or not all(map(is_number, index)):
        raise ValueError("Expected a click on the map")
    return index
