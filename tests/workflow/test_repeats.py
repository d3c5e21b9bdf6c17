"""Presentations of one stimulus are found, laid side by side, and halved."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.config.schema import Ceiling, Config, Paths
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.statistics.folds import Fold, FoldPlan, Samples, Split
from bids_brainalign.workflow.repeats import find_repeats, moved, values_of
from bids_brainalign.workflow.selection_half import set_aside

TR = 2.0


def samples(*runs):
    """Runs of (stimulus, first second on its clock, number of samples)."""
    run, stimulus, clock, time = [], [], [], []
    for index, parts in enumerate(runs):
        start = 0.0
        for name, first, n in parts:
            run += [index] * n
            stimulus += [name] * n
            clock += [first + TR * i for i in range(n)]
            time += [start + TR * i for i in range(n)]
            start += TR * n + 50
    array = np.array
    return Samples(array(run), array(stimulus), array(time), array(stimulus), array(clock), TR)


def every(s):
    return np.arange(len(s))


def test_runs_of_one_stimulus_share_moments():
    s = samples([(0, 0.0, 40)], [(0, 4.0, 40)], [(0, 0.0, 30)])
    found = find_repeats(s, every(s), (0, 0, 0))
    assert found.n_repeats == 3
    assert found.n_averaged == 1
    assert found.rows.shape == (3, 28)  # seconds 4 to 58
    np.testing.assert_allclose(s.stimulus_s[found.rows], 4 + TR * np.arange(28) + np.zeros((3, 1)))


def test_repeats_within_one_run_are_presentations_too():
    s = samples([(0, 0.0, 20), (0, 0.0, 20), (1, 0.0, 20), (0, 0.0, 20)])
    found = find_repeats(s, every(s), ())
    assert found.n_repeats == 3
    assert found.rows.tolist() == [list(range(20)), list(range(20, 40)), list(range(60, 80))]


def test_the_number_that_gives_most_pairs_is_taken():
    """Ten stimuli shown twice tell more than one shown three times."""
    once = [(k, 0.0, 20) for k in range(10)]
    s = samples(once, [*once, (0, 0.0, 20)])
    found = find_repeats(s, every(s), ())
    assert found.n_repeats == 2
    assert found.rows.shape == (2, 200)
    ten = samples(*[[(0, 0.0, 20)]] * 10, [(1, 0.0, 20)], [(1, 0.0, 20)])
    assert find_repeats(ten, every(ten), ()).n_repeats == 10


def test_mostly_single_stimuli_have_no_ceiling():
    s = samples([(0, 0.0, 20), (1, 0.0, 90)], [(0, 0.0, 20)])
    assert find_repeats(s, every(s), ()) is None
    assert find_repeats(samples([(0, 0.0, 50)]), np.arange(50), ()) is None


def test_a_mean_counts_its_presentations():
    s = samples([(0, 0.0, 40)], [(1, 0.0, 40)])
    found = find_repeats(s, np.arange(40), (10, 0))
    assert (found.n_repeats, found.n_averaged, found.stored) == (10, 10, 0)
    assert find_repeats(s, np.arange(40, 80), (10, 0)) is None


def fake_assembly(s, data, *, whole_runs=True):
    used = tuple(np.ones(len(run), dtype=bool) for run in data)
    return SimpleNamespace(
        samples=s,
        layout=SimpleNamespace(used=used, whole_runs=whole_runs),
        responses=[SimpleNamespace(data=run) for run in data],
        targets=pd.DataFrame({"name": ["a", "b"]}),
    )


def test_presentations_between_samples_are_moved_onto_the_first(tmp_path):
    """A slow wave sampled .8 s later in the second run."""
    config = Config("participant", Paths(tmp_path, tmp_path, tmp_path))
    n = 120
    s = samples([(0, 0.0, n)], [(0, 0.8, n)])
    clocks = [s.stimulus_s[s.run == run] for run in (0, 1)]
    wave = [np.stack([np.sin(clock / 7), np.cos(clock / 9)], axis=1) for clock in clocks]
    found = find_repeats(s, every(s), ())
    assert found.late[1] == pytest.approx(0.4)
    values = values_of(config, fake_assembly(s, wave), found, slice(None))
    inner = slice(10, -10)
    apart = np.abs(values[0] - values[1])[inner].max()
    unmoved = np.abs(wave[0] - wave[1])[inner].max()
    assert apart < 0.05 < unmoved / 2


def test_moving_keeps_the_variance():
    noise = np.random.default_rng(0).standard_normal((400, 50))
    for by in (-0.5, 0.3):
        assert moved(noise, by).var() == pytest.approx(noise.var(), rel=0.02)
    np.testing.assert_allclose(moved(noise, 0.0), noise, atol=1e-9)


def plan_of(s, test):
    train = np.setdiff1d(every(s), test)
    return FoldPlan((Fold("story", Split(train, test), ()),), "repeated story", True, 0, 0, ())


def test_halves_share_no_moment(tmp_path):
    config = Config("participant", Paths(tmp_path, tmp_path, tmp_path))
    s = samples([(0, 0.0, 100)], [(0, 0.0, 100)], [(1, 0.0, 100)])
    plan, (aside,) = set_aside(config, plan_of(s, np.arange(200)), s, (0, 0, 0), 8.0)
    (fold,) = plan.folds
    assert s.stimulus_s[aside].max() + 8 <= s.stimulus_s[fold.outer.test].min()
    assert set(s.run[aside]) == set(s.run[fold.outer.test]) == {0, 1}
    assert not np.isin(fold.outer.train, np.concatenate([aside, fold.outer.test])).any()
    assert "selects voxels" in plan.notes[-1]


def test_halves_too_short_are_refused(tmp_path):
    config = Config("participant", Paths(tmp_path, tmp_path, tmp_path))
    config = replace(config, ceiling=Ceiling(select="halves"))
    s = samples([(0, 0.0, 25)], [(0, 0.0, 25)])
    with pytest.raises(BrainAlignError, match="half of story is 24 samples: too little"):
        set_aside(config, plan_of(s, every(s)), s, (0, 0), 2.0)
