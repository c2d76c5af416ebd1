"""The page: a header and tabs, others for a table. `build_demo` builds it from a run."""

import html

import gradio as gr
import numpy as np

from keras_vae import checks
from keras_vae.demo import QUEUE_SIZE, api, check_noun, pictures, safety
from keras_vae.demo.actions import Actions
from keras_vae.demo.look import CSS, THEME
from keras_vae.demo.rows import Rows
from keras_vae.demo.space_map import SpaceMap
from keras_vae.demo.tabs import about, arithmetic, edit, interpolate, row, rows, sample, space
from keras_vae.start import folders

# Options of the page that Gradio 6 takes in `launch`.
LAUNCH = {
    "theme": THEME,
    "css": CSS,
    "footer_links": ["api"],
    "max_file_size": pictures.MOST_BYTES,
    "show_error": True,
    "ssr_mode": False,
    "enable_monitoring": False,
    "run_history": False,
    "state_session_capacity": 100,  # sessions of 0.3 MB; the page does not depend on them
}


def build_demo(run, queue_size=QUEUE_SIZE):
    """Returns the page for a run, with its initial content drawn.

    Args:
        run: A `keras_vae.runs.Run`.
        queue_size: Number of requests that may wait; further ones are rejected with a message.

    Returns:
        `gr.Blocks`, to be launched with the options `LAUNCH`.

    Raises:
        ValueError: If the run is neither of images nor of a table.

    Example:

    ```python
    build_demo(runs.load()).launch(**LAUNCH)
    ```
    """
    check_noun(run.folder, run.noun)
    actions = Actions(run)
    with gr.Blocks(
        title=f"keras_vae: {run.config.get('name', 'a model')}",
        analytics_enabled=False,
        fill_width=False,
    ) as page:
        gr.HTML(headline(run), elem_classes="masthead")
        fill(build_for_images(actions) if run.is_of_images else build_for_table(actions))
    safety.refuse_addresses(page)
    safety.keep_clean(page)
    # By default each answered request sends a status message to all waiting visitors.
    page.queue(max_size=queue_size, status_update_rate=5)
    return page


def tabs_of_page():
    # By default Gradio moves tabs that do not fit into a menu: on a phone, four of six.
    return gr.Tabs(overflow_behavior="wrap", elem_classes="sections")


def build_for_images(actions):
    """Lays out the tabs; returns the functions that draw their initial content."""
    images, has = choices(actions)
    examples = actions.run.examples
    space_map = SpaceMap(examples) if examples is not None else None
    first = []
    with tabs_of_page() as tabs:
        with gr.Tab("Edit", id="edit"):
            photo, drawing = edit.build(actions, images, has)
            first.append(drawing)
        with gr.Tab("Sample", id="sample"):
            sample.build(actions, tabs, photo)
        with gr.Tab("A − B + C", id="arithmetic"):
            first.append(arithmetic.build(actions, images, has))
        with gr.Tab("Interpolate", id="interpolate"):
            first.append(interpolate.build(actions, images))
        with gr.Tab("Latent space", id="space"):
            first.append(space.build(actions, space_map))
        with gr.Tab("This model", id="about"):
            about.build(actions)
    api.build(actions, images, space_map)
    return first


def build_for_table(actions):
    """The same for a run of a table."""
    of_table = Rows(actions.run)
    with tabs_of_page() as tabs:
        with gr.Tab("Row", id="row"):
            drawing, pick, shown = row.build(of_table)
        with gr.Tab("Sample", id="sample"):
            rows.build_sample(actions, of_table)
        with gr.Tab("Map", id="map"):
            rows.build_map(actions, tabs, of_table, pick, shown)
        with gr.Tab("This model", id="about"):
            about.build(actions)
    api.build_for_table(actions, of_table)
    return [drawing]


def fill(drawings):
    """Draws the initial content of all tabs, so that the page opens complete."""
    for drawing in drawings:
        if drawing is None:
            continue
        function, inputs, outputs = drawing
        values = [value_of(one) for one in inputs or ()]
        for component, value in zip(outputs, function(*values)):
            if isinstance(component, gr.HTML):
                component.value = value


def value_of(component):
    """Returns the initial value of a component, as event handlers receive it."""
    value = component.value
    return value["path"] if isinstance(value, dict) and "path" in value else value


def choices(actions):
    """Returns images to choose from, and masks of those with and without the first attribute.

    An image with an unknown value is in neither mask. The masks are None without attributes.
    """
    examples = actions.run.examples
    if examples is None:
        if not actions.run.sources:
            return np.zeros((0, *actions.image_shape), "uint8"), None
        return actions.sample(24), None
    has = None
    if actions.attributes and actions.attributes[0] in examples.attribute_names:
        column = examples.attribute_names.index(actions.attributes[0])
        known = checks.as_known(examples.known, examples.attributes.shape)[:, column]
        shows = examples.attributes[:, column]
        has = known & shows, known & ~shows
    return examples.images, has


def headline(run):
    model = "a VAE" if run.model.has_prior else "a plain autoencoder"
    name = html.escape(str(run.config.get("name", run.noun)))  # a run may be from a stranger
    what, own = shape_of(run), ""
    if folders.is_pretrained(run.folder):
        own = " The model comes with the package; <code>python train.py</code> trains your own."
    return (
        f"<h1>keras_vae</h1><p>The latent space of {model} trained on <b>{name}</b>: {what}, "
        f"encoded as {run.model.latent_dim} numbers each.{own}</p>"
    )


def shape_of(run):
    if run.table:
        return f"rows of {len(run.table.modelled):,} columns"
    height, width = run.model.data_shape[:2]
    return f"images of {width} × {height} pixels"
