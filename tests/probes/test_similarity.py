"""CKA and RSA against plain formulas; their nulls on data with memory."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import binom, spearmanr

from bids_brainalign.probes.draws import shifted_rows
from bids_brainalign.probes.similarity import apart, likeness
from tests.probes.planted import memory


def compare(first, second, metric, *, stretch=None, n_draws=0, rng=None, gap=1):
    stretch = np.zeros(len(first[0]), dtype=np.int64) if stretch is None else stretch
    draws = shifted_rows(stretch, least=10, n_draws=n_draws, rng=rng or np.random.default_rng(0))
    far = apart(stretch, rows=gap)
    return likeness(first, second, metric, stretch=stretch, far=far, draws=draws)


def test_cka_is_the_unbiased_estimate():
    """Song et al. 2012, eq. 5, written as its sums over distinct indices (eq. 2 of the paper)."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((9, 3)), rng.standard_normal((9, 4))
    y[:, 0] += x[:, 0]

    def hsic(a, b):
        k, l = (z - z.mean(0) for z in (a, b))  # noqa: E741
        k, l = k @ k.T, l @ l.T  # noqa: E741
        n = len(k)
        pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
        two = sum(k[i, j] * l[i, j] for i, j in pairs)
        three = sum(k[i, j] * l[i, q] for i, j in pairs for q in range(n) if q not in (i, j))
        four = sum(
            k[i, j] * l[q, r] for i, j in pairs for q in range(n) for r in range(n)
            if len({i, j, q, r}) == 4
        )  # fmt: skip
        return (
            two / (n * (n - 1))
            - 2 * three / (n * (n - 1) * (n - 2))
            + four / (n * (n - 1) * (n - 2) * (n - 3))
        )

    expected = hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))
    assert compare([x], [y], "cka").value[0, 0] == pytest.approx(expected, abs=1e-5)


def test_rsa_is_spearman_of_distances():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((40, 3)), rng.standard_normal((40, 5))
    y[:, 0] += 2 * x[:, 0]
    z = [(a - a.mean(0)) / a.std(0) for a in (x, y)]
    expected = spearmanr(pdist(z[0]), pdist(z[1])).statistic
    assert compare([x], [y], "rsa").value[0, 0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("metric", ["cka", "rsa"])
def test_same_geometry_is_1_and_another_is_not(metric):
    rng = np.random.default_rng(2)
    x = memory(rng, 300, 6, 0.4)
    turned = x @ np.linalg.qr(rng.standard_normal((6, 6)))[0]
    z = (x - x.mean(0)) / x.std(0)
    other = memory(rng, 300, 6, 0.4)
    near = z + 0.7 * memory(rng, 300, 6, 0.4)
    found = compare([turned if metric == "cka" else z, near, other], [z if metric == "rsa" else x],
                    metric, n_draws=99, rng=rng)  # fmt: skip
    value = found.value[:, 0]
    assert value[0] == pytest.approx(1, abs=1e-4)
    assert 0.3 < value[1] < 0.95
    assert found.p_max[:2, 0] == pytest.approx(0.01)
    assert found.low[1, 0] < value[1] < found.high[1, 0]
    assert abs(value[2]) < 0.2
    assert found.p[2, 0] > 0.02


def test_debiased_cka_of_noise_is_0_where_the_plain_one_is_large():
    rng = np.random.default_rng(3)
    x, y = (rng.standard_normal((100, 400)) for _ in range(2))
    k, l = ((a - a.mean(0)) @ (a - a.mean(0)).T for a in (x, y))  # noqa: E741
    plain = (k * l).sum() / np.sqrt((k * k).sum() * (l * l).sum())
    assert plain > 0.6
    assert abs(compare([x], [y], "cka").value[0, 0]) < 0.05


def test_still_representation_is_0():
    x = np.random.default_rng(4).standard_normal((50, 3))
    for metric in ("cka", "rsa"):
        assert compare([np.ones((50, 2))], [x], metric).value[0, 0] == 0


def test_too_short_for_a_null_has_no_p():
    x = memory(np.random.default_rng(0), 200, 3, 0.95)
    found = compare([x], [x], "cka", n_draws=50)
    assert np.isnan(found.p).all()
    assert found.n_null == 0


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["cka", "rsa"])
@pytest.mark.parametrize(("ar", "length"), [(0.6, 80), (0.7, 120), (0.8, 180)])
def test_five_percent_without_link(metric, ar, length):
    """Representations with memory and no link: p < .05 in 5 % of datasets."""
    hits, n = 0, 200
    stretch = np.repeat(np.arange(3), length)
    for seed in range(n):
        rng = np.random.default_rng([seed, 3])
        x, y = memory(rng, len(stretch), 5, ar), memory(rng, len(stretch), 4, ar)
        found = compare([x], [y], metric, stretch=stretch, n_draws=39, rng=rng, gap=8)
        hits += found.p[0, 0] <= 0.05
    low, high = binom.interval(0.998, n, 0.05)
    print("share", metric, ar, hits / n)
    assert low <= hits <= high, hits / n


@pytest.mark.slow
def test_jackknife_holds_the_true_likeness():
    """Interval of CKA: the value for endless data lies in it about as often as it says."""
    ar, held, n = 0.8, 0, 200
    mix = np.random.default_rng(0).standard_normal((4, 6))

    def pair(rng, rows):
        x = memory(rng, rows, 4, ar)
        return x, x @ mix + 2 * memory(rng, rows, 6, ar)

    truth = compare(*([a] for a in pair(np.random.default_rng(1), 6000)), "cka").value[0, 0]
    for seed in range(n):
        found = compare(*([a] for a in pair(np.random.default_rng([seed, 5]), 400)), "cka")
        held += found.low[0, 0] <= truth <= found.high[0, 0]
    print("coverage", held / n)
    assert 0.85 <= held / n <= 0.995
