"""Prints the evaluation of a run, which `keras_vae/runs/report.py` computes."""

import textwrap

from keras_vae.datasets.names import short
from keras_vae.evaluate.edits import MEASURABLE

WIDTH = 96  # approximate characters per line
LEGEND = (
    "judge on: balanced accuracy of the judge on photos and reconstructions. a: strength for",
    "--set, chosen on validation images. flip rate: share of the n images judged to lack the",
    "attribute that are judged to have it after the edit. leakage: largest share of verdicts on",
    "another attribute that change. identity: share of edited images whose nearest test image is",
    "still the original; ceiling: the same without an edit. removed: flip rate of the opposite",
    "edit, on images judged to have the attribute. keep_detail: the change added to the photo, and",
    "compared with the photo instead of its reconstruction. >: the method that the run uses.",
)
HEAD = (
    ("", "judge on", "judge on", "", "flip", "", "", "", "", "", "removed,"),
    ("", "photos", "recons.", "a", "rate", "n", "leakage", "", "identity", "ceiling", "flip rate"),
)


def text(report):
    """Returns a report as text.

    Args:
        report: A result of `keras_vae.runs.report.measure`.

    Returns:
        A string of lines of up to about 120 characters.

    Example:

    ```python
    print(words.text(report.measure(run, data, options)))
    ```
    """
    blocks = []
    for part, (title, lines_of) in TABLES.items():
        if part in report:
            title = title.replace("images", report.get("fit", {}).get("noun", "images"))
            numbers = report[part]
            if "missing" in numbers:
                blocks.append([f"{title}: not measured, because {numbers['missing']}."])
            else:
                blocks.append([title, *(f"  {line}" for line in lines_of(numbers))])
    return "\n\n".join("\n".join(block) for block in blocks)


def fit(numbers):
    loss = f"loss {numbers['test_loss']:,.2f}"
    if "test_kl_loss" in numbers:
        loss += f" = reconstruction {numbers['test_reconstruction_loss']:,.2f}"
        kl = numbers["test_kl_loss"]
        beta = numbers.get("beta")
        loss += f" + {'' if beta in (None, 1) else f'{beta:g} x '}KL {kl:,.2f}"
    noun = numbers.get("noun", "images")[:-1]
    yield f"{loss}, nats per {noun}"
    if "test_mse" in numbers:
        errors = [
            f"MSE {numbers['test_mse']:.5f} per pixel and channel",
            f"PSNR {numbers['test_psnr']:.2f} dB",
        ]
        if numbers.get("test_ssim") is not None:
            errors.append(f"SSIM {numbers['test_ssim']:.3f}")
        yield f"reconstructions: {', '.join(errors)}"
    if numbers.get("bits_per_dim") is not None:
        bits = numbers["bits_per_dim"]
        hint = "; uniform noise has 8, so the likelihood does not fit the data" if bits > 8 else ""
        yield f"at most {bits:.3f} bits per pixel and channel{hint}"
    if numbers.get("log_likelihood") is not None:
        error = numbers["log_likelihood_standard_error"]
        yield (
            f"log p(x) {numbers['log_likelihood']:,.2f}"
            + f" nats per {noun}, ELBO {numbers['log_likelihood_elbo']:,.2f}"
            + (f", standard error {error:.2f}" if error is not None else "")
            + f"; n = {numbers['log_likelihood_images']:,}, "
            f"k = {numbers['log_likelihood_samples']:,}"
        )
    elif "log_likelihood_missing" in numbers:
        yield f"log p(x) not estimated: {numbers['log_likelihood_missing']}"


def latents(numbers):
    yield (
        f"{numbers['active_units']} of {numbers['latent_dim']} latents are active (variance above "
        "0.01)"
    )
    if "mutual_information" in numbers:
        cap = numbers["mutual_information_cap"]
        capped = numbers["mutual_information_is_capped"]
        at_least, at_most = (" at least", " at most") if capped else ("", "")
        yield (
            f"KL {numbers['kl_loss']:,.2f} nats = mutual information{at_least} "
            f"{numbers['mutual_information']:.2f} (estimate capped at log n = {cap:.2f}) "
            f"+ KL of the aggregate posterior{at_most} {numbers['kl_aggregate_posterior']:,.2f}"
        )
    for sentence in numbers["advice"]:
        yield from textwrap.wrap(sentence, WIDTH)


def edits(numbers):
    accuracy = numbers["judge"]["balanced_accuracy"]
    yield (
        f"{numbers['images']['test']:,} test images, judge {numbers['judge']['digest']}; "
        "±: 95 % interval"
    )
    if numbers["attributes"]:
        yield from LEGEND
    rows = list(HEAD)
    for name, entry in numbers["attributes"].items():
        chosen, of_judge = entry["method"], accuracy[name]
        point = entry["methods"][chosen]
        judged = [share(of_judge["photos"]), share(of_judge["reconstructions"])]
        mark = "" if entry["measurable"] else " *"
        mark += " ?" if (of_judge["reconstructions"] or 0) < MEASURABLE else ""
        rows.append([short(name) + mark, *judged, "", *[""] * len(cells(point))])
        rows.append([f"> {chosen}", "", "", f"{point['strength']:g}", *cells(point)])
        rows.append(["  keep_detail", "", "", "", *cells(point["keep_detail"])])
        for method, other in entry["methods"].items():
            if method != chosen:
                rows.append([f"  {method}", "", "", f"{other['strength']:g}", *cells(other)])
    if numbers["attributes"]:
        yield from aligned(rows)
        if any("-" in row for row in rows):
            yield "-: not counted; for example, an edit towards one class must change the others"
        if any(row[0].endswith("?") for row in rows):
            yield "?: the judge is unreliable on unedited reconstructions, and so are these rows"
    weak = [
        f"{short(name)} ({share(entry['photos'])}, recons. {share(entry['reconstructions'])})"
        for name, entry in accuracy.items()
        if not entry["measurable"]
    ]
    gaps = [
        f"{short(name)} {entry['known']:,}" for name, entry in accuracy.items() if "known" in entry
    ]
    if gaps:
        yield from wrapped("accuracy on the test images with known values: ", gaps)
    if weak:
        yield from wrapped(
            f"*: not measurable; the judge's accuracy on photos is below {MEASURABLE:g}: ", weak
        )


def disentanglement(numbers):
    yield (
        f"MIG {numbers['mig']:.3f} · DCI: disentanglement {numbers['dci_disentanglement']:.3f}, "
        f"completeness {numbers['dci_completeness']:.3f} · SAP {numbers['sap']:.3f}"
    )
    scores = []
    if numbers.get("dci_informativeness_r2") is not None:
        scores.append(f"R² {numbers['dci_informativeness_r2']:.3f} of continuous factors")
    if numbers.get("dci_informativeness_accuracy") is not None:
        accuracy = numbers["dci_informativeness_accuracy"]
        scores.append(f"balanced accuracy {accuracy:.3f} of boolean factors")
    yield f"informativeness: {', '.join(scores)}"
    best = sorted(numbers["factors"], key=lambda factor: -factor["mig"])[:5]
    gaps = ", ".join(f"{f['name']} in z {f['latent']} ({f['mig']:.2f})" for f in best)
    yield f"largest mutual information gaps: {gaps}"


def samples(numbers):
    yield (
        f"{numbers['n']:,} images of each kind compared with as many test images, by "
        f"{numbers['features']} features of judge {numbers['judge']}"
    )
    rows = [["", "Fréchet distance", "precision", "recall"]]
    for name, row in numbers["rows"].items():
        name = f"{name} (real images)" if name == "train" else name
        cells = (f"{row['frechet']:.3f}", share(row["precision"]), share(row["recall"]))
        rows.append([name, *cells])
    yield from aligned(rows)


def cells(point):
    """Returns the cells of the table for one edit, from the flip rate on."""
    rate, leak, identity = (
        share(point[key], point[f"{key}_interval"])
        for key in ("flip_rate", "largest_leakage", "identity")
    )
    into = "" if point["leaks_into"] is None else f"into {short(point['leaks_into'])}"
    removed = share(point["mirror"]["flip_rate"])
    ceiling = share(point["identity_ceiling"])
    return [rate, f"{point['n']:,}", leak, into, identity, ceiling, removed]


def share(value, interval=None):
    """Formats a share, with half the width of its interval if given; None becomes "-"."""
    if value is None:
        return "-"
    if interval is None:
        return f"{value:.3f}"
    return f"{value:.3f} ±{max(value - interval[0], interval[1] - value):.3f}"


def aligned(rows):
    """Yields rows of cells as lines: the first column left-aligned, the others right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:])]
        yield "  ".join([first.ljust(widths[0]), *cells]).rstrip()


def wrapped(head, items, width=WIDTH):
    """Yields a head and a list of items, separated by commas, as lines."""
    line = head
    for item in items:
        if len(line) + len(item) > width:
            yield line.rstrip()
            line = "  "
        line += item + ("" if item is items[-1] else ", ")
    yield line


TABLES = {
    "fit": ("Fit to the test images", fit),
    "latents": ("Latents", latents),
    "edits": ("Edits", edits),
    "disentanglement": ("Disentanglement", disentanglement),
    "samples": ("New images", samples),
}
