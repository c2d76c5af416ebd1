"""The README.md of a run on the Hugging Face Hub: what it is, its numbers, pictures and limits."""

import json
import re

from keras_vae.datasets.names import favourite, short
from keras_vae.runs.files import FILES
from keras_vae.runs.summary import number_of, said_of
from keras_vae.runs.words import share
from keras_vae.start.folders import direction_names, read_json
from keras_vae.start.hub import FIGURES, PREFIX

FILE = "README.md"
NORMAL = 1.959964  # standard errors on each side of a 95 % interval
HEAD = ("edit", "strength", "works on", "of images", "leakage", "into", "still recognised")


def text(folder, repo, license=None):
    """Returns the README.md of a run.

    Args:
        folder: The `Path` of a packed run with its figures, and evaluation.json if there is one.
        repo: Where it will be, ``"name/repo"``.
        license: The identifier of a licence, or None.

    Returns:
        A string: Markdown, after a header for the Hub.

    Example:

    ```python
    card.text(keras_vae.runs.find("pretrained"), "name/faces")
    ```
    """
    config, metrics, report = (
        read_json(folder / name) if (folder / name).is_file() else {}
        for name in ("config.json", "metrics.json", "evaluation.json")
    )
    noun = config.get("noun", "images")
    parts = [
        header(config, license),
        f"# {repo.split('/')[1]}",
        introduction(config, noun),
        table([("", ""), *facts(config, metrics, noun)]),
        "## Use it",
        use(folder, config, metrics, repo, noun),
        "## Numbers",
        numbers(metrics, report, noun),
        *pictures(folder, noun),
        "## Limits",
        "\n".join(f"- {line}" for line in limits(folder, config, metrics, report, noun)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def header(config, license):
    """Returns the lines that the Hub reads."""
    kind = "autoencoder" if config.get("model") == "ae" else "variational-autoencoder"
    lines = ["---", *([f"license: {license}"] if license else []), "library_name: keras", "tags:"]
    return "\n".join([*lines, "- keras_vae", f"- {kind}", "---"])


def introduction(config, noun):
    kind = "An autoencoder" if config.get("model") == "ae" else "A variational autoencoder"
    line = f"{kind} of {noun}, trained with keras_vae"
    if config.get("name"):
        line += f" on the data set {plain(config['name'])}"
    if images := config.get("images"):
        parts = {"train": "to train", "validation": "to validate", "test": "to test"}
        line += f": {', '.join(f'{images[name]:,} {noun} {what}' for name, what in parts.items())}"
    return f"{line}."


def facts(config, metrics, noun):
    """Yields what the model is, as rows of a table."""
    if shape := config.get("image_shape"):
        yield f"shape of {noun}", " x ".join(map(str, shape))
    if config.get("network"):
        widths = "-".join(map(str, config.get("widths") or ()))
        yield "network", f"{config['network']} {widths}"
    if config.get("latent_dim"):
        yield "latents", config["latent_dim"]
    for name in ("likelihood", "beta", "prior", "bound", "penalty"):
        if config.get(name) is not None:
            yield name, plain(config[name])
    if config.get("parameters"):
        yield "parameters", number_of(config["parameters"])
    if config.get("backend"):
        yield "trained on", f"{config['backend']}, {plain(config.get('device') or '')}"
    if metrics.get("best_epoch") and metrics.get("train_seconds") is not None:
        yield "epochs", f"{metrics['best_epoch']}, in {metrics['train_seconds']:,.0f} s in all"
    if config.get("table"):
        yield "columns", ", ".join(plain(name) for name, *_ in config["table"])
    if config.get("attribute_names"):
        yield "attributes", ", ".join(plain(short(name)) for name in config["attribute_names"])


def use(folder, config, metrics, repo, noun):
    """Returns the commands and the code that load the run."""
    backend, name = config.get("backend") or "jax", f"{PREFIX}{repo}"
    lines = [
        "import os",
        "",
        f'os.environ["KERAS_BACKEND"] = "{backend}"  # or another; before Keras is imported',
        "",
        "from keras_vae import runs",
        "",
        f'run = runs.load("{name}")',
        f"new = run.sample(16, seed=0)  # 16 {noun}",
    ]
    has = {path.name for path in folder.iterdir()}
    if config.get("model") == "ae" and not has & {"flow.keras", "mixture.npz"}:
        lines.pop()  # it has nothing to sample from
    if noun == "images" and {"directions.npz", "examples.npz"} <= has:
        lines[lines.index("from keras_vae import runs")] = "from keras_vae import latent, runs"
        known = direction_names(folder)
        name_of_edit = metrics.get("edit_attribute")
        wish = name_of_edit if name_of_edit in known else favourite(known)
        lines += [
            "images = run.examples.images[:8]  # test images, or your own",
            f"edited = latent.edit(run.model, images, run.edits, {{{json.dumps(wish)}: 1}})",
        ]
    return "\n".join(
        [
            f"With keras_vae and its extras `hub` and `{backend}`, or that of another backend "
            f'(`pip install "keras_vae[hub,{backend}]"`):',
            "",
            "```python",
            *lines,
            "```",
            "",
            f"A page to try it, with the extra `demo`: `keras-vae demo {name}`",
        ]
    )


def numbers(metrics, report, noun):
    """Returns the numbers of metrics.json and evaluation.json, with known intervals."""
    rows = [*fit_rows(metrics | report.get("fit", {}), noun)]
    blocks = []
    if rows:
        blocks += [f"On test {noun}, which the model was not trained on."]
        blocks += [table([("", "value", "95 % interval"), *rows])]
    edits = [*edit_rows(report)]
    if edits:
        blocks += [
            f"Edits of {report['edits']['images']['test']:,} test images, judged by a classifier. "
            "Works on: the share of images judged to lack the attribute that are judged to have "
            "it after the edit. Leakage: the largest share of verdicts on another attribute that "
            "change. ±: 95 % interval.",
            table([HEAD, *edits]),
        ]
    elif metrics.get("edit_flip_rate") is not None:
        blocks += [f"{edit_sentence(metrics)} No interval was computed for these shares."]
    return "\n\n".join(blocks) or "Nothing was measured."


def fit_rows(numbers, noun):
    """Yields the rows of the numbers of the fit: what it is, the value, and its interval."""
    one, none = noun[:-1], "not computed"
    if numbers.get("log_likelihood") is not None:
        value, error = numbers["log_likelihood"], numbers.get("log_likelihood_standard_error")
        interval = none
        if error is not None:
            interval = f"{value - NORMAL * error:,.2f} to {value + NORMAL * error:,.2f}"
        count = f"{numbers['log_likelihood_images']:,} {noun}"
        yield f"log p(x) of {count}, estimated, nats per {one}", f"{value:,.2f}", interval
    for name, what, form in (
        ("test_loss", f"loss, nats per {one}", ",.2f"),
        ("test_mse", "squared error per pixel and channel", ".5f"),
        ("test_psnr", "PSNR of reconstructions, dB", ".2f"),
        ("test_ssim", "SSIM of reconstructions", ".3f"),
        ("bits_per_dim", "bits per pixel and channel, at most", ".3f"),
        ("test_r2", "R², the mean over the columns", ".3f"),
        ("linear_log_likelihood", f"log p(x) of a linear model, nats per {one}", ",.2f"),
        ("test_log_likelihood", f"log p(x) of this model of the same {noun}", ",.2f"),
    ):
        if numbers.get(name) is not None:
            yield what, format(numbers[name], form), none


def edit_rows(report):
    """Yields a row for each attribute whose edit was measured, by the method that the run uses."""
    for name, point, measurable in measured_edits(report):
        yield (
            plain(short(name)) + ("" if measurable else " (the classifier is unsure)"),
            f"{point['strength']:g}",
            share(point["flip_rate"], point["flip_rate_interval"]),
            f"{point['n']:,}",
            share(point["largest_leakage"], point["largest_leakage_interval"]),
            plain(short(point["leaks_into"] or "-")),
            share(point["identity"], point["identity_interval"]),
        )


def measured_edits(report):
    """Yields name, numbers, and whether they can be relied on, of each edit of evaluation.json."""
    for name, entry in report.get("edits", {}).get("attributes", {}).items():
        yield name, entry["methods"][entry["method"]], entry["measurable"]


def edit_sentence(metrics):
    """Returns what training measured of one attribute."""
    line = f"An edit of {plain(metrics['edit_attribute'])}, judged by a classifier, works on "
    line += f"{metrics['edit_flip_rate']:.1%} of test images judged to lack it"
    if metrics.get("edit_identity") is not None:
        line += f"; {metrics['edit_identity']:.1%} are still recognised"
    return f"{line}."


def pictures(folder, noun):
    """Yields the section of the figures."""
    names = [name for name in FIGURES if (folder / name).is_file()]
    if names:
        yield "## Pictures"
    for name in names:
        # The table itself is not pushed.
        what = said_of(name, FILES["columns.csv" if name == "columns.png" else name], noun)
        yield f"![{what}]({name})\n\n*{what[0].upper()}{what[1:]}.*"


def limits(folder, config, metrics, report, noun):
    """Yields what the model cannot do, or is not known to."""
    if config.get("name"):
        yield (
            f"It was trained on {plain(config['name'])} and nothing else, and measured on test "
            f"{noun} of the same data. How it does on other {noun} was not measured."
        )
    if config.get("completed") is False:
        yield "Its training ended early: this is the best model until then."
    if noun == "images" and (folder / "directions.npz").exists():
        yield leakage(metrics, report)
        yield (
            "Attributes are those that the data are labelled with. They may be wrong, and are as "
            "correlated as in the data."
        )
    elif noun == "images":
        yield "It has no attributes to edit."
    absent = {part: found["missing"] for part, found in report.items() if has_reason(found)}
    for part, why in absent.items():
        yield f"Not measured: {part}, because {plain(why)}."
    if not report:
        yield (
            "It was not evaluated (`keras-vae evaluate`), so there are no intervals, and it is not "
            f"known how similar its samples are to real {noun}."
        )
    if (folder / "examples.npz").exists():
        yield f"`examples.npz` contains test {noun} of the data."
    if noun == "images":
        yield (
            "Weights are stored in half precision; pixels differ by about 1/1000 of their range "
            "from those of the run that was measured."
        )


def has_reason(part):
    return isinstance(part, dict) and "missing" in part


def leakage(metrics, report):
    """Returns a sentence about the largest leakage of an edit, or that none was measured."""
    known = [
        (point["largest_leakage"], point["largest_leakage_interval"], name, point["leaks_into"])
        for name, point, _ in measured_edits(report)
        if point["largest_leakage"] is not None
    ]
    if known:
        value, interval, name, into = max(known, key=lambda edit: edit[0])
        return (
            f"Edits change more than they should. The largest leakage is that of "
            f"{plain(short(name))}: it changes {share(value, interval)} of the verdicts on "
            f"{plain(short(into))}."
        )
    if metrics.get("edit_largest_leakage") is not None:
        return (
            f"Edits change more than they should: that of {plain(metrics['edit_attribute'])} "
            f"changes {metrics['edit_largest_leakage']:.1%} of the verdicts on "
            f"{plain(metrics['edit_leaks_into'])}, an estimate without an interval. The leakage of "
            "edits of other attributes was not measured."
        )
    return "What edits change besides their attribute, the leakage, was not measured."


def table(rows):
    """Returns a Markdown table; the first row is its head."""
    head, *rows = [[str(cell) for cell in row] for row in rows]
    rows = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def plain(text):
    """Returns text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*\[\]<>|#])", r"\\\1", " ".join(str(text).split()))
