"""Estimates grow with channels, folds and draws; the machine's speed they measure themselves."""

from bids_brainalign.production import cost
from bids_brainalign.production.elastic import NULL_GRID, ElasticNet
from bids_brainalign.production.ridge import Ridge
from tests.production.planted import folds_of, planted


def test_a_sample_is_multiplied_by_channels_folds_and_draws(monkeypatch):
    x, y = planted(0.2, 0, n_words=30, n_channels=12, n_dims=6)
    fitted = []

    def seconds(embeddings, responses, folds, how, preparation):
        fitted.append((responses.shape[1], len(folds.folds), how))
        return 2.0

    monkeypatch.setattr(cost, "_seconds", seconds)
    folds = folds_of(30, n_folds=5, over="leave-one-word-out")
    how = ElasticNet()
    found = cost.estimated_cost(x, y, folds, how, n_draws=100)
    assert fitted == [(3, 6, how), (3, 6, NULL_GRID)]
    assert found.fit_s == 2.0 * 5 * 12 / 3
    assert found.null_s == 100 * found.fit_s
    together = cost.estimated_cost(x, y, folds, ElasticNet(multi_task=True), n_draws=100)
    assert fitted[-1][0] == 12
    assert together.fit_s == 2.0 * 5


def test_ridge_is_sampled_by_real_fits():
    x, y = planted(0.2, 0, n_words=30, n_channels=12, n_dims=6)
    few, many = (
        cost.estimated_cost(x, y, folds_of(30, n_folds=5), Ridge(), n_draws=n) for n in (0, 10**6)
    )
    assert few.fit_s > 0
    assert many.null_s >= few.null_s
    assert cost.null_method(Ridge()) == Ridge()
