"""Curves over layers: halves of the folds, centre of mass."""

import numpy as np
import pytest

from bids_brainalign.statistics.layer_curves import (
    centre_of_mass,
    curve_range,
    halves_agree,
)


@pytest.mark.parametrize(
    ("n_layers", "apart", "agree"), [(5, 0, True), (5, 1, False), (13, 1, True), (13, 2, False)]
)
def test_agreement_by_depth(n_layers, apart, agree):
    halves = np.zeros((2, n_layers, 2))
    halves[0, 1], halves[1, 1 + apart] = 0.3, 0.3
    halves[0, 0, 1] = np.nan
    assert halves_agree(halves).tolist() == [agree, False]


def test_centre_of_mass_ignores_what_all_layers_share():
    r = np.array([[0.0, 0.5, 0.2, np.nan], [0.2, 0.7, 0.2, 0.1], [0.2, 0.7, 0.2, 0.1]])
    np.testing.assert_allclose(centre_of_mass(r), [1.5, 1.5, np.nan, np.nan])
    np.testing.assert_allclose(curve_range(r)[:3], [0.2, 0.2, 0.0], atol=1e-12)
