"""A - B + C: arithmetic with pictures, and with groups of them."""

import gradio as gr
import numpy as np

from keras_vae import checks
from keras_vae.demo import controls, pictures
from keras_vae.demo.actions import STRENGTH, SUMS
from keras_vae.demo.events import LIVE, QUIET, reporting
from keras_vae.demo.picker import picker

MANY = 20  # with more groups, the menu can be searched by typing
ONE = ""  # value of the choice "One picture"; that of a group is "+smiling" or "-smiling"


def build(actions, images, has):
    """Lays out the tab; `has` are masks of the images with and without the first attribute."""
    groups = choices(actions)
    gr.Markdown(
        "Add to the code of C what A has and B lacks: `z = C + a · (A − B)`. "
        + ("A and B can be single pictures, or groups: all test images with or without an "
           "attribute, represented by their mean code. **Groups work better:** two single pictures "
           "also differ in other ways, which are added to C as well; in means they cancel out."
           if groups
           else "Two pictures usually differ in several ways, and all of them are added to C."),
        elem_classes="lead",
    )  # fmt: skip
    starts, (first, second) = three(actions, images, has), opening(groups)
    third = starts[2] if second == ONE else member(actions, second, starts[2])
    with gr.Row(equal_height=False):
        with gr.Column(min_width=150):
            a, group_a = side("A: has it", groups, first, actions, images, starts[0])
        with gr.Column(min_width=150):
            b, group_b = side("B: lacks it", groups, second, actions, images, starts[1])
        with gr.Column(min_width=220):
            c = picker("C: gets it", images, third, height=200)
    strength = controls.slider(-STRENGTH, STRENGTH, 1, step=0.1, label="Strength a")
    with gr.Row(equal_height=False, elem_classes="stack"):
        result, strip = gr.HTML(min_width=180, elem_classes="sum"), gr.HTML(min_width=320)

    def draw(group_a, a, group_b, b, c, strength):
        if (group_a == ONE and a is None) or (group_b == ONE and b is None) or c is None:
            return pictures.note("A picture is missing. Choose or upload one"), ""
        first, second = (
            pictures.read(photo) if group == ONE else wanted(group)
            for group, photo in ((group_a, a), (group_b, b))
        )
        image, images = actions.arithmetic(first, second, pictures.read(c), strength)
        labels = [pictures.signed(value) for value in SUMS]
        return (
            pictures.shown(image, f"C {pictures.signed(strength)} · (A − B)", "sum"),
            pictures.strip(images, labels, "C + a · (A − B), a below each picture"),
        )

    inputs = [group_a, a, group_b, b, c, strength]
    gr.on(
        [group_a.input, a.change, group_b.input, b.change, c.change, strength.input],
        reporting(draw),
        inputs,
        [result, strip],
        **LIVE,
    )
    return reporting(draw), inputs, [result, strip]


def side(title, groups, start, actions, images, row):
    """Lays out the inputs for A or B; returns the picture and the menu of groups."""
    menu = gr.Dropdown(
        [("One picture", ONE), *groups],
        value=start,
        label=title,
        visible=bool(groups),
        filterable=len(groups) > MANY,
    )
    with gr.Column(visible=start == ONE) as single:
        photo = picker(title, images, row, height=200, caption=not groups)

    def mean(choice):
        if choice == ONE:
            return ""
        image = actions.decode(actions.group(wanted(choice))[None])[0]
        ((name, has),) = wanted(choice).items()
        count = actions.groups[name, has]
        return pictures.shown(image, f"Decoded mean code of {count:,} test images")

    decoded = gr.HTML(mean(start), elem_classes="mean")

    def switch(choice):
        return gr.Column(visible=choice == ONE), mean(choice)

    menu.input(reporting(switch), menu, [single, decoded], **QUIET)
    return photo, menu


def choices(actions):
    """Returns the groups to choose from, as pairs of label and value.

    A class has one group, its own images, but none of the images of all other classes.
    """
    return [
        (group_label(actions, name, has), f"{'+' if has else '-'}{name}")
        for name, has in actions.groups
        if has or not actions.is_class(name)
    ]


def group_label(actions, name, has):
    if actions.is_class(name):
        return f"Class {name}"
    return f"{'With' if has else 'Without'} {name.replace('_', ' ')}"


def wanted(choice):
    """Returns the group of a menu value, such as ``{"smiling": True}``."""
    return {choice[1:]: choice[0] == "+"}


def opening(groups):
    """Returns the initial menu values of A and B: two groups if there are any."""
    values = [value for _, value in groups]
    return values[:2] if len(values) > 1 else (ONE, ONE)


def member(actions, choice, otherwise):
    """Returns the index of the first test image in a group, or `otherwise` if there is none."""
    ((name, has),) = wanted(choice).items()
    examples = actions.run.examples
    known = checks.as_known(examples.known, examples.attributes.shape)
    column = examples.attribute_names.index(name)
    rows = known[:, column] & (examples.attributes[:, column] == has)
    return int(np.argmax(rows)) if rows.any() else otherwise


def three(actions, images, has):
    """Returns the indices of the initial images: A has the first attribute, B and C lack it.

    Of all such pairs, A and B have the closest codes.
    """
    if has is not None and has[0].any() and has[1].sum() >= 2:
        codes = actions.run.examples.codes[: len(images)]
        with_it, without = map(np.flatnonzero, has)
        distances = np.linalg.norm(codes[with_it][:, None] - codes[without], axis=-1)
        a, b = np.unravel_index(np.argmin(distances), distances.shape)
        return int(with_it[a]), int(without[b]), int(np.delete(without, b)[0])
    return tuple(min(row, max(len(images) - 1, 0)) for row in range(3))
