"""This model: settings, metrics, edit methods, sources of images, figures, and code to load it."""

import contextlib
import html

import gradio as gr

from demo.words import label
from keras_vae import photos, runs
from keras_vae.datasets.names import favourite
from keras_vae.runs import folders

NUMBERS = {
    "test_mse": ("Mean squared error per pixel and channel", "{:.5f}"),
    "test_loss": ("Test loss, nats per image", "{:,.2f}"),
    "test_reconstruction_loss": ("of which reconstruction", "{:,.2f}"),
    "test_kl_loss": ("of which KL", "{:,.2f}"),
    "bits_per_dim": ("Bits per dimension, at most", "{:.2f}"),
    "active_units": ("Active latents", "{:,}"),
    "edit_flip_rate": ("Edits that add {attribute}, as judged by a classifier", "{:.1%}"),
    "edit_identity": ("Edits that preserve the identity, as judged by a classifier", "{:.1%}"),
    "train_seconds": ("Training time in seconds", "{:,.0f}"),
    "images_per_second": ("Training images per second", "{:,.0f}"),
}


EDITED = {
    "flow": "Flow: the code is mapped to noise, and the noise to a code with other attributes. The "
    "change depends on the picture",
    "condition": "The same code, decoded with another condition: the model was trained with these "
    "attributes as a second input",
    "discriminant": "One direction for all pictures: the normal of a linear classifier of the "
    "codes",
    "regression": "One direction for all pictures: the coefficients of a regression of the codes "
    "on all attributes",
    "mean_difference": "One direction for all pictures: the mean code with the attribute minus "
    "the mean code without it",
}
SAMPLED = {
    "flow": "A small network, trained on the codes, that transforms noise into codes step by step",
    "mixture": "Gaussians fitted to the codes of training images",
    "prior": "The distribution towards which training pulls the codes: {prior}",
}
PRETRAINED = (
    " **This is the pretrained model of the package**, trained on the faces that it draws. Its "
    "weights are stored in half precision."
)


def build(actions):
    """Lays out the tab."""
    run, config = actions.run, actions.run.config
    gr.Markdown(
        "The data, settings and metrics of the model, how it edits and samples, and Python code "
        "to load it." + (PRETRAINED if folders.is_pretrained(run.folder) else ""),
        elem_classes="lead",
    )
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            gr.Markdown("### Settings")
            gr.HTML(table(settings(config)), elem_classes="facts")
        with gr.Column(min_width=300):
            gr.Markdown("### Metrics")
            gr.HTML(table(numbers(run.folder)), elem_classes=["facts", "numbers"])
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            gr.Markdown("### Edit methods")
            gr.HTML(table(edits(actions)), elem_classes="facts")
        with gr.Column(min_width=300):
            gr.Markdown("### Sources of new images")
            gr.HTML(table(sources(run)), elem_classes="facts")
    gr.Markdown("### Use it in Python")
    gr.Code(code(run), language="python", label="Python", interactive=False)
    figures = []
    for name, what in runs.FILES.items():
        if name.endswith(".png"):
            with contextlib.suppress(OSError, ValueError):  # missing or damaged
                picture = photos.read(run.folder / name)
                figures.append((picture, f"{name}: {what.split(' (if')[0]}"))
    if figures:
        gr.Markdown("### Figures")
        gr.Gallery(
            figures,
            show_label=False,
            label="Figures of the run",
            format="png",
            columns=3,
            height="auto",
            object_fit="contain",
            interactive=False,
            buttons=["fullscreen", "download"],
            elem_classes="whole",
        )


def settings(config):
    """Returns the settings by label, without those that config.json lacks.

    A run may be from a stranger, so that a value can have any type.
    """
    images, shape, widths = (
        value if isinstance(value := config.get(key), kind) else kind()
        for key, kind in (("images", dict), ("image_shape", list), ("widths", list))
    )
    model = {"vae": "variational autoencoder", "ae": "plain autoencoder"}
    widths = "-".join(map(str, widths))
    pairs = {
        "Data": config.get("name"),
        "Image shape": " × ".join(map(str, shape)),
        "Training / validation / test images": " / ".join(
            f"{count:,}" if isinstance(count, int) else str(count) for count in images.values()
        ),
        "Model": model.get(str(config.get("model"))),
        "Network": f"{config.get('network', '')} {widths}".strip(),
        "Latents": config.get("latent_dim"),
        "Likelihood": config.get("likelihood"),
        "Prior": config.get("prior"),
        "Bound": config.get("bound"),
        "Penalty": config.get("penalty"),
        "Weight of the KL (beta)": config.get("beta"),
        "Epochs": config.get("epochs"),
        "Backend": config.get("backend"),
        "Started": config.get("started"),
    }
    return {what: value for what, value in pairs.items() if value not in (None, "")}


def numbers(folder):
    try:
        metrics = folders.read_json(folder / "metrics.json")
    except FileNotFoundError:
        return {"metrics.json": "missing, since the run was not completed"}
    except (OSError, ValueError, RecursionError):
        return {"metrics.json": "cannot be read"}
    attribute = str(metrics.get("edit_attribute"))
    return {
        what.replace("{attribute}", repr(attribute)): form.format(metrics[key])
        for key, (what, form) in NUMBERS.items()
        if isinstance(metrics.get(key), (int, float))
    }


def edits(actions):
    """Returns the description of each edit method, by the labels of its attributes."""
    by_method = {}
    for name in actions.attributes:
        by_method.setdefault(actions.edits.method(name), []).append(label(name))
    pairs = {", ".join(names): EDITED.get(method, method) for method, names in by_method.items()}
    return pairs or {"None": "The training images have no attributes or classes"}


def sources(run):
    """Returns the description of each source of codes, the best first."""
    prior = getattr(run.model, "prior", None)
    title = prior and prior.title
    return {name.capitalize(): SAMPLED[name].format(prior=title) for name in run.sources} or {
        "None": "The distribution of the codes of a plain autoencoder is unknown"
    }


def table(pairs):
    rows = [
        f"<tr><td>{html.escape(what)}</td><td>{html.escape(str(value))}</td></tr>"
        for what, value in pairs.items()
    ]
    return f"<table>{''.join(rows)}</table>"


def code(run):
    """Returns Python code that loads the run and uses its parts."""
    folder = run.folder.resolve().name
    what = "the folder of the run, or its name in runs/"
    if folders.is_pretrained(run.folder):
        what = "the pretrained model of the package"
    first = f"run = runs.load({folder!r})  # {what}"
    lines = ["from keras_vae import latent, runs", "", first]
    if run.sources:
        lines += ["images = run.sample(16, seed=0)  # (16, height, width, channels) in [0, 1]"]
    for names in [*run.wishes.values()][:1]:
        lines += [f"images = run.sample(16, seed=0, attributes={{{favourite(names)!r}: True}})"]
    if run.edits:
        name = favourite(run.edits.names)
        lines += [
            "",
            "# `images` can be your own: (n, height, width, channels), uint8 or in [0, 1]",
            f"edited = latent.edit(run.model, images, run.edits, {{{name!r}: 1}})",
        ]
    return "\n".join(lines)
