"""Edit: change attributes of a picture."""

import gradio as gr
import numpy as np

from keras_vae.demo import controls, pictures
from keras_vae.demo.actions import STRENGTH, STRIP
from keras_vae.demo.events import LIVE, QUIET, reporting
from keras_vae.demo.picker import displayed, picker
from keras_vae.demo.words import IN_VIEW, label


def build(actions, images, has):
    """Lays out the tab; returns the picture input, and its function, inputs and outputs.

    `has` are masks of the images with and without the first attribute, or None.
    """
    names = actions.attributes
    gr.Markdown(
        "The encoder turns a picture into a short list of numbers, its **code**, and the decoder "
        "turns a code back into a picture. A slider changes the code so that the picture shows "
        "more or less of an attribute: `z_new = z + a · z_diff`. **Upload a photo to edit it.**"
        if names
        else "The encoder turns a picture into a short list of numbers, its **code**, and the "
        "decoder turns a code back into a picture.",
        elem_classes="lead",
    )
    with gr.Row(equal_height=False, elem_classes="editing"):
        with gr.Column(scale=2, min_width=300):
            photo = picker("Start from", images, 0 if has is None else int(np.argmax(has[1])))
            random = gr.Button("New random picture", visible=bool(actions.run.sources))
            seen = gr.HTML(elem_classes="seen")
        with gr.Column(scale=3, min_width=320):
            with gr.Row(elem_classes=["pair", "follow"]):
                before, after = gr.HTML(min_width=100), gr.HTML(min_width=100)
            if not names:
                gr.Markdown(
                    "**No edits:** this model was trained on images without attributes or classes. "
                    "A model trained on images that have them shows a slider for each. You can "
                    "still see how this model reconstructs your picture.",
                    elem_classes="note",
                )
            with gr.Row(visible=bool(names), elem_classes="strengths"):
                # The page opens with the first attribute edited.
                starts = [actions.working_strength(), *[0] * len(names)]
                sliders = [slider(*one) for one in zip(names[:IN_VIEW], starts)]
            if len(names) > IN_VIEW:
                with (
                    gr.Accordion(f"{len(names) - IN_VIEW} more", open=False),
                    gr.Row(elem_classes="strengths"),
                ):
                    sliders += [slider(name, 0) for name in names[IN_VIEW:]]
            with gr.Row(visible=bool(names)):
                keep_detail = gr.Checkbox(
                    actions.is_of_photographs(),
                    label="Keep detail",
                    info="Add the change to the original picture, which stays sharp: "
                    "x + decode(z_new) − decode(z)",
                )
                reset = gr.Button("Reset", min_width=100, scale=0)
            strip_of = gr.Dropdown(
                [(label(name), name) for name in names],
                value=names[0] if names else None,
                label="Less and more of",
                visible=bool(names),
                filterable=len(names) > IN_VIEW,
            )
            strip = gr.HTML()

    def draw(path, keep_detail, strip_of, *strengths):
        """Returns the model's input, before, after, and the strip, as HTML."""
        try:
            photo = pictures.read(path)
        except ValueError as error:  # results of the previous picture must not stay
            if path is not None:
                gr.Warning(str(error))
            return "", pictures.note(str(error)), "", ""
        image = actions.seen(photo)
        height, width = image.shape[:2]
        seen = pictures.shown(image, f"What the model sees: {width} × {height} pixels")
        if not names:
            drawn = actions.decode(actions.encode(photo)[None])[0]
            before = pictures.shown(image, "What the model sees")
            return seen, before, pictures.shown(drawn, "Reconstruction", "reconstruction"), ""
        first, *changed = actions.edit(photo, dict(zip(names, strengths)), keep_detail, strip_of)
        what = "your picture" if keep_detail else "reconstruction"
        return seen, pictures.shown(first, f"Before: {what}"), *edited(*changed, strip_of)

    def follow(path, keep_detail, strip_of, *strengths):
        """Returns the outputs that depend on the sliders: after, and the strip."""
        if path is None:
            return "", ""
        photo = pictures.read(path)
        _, *changed = actions.edit(photo, dict(zip(names, strengths)), keep_detail, strip_of)
        return edited(*changed, strip_of)

    def edited(after, images, strip_of):
        values = [pictures.signed(a) for a in STRIP]
        strip = pictures.strip(images, values, f"{label(strip_of)}: less and more")
        return pictures.shown(after, "After", "edited"), strip

    def anyone():
        seed = int(np.random.SeedSequence().generate_state(1)[0])
        return displayed(actions.sample(1, seed)[0])

    inputs, outputs = [photo, keep_detail, strip_of, *sliders], [seen, before, after, strip]
    photo.change(reporting(draw), inputs, outputs, **LIVE)
    gr.on([keep_detail.input, strip_of.input], reporting(draw), inputs, outputs, **LIVE)
    random.click(reporting(anyone), None, photo, **QUIET)
    if names:
        gr.on([one.input for one in sliders], reporting(follow), inputs, [after, strip], **LIVE)
        reset.click(lambda: [0] * len(names), None, sliders, **QUIET).then(
            reporting(draw), inputs, outputs, **QUIET
        )
    return photo, (reporting(draw), inputs, outputs)


def slider(name, start):
    return controls.slider(
        -STRENGTH,
        STRENGTH,
        start,
        empty=0,
        step=0.1,
        label=label(name),
        min_width=200,
        elem_classes="strength",
    )
