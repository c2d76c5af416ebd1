"""Inputs for a picture: an upload, or a click on one of the run's images."""

import gradio as gr

from keras_vae.demo import safety
from keras_vae.demo.events import QUIET, reporting


def photo_input(**options):
    """Returns a `gr.Image` that passes on a path, which only `demo.pictures.read` opens.

    Gradio's own preprocessing would open any file, and decode it while other requests run.
    """
    image = gr.Image(type="filepath", image_mode=None, format="png", **options)
    image.preprocess = safety.own_file
    return image


def picker(label, images, start=0, height=240, caption=True):
    """Returns a `photo_input` that can be filled by an upload or by a click on an image.

    Args:
        label: The label of the input.
        images: uint8 ``(n, height, width, channels)`` to choose from; may be empty.
        start: Index of the initial image.
        height: Height of the input in pixels.
        caption: Whether the label is shown above the input.
    """
    if caption:
        gr.Markdown(f"**{label}**", elem_classes="caption")
    photo = photo_input(
        value=displayed(images[start]) if len(images) else None,
        label=label,
        show_label=False,
        sources=["upload", "webcam", "clipboard"],
        height=height,
        buttons=[],
        elem_classes="photo",
    )
    if len(images):
        choices = gr.Gallery(
            [displayed(image) for image in images],
            show_label=False,
            label=f"{label}: choose one",
            format="png",
            height=180,
            object_fit="cover",
            allow_preview=False,
            interactive=False,
            buttons=[],
            elem_classes="choices",
        )

        def choose(event: gr.SelectData):
            index = event.index
            if type(index) is not int or not 0 <= index < len(images):
                raise ValueError("There is no such picture")
            return displayed(images[index])

        choices.select(reporting(choose), None, photo, **QUIET)
    return photo


def displayed(image):
    """Returns an image in Gradio's form: a grey image without the channel axis."""
    return image[..., 0] if image.shape[2] == 1 else image
