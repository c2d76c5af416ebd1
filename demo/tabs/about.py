"""This model: what it was trained on, its numbers and methods, its pictures, code to load it."""

import contextlib
import html

import gradio as gr

from demo.words import label
from keras_vae import photos, runs
from keras_vae.datasets.names import favourite
from keras_vae.runs import folders

NUMBERS = {
    "test_mse": ("Squared error per pixel and channel", "{:.5f}"),
    "test_loss": ("Test loss, nats per image", "{:,.2f}"),
    "test_reconstruction_loss": ("of which reconstruction", "{:,.2f}"),
    "test_kl_loss": ("of which KL", "{:,.2f}"),
    "bits_per_dim": ("Bits per dimension, at most", "{:.2f}"),
    "active_units": ("Latents in use", "{:,}"),
    "edit_flip_rate": ("Test images that show {attribute} after an edit", "{:.1%}"),
    "edit_identity": ("of which still recognised", "{:.1%}"),
    "train_seconds": ("Seconds of training", "{:,.0f}"),
    "images_per_second": ("Images per second in training", "{:,.0f}"),
}


EDITED = {
    "flow": "By the flow: the noise of the picture's code, turned into a code again with other "
    "attributes. What changes depends on the picture",
    "discriminant": "Along a direction, the same for all pictures: the normal of a linear "
    "classifier of the codes",
    "regression": "Along a direction, the same for all pictures: the coefficients of a regression "
    "of the codes on all attributes",
    "mean_difference": "Along a direction, the same for all pictures: the mean code with the "
    "attribute minus the mean code without it",
}
SAMPLED = {
    "flow": "A small network, trained on the codes, that turns noise into codes step by step",
    "mixture": "Gaussians fitted to the codes of training images",
    "prior": "N(0, I), which training pulls the codes towards",
}


def build(actions):
    """Lays out the tab."""
    run, config = actions.run, actions.run.config
    gr.Markdown(
        "What this page was made from: the data, the settings and the numbers of the model, and "
        "the code to use it yourself.",
        elem_classes="lead",
    )
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            gr.Markdown("### Trained on")
            gr.HTML(table(settings(config)), elem_classes="facts")
        with gr.Column(min_width=300):
            gr.Markdown("### Numbers")
            gr.HTML(table(numbers(run.folder)), elem_classes=["facts", "numbers"])
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            gr.Markdown("### How it edits")
            gr.HTML(table(edits(actions)), elem_classes="facts")
        with gr.Column(min_width=300):
            gr.Markdown("### Where new pictures come from")
            gr.HTML(table(sources(run)), elem_classes="facts")
    gr.Markdown("### Load it")
    gr.Code(code(run), language="python", label="Python", interactive=False)
    shown = []
    for name, what in runs.FILES.items():
        if name.endswith(".png"):
            with contextlib.suppress(OSError, ValueError):  # not there, or damaged
                picture = photos.read(run.folder / name)
                shown.append((picture, f"{name}: {what.split(' (if')[0]}"))
    if shown:
        gr.Markdown("### Pictures")
        gr.Gallery(
            shown,
            show_label=False,
            label="Pictures of the run",
            format="png",
            columns=3,
            height="auto",
            object_fit="contain",
            interactive=False,
            buttons=["fullscreen", "download"],
            elem_classes="whole",
        )


def settings(config):
    """Returns the settings by what they are called; those that a config lacks are left out.

    A run may come from anybody: a value can be of any type.
    """
    images, shape, widths = (
        value if isinstance(value := config.get(key), kind) else kind()
        for key, kind in (("images", dict), ("image_shape", list), ("widths", list))
    )
    model = {"vae": "variational autoencoder", "ae": "plain autoencoder"}
    widths = "-".join(map(str, widths))
    pairs = {
        "Data": config.get("name"),
        "Images": " × ".join(map(str, shape)),
        "To train, validate, test": " / ".join(
            f"{count:,}" if isinstance(count, int) else str(count) for count in images.values()
        ),
        "Model": model.get(str(config.get("model"))),
        "Network": f"{config.get('network', '')} {widths}".strip(),
        "Latents": config.get("latent_dim"),
        "Likelihood": config.get("likelihood"),
        "Weight of the KL (beta)": config.get("beta"),
        "Epochs": config.get("epochs"),
        "Trained with": config.get("backend"),
        "On": config.get("started"),
    }
    return {what: value for what, value in pairs.items() if value not in (None, "")}


def numbers(folder):
    try:
        metrics = folders.read_json(folder / "metrics.json")
    except FileNotFoundError:
        return {"There is no metrics.json": "the run was not completed"}
    except (OSError, ValueError, RecursionError):
        return {"metrics.json": "cannot be read"}
    attribute = str(metrics.get("edit_attribute"))
    return {
        what.replace("{attribute}", repr(attribute)): form.format(metrics[key])
        for key, (what, form) in NUMBERS.items()
        if isinstance(metrics.get(key), (int, float))
    }


def edits(actions):
    """Returns how each method edits, by the attributes that it edits."""
    by_method = {}
    for name in actions.attributes:
        by_method.setdefault(actions.edits.method(name), []).append(label(name))
    pairs = {", ".join(names): EDITED.get(method, method) for method, names in by_method.items()}
    return pairs or {"Nothing": "The training images have no attributes or classes"}


def sources(run):
    """Returns what each source of codes is, the one that is used first on top."""
    return {name.capitalize(): SAMPLED[name] for name in run.sources} or {
        "Nowhere": "Nothing is known of where the codes of a plain autoencoder lie"
    }


def table(pairs):
    rows = [
        f"<tr><td>{html.escape(what)}</td><td>{html.escape(str(value))}</td></tr>"
        for what, value in pairs.items()
    ]
    return f"<table>{''.join(rows)}</table>"


def code(run):
    """Returns Python that loads the run and uses what it has."""
    folder = run.folder.resolve().name
    first = f"run = runs.load({folder!r})  # the folder of the run, or its name in runs/"
    lines = ["from keras_vae import latent, runs", "", first]
    if run.sources:
        lines += ["images = run.sample(16, seed=0)  # (16, height, width, channels) in [0, 1]"]
    if run.flow is not None and len(run.flow):
        lines += [
            f"images = run.sample(16, seed=0, attributes={{{favourite(list(run.flow))!r}: True}})"
        ]
    if run.edits:
        name = favourite(run.edits.names)
        lines += [
            "",
            "# `images` of your own: (n, height, width, channels), uint8 or in [0, 1]",
            f"edited = latent.edit(run.model, images, run.edits, {{{name!r}: 1}})",
        ]
    return "\n".join(lines)
