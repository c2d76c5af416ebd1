"""What counts as an attribute: columns of numbers that say yes, no, or nothing at all."""

from dataclasses import dataclass, field

import numpy as np

from keras_vae.datasets.names import first_few, short

UNKNOWN = {"", "?", "-", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "unknown"}
WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


@dataclass(frozen=True)
class Attributes:
    """Attributes of images; `read` makes it.

    Attributes:
        names: What the attributes are called.
        values: bool ``(n, number of attributes)``, False where nothing is known.
        known: bool, the same shape: which values are known. None if all are.
        unused: Why a column is no attribute, by column.
        cuts: Where scores were cut in two, by attribute.
    """

    names: tuple = ()
    values: np.ndarray | None = None
    known: np.ndarray | None = None
    unused: dict = field(default_factory=dict)
    cuts: dict = field(default_factory=dict)

    def columns(self, rows=slice(None)):
        """Returns what a `Source` knows of these rows: ``attributes``, and ``known`` if need be."""
        arrays = {"attributes": self.values, "known": self.known}
        return {name: array[rows] for name, array in arrays.items() if array is not None}


def read(columns, cut_scores=False):
    """Returns which columns are attributes, and what they say.

    An attribute is a column of 0 and 1, or of -1 and 1 as CelebA's; beside -1 and 1, a 0 is
    unknown. Scores, which are any other numbers, become an attribute only if asked: they are cut
    at the middle of their scale. That is 0 if some are negative (as those of LFW), 0.5 if all lie
    in [0, 1], and else halfway between the smallest and the largest. What lies exactly in the
    middle is unknown.

    Args:
        columns: By name, the numbers of each image ``(n,)``, NaN where nothing is known; or a
            text that says why the column is no attribute.
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
        there = [] if isinstance(numbers, str) else numbers[~np.isnan(numbers)]
        if isinstance(numbers, str):
            unused[name] = numbers
            continue
        if not len(there):
            unused[name] = "no value is known"
            continue
        low, high = float(there.min()), float(there.max())
        if np.isin(there, (-1, 0, 1)).all():
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
    """Returns texts as numbers ``(n,)``, NaN where unknown; or why they are none, a text."""
    numbers = {text: number_of(text) for text in set(texts)}
    for text in texts:
        if numbers[text] is None:
            return f"texts such as {short(text)!r}"
    return np.array([numbers[text] for text in texts])


def number_of(text):
    """Returns the number that a text stands for, NaN for unknown, None for any other text."""
    text = text.lower()
    if text in UNKNOWN:
        return np.nan
    try:
        number = WORDS[text] if text in WORDS else float(text)
    except ValueError:
        return None
    # Python also reads 1_000 and infinity.
    return number if np.isfinite(number) and "_" not in text else None


def told(data):
    """Returns lines on what became of columns: those not used, those cut, those with gaps.

    Args:
        data: A `keras_vae.datasets.Dataset`.

    Returns:
        A list of texts, empty if there is nothing to say.

    Example:

    ```python
    print("\\n".join(told(data)))
    ```
    """
    lines = []
    if data.unused:
        columns = [f"{short(name)} ({why})" for name, why in data.unused.items()]
        lines.append(f"Columns not used as attributes: {first_few(columns)}")
        if any(why.startswith("numbers") for why in data.unused.values()):
            lines[-1] += ". If they are scores, see --cut-scores"
    cuts = {name: cut for name, cut in data.cuts.items() if name in data.attribute_names}
    if cuts:
        cut = [f"{short(name)} at {cut:g}" for name, cut in cuts.items()]
        lines.append(f"Scores cut in two: {first_few(cut)}")
    if gaps := counts(data.train.known, data.attribute_names):
        lines.append(f"Known of some training images only: {first_few(gaps)}")
    return lines


def counts(known, names):
    """Returns how many images' value is known, as texts, of the attributes with gaps."""
    if known is None:
        return []
    return [
        f"{short(name)} ({column.sum():,} of {len(column):,})"
        for name, column in zip(names, known.T)
        if not column.all()
    ]
