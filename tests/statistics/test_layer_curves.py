"""Curves over layers: halves of the folds, centre of mass."""

import numpy as np
import pytest

from bids_brainalign.statistics.layer_curves import (
    centre_of_mass,
    curve_range,
    half_curves,
    halves_agree,
)


def test_halves_are_means_of_odd_and_even_folds():
    r_fold = np.zeros((2, 5, 1))
    r_fold[0, :, 0] = [0.1, 0.2, 0.3, 0.4, np.nan]
    weights = np.array([10.0, 10, 30, 10, 50])
    halves = half_curves(r_fold, weights)
    odd = np.tanh((10 * np.arctanh(0.1) + 30 * np.arctanh(0.3)) / 40)
    even = np.tanh((np.arctanh(0.2) + np.arctanh(0.4)) / 2)
    np.testing.assert_allclose(halves[:, 0, 0], [odd, even], rtol=1e-6)
    assert np.isnan(half_curves(r_fold[:, :1], weights[:1])).all()


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
