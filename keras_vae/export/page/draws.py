"""How the page draws codes: from the flow, from a mixture of Gaussians, or from N(0, I)."""

import numpy as np
from keras import ops

from keras_vae.latent.flow import UNKNOWN
from keras_vae.priors import MixturePrior, StandardNormal, VampPrior

MOST_ROWS = 2000  # combinations of attributes; 40 bytes each
SIGNS = "-+0"  # of the values 0, 1 and unknown in the flow's table


def source_of(run, parts):
    """Returns where new codes come from: a name of `run.sources`, or None.

    A source that can be asked for attributes comes first, as it does when someone asks.
    """
    gaussian = (StandardNormal, MixturePrior, VampPrior)
    possible = {
        "flow": "sampler" in parts,
        "mixture": True,
        "prior": isinstance(getattr(run.model, "prior", None), gaussian),
    }
    sources = [name for name in (*run.wishes, *run.sources) if name in run.sources]
    return next((name for name in sources if possible[name]), None)


def content(run, source, folder):
    """Returns what ``page.json`` says of a source of codes; large numbers go into a file."""
    if source is None:
        return None
    result = {"from": source}
    if source == "flow":
        return result | attributes_of(run.flow)
    if source == "mixture":
        mixture = run.mixture
        return result | save_mixture(folder, mixture.weights, mixture.means, mixture.factors)
    prior, condition = run.model.prior, run.model.condition
    if condition is not None:
        exclusive = condition.names if condition.exclusive else ()
        result["condition"] = {"names": list(condition.names), "exclusive": list(exclusive)}
    if isinstance(prior, StandardNormal):
        return result
    if isinstance(prior, VampPrior):
        means, log_vars = map(ops.convert_to_numpy, prior.components())
        weights = np.ones(len(means))
    else:
        parts = (prior.logits, prior.means, prior.log_vars)
        logits, means, log_vars = map(ops.convert_to_numpy, parts)
        weights = np.exp(logits.astype("float64"))
    return result | save_mixture(folder, weights / weights.sum(), means, np.exp(log_vars / 2))


def attributes_of(flow):
    """Returns the combinations of attributes among the training images, and how often each is."""
    table = ops.convert_to_numpy(flow.table) if flow.names else np.zeros((1, 0), "uint8")
    rows, first, counts = np.unique(table, axis=0, return_index=True, return_counts=True)
    # The most common ones, in the order of the images: of many attributes nearly all differ.
    kept = np.lexsort((first, -counts))[:MOST_ROWS]
    signs = np.array([*SIGNS])
    return {
        "names": list(flow.names),
        "exclusive": list(flow.exclusive),
        "rows": ["".join(signs[np.minimum(rows[k], UNKNOWN)]) for k in kept],
        "counts": counts[kept].tolist(),
    }


def save_mixture(folder, weights, means, factors):
    """Writes a mixture as little-endian float32: weights, means, and factors of the noise.

    A factor is a triangular matrix, or the diagonal of one.
    """
    with open(folder / "mixture.bin", "wb") as file:
        for array in (weights, means, factors):
            file.write(np.ascontiguousarray(array, "<f4").tobytes())
    return {
        "file": f"page/{folder.name}/mixture.bin",
        "components": len(means),
        "diagonal": np.ndim(factors) == 2,
    }
