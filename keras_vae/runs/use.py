"""What a run says of new data: scores, codes and missing values, for files of any size."""

import numpy as np

from keras_vae import evaluate, tables
from keras_vae.checks import check_integer
from keras_vae.evaluate.fit import why_no_likelihood
from keras_vae.runs import items
from keras_vae.runs.config import load_data
from keras_vae.runs.values import names_of

REFERENCE = 500  # validation items whose mean is what is typical


def typical(run, k=100, seed=0):
    """Returns the mean of -log p(x) over validation data of a run: what is typical.

    Args:
        run: A `keras_vae.runs.Run`.
        k: Number of draws of z for each item.
        seed: A non-negative integer.

    Returns:
        A float, in nats.

    Raises:
        ValueError: If log p(x) is not defined, or the run's data set cannot be loaded.
    """
    if not run.model.has_prior:
        raise ValueError("a plain autoencoder has no p(x)")
    data = load_data(run.config)
    x = data.validation.images[:REFERENCE]
    # Without the classes of a model with a condition, which those of new data are not known either.
    return float(-run.model.log_likelihood(x, k, seed=seed).mean())


def scores(run, path, usual=None, k=100, seed=0, batch_size=128, skipped=None):
    """Yields how unusual the items of a file or folder are, some items at a time.

    Args:
        run: A `keras_vae.runs.Run`.
        path: See `keras_vae.runs.items.batches`.
        usual: What is typical, from `typical`; None leaves the score of it out.
        k: Number of draws of z for each item.
        seed: A non-negative integer.
        batch_size: How many codes to decode at once.
        skipped: See `keras_vae.runs.items.batches`.

    Yields:
        The items ``(n, ...)``, and a dict of columns ``(n,)``: their names; the scores of
        `keras_vae.evaluate.anomaly_scores` that are defined for the model, in nats; and of a
        table ``most_unusual``, the column with the most nats.

    Raises:
        ValueError: If the data do not fit the model.

    Example:

    ```python
    run = keras_vae.runs.load()
    for images, columns in scores(run, "photos", typical(run)):
        print(columns["file"], columns["reconstruction_loss"])
    ```
    """
    check_integer("k", k, 1)
    table, reason = run.table, ()
    for names, x in items.batches(run, path, skipped=skipped):
        columns = {items.name_of(run, path): names}
        why = why_no_likelihood(run.model, x)
        if reason not in ((), why):  # for example grey images after black and white ones
            raise ValueError(
                f"some items of {path} have a log-likelihood and others none: {why or reason}"
            )
        reason = why
        if reason is None:
            found = evaluate.anomaly_scores(run.model, x, usual or 0.0, k, batch_size, seed)
            if usual is None:
                del found["atypicality"]
            columns |= found
        else:
            columns["reconstruction_loss"] = (
                evaluate.value_losses(run.model, x).reshape(len(x), -1).sum(axis=1)
            )
        if table:
            nats = evaluate.value_losses(run.model, x)
            of_columns = [nats[:, part].sum(axis=1) for _, part in table.parts()]
            worst = np.argmax(of_columns, axis=0)
            columns["most_unusual"] = np.array(names_of(x.shape[1:], table))[worst]
        yield x, columns


def codes(run, path, skipped=None):
    """Yields the codes of the items of a file or folder, some items at a time.

    Args:
        run: A `keras_vae.runs.Run`.
        path: See `keras_vae.runs.items.batches`.
        skipped: See `keras_vae.runs.items.batches`.

    Yields:
        The names, `z_mean` ``(n, latent_dim)``, and `z_log_var` of the same shape, None for a
        plain autoencoder.

    Example:

    ```python
    names, z_mean, z_log_var = next(codes(keras_vae.runs.load(), "photos"))
    ```
    """
    for names, x in items.batches(run, path, skipped=skipped):
        yield (names, *run.model.posterior(x))


def check_can_impute(run):
    if not run.model.has_prior:
        raise ValueError(
            f"{run.folder} is a plain autoencoder, which has no distribution of missing values. "
            "Train a VAE"
        )


def complete_rows(run, path, k=100, seed=0):
    """Yields the rows of a table with missing cells filled, some rows at a time.

    Known cells, and columns that the model does not learn, stay as they are in the file.

    Args:
        run: A `keras_vae.runs.Run` of a table.
        path: A ``.csv``, ``.tsv`` or ``.parquet`` file.
        k: Number of draws of z for each row, see `VAE.impute`.
        seed: A non-negative integer.

    Yields:
        The columns by name, as in `keras_vae.tables.write`, and how many cells were filled.

    Raises:
        ValueError: If the run is not one of a table, or the rows do not fit it.
    """
    if not run.table:
        raise ValueError(f"{run.folder} is not a model of a table")
    check_can_impute(run)
    for cells in tables.chunks(path, items.TOGETHER):
        rows = run.table.encode(cells)
        given = run.table.decode(run.model.impute(rows, k, 4000, seed))
        columns, count = dict(cells.columns), 0
        parts = {column.name: (column.kind, part) for column, part in run.table.parts()}
        for header, values in cells.columns.items():
            name = tables.table.split(header)[0]
            if name not in parts:
                continue
            kind, part = parts[name]
            missing = np.isnan(rows[:, part.start])
            count += missing.sum()
            values = tables.table.as_texts(values) if kind == "category" else values
            if values.dtype.kind != "f":
                values = values.astype(object)
                values[missing] = [tables.files.text(value) for value in given[name][missing]]
            else:
                values = np.where(missing, given[name], values)
            columns[header] = values
        yield columns, int(count)


def complete_items(run, path, k=100, seed=0):
    """Yields the items of an array file with missing values filled, see `complete_rows`."""
    check_can_impute(run)
    for _, x in items.batches(run, path):
        yield run.model.impute(x, k, 4000, seed), int(np.isnan(x).sum())
