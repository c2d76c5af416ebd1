"""What a run has of data that are no images: numbers, figures and rows."""

import math

import numpy as np

from keras_vae import evaluate, plots, tables
from keras_vae.atomic import atomic
from keras_vae.runs.examples import CODES, colouring

COMPARED, DRAWS = 1000, 100  # test items, and draws of z for each, of which log p(x) is estimated
NEW = 1000  # rows of samples.csv, or items of samples.npy
MOST_BYTES = 20_000_000  # of samples.npy
MOST_VALUES = 2000  # of an item, up to which the linear model is fitted: its covariance is dense


def names_of(data_shape, table=None):
    """Returns the names of the channels of data: the columns of a table, or numbers from 1."""
    if table:
        return [column.name for column in table.modelled]
    what = "value" if len(data_shape) == 1 else "channel"
    return [f"{what} {number}" for number in range(1, data_shape[-1] + 1)]


def scores_of_columns(model, x, table=None, condition=None):
    """Returns how well each channel, or column of a table, is reconstructed.

    Args:
        model: A `VAE` or `AutoEncoder`.
        x: Data ``(n, ...)`` that it was not trained on.
        table: Their `keras_vae.tables.Table`, or None.
        condition: See `AutoEncoder.encode`.

    Returns:
        A list of dicts with ``column``; ``r2``, the share of the variance that the reconstructions
        explain, None of a category; ``error``, the root of the mean squared error in the units of
        the data, of a category the share of wrong ones; and ``usual_error``, that of the mean, or
        of the most frequent category.
    """
    means = model.reconstruct(x, condition=condition)
    names = names_of(x.shape[1:], table)
    parts = [(name, None, slice(i, i + 1)) for i, name in enumerate(names)]
    if table:
        parts = [(column.name, column.kind, part) for column, part in table.parts()]
    found = []
    for name, kind, part in parts:
        true, given = x[..., part].astype("float64"), means[..., part]
        known = ~np.isnan(true)
        if kind == "category":
            rows = known.all(axis=-1)
            true, given = true[rows].argmax(axis=-1), given[rows].argmax(axis=-1)
            count = max(true.size, 1)
            error = np.mean(true != given) if true.size else math.nan
            usual = 1 - np.bincount(true, minlength=1).max() / count
            r2 = None
        else:
            true, given = true[known], given[known]
            spread = true.std() if true.size else 0.0
            error = math.sqrt(np.mean((true - given) ** 2)) if true.size else math.nan
            usual, r2 = spread, 1 - (error / spread) ** 2 if spread > 0 else None
        found.append({"column": name, "r2": r2, "error": float(error), "usual_error": float(usual)})
    return found


def compare(model, data, condition=None):
    """Returns what the networks are worth: log p(x) of test items, and that of a linear model.

    The linear model is probabilistic PCA of the numbers, with as many latents, and of categories
    the frequencies in the training data; only items without missing values are compared.

    Args:
        model: A compiled `VAE` or `AutoEncoder`.
        data: The `keras_vae.datasets.Dataset` that it was trained on.
        condition: Of the test items, see `AutoEncoder.encode`.

    Returns:
        A dict with ``test_r2``, the mean over the columns that have one, or None; for a VAE also
        ``test_log_likelihood`` and ``linear_log_likelihood``, in nats per item, both None if they
        cannot be compared; and ``compared``, of how many items.
    """
    test = data.test.images
    scores = scores_of_columns(model, test, data.table, condition)
    known = [score["r2"] for score in scores if score["r2"] is not None]
    found = {"test_r2": float(np.mean(known)) if known else None}
    if not model.has_prior:
        return found
    training, rows = complete_rows(data.train.images), complete_rows(test)[:COMPARED]
    found |= {"test_log_likelihood": None, "linear_log_likelihood": None, "compared": len(rows)}
    if getattr(model.likelihood.data, "exclusive", False):  # a density says nothing of categories
        return found
    linear = linear_model(data.train.images[training], model.latent_dim, data.table)
    if linear is None or not len(rows):
        return found
    told = None if condition is None else condition[rows]
    network = model.log_likelihood(test[rows], DRAWS, 2000, condition=told).mean()
    return found | {
        "test_log_likelihood": float(network),
        "linear_log_likelihood": float(linear(test[rows]).mean()),
    }


def complete_rows(x):
    """Returns the indices of items without missing values."""
    return np.flatnonzero(~np.isnan(flat(x)).any(axis=1))


def flat(x):
    return x.reshape(len(x), -1)


def linear_model(x, latent_dim, table=None):
    """Returns a function of rows: their log p under the linear model; None if it has no fit."""
    parts = list(table.parts()) if table else []
    columns = np.arange(math.prod(x.shape[1:]))
    categories = [columns[part] for column, part in parts if column.kind == "category"]
    numbers = np.setdiff1d(columns, np.concatenate(categories)) if categories else columns
    latents = min(latent_dim, len(numbers) - 1)
    if len(x) < 3 or len(numbers) > MOST_VALUES:
        return None
    x = flat(x)
    logs = [np.log((x[:, of].sum(axis=0) + 1) / (len(x) + len(of))) for of in categories]
    if latents > 0:
        model = evaluate.LinearModel(x[:, numbers], latents)
    elif len(numbers):  # a single column is a Gaussian
        mean, std = x[:, numbers].mean(), max(x[:, numbers].std(), 1e-12)

    def log_likelihood(rows):
        rows = flat(rows)
        total = sum((rows[:, of] @ log for of, log in zip(categories, logs)), np.zeros(len(rows)))
        if latents > 0:
            total = total + model.log_likelihood(rows[:, numbers])
        elif len(numbers):
            z = (rows[:, numbers[0]] - mean) / std
            total = total - 0.5 * z**2 - math.log(std * math.sqrt(2 * math.pi))
        return total

    return log_likelihood


def write(run, data, history, seed=0):
    """Writes the tables of a run, and returns its figures.

    Args:
        run: A `keras_vae.runs.Run`, with a folder.
        data: The `keras_vae.datasets.Dataset` that it was trained on.
        history: Keras's ``history.history``.
        seed: Seed of the new rows.

    Returns:
        A dict of matplotlib `Figure` by file name, as in `keras_vae.runs.FILES`.
    """
    from keras_vae.runs.config import condition_of

    model, test, noun = run.model, data.test.images, data.noun
    condition = condition_of(model, data, data.test)
    scores = scores_of_columns(model, test, data.table, condition)
    columns = {name: [score[name] for score in scores] for name in scores[0]}
    tables.write(run.folder / "columns.csv", columns)
    z, z_log_var = model.posterior(
        test[:CODES], condition=None if condition is None else condition[:CODES]
    )
    figures = {
        "history.png": plots.history(history, noun),
        "latent_map.png": plots.latent_map(z, *colouring(data), noun),
        "latents.png": plots.latents(z, z_log_var, noun=noun),
        "columns.png": plots.columns(scores),
    }
    few = test[:12]
    if test.ndim > 2:
        told = None if condition is None else condition[:12]
        figures["reconstructions.png"] = plots.arrays(
            few, model.reconstruct(few, condition=told), "Test items and their reconstructions"
        )
    if not run.sources:
        return figures
    n = min(NEW, max(12, MOST_BYTES // (4 * math.prod(test.shape[1:]))))
    new = run.sample(n, seed=seed)
    if data.table:
        tables.write(run.folder / "samples.csv", data.table.decode(new))
    else:
        with atomic(run.folder / "samples.npy") as temporary, open(temporary, "wb") as file:
            np.save(file, new)
    if test.ndim > 2:
        title = f"Samples: new items from the {run.sources[0]}"
        figures["samples.png"] = plots.arrays(new[:12], None, title)
    else:
        names = names_of(test.shape[1:], data.table)
        wanted = [slice(i, i + 1) for i in range(len(names))]
        if data.table:
            found = [(c.name, part) for c, part in data.table.parts() if c.kind != "category"]
            names, wanted = ([item[i] for item in found] for i in (0, 1))
        if len(wanted) > 1:
            real, made = ([x[:, part.start] for part in wanted] for x in (test, new))
            figures["pairs.png"] = plots.pairs(names, real, made)
    return figures
