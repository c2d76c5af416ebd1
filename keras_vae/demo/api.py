"""The API endpoints: the actions of the page by name, with all arguments checked.

`gradio_client.Client(address).view_api()` lists them with their descriptions.
"""

import gradio as gr
import numpy as np
from gradio.components.api_component import Api

from keras_vae import plots
from keras_vae.demo import pictures
from keras_vae.demo.actions import FARTHEST, MOST_IMAGES, STRENGTH, check_range
from keras_vae.demo.events import TOGETHER, reporting
from keras_vae.demo.picker import displayed, photo_input

NUMBER, WHOLE, TEXT, YES_NO = (
    {"type": kind} for kind in ("number", "integer", "string", "boolean")
)
WISHES = {"type": "object", "additionalProperties": YES_NO}


def value(default, schema, label):
    return Api(default, schema, label)  # passed on unchanged: the function checks it


def endpoint(function, inputs, outputs):
    """Adds an endpoint with the name and the description of a function."""
    button = gr.Button()
    button.click(
        reporting(function),
        inputs,
        outputs,
        api_name=function.__name__,
        api_description=" ".join(function.__doc__.split()),
        **TOGETHER,
    )


def how_to_sample(most, noun):
    """Returns the inputs of the endpoint `sample`."""
    return [
        value(16, WHOLE, f"Number of {noun}, 1 to {most:,}"),
        value(0, WHOLE, "Seed"),
        value(1.0, NUMBER, "Temperature, 0 to 2"),
        value("best", TEXT, "flow, mixture, prior, or best: the best of these"),
        value({}, WISHES, f"Attributes of the {noun}, such as {{'smiling': true}}"),
    ]


def build_for_table(actions, rows):
    """Adds the endpoint of a run of a table to the page under construction."""

    def sample(count, seed, temperature, source, attributes):
        """Draws new rows, with a seed and a temperature from 0 to 2, from the flow, the mixture or
        the prior (best: the best of these that the run has). Returns the cells by column.
        """
        new = rows.table.decode(actions.values(count, seed, temperature, source, attributes))
        # JSON has no NaN, which a column has whose values are not finite.
        return {name: [plain(cell) for cell in cells.tolist()] for name, cells in new.items()}

    with gr.Column(visible=False):
        endpoint(
            sample,
            how_to_sample(actions.most, "rows"),
            value(None, {"type": "object"}, "Rows: a list of cells for each column"),
        )


def plain(cell):
    return cell if isinstance(cell, str) or np.isfinite(cell) else None


def build(actions, images, space_map):
    """Adds the endpoints to the page under construction."""
    numbers = {"type": "array", "items": NUMBER}
    strengths = {"type": "object", "additionalProperties": NUMBER}

    def picture(label):
        return photo_input(label=label)

    def result(label):
        return gr.Image(label=label, format="png")

    def many(label):
        return gr.Gallery(label=label, format="png")

    def describe():
        """Describes the model: the data, the shape of the images, the attributes with the method
        that edits each, the sources of samples, the attributes by which each source can draw
        samples ("wishes"), the ways of interpolation, the groups of test images, the length of a
        code and the number of test images.
        """
        return {
            "dataset": actions.run.config.get("name"),
            "image_shape": list(actions.image_shape),
            "attributes": actions.attributes,
            "methods": {name: actions.edits.method(name) for name in actions.attributes},
            "strengths": [-STRENGTH, STRENGTH],
            "sources": list(actions.run.sources),
            "wishes": actions.wishes,
            "ways": list(actions.ways),
            "groups": [name for name, has in actions.groups if has],
            "most_images": MOST_IMAGES,
            "latent_dim": actions.model.latent_dim,
            "codes": [-FARTHEST, FARTHEST],
            "examples": len(images) if actions.run.examples is not None else 0,
        }

    def example(number):
        """Returns a test image by its number, from 0; `describe` returns how many there are."""
        count = len(images) if actions.run.examples is not None else 0
        if count == 0:
            raise ValueError("This run has no test images")
        if type(number) is not int or not 0 <= number < count:
            raise ValueError(f"Expected the number of a test image, 0 to {count - 1}")
        return displayed(images[number])

    def edit(picture, strengths, keep_detail, strip_of):
        """Changes attributes of a picture: strengths by name, each from -3 to 3. Returns the
        picture before and after, and a strip over the strengths of one attribute. With keep_detail
        the change is added to the picture itself, shrunk to at most 768 pixels.
        """
        if not isinstance(keep_detail, bool):
            raise ValueError("Expected keep_detail to be true or false")
        before, after, strip = actions.edit(
            pictures.read(picture), strengths, keep_detail, strip_of
        )
        return displayed(before), displayed(after), row(strip)

    def sample(count, seed, temperature, source, attributes):
        """Draws 1 to 64 new images, with a seed and a temperature from 0 to 2, from the flow, the
        mixture or the prior (best: the best of these that the run has). Some sources can draw
        images by attributes, true or false by name; `describe` lists them as "wishes".
        """
        images = actions.sample(count, seed, temperature, source, attributes)
        return [displayed(image) for image in images]

    def arithmetic(a, b, c, strength, group_a, group_b):
        """Computes C + strength * (A - B) of three pictures, strength from -3 to 3. A and B may be
        groups of test images instead, such as {"smiling": true} and {"smiling": false}. Returns
        the result, and a strip over strengths from 0 to 2.
        """
        first, second = (
            group if group not in ({}, None) else pictures.read(picture)
            for group, picture in ((group_a, a), (group_b, b))
        )
        image, images = actions.arithmetic(first, second, pictures.read(c), strength)
        return displayed(image), row(images)

    def interpolate(first, last, way, steps):
        """Interpolates between two pictures in 2 to 24 steps: flow, straight or spherical (best:
        the first of those that `describe` lists as "ways"). Returns a strip and an animated GIF.
        """
        images = actions.interpolate(pictures.read(first), pictures.read(last), way, steps)
        path = gr.processing_utils.save_bytes_to_cache(
            plots.animation(images), "between.gif", animation.GRADIO_CACHE
        )
        return row(images), path

    def encode(picture):
        """Returns the code of a picture: `z_mean`, a list of numbers."""
        return actions.encode(pictures.read(picture)).tolist()

    def decode(code):
        """Decodes a code: a list of numbers from -10,000 to 10,000, whose length is the
        "latent_dim" of `describe`.
        """
        return displayed(actions.decode(actions.code(code)[None])[0])

    def point(x, y):
        """Decodes a point of the map of the latent space, in the units of its axes, -10,000 to
        10,000. Returns the picture and its code.
        """
        if space_map is None:
            raise ValueError("This run has no test images, so it has no map")
        for name, coordinate in (("x", x), ("y", y)):
            check_range(name, coordinate, -FARTHEST, FARTHEST)
        code = space_map.code(np.array([x, y], "float64"))
        return displayed(actions.decode(code[None])[0]), code.tolist()

    with gr.Column(visible=False):
        endpoint(describe, [], value(None, {"type": "object"}, "Description"))
        endpoint(example, [value(0, WHOLE, "Number")], result("Test image"))
        endpoint(
            edit,
            [
                picture("Picture"),
                value({}, strengths, "Strength of each attribute, such as {'smiling': 1.5}"),
                value(False, YES_NO, "Add the change to the picture itself"),
                value("", TEXT, "Attribute that varies in the strip; empty: the first"),
            ],
            [result("Before"), result("After"), result("Strip")],
        )
        endpoint(
            sample,
            how_to_sample(MOST_IMAGES, "images"),
            many("Samples"),
        )
        endpoint(
            arithmetic,
            [
                picture("A"),
                picture("B"),
                picture("C"),
                value(1.0, NUMBER, "Strength, -3 to 3"),
                value({}, WISHES, "Group in place of A, such as {'smiling': true}"),
                value({}, WISHES, "Group in place of B, such as {'smiling': false}"),
            ],
            [result("Result"), result("Strip")],
        )
        animation = result("Animation")
        endpoint(
            interpolate,
            [
                picture("First"),
                picture("Last"),
                value("best", TEXT, "flow, straight, spherical, or best: the flow if there is one"),
                value(8, WHOLE, "Steps, 2 to 24"),
            ],
            [result("Strip"), animation],
        )
        endpoint(encode, [picture("Picture")], value(None, numbers, "Code"))
        endpoint(decode, [value(None, numbers, "Code")], result("Picture"))
        endpoint(
            point,
            [value(0.0, NUMBER, "x"), value(0.0, NUMBER, "y")],
            [result("Picture"), value(None, numbers, "Code")],
        )


def row(images):
    return plots.grid(images, len(images))
