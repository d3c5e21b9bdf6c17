"""Penalties chosen by quadratic forms are those of predictions, whatever the responses do."""

import numpy as np
import pytest

from bids_brainalign.production.inputs import moments
from bids_brainalign.production.mapping import PLAIN
from bids_brainalign.production.ridge import Ridge, RidgePlan, word_grams
from tests.production.planted import folds_of, planted


@pytest.mark.parametrize("n_dims", [8, 90])
def test_forms_give_the_validation_errors_of_predictions(n_dims):
    """Of responses that drift: means of folds differ, and the training mean decides."""
    x, y = planted(0.3, 0, n_words=60, n_channels=6, n_dims=n_dims)
    y = y + 2 * y.std(axis=0) * np.linspace(-1, 1, 60)[:, None]
    folds = folds_of(60, n_folds=4, n_inner=3, cut="contiguous")
    plan = RidgePlan(x, folds, Ridge(), preparation=PLAIN)
    from_forms, _ = plan.predict(np.tile(y, 200), n_sets=200)
    assert plan._forms
    for inner in folds.selections():
        errors = np.zeros((len(Ridge().penalties), 6))
        for hat in plan._inner[id(inner)]:
            train, test = y[hat.split.train], y[hat.split.test]
            for place, alpha in enumerate(Ridge().penalties):
                said = train.mean(axis=0) + _predicted(x, inner, hat.split, train, alpha)
                errors[place] += ((test - said) ** 2).mean(axis=0)
        rows = plan._forms[id(inner)].rows
        errors /= moments(y[rows])[1] ** 2
        gram = word_grams(y, folds)[id(inner)][0]
        forms = np.einsum("pij,ij->p", plan._forms[id(inner)].forms, gram)
        np.testing.assert_allclose(forms, errors.sum(axis=1), rtol=1e-8)
    alone, _ = RidgePlan(x, folds, Ridge(), preparation=PLAIN).predict(y)
    np.testing.assert_allclose(from_forms[:, :6], alone, atol=1e-9)


def _predicted(x, inner, split, train, alpha):
    """About the training mean, by the normal equations."""
    rows = np.unique(np.concatenate([np.concatenate([s.train, s.test]) for s in inner]))
    mean, sd = x[rows].mean(axis=0), x[rows].std(axis=0)
    z = (x - mean) / sd
    about = z[split.train] - z[split.train].mean(axis=0)
    held = z[split.test] - z[split.train].mean(axis=0)
    inverse = np.linalg.inv(about.T @ about + alpha * np.eye(x.shape[1]))
    return held @ inverse @ about.T @ train
