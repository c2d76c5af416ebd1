"""Which columns are attributes, and whether each value is true, false or unknown."""

from dataclasses import dataclass, field

import numpy as np

from keras_vae.datasets.names import first_few, short

UNKNOWN = {"", "?", "-", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "unknown"}
WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


@dataclass(frozen=True)
class Attributes:
    """Attributes of images, returned by `read`.

    Attributes:
        names: Names of the attributes.
        values: bool ``(n, number of attributes)``, False where unknown.
        known: bool, the same shape: which values are known. None if all are.
        unused: For each column that is not an attribute, the reason.
        cuts: For each attribute made from scores, the threshold.
    """

    names: tuple = ()
    values: np.ndarray | None = None
    known: np.ndarray | None = None
    unused: dict = field(default_factory=dict)
    cuts: dict = field(default_factory=dict)

    def columns(self, rows=slice(None)):
        """Returns the columns for a `Source`: ``attributes``, and ``known`` if some are unknown."""
        arrays = {"attributes": self.values, "known": self.known}
        return {name: array[rows] for name, array in arrays.items() if array is not None}


def read(columns, cut_scores=False):
    """Returns the columns that are attributes, with their values.

    An attribute is a column of 0 and 1, or of -1 and 1 as in CelebA; beside -1 and 1, a 0 means
    unknown. Any other numbers are scores, which become an attribute only with `cut_scores`. The
    threshold is the middle of their scale: 0 if some are negative (as in LFW), 0.5 if all lie in
    [0, 1], otherwise halfway between the smallest and the largest. A score equal to the threshold
    is unknown.

    Args:
        columns: For each name, the number of each image ``(n,)``, NaN where unknown; or a
            string, the reason why the column is not an attribute.
        cut_scores: Whether scores become attributes.

    Returns:
        `Attributes`.

    Example:

    ```python
    read({"smiling": np.array([1.0, 0.0, np.nan])}).known  # [[True], [True], [False]]
    ```
    """
    values, known, unused, cuts = {}, {}, {}, {}
    for name, numbers in columns.items():
        if isinstance(numbers, str):
            unused[name] = numbers
            continue
        given = numbers[~np.isnan(numbers)]
        if not len(given):
            unused[name] = "no value is known"
            continue
        low, high = float(given.min()), float(given.max())
        if np.isin(given, (-1, 0, 1)).all():
            middle = 0.0 if low < 0 else 0.5
        elif not np.isfinite([low, high]).all():
            unused[name] = "infinite numbers"
            continue
        elif cut_scores:
            middle = 0.0 if low < 0 else 0.5 if high <= 1 else (low + high) / 2
            cuts[name] = middle
        else:
            unused[name] = f"numbers from {low:g} to {high:g}"
            continue
        values[name] = numbers > middle
        known[name] = ~np.isnan(numbers) & (numbers != middle)
    if not values:
        return Attributes(unused=unused)
    all_known = np.stack(list(known.values()), axis=1)
    return Attributes(
        tuple(values),
        np.stack(list(values.values()), axis=1),
        None if all_known.all() else all_known,
        unused,
        cuts,
    )


def numbers_of(texts):
    """Returns strings as numbers ``(n,)``, NaN where unknown; or a string, why that fails."""
    numbers = {text: number_of(text) for text in set(texts)}
    for text in texts:
        if numbers[text] is None:
            return f"text such as {short(text)!r}"
    return np.array([numbers[text] for text in texts])


def number_of(text):
    """Returns a string as a number: NaN if it means unknown, None if it is not a number."""
    text = text.lower()
    if text in UNKNOWN:
        return np.nan
    try:
        number = WORDS[text] if text in WORDS else float(text)
    except ValueError:
        return None
    # Python's `float` also accepts 1_000 and infinity.
    return number if np.isfinite(number) and "_" not in text else None


def notes(data):
    """Returns lines about columns: those not used, thresholded scores, and unknown values.

    Args:
        data: A `keras_vae.datasets.Dataset`.

    Returns:
        A list of strings, empty if there is nothing to report.

    Example:

    ```python
    print("\\n".join(notes(data)))
    ```
    """
    lines = []
    if data.unused:
        columns = [f"{short(name)} ({why})" for name, why in data.unused.items()]
        lines.append(f"Columns not used as attributes: {first_few(columns)}")
        if any(why.startswith("numbers") for why in data.unused.values()):
            lines[-1] += ". If these are scores, use --cut-scores"
    cuts = {name: cut for name, cut in data.cuts.items() if name in data.attribute_names}
    if cuts:
        cut = [f"{short(name)} at {cut:g}" for name, cut in cuts.items()]
        lines.append(f"Scores thresholded: {first_few(cut)}")
    if gaps := counts(data.train.known, data.attribute_names):
        lines.append(f"Known for only some training {data.noun}: {first_few(gaps)}")
    return lines


def counts(known, names):
    """Returns strings such as "hat (33 of 40)", one for each attribute with unknown values."""
    if known is None:
        return []
    return [
        f"{short(name)} ({column.sum():,} of {len(column):,})"
        for name, column in zip(names, known.T)
        if not column.all()
    ]
