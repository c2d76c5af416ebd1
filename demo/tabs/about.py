"""This model: what it was trained on, its numbers, its pictures, the code to load it."""

import contextlib
import html

import gradio as gr

from keras_vae import photos, run_folders, runs

NUMBERS = {
    "test_mse": ("Squared error per pixel and channel", "{:.5f}"),
    "test_loss": ("Test loss, nats per image", "{:,.2f}"),
    "test_reconstruction_loss": ("of it reconstruction", "{:,.2f}"),
    "test_kl_loss": ("of it KL", "{:,.2f}"),
    "bits_per_dim": ("Bits per dimension, at most", "{:.2f}"),
    "active_units": ("Latents in use", "{:,}"),
    "edit_flip_rate": ("Edits of one attribute that do what they should, on test images", "{:.1%}"),
    "edit_identity": ("Of these, still recognised", "{:.1%}"),
    "train_seconds": ("Seconds of training", "{:,.0f}"),
    "images_per_second": ("Images per second in training", "{:,.0f}"),
}


def build(run):
    """Lays out the tab."""
    config = run.config
    gr.Markdown(
        "What stands behind this page, so that you can judge it, and use it yourself.",
        elem_classes="lead",
    )
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            gr.Markdown("### Trained on")
            gr.HTML(table(settings(config)), elem_classes="facts")
        with gr.Column(min_width=300):
            gr.Markdown("### Numbers")
            gr.HTML(table(numbers(run.folder)), elem_classes=["facts", "numbers"])
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
    """Returns pairs of what and how much; what a config does not say is left out.

    A run may come from anybody: nothing in it is taken for what it should be.
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
        metrics = run_folders.read_json(folder / "metrics.json")
    except FileNotFoundError:
        return {"There is no metrics.json": "the run was not completed"}
    except (OSError, ValueError, RecursionError):
        return {"metrics.json": "cannot be read"}
    return {
        what: form.format(metrics[key])
        for key, (what, form) in NUMBERS.items()
        if isinstance(metrics.get(key), (int, float))
    }


def table(pairs):
    rows = [
        f"<tr><td>{html.escape(what)}</td><td>{html.escape(str(value))}</td></tr>"
        for what, value in pairs.items()
    ]
    return f"<table>{''.join(rows)}</table>"


def code(run):
    folder = run.folder.resolve().name
    first = f"run = runs.load({folder!r})  # the folder of the run, or its name in runs/"
    lines = ["from keras_vae import latent, runs", "", first]
    if run.sources:
        lines += ["images = run.sample(16, seed=0)  # (16, height, width, channels) in [0, 1]"]
    if run.directions:
        name = run.directions.names[0]
        lines += [
            "",
            "# `images` of your own: (n, height, width, channels), uint8 or in [0, 1]",
            f"edited = latent.edit(run.model, images, run.directions, {{{name!r}: 1.5}})",
        ]
    return "\n".join(lines)
