"""What the page is told about the run: `page.json`, and the images to start from."""

import numpy as np
from PIL import Image

from keras_vae.demo.actions import MOST_TEMPERATURE, STRENGTH, Actions
from keras_vae.demo.words import IN_VIEW, label
from keras_vae.export.page import draws
from keras_vae.images import to_uint8


def content(run, exported, title, page):
    """Returns the content of ``page.json``, without examples and runtime.

    Args:
        run: A `keras_vae.runs.Run` of images.
        exported: The content of the run's ``export.json``.
        title: The heading of the page.
        page: The folder of the page's own files, for numbers that are too many for JSON.
    """
    actions, edits, parts = Actions(run), run.edits, exported["parts"]
    source = draws.source_of(run, parts)
    wishes = actions.wishes.get(source, [])
    return {
        "title": title,
        "name": str(run.config.get("name", "")),
        "shape": list(run.model.data_shape),
        "latents": run.model.latent_dim,
        "columns": parts["decoder"]["inputs"][0]["shape"][1],
        "code": "z_mean" if "z_mean" in run.model.code else "z",
        "resize": run.resize,
        "keepDetail": actions.is_of_photographs(),
        "parts": {
            name: {
                "file": f"page/model/{parts[name]['file']}",
                "inputs": [array["name"] for array in parts[name]["inputs"]],
            }
            for name in ("encoder", "decoder", "shifts", "sampler")
            if name in parts and (name != "sampler" or source == "flow")
        },
        # In the order of the graphs; `shown` is that of the page.
        "edits": [] if edits is None else list(edits.names),
        "shown": actions.attributes,
        "labels": {name: label(name) for name in {*actions.attributes, *wishes}},
        "inView": IN_VIEW,
        "strength": {"most": STRENGTH, "start": actions.working_strength()},
        "draws": draws.content(run, source, page / "model"),
        "wishes": {
            "classes": [name for name in wishes if actions.is_class(name)],
            "attributes": [name for name in wishes if not actions.is_class(name)],
        },
        "mostTemperature": MOST_TEMPERATURE,
    }


def save_examples(run, count, folder):
    """Writes images to start from, PNG without loss; returns their paths for ``page.json``.

    They are test images, the first one without the attribute that the page edits first; or new
    images, if the run has no test images.
    """
    images = starts(run, count)
    folder.mkdir()
    for number, image in enumerate(images):
        picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
        picture.save(folder / f"{number}.png", optimize=True)
    return [f"page/{folder.name}/{number}.png" for number in range(len(images))]


def starts(run, count):
    examples = run.examples
    if examples is None:
        return to_uint8(run.sample(count, seed=0)) if run.sources and count else []
    actions, order = Actions(run), np.arange(len(examples.images))
    if actions.attributes and actions.attributes[0] in examples.attribute_names:
        column = examples.attribute_names.index(actions.attributes[0])
        lacks = ~examples.attributes[:, column]
        if examples.known is not None:
            lacks &= examples.known[:, column]
        order = np.concatenate([np.flatnonzero(lacks)[:1], np.delete(order, lacks.argmax())])
        if not lacks.any():
            order = np.arange(len(lacks))
    return examples.images[order[:count]]
