"""Linear probes: against scikit-learn, on planted labels, and on labels without a link."""

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.linear_model import Ridge
from sklearn.metrics import balanced_accuracy_score, f1_score, r2_score

from bids_brainalign.probes.draws import exchanged_rows, shifted_rows
from bids_brainalign.probes.layers import changes, probe_layers
from bids_brainalign.probes.linear import Labelled, probe_layer, standardised
from tests.probes.planted import labelled, layers, memory, parts

NONE = np.empty((0, 1500), dtype=np.int64)


def by_hand(x, y, part, alpha):
    train, test = part == 0, part == 2
    z = (x - x[train].mean(0)) / x[train].std(0)
    t = (y - y[train].mean(0)) / y[train].std(0)
    fitted = Ridge(alpha).fit(z[train], t[train])
    return t[test], fitted.predict(z[test]), fitted.predict(z[part == 1])


@pytest.mark.parametrize("kind", ["numbers", "classes", "labels"])
def test_scores_are_those_of_scikit_learn(kind):
    rng = np.random.default_rng(0)
    held, latent = labelled(kind, rng)
    x = layers(rng, latent, noise=4.0)[1]
    found = probe_layer(x, held, NONE, alphas=(100.0,))
    truth, said, checked = by_hand(x, held.y, held.part, 100.0)
    y = held.y[held.part == 2]
    if kind == "numbers":
        r = [np.corrcoef(a, b)[0, 1] for a, b in zip(truth.T, said.T, strict=True)]
        total = (truth**2).sum(0)  # about the training mean
        r2 = 1 - ((truth - said) ** 2).sum(0) / total
        expected = np.mean(r), np.mean(r2)
        assert r2.mean() >= r2_score(truth, said)
    elif kind == "classes":
        a, b = y.argmax(1), said.argmax(1)
        expected = balanced_accuracy_score(a, b), f1_score(a, b, average="macro")
    else:
        share = held.y[held.part == 0].mean(0)
        limit = [np.quantile(v, 1 - s) for v, s in zip(checked.T, share, strict=True)]
        b = said > limit
        expected = f1_score(y, b, average="macro"), f1_score(y, b, average="micro")
    assert found.score == pytest.approx(expected, abs=2e-3)


def test_more_dimensions_than_rows():
    """The dual form, with nulls: as scikit-learn's."""
    rng = np.random.default_rng(8)
    held, latent = labelled("numbers", rng, n=150)
    x = layers(rng, latent, dims=200)[1]
    draws = shifted_rows(held.part, least=5, n_draws=3, rng=rng)
    found = probe_layer(x, held, draws, alphas=(50.0,))
    for score, rows in ((found.score, np.arange(150)), *zip(found.null, draws, strict=True)):
        y = held.y[rows]
        z, t = (standardised(v, np.flatnonzero(held.part == 0)) for v in (x, y))
        # Standardised once, with the labels as they are: shifts within parts change no moment.
        fitted = Ridge(50.0).fit(z[held.part == 0], t[held.part == 0])
        said, truth = fitted.predict(z[held.part == 2]), t[held.part == 2]
        r = [np.corrcoef(a, b)[0, 1] for a, b in zip(truth.T, said.T, strict=True)]
        assert score[0] == pytest.approx(np.mean(r), abs=1e-4)


def test_penalty_is_chosen_on_validation_rows_alone():
    rng = np.random.default_rng(1)
    held, latent = labelled("numbers", rng)
    x = layers(rng, latent, noise=6.0)[1]
    grid = (0.1, 10.0, 1e3, 1e5)
    best = []
    for alpha in grid:
        train, val = held.part == 0, held.part == 1
        z, t = standardised(x, np.flatnonzero(train)), standardised(held.y, np.flatnonzero(train))
        said = Ridge(alpha).fit(z[train], t[train]).predict(z[val])
        best.append(np.mean([r2_score(a, b) for a, b in zip(t[val].T, said.T, strict=True)]))
    found = probe_layer(x, held, NONE, alphas=grid)
    assert found.alpha == grid[int(np.argmax(best))]
    # Other labels in the test part change no fit: only what it is scored against.
    other = held.y.copy()
    other[held.part == 2] = rng.permutation(other[held.part == 2])
    again = probe_layer(x, Labelled(other, held.kind, held.part, held.block), NONE, alphas=grid)
    assert again.alpha == found.alpha
    assert again.score[0] < 0.2 < found.score[0]


@pytest.mark.parametrize("kind", ["numbers", "classes", "labels"])
def test_label_is_found_at_its_layer_and_nowhere_else(kind):
    rng = np.random.default_rng(2)
    held, latent = labelled(kind, rng)
    x = layers(rng, latent)
    draws = shifted_rows(held.part, least=30, n_draws=99, rng=rng)
    found = probe_layers(x.__getitem__, "012", held, draws, n_bootstrap=200, rng=rng)
    table = found.table().groupby("layer").first()
    assert table.loc["1", "p_max"] == 0.01
    assert table.loc["1", "ci_low"] > table.loc["1", "chance"]
    assert (table.loc[["0", "2"], "p"] > 0.01).all()
    assert table["n_test"].unique() == [300]
    none = changes(found, found)
    assert (none["change"] == 0).all()
    assert (none["ci_low"] == 0).all()


def test_change_has_the_interval_of_pairs():
    """Two models that share their errors differ with far less doubt than each alone has."""
    rng = np.random.default_rng(3)
    held, latent = labelled("numbers", rng)
    x = layers(rng, latent, n_layers=1, planted=0, noise=8.0)[0]
    worse = (x + 0.3 * x.std() * memory(rng, len(x), x.shape[1], 0.0)).astype(np.float32)
    one, two = (
        probe_layers([f].__getitem__, ["0"], held, NONE, n_bootstrap=500,
                     rng=np.random.default_rng(0)) for f in (x, worse)
    )  # fmt: skip
    row = changes(two, one).iloc[0]
    alone = one.table().iloc[0]
    assert row["ci_high"] < 0
    assert row["ci_high"] - row["ci_low"] < 0.7 * (alone["ci_high"] - alone["ci_low"])


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "ar"), [("numbers", 0.95), ("classes", 0.95), ("labels", 0.9)])
def test_five_percent_of_labels_without_link_are_found(kind, ar):
    """Features and labels with memory and no link: p < .05 in 5 % of datasets."""
    hits, n = 0, 400
    for seed in range(n):
        rng = np.random.default_rng([seed, 7])
        held, _ = labelled(kind, rng, n=600, ar=ar, k=2)
        x = memory(rng, 600, 5, ar).astype(np.float32)
        draws = shifted_rows(held.part, least=20, n_draws=39, rng=rng)
        found = probe_layers([x].__getitem__, ["0"], held, draws, n_bootstrap=1, rng=rng,
                             alphas=(10.0, 1e3))  # fmt: skip
        hits += found.table()["p"].iloc[0] <= 0.05
    low, high = binom.interval(0.998, n, 0.05)
    print("share", kind, ar, hits / n)
    assert low <= hits <= high, hits / n


def test_exchanged_labels_stay_in_their_group():
    rng = np.random.default_rng(4)
    group = rng.integers(4, size=60)
    draws = exchanged_rows(group, n_draws=20, rng=rng)
    assert (group[draws] == group).all()
    assert (np.sort(draws, axis=1) == np.arange(60)).all()
    assert len(np.unique(draws, axis=0)) == 20


def test_shifted_labels_keep_their_neighbours():
    part = parts(100)
    for draw in shifted_rows(part, least=5, n_draws=20, rng=np.random.default_rng(5)):
        assert (part[draw] == part).all()
        assert (np.sort(draw) == np.arange(100)).all()
        inside = np.diff(draw)[np.diff(part) == 0]
        assert (inside == 1).sum() == len(inside) - 3
