"""The loops by hand of benchmarks/ train the same model as `fit` on the running backend."""

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def agreement(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield pytest.importorskip("agreement")
    for name in ("agreement", "by_hand", "cases"):  # names that others may mean otherwise
        sys.modules.pop(name, None)


# Wide enough that some rectified unit is on for every image: without any, normalisation would make
# rounding visible.
SMALL = {
    "mlp": ("mlp", (6, 5, 3), 2, (64, 32), "relu", "mse", 1e-2, 32),
    "conv": ("conv", (16, 16, 3), 2, (8,), "silu", "gaussian", 1e-2, 32),
}


@pytest.mark.parametrize("network", SMALL)
def test_a_loop_by_hand_gives_the_losses_of_fit(agreement, network):
    from cases import Case

    ours, theirs = agreement.losses_of_both(Case(*SMALL[network]))
    np.testing.assert_allclose(theirs, ours, rtol=1e-4)
    assert abs(ours[-1] / ours[0] - 1).max() > 1e-3  # it did learn
