"""This model: settings, metrics, edit methods, sources of images, figures, and code to load it."""

import contextlib
import html

import gradio as gr

from keras_vae import photos, runs, tables
from keras_vae.datasets.names import favourite
from keras_vae.demo.tabs.row import listing
from keras_vae.demo.words import label
from keras_vae.start import folders, hub

NUMBERS = {
    "test_mse": ("Mean squared error per pixel and channel", "{:.5f}"),
    "test_loss": ("Test loss, nats per {item}", "{:,.2f}"),
    "test_reconstruction_loss": ("of which reconstruction", "{:,.2f}"),
    "test_kl_loss": ("of which KL", "{:,.2f}"),
    "test_log_likelihood": ("log p(x), nats per {item}", "{:,.2f}"),
    "linear_log_likelihood": ("The same of a linear model (probabilistic PCA)", "{:,.2f}"),
    "test_r2": ("Share of the variance that reconstructions explain", "{:.1%}"),
    "bits_per_dim": ("Bits per dimension, at most", "{:.2f}"),
    "active_units": ("Active latents", "{:,}"),
    "edit_flip_rate": ("Edits that add {attribute}, as judged by a classifier", "{:.1%}"),
    "edit_identity": ("Edits that preserve the identity, as judged by a classifier", "{:.1%}"),
    "train_seconds": ("Training time in seconds", "{:,.0f}"),
    "images_per_second": ("Training {items} per second", "{:,.0f}"),
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
    "mixture": "Gaussians fitted to the codes of the training data",
    "prior": "The distribution towards which training pulls the codes: {prior}",
}
PRETRAINED = (
    " **This is the pretrained model of the package**, trained on the faces that it draws. Its "
    "weights are stored in half precision."
)


def build(actions):
    """Lays out the tab."""
    run, config = actions.run, actions.run.config
    does = "samples" if run.table else "edits and samples"
    gr.Markdown(
        f"The data, settings and metrics of the model, how it {does}, and Python code to load it."
        + (PRETRAINED if folders.is_pretrained(run.folder) else ""),
        elem_classes="lead",
    )
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            gr.Markdown("### Settings")
            gr.HTML(table(settings(config, run)), elem_classes="facts")
        with gr.Column(min_width=300):
            gr.Markdown("### Metrics")
            gr.HTML(table(numbers(run)), elem_classes=["facts", "numbers"])
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            if run.table:
                gr.Markdown("### Columns")
                gr.HTML(columns(run), elem_classes="facts")
            else:
                gr.Markdown("### Edit methods")
                gr.HTML(table(edits(actions)), elem_classes="facts")
        with gr.Column(min_width=300):
            gr.Markdown(f"### Sources of new {run.noun}")
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


def settings(config, run):
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
        "Image shape": "" if run.table else " × ".join(map(str, shape)),
        f"Training / validation / test {run.noun}": " / ".join(
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


def numbers(run):
    try:
        metrics = folders.read_json(run.folder / "metrics.json")
    except FileNotFoundError:
        return {"metrics.json": "missing, since the run was not completed"}
    except (OSError, ValueError, RecursionError):
        return {"metrics.json": "cannot be read"}
    attribute = str(metrics.get("edit_attribute"))
    words = {"{attribute}": repr(attribute), "{items}": run.noun, "{item}": run.noun[:-1]}

    def named(what):
        for name, word in words.items():
            what = what.replace(name, word)
        return what

    return {
        named(what): form.format(metrics[key])
        for key, (what, form) in NUMBERS.items()
        if isinstance(metrics.get(key), (int, float))
    }


def columns(run):
    """Returns HTML of the columns of a table, with how well each is reconstructed."""
    found = {}
    with contextlib.suppress(OSError, ValueError, KeyError):  # missing or damaged
        cells = tables.read(run.folder / "columns.csv").columns
        found = {
            name: errors
            for name, *errors in zip(cells["column"], cells["error"], cells["usual_error"])
        }
    lines = []
    for column in run.table.modelled:
        kind = column.kind
        if column.categories:
            kind = f"{len(column.categories):,} categories"
        errors = [rounded(text, column.kind) for text in found.get(column.name, ("", ""))]
        lines.append([column.name, kind, *errors])
    lines += [[one.name, f"always {one.categories[0]}", "", ""] for one in run.table.constant]
    return listing(["column", "kind", "error", "error without the model"], lines)


def rounded(text, kind):
    """Returns an error in columns.csv for reading: of a category the share of wrong ones."""
    try:
        error = float(text)
    except ValueError:
        return ""
    if kind == "category":
        return f"{error:.1%} wrong"
    return f"{error:,.0f}" if abs(error) >= 1000 else f"{error:.3g}"


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
    if name := hub.name_of(run.folder):
        folder, what = name, "from the Hugging Face Hub"
    first = f"run = runs.load({folder!r})  # {what}"
    if run.table:
        return "\n".join(["from keras_vae import runs, tables", "", first, *code_of_table(run)])
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


def code_of_table(run):
    lines = []
    if run.sources:
        lines += ['tables.write("new.csv", run.table.decode(run.sample(100, seed=0)))']
    lines += ["", 'rows = run.table.encode(tables.read("rows.csv"))  # your own, NaN where missing']
    if run.model.has_prior:
        lines += ["nats = -run.model.log_likelihood(rows)  # how unusual each is"]
        lines += ["complete = run.table.decode(run.model.impute(rows))  # missing cells filled"]
    return lines + ["codes = run.model.codes(rows)"]
