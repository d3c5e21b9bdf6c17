"""What ridge needs of features and responses, in both forms."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from bids_brainalign.encoding.spectra import Dual, Primal

TRAINS = [np.r_[0:50, 60:90], np.r_[0:20, 35:50, 60:90], np.r_[12:50, 60:80], np.arange(60, 90, 3)]
TEST = np.arange(90, 110)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((110, 40)) @ rng.standard_normal((40, 40)) + 5
    return x.astype(np.float32), (rng.standard_normal((110, 7)) + 2).astype(np.float32)


@pytest.mark.parametrize("form", [Primal, Dual])
@pytest.mark.parametrize("alpha", [1.0, 10.0, 1e5])
def test_any_training_set_at_any_penalty_is_scikit_learns_ridge(data, form, alpha):
    x, y = data
    made = form(x)
    statistics = made.statistics(y, TRAINS)
    for train, spectrum, z in zip(TRAINS, made.spectra(TRAINS), statistics, strict=True):
        expected = Ridge(alpha=alpha, solver="svd").fit(x[train].astype(float), y[train])
        rotated = (spectrum.vectors.T @ z) / (spectrum.values + alpha)[:, None]
        predicted = made.basis(spectrum, TEST) @ rotated + y[train].mean(axis=0)
        np.testing.assert_allclose(predicted, expected.predict(x[TEST]), atol=5e-3)
        np.testing.assert_allclose(
            made.to_weights(spectrum) @ rotated, expected.coef_.T, atol=2e-3
        )


def test_eigenvalues_over_ten_decades_are_right(data):
    x = data[0] * np.geomspace(300, 1, 40, dtype=np.float32)
    made = Primal(x)
    gram = (made.x.T @ made.x).astype(np.float64)
    mean = made.x.mean(axis=0, dtype=np.float64)
    exact = np.linalg.eigvalsh(gram - len(x) * np.outer(mean, mean))
    assert 0 < exact[0] < 1e-9 * exact[-1]
    (found,) = made.spectra([np.arange(110)])
    np.testing.assert_allclose(found.values, exact, rtol=1e-6)
