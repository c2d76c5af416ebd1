"""Results of the trials of `networks.py`: selection of candidates, and tables.

A *record* is the result of a task of `trial.py`. Selection uses only validation numbers.
"""

import statistics

from candidates import BASE, CANDIDATES


def best(records, count):
    """Returns the names of the best candidates with the default likelihood, the best first.

    They are ranked by their validation ELBO, averaged over seeds.

    Args:
        records: Records of one data set and one rung.
        count: Number of candidates to return.
    """
    same = {name: group for name, group in comparable(records).items() if is_own(group)}
    return sorted(same, key=lambda name: -mean(same[name], "elbo"))[:count]


def rivals(records):
    """Returns the name of the best candidate if it has another likelihood, in a list.

    ELBOs of different likelihoods are not comparable, so the best candidate is the one with the
    fewest bits per dimension; the list is empty if it has the default likelihood.
    """
    bits = {name: mean(group, "bits_per_dim") for name, group in comparable(records).items()}
    first = min(bits, key=bits.get, default=None)
    return [] if first is None or is_own(by_name(records)[first]) else [first]


def comparable(records):
    """Returns the records of each candidate whose training finished."""
    return by_name(record for record in records if "validation" in record)


def is_own(group):
    first = group[0]
    return first["settings"]["likelihood"] == BASE[first["dataset"]]["likelihood"]


def by_name(records):
    groups = {}
    for record in records:
        groups.setdefault(record["name"], []).append(record)
    return groups


def values(group, part, key):
    """Returns a number from each record that contains it."""
    found = (record.get(part, {}).get(key) for record in group)
    return [value for value in found if value is not None]


def mean(group, key):
    return statistics.fmean(values(group, "validation", key))


def table(records):
    """Returns a Markdown table of the records of one data set and one rung, the best first."""
    groups = by_name(records)
    tested = any(record["final"] for record in records)
    heads = ["candidate", "question", "million weights", "steps", "images/s"]
    heads += ["elbo", "bits/dim", "MSE", "KL"]
    if tested:
        heads += ["test elbo", "test bits/dim", "test MSE", "test KL", "edits"]
    lines = [row(heads), row(["---"] * 2 + ["---:"] * (len(heads) - 2))]
    order = best(records, len(groups))
    for name in [*order, *(name for name in groups if name not in order)]:
        lines.append(row(cells(name, groups[name], tested)))
    return "\n".join(lines)


def row(texts):
    return f"| {' | '.join(texts)} |"


def cells(name, group, tested):
    first = group[0]
    question = CANDIDATES[first["dataset"]].get(name, ("",))[0]
    texts = [name, question, f"{first['parameters'] / 1e6:.2f}", f"{first['steps']:,}"]
    texts += [f"{first['images_per_second']:,.0f}"]
    if "problem" in first:
        return [*texts, first["problem"].split(".")[0]]
    texts += fit_cells(group, "validation")
    if tested:
        texts += [*fit_cells(group, "test"), edit_text(group)]
    return texts


def fit_cells(group, part):
    digits = {"elbo": 1, "bits_per_dim": 3, "mse": 5, "kl_loss": 1}
    return [spread(values(group, part, key), number) for key, number in digits.items()]


def spread(found, digits):
    """Returns the mean as text, with the standard deviation if there are several seeds."""
    if not found:
        return ""
    text = f"{statistics.fmean(found):,.{digits}f}"
    return text if len(found) == 1 else f"{text} ± {statistics.stdev(found):,.{digits}f}"


def edit_text(group):
    """Returns flip rate, leakage and identity of the edits of each attribute, as text."""
    texts = []
    for name in next((list(record["edits"]) for record in group if "edits" in record), []):
        points = [record["edits"][name] for record in group if name in record.get("edits", {})]
        shares = (
            (label, values([{"edit": point} for point in points], "edit", key))
            for label, key in (
                ("flip", "flip_rate"),
                ("leak", "largest_leakage"),
                ("same", "identity"),
            )
        )
        parts = [f"{label} {statistics.fmean(found):.1%}" for label, found in shares if found]
        texts.append(f"{name}: {', '.join(parts)}")
    return "; ".join(texts)
