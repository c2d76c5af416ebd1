"""Choosing a picture: upload one, or click one of those that the run has."""

import gradio as gr

from demo import safety
from demo.events import QUIET, told


def photo_input(**options):
    """Returns a `gr.Image` that gives a path, which only `demo.pictures.read` opens.

    Gradio itself would open any file there, and decode it between other people's requests.
    """
    image = gr.Image(type="filepath", image_mode=None, format="png", **options)
    image.preprocess = safety.own_file
    return image


def picker(label, images, start=0, height=240, caption=True):
    """Returns a `photo_input` that can be filled by an upload or by a click on an image.

    Args:
        label: What it is called.
        images: uint8 ``(n, height, width, channels)`` to choose from; may be empty.
        start: Which of them is there at first.
        caption: Whether its name stands above it.
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

        choices.select(told(choose), None, photo, **QUIET)
    return photo


def displayed(image):
    """Returns an image as Gradio wants it: grey ones without the axis of channels."""
    return image[..., 0] if image.shape[2] == 1 else image
