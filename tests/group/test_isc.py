"""Inter-subject correlation: planted shared responses, none, and clocks that differ."""

import numpy as np
import pytest
from scipy.signal import lfilter

from bids_brainalign.group.isc import Heard, common_responses, leave_one_out

TR = 1.5


def ar1(rng, n, n_targets, phi=0.5):
    noise = rng.standard_normal((n + 100, n_targets)) * np.sqrt(1 - phi**2)
    return lfilter([1.0], [1.0, -phi], noise, axis=0)[100:]


def people(rng, *, share, n_people=4, n=200, n_targets=100):
    """Stimulus → responses; the last half of the targets share nothing."""
    out = {}
    for name in ("one", "two"):
        common = ar1(rng, n, n_targets)
        own = [ar1(rng, n, n_targets) for _ in range(n_people)]
        mixed = [np.sqrt(share) * common + np.sqrt(1 - share) * x for x in own]
        half = n_targets // 2
        out[name] = [
            np.hstack([m[:, :half], x[:, half:]]) for m, x in zip(mixed, own, strict=True)
        ]
    return out


def found(responses, rng, n_draws=500):
    n = len(next(iter(responses.values())))
    labels = [f"{i:02d}" for i in range(n)]
    return leave_one_out(responses, TR, people=labels, n_draws=n_draws, rng=rng)


def test_shared_responses_are_found_and_others_are_not():
    rng = np.random.default_rng(2)
    tables = found(people(rng, share=0.4), rng)
    expected = 0.4 / np.sqrt(0.4 + 0.6 / 3)  # with the mean of three others
    for table in tables:
        assert table["isc"][:50].mean() == pytest.approx(expected, abs=0.05)
        inside = (table["ci_low"] <= expected) & (table["ci_high"] >= expected)
        assert inside[:50].mean() > 0.8
        assert (table["q_fdr"][:50] < 0.05).mean() > 0.95
        assert abs(table["isc"][50:].mean()) < 0.05
        assert set(table["n_others"]) == {3}


def test_five_per_cent_of_responses_that_share_nothing():
    rng = np.random.default_rng(4)
    p = [t["p"] for _ in range(6) for t in found(people(rng, share=0.0), rng, n_draws=300)]
    assert 0.035 < (np.concatenate(p) < 0.05).mean() < 0.068


def test_another_session_is_not_another_participant():
    rng = np.random.default_rng(3)
    responses = people(rng, share=0.4, n_people=3)
    twice = {name: [*part, part[0]] for name, part in responses.items()}
    tables = leave_one_out(twice, TR, people=["01", "02", "03", "01"], n_draws=100, rng=rng)
    assert tables[0]["isc"].max() < 0.9  # its own copy would give 1
    assert set(tables[0]["n_others"]) == {2}


def heard(clock, values, *, name="story", run="r1"):
    n = len(clock)
    return Heard([name] * n, [run] * n, np.asarray(clock, dtype=float), values.astype(np.float32))


def test_clocks_that_differ_are_brought_together():
    at = TR * np.arange(100)
    late = at + 0.6
    waves = [np.sin(clock / 5)[:, None] for clock in (at, late)]
    (pair,) = common_responses([heard(at, waves[0]), heard(late, waves[1])], TR).values()
    assert np.corrcoef(pair[0][:, 0], pair[1][:, 0])[0, 1] > 0.995
    assert np.corrcoef(waves[0][:, 0], waves[1][:, 0])[0, 1] < 0.995


def test_what_was_not_measured_or_not_shared_is_left_out():
    at = TR * np.arange(100)
    rng = np.random.default_rng(0)
    whole, hole = heard(at, ar1(rng, 100, 2)), np.r_[0:40, 50:100]
    (pair,) = common_responses([whole, heard(at[hole], ar1(rng, 90, 2))], TR).values()
    assert len(pair[0]) == 90
    assert common_responses([whole, heard(at, ar1(rng, 100, 2), name="other")], TR) == {}
