"""Sample: new images, decoded from random codes."""

import gradio as gr
import numpy as np

from keras_vae.demo import controls
from keras_vae.demo.actions import MOST_TEMPERATURE
from keras_vae.demo.events import LIVE, QUIET, reporting
from keras_vae.demo.picker import displayed
from keras_vae.demo.words import IN_VIEW, label

SOURCES = {
    "flow": ("Flow", "a network that transforms noise into codes"),
    "mixture": ("Mixture", "Gaussians fitted to the codes"),
    "prior": ("Prior", "the distribution towards which training pulls the codes"),
}
COUNT = 24
NONE = (
    "**No samples:** the codes of a plain autoencoder follow no known distribution, and this run "
    "has neither a flow nor a mixture fitted to them. To train a VAE, which has a prior to sample "
    "from: `python train.py --model vae`."
)
ANY, WITH, WITHOUT = "any", "with", "without"


def build(actions, tabs, photo):
    """Lays out the tab; a click on an image sends it to `photo` in the tab Edit."""
    if not actions.run.sources:
        gr.Markdown(NONE, elem_classes="note")
        return
    gr.Markdown(
        "Random codes, decoded: new images that are not in the data. **Click an image to edit "
        "it.**",
        elem_classes="lead",
    )
    with gr.Row(equal_height=False, elem_classes="drawn"):
        with gr.Column(scale=2, min_width=300):
            settings = Settings(actions, COUNT)
        with gr.Column(scale=5, min_width=300, elem_classes="new"):
            grid = gr.Gallery(
                [displayed(image) for image in actions.sample(COUNT)],
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
    # The settings of the images in the grid, from which a click draws its image again: the
    # controls may have changed since. The browser stores them, so that the server needs no state.
    last = gr.JSON([COUNT, 0, 1.0, actions.run.sources[0], {}], visible="hidden")

    def show(*drawn):
        return {grid: [displayed(image) for image in actions.sample(*drawn)], last: list(drawn)}

    def send(last, event: gr.SelectData):
        if not isinstance(last, list) or len(last) != 5:
            raise ValueError("There is no such picture")
        images = actions.sample(*last)
        if type(event.index) is not int or not 0 <= event.index < len(images):
            raise ValueError("There is no such picture")
        return displayed(images[event.index]), gr.Tabs(selected="edit")

    settings.connect(show, [grid, last])
    grid.select(reporting(send), last, [photo, tabs], **QUIET)


class Settings:
    """The controls of new images or rows.

    Args:
        actions: `demo.actions.Actions` of a run that has a source of codes.
        count: How many the page opens with.
    """

    def __init__(self, actions, count):
        sources, noun = actions.run.sources, actions.run.noun
        self.source = gr.Radio(
            [(SOURCES[name][0], name) for name in sources],
            value=sources[0],
            label="Codes from",
            info=". ".join(": ".join(SOURCES[name]) for name in sources),
        )
        # The controls for attributes, and the source and the attribute of each.
        self.wishes, self.names, self.columns = [], [], {}
        for name, wanted in actions.wishes.items():
            with gr.Column(visible=sources[0] == name, elem_classes="wishes") as column:
                names, wishes = lay_out_wishes(actions, wanted)
            self.columns[name] = column
            self.names += [(name, wish) for wish in names]
            self.wishes += wishes
        self.draw = gr.Button("Draw again", variant="primary")
        with gr.Accordion("Number, temperature, seed", open=False):
            self.count = controls.slider(1, actions.most, count, step=1, label=f"Number of {noun}")
            self.temperature = controls.slider(
                0,
                MOST_TEMPERATURE,
                1,
                step=0.05,
                label="Temperature",
                info="Below 1: more typical and less diverse",
            )
            self.seed = gr.Number(
                0, label="Seed", info=f"One seed always gives the same {noun}", precision=0
            )

    def connect(self, show, outputs):
        """Has ``show(count, seed, temperature, source, attributes)``, a dict, fill `outputs`."""

        def drawn(count, seed, temperature, source, *wishes):
            own = [(name, wish) for (of, name), wish in zip(self.names, wishes) if of == source]
            return show(count, seed, temperature, source, asked(own))

        def others(count, temperature, source, *wishes):
            seed = int(np.random.SeedSequence().generate_state(1)[0])
            return {self.seed: seed, **drawn(count, seed, temperature, source, *wishes)}

        others_of = [self.count, self.temperature, self.source, *self.wishes]
        gr.on(
            [one.input for one in others_of] + [self.seed.submit],
            reporting(drawn),
            [self.count, self.seed, self.temperature, self.source, *self.wishes],
            outputs,
            **LIVE,
        )
        if self.columns:
            self.source.input(
                lambda source: {
                    column: gr.Column(visible=source == of) for of, column in self.columns.items()
                },
                self.source,
                [*self.columns.values()],
                **QUIET,
            )
        self.draw.click(reporting(others), others_of, [self.seed, *outputs], **QUIET)


def lay_out_wishes(actions, wanted):
    """Lays out the controls for attributes of new images.

    Returns:
        The attribute of each control, None for the menu of classes, and the controls.
    """
    classes = [name for name in wanted if actions.is_class(name)]
    names = [name for name in wanted if name not in classes]
    controls = []
    if classes:
        menu = [(ANY, ANY), *((label(name), f"+{name}") for name in classes)]
        controls.append(gr.Dropdown(menu, value=ANY, label="Class", filterable=len(menu) > 20))
    with gr.Column(elem_classes="wish-rows"):
        controls += [wish(name) for name in names[:IN_VIEW]]
    if len(names) > IN_VIEW:
        with (
            gr.Accordion(f"{len(names) - IN_VIEW} more attributes", open=False),
            gr.Column(elem_classes="wish-rows"),
        ):
            controls += [wish(name) for name in names[IN_VIEW:]]
    return [*([None] if classes else []), *names], controls


def wish(name):
    return gr.Radio(
        [ANY, WITH, WITHOUT], value=ANY, label=label(name), elem_classes="wish", min_width=100
    )


def asked(wishes):
    """Returns the attributes that pairs of names and controls select, True or False by name."""
    attributes = {}
    for name, choice in wishes:
        if choice not in (None, ANY):
            name, has = (choice[1:], True) if name is None else (name, choice == WITH)
            attributes[name] = has
    return attributes
