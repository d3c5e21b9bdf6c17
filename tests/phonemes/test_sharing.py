"""How far electrodes share voltage: found beside noise of their own, never too short."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from bids_brainalign.phonemes.sharing import Sharing, fit_sharing, likeness


def grid(width=8, spacing=4.0):
    rows, columns = np.divmod(np.arange(width**2), width)
    return spacing * np.stack([rows, columns, 0 * rows], axis=1)


def drawn(correlation, rng, n_draws=50, n_phones=24):
    values, vectors = np.linalg.eigh(correlation)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root @ rng.standard_normal((n_draws, len(root), n_phones))


@pytest.mark.parametrize("own", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_sharing_is_found_beside_noise_of_each_electrode(own, exponent):
    rng = np.random.default_rng(3)
    positions = grid()
    planted = np.exp(-((cdist(positions, positions) / 8.0) ** exponent))
    null = drawn((1 - own) * planted + own * np.eye(64), rng)
    found = fit_sharing(likeness(null), positions)
    step = found.kernel(positions)[0, 1]
    # Where decays can't be told apart, neighbours share as much as any says.
    assert planted[0, 1] - 0.05 < step < 0.95
    if exponent == 2 and own < 0.8:
        assert step == pytest.approx(planted[0, 1], abs=0.05)
        assert found.share == pytest.approx(1 - own, abs=0.08)
    assert np.linalg.eigvalsh(found.kernel(positions)).min() > -1e-9


def test_a_common_reference_is_not_sharing():
    rng = np.random.default_rng(4)
    positions = grid()
    null = drawn(0.4 * np.ones((64, 64)) + 0.6 * np.eye(64), rng)
    found = fit_sharing(likeness(null), positions)
    assert found.share == 0
    assert found.common == pytest.approx(0.4, abs=0.03)
    assert (found.kernel(positions) == np.eye(64)).all()


def test_electrodes_at_one_place_tell_nothing():
    found = fit_sharing(np.eye(5), np.zeros((5, 3)))
    assert found.share == 0
    assert isinstance(found, Sharing)
