"""The numbers of a run as a text that a person can read; `keras_vae/runs/report.py` computes them."""

import textwrap

from keras_vae.datasets.names import short
from keras_vae.evaluate.edits import MEASURABLE

WIDTH = 96  # letters of a line, about
LEGEND = (
    "a: the strength, what --set takes; chosen on validation images. Flip rate: of n images judged",
    "to lack it, those that have it after the edit. Leakage: verdicts on another attribute that",
    "change, the largest. Identity: the original is the nearest of all test images still; its",
    "ceiling is that of the unedited drawing. Removed: the flip rate of the way back. keep_detail:",
    "compared with the photo itself, not with the model's drawing of it. >: the method that the",
    "run uses.",
)
HEAD = (
    ("", "judge on", "", "", "flip", "", "", "", "", "", "removed,"),
    ("", "photos", "redrawn", "a", "rate", "n", "leakage", "", "identity", "ceiling", "flip rate"),
)


def text(report):
    """Returns all parts of a report as one text.

    Args:
        report: What `keras_vae.runs.report.measure` returned.

    Returns:
        Lines of up to about 120 characters.

    Example:

    ```python
    print(words.text(report.measure(run, data, options)))
    ```
    """
    blocks = []
    for part, (title, lines_of) in TABLES.items():
        if part in report:
            numbers = report[part]
            if "missing" in numbers:
                blocks.append([f"{title}: none, {numbers['missing']}."])
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
    yield f"{loss}, nats per image"
    picture = [
        f"MSE {numbers['test_mse']:.5f} per pixel and channel",
        f"PSNR {numbers['test_psnr']:.2f} dB",
    ]
    if numbers.get("test_ssim") is not None:
        picture.append(f"SSIM {numbers['test_ssim']:.3f}")
    yield f"reconstruct: {', '.join(picture)}"
    if numbers.get("bits_per_dim") is not None:
        bits = numbers["bits_per_dim"]
        hint = "; one that knows nothing has 8, so its likelihood does not fit" if bits > 8 else ""
        yield f"at most {bits:.3f} bits per pixel and channel{hint}"
    if numbers.get("log_likelihood") is not None:
        error = numbers["log_likelihood_standard_error"]
        yield (
            f"log p(x) {numbers['log_likelihood']:,.2f}"
            + f" nats per image, ELBO {numbers['log_likelihood_elbo']:,.2f}"
            + (f", standard error {error:.2f}" if error is not None else "")
            + f"; n = {numbers['log_likelihood_images']:,}, "
            f"k = {numbers['log_likelihood_samples']:,}"
        )
    elif "log_likelihood_missing" in numbers:
        yield f"no log p(x): {numbers['log_likelihood_missing']}"


def latents(numbers):
    yield f"{numbers['active_units']} of {numbers['latent_dim']} in use (variance above 0.01)"
    if "mutual_information" in numbers:
        cap = numbers["mutual_information_cap"]
        capped = numbers["mutual_information_is_capped"]
        at_least, at_most = (" at least", "at most ") if capped else ("", "")
        yield (
            f"KL {numbers['kl_loss']:,.2f} nats = mutual information{at_least} "
            f"{numbers['mutual_information']:.2f} (its cap: log n = {cap:.2f}) "
            f"+ {at_most}{numbers['kl_aggregate_posterior']:,.2f} of all codes to the prior"
        )
    for sentence in numbers["advice"]:
        yield from textwrap.wrap(sentence, WIDTH)


def edits(numbers):
    accuracy = numbers["judge"]["balanced_accuracy"]
    yield (
        f"{numbers['images']['test']:,} test images, judge {numbers['judge']['digest']}; ± is for "
        "95 %"
    )
    if numbers["attributes"]:
        yield from LEGEND
    rows = list(HEAD)
    for name, entry in numbers["attributes"].items():
        chosen, seen = entry["method"], accuracy[name]
        point = entry["methods"][chosen]
        judged = [share(seen["photos"]), share(seen["reconstructions"])]
        mark = "" if entry["measurable"] else " *"
        mark += " ?" if (seen["reconstructions"] or 0) < MEASURABLE else ""
        rows.append([short(name) + mark, *judged, "", *[""] * len(cells(point))])
        rows.append([f"> {chosen}", "", "", f"{point['strength']:g}", *cells(point)])
        rows.append(["  keep_detail", "", "", "", *cells(point["keep_detail"])])
        for method, other in entry["methods"].items():
            if method != chosen:
                rows.append([f"  {method}", "", "", f"{other['strength']:g}", *cells(other)])
    if numbers["attributes"]:
        yield from aligned(rows)
        if any("-" in row for row in rows):
            yield "-: nothing to count; a class, for one, has to give way to another"
        if any(row[0].endswith("?") for row in rows):
            yield "? the judge errs on what the model draws unedited: read with care"
    weak = [
        f"{short(name)} ({share(entry['photos'])}, redrawn {share(entry['reconstructions'])})"
        for name, entry in accuracy.items()
        if not entry["measurable"]
    ]
    gaps = [
        f"{short(name)} {entry['known']:,}" for name, entry in accuracy.items() if "known" in entry
    ]
    if gaps:
        yield from wrapped("judged on the test images of which it is known: ", gaps)
    if weak:
        yield from wrapped(
            f"* not measurable, the judge's balanced accuracy on photos is below {MEASURABLE:g}: ",
            weak,
        )


def disentanglement(numbers):
    yield (
        f"MIG {numbers['mig']:.3f} · DCI: disentanglement {numbers['dci_disentanglement']:.3f}, "
        f"completeness {numbers['dci_completeness']:.3f} · SAP {numbers['sap']:.3f}"
    )
    told = []
    if numbers.get("dci_informativeness_r2") is not None:
        told.append(f"R² {numbers['dci_informativeness_r2']:.3f} of continuous factors")
    if numbers.get("dci_informativeness_accuracy") is not None:
        told.append(f"balanced accuracy {numbers['dci_informativeness_accuracy']:.3f} of others")
    yield f"informativeness: {', '.join(told)}"
    best = sorted(numbers["factors"], key=lambda factor: -factor["mig"])[:5]
    found = ", ".join(f"{f['name']} in z {f['latent']} ({f['mig']:.2f})" for f in best)
    yield f"largest gaps: {found}"


def samples(numbers):
    yield (
        f"{numbers['n']:,} images of each kind against as many test images, "
        f"{numbers['features']} features of the judge {numbers['judge']}"
    )
    rows = [["", "Fréchet distance", "precision", "recall"]]
    for name, row in numbers["rows"].items():
        name = f"{name} (real images)" if name == "train" else name
        cells = (f"{row['frechet']:.3f}", share(row["precision"]), share(row["recall"]))
        rows.append([name, *cells])
    yield from aligned(rows)


def cells(point):
    """Returns what the table says of an edit, from the flip rate on."""
    rate, leak, identity = (
        share(point[key], point[f"{key}_interval"])
        for key in ("flip_rate", "largest_leakage", "identity")
    )
    into = "" if point["leaks_into"] is None else f"into {short(point['leaks_into'])}"
    removed = share(point["mirror"]["flip_rate"])
    ceiling = share(point["identity_ceiling"])
    return [rate, f"{point['n']:,}", leak, into, identity, ceiling, removed]


def share(value, interval=None):
    """Returns a share as text, with half the width of its interval; "-" if it is not known."""
    if value is None:
        return "-"
    if interval is None:
        return f"{value:.3f}"
    return f"{value:.3f} ±{max(value - interval[0], interval[1] - value):.3f}"


def aligned(rows):
    """Returns rows of cells as lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:])]
        yield "  ".join([first.ljust(widths[0]), *cells]).rstrip()


def wrapped(head, items, width=WIDTH):
    """Returns a list of items as lines."""
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
