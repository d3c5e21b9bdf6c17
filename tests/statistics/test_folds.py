import numpy as np
import pytest

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.statistics.folds import GapRule, Samples, plan_folds


def make_samples(lengths, *, groups=None, stimuli=None, interval=0.02):
    run = np.repeat(np.arange(len(lengths)), lengths)
    time = np.concatenate([np.arange(n) * interval for n in lengths])
    groups = np.arange(len(lengths)) if groups is None else np.array(groups)
    stimuli = np.arange(len(lengths)) if stimuli is None else np.array(stimuli)
    return Samples(run, groups[run], time, stimuli[run], time, interval)


def stimuli_in_runs(sequences, *, length=500, pause=50, interval=0.02):
    """Samples of runs that play stimuli of equal length one after the other; each its group."""
    parts = []
    for run, sequence in enumerate(sequences):
        for place, stimulus in enumerate(sequence):
            inside = np.arange(length) * interval
            start = place * (length + pause) * interval
            parts.append((np.full(length, run), np.full(length, stimulus), start + inside, inside))
    run, stimulus, time, position = map(np.concatenate, zip(*parts, strict=True))
    return Samples(run, stimulus, time, stimulus, position, interval)


def check_far_in_time(plan, samples, gap_s):
    """No training sample was recorded within the gap of a held-out one, outer or inner."""
    for fold in plan.folds:
        for split in (fold.outer, *fold.inner):
            for run in np.unique(samples.run[split.test]):
                test = samples.time_s[split.test][samples.run[split.test] == run]
                train = samples.time_s[split.train][samples.run[split.train] == run]
                if len(train):
                    assert np.abs(train[:, None] - test).min() > gap_s


def check_honest(plan, samples, gap_s):
    """No held-out sample is near a training sample in content, outer or inner."""
    for fold in plan.folds:
        for split in (fold.outer, *fold.inner):
            assert not np.intersect1d(split.train, split.test).size
            for stimulus in np.unique(samples.stimulus[split.test]):
                test = samples.stimulus_s[split.test][samples.stimulus[split.test] == stimulus]
                mine = samples.stimulus[split.train] == stimulus
                train = samples.stimulus_s[split.train][mine]
                if len(train):
                    nearest = np.abs(train[:, None] - np.array([test.min(), test.max()])).min()
                    assert nearest > gap_s
        for split in fold.inner:
            assert not np.intersect1d(split.test, fold.outer.test).size
            assert np.isin(split.train, fold.outer.train).all()


def test_three_groups_are_held_out_whole():
    samples = make_samples([500, 700, 600])
    plan = plan_folds(samples, ["a", "b", "c"], gap=GapRule(2.0, 25.0))
    assert plan.kind == "leave one content group out"
    assert plan.whole_runs
    assert sorted(len(f.outer.test) for f in plan.folds) == [500, 600, 700]
    assert all(len(f.inner) == 2 for f in plan.folds)
    check_honest(plan, samples, np.inf)
    assert plan.mutual_share() == 1.0


def test_runs_of_one_content_group_never_stand_on_both_sides():
    samples = make_samples([500] * 5, groups=[0, 0, 1, 2, 3], stimuli=[0, 4, 1, 2, 3])
    plan = plan_folds(samples, list("abcd"), gap=GapRule(2.0, 25.0))
    assert len(plan.folds) == 4
    for fold in plan.folds:
        for split in (fold.outer, *fold.inner):
            assert not np.intersect1d(samples.group[split.train], samples.group[split.test]).size


def test_a_repeated_story_is_the_test_set():
    samples = make_samples([500] * 5, groups=[0, 1, 2, 3, 3], stimuli=[0, 1, 2, 3, 3])
    plan = plan_folds(samples, list("abcd"), gap=GapRule(2.0, 25.0))
    assert plan.kind == "repeated story"
    assert len(plan.folds) == 1
    assert set(samples.group[plan.folds[0].outer.test]) == {3}
    assert plan.mutual_share() == 0.0


def test_more_than_ten_groups_are_pooled_into_ten_folds():
    samples = make_samples([100] * 23)
    plan = plan_folds(samples, [str(i) for i in range(23)], gap=GapRule(2.0, 0))
    assert len(plan.folds) == 10
    held = np.sort(np.concatenate([f.outer.test for f in plan.folds]))
    np.testing.assert_array_equal(held, np.arange(2300))


@pytest.mark.parametrize("minutes", [1.5, 5, 30])
def test_one_run_is_cut_into_blocks_with_gaps(minutes):
    samples = make_samples([int(minutes * 60 * 50)])
    plan = plan_folds(samples, ["a"], gap=GapRule(2.0, 25.0))
    assert not plan.whole_runs
    assert len(plan.folds) == 5
    assert all(fold.inner for fold in plan.folds)
    check_honest(plan, samples, plan.hard_gap_s + plan.soft_gap_s)
    for fold in plan.folds:
        with_hard = len(samples) - len(fold.outer.test) - 2 * 2.0 / 0.02
        assert len(fold.outer.train) >= 0.85 * with_hard * 0.98


def test_soft_gap_that_costs_too_much_is_cut_and_said():
    samples = make_samples([90 * 50])
    plan = plan_folds(samples, ["a"], gap=GapRule(2.0, 25.0))
    assert plan.soft_gap_s < 25
    assert any("gap beyond the hard" in note for note in plan.notes)


def test_repeats_of_one_stimulus_are_cut_at_the_same_seconds():
    samples = make_samples([5000, 5000], groups=[0, 0], stimuli=[0, 0])
    plan = plan_folds(samples, ["a"], gap=GapRule(2.0, 0.0))
    check_honest(plan, samples, 2.0)
    for fold in plan.folds:
        assert set(samples.run[fold.outer.test]) == {0, 1}


def test_too_little_data_says_how_much_is_needed():
    samples = make_samples([40], interval=1.5)
    with pytest.raises(BrainAlignError, match="too little for two folds") as caught:
        plan_folds(samples, ["a"], gap=GapRule(18.0, 0.0))
    assert caught.value.exit_code == ExitCode.DATA_ERROR
    assert "use at least 126 s" in str(caught.value)


def test_scrambled_twins_in_too_few_groups_are_refused():
    samples = make_samples([5000, 5000], groups=[0, 0], stimuli=[0, 1])
    with pytest.raises(BrainAlignError, match="several stimuli that share content"):
        plan_folds(samples, ["story"], gap=GapRule(2.0, 0.0))


def test_two_folds_without_room_for_inner_ones_fix_the_penalty():
    samples = make_samples([64], interval=1.5)
    plan = plan_folds(samples, ["a"], gap=GapRule(1.0, 0.0), min_samples=30)
    assert all(not fold.inner for fold in plan.folds)
    assert any("penalty and layer are fixed" in note for note in plan.notes)


def test_stories_that_share_a_run_keep_a_gap():
    samples = stimuli_in_runs([[0, 1, 2, 3]])
    plan = plan_folds(samples, list("abcd"), gap=GapRule(2.0, 25.0))
    assert plan.kind == "leave one content group out"
    assert not plan.whole_runs
    assert (plan.hard_gap_s, plan.soft_gap_s) == (2.0, 0.0)
    assert any("share a run" in note for note in plan.notes)
    assert [len(f.outer.test) for f in plan.folds] == [500] * 4
    assert all(len(f.inner) == 3 for f in plan.folds)
    # 1 s of the gap is pause.
    assert [len(f.outer.train) for f in plan.folds] == [1450, 1400, 1400, 1450]
    check_far_in_time(plan, samples, 2.0)
    check_honest(plan, samples, np.inf)


def test_two_stories_in_one_run_keep_a_gap_whichever_came_first():
    for order in ([0, 1], [1, 0]):
        samples = stimuli_in_runs([order], length=3000, pause=1)
        plan = plan_folds(samples, list("ab"), gap=GapRule(2.0, 0.0))
        check_far_in_time(plan, samples, 2.0)


def test_a_repeated_story_beside_others_in_its_runs_keeps_a_gap():
    samples = stimuli_in_runs([[0, 3], [1, 3], [2, 3]])
    plan = plan_folds(samples, list("abcd"), gap=GapRule(2.0, 0.0))
    assert plan.kind == "repeated story"
    assert not plan.whole_runs
    check_far_in_time(plan, samples, 2.0)


def test_runs_of_many_sentences_are_held_out_whole_where_there_are_enough():
    sentences = np.arange(60).reshape(6, 10).tolist()
    samples = stimuli_in_runs(sentences, length=100)
    names = [str(i) for i in range(60)]
    plan = plan_folds(samples, names, gap=GapRule(2.0, 0.0))
    assert plan.whole_runs
    assert [set(samples.run[f.outer.test]) for f in plan.folds] == [{r} for r in range(6)]
    assert all(len(f.inner) == 3 for f in plan.folds)
    few = stimuli_in_runs(sentences[:2], length=100)
    plan = plan_folds(few, names[:20], gap=GapRule(2.0, 0.0))
    assert len(plan.folds) == 10
    assert not plan.whole_runs
    check_far_in_time(plan, few, 2.0)
    held = np.sort(np.concatenate([f.outer.test for f in plan.folds]))
    np.testing.assert_array_equal(held, np.arange(2000))
    # Sentences that follow each other are held out together: one gap on either side.
    assert min(len(f.outer.train) for f in plan.folds) >= 1000 + 800 - 200


def test_stimuli_too_close_to_part_are_refused_with_a_way_out():
    samples = stimuli_in_runs([[0, 1, 2] * 20], length=60, pause=5)
    with pytest.raises(BrainAlignError, match=r"training samples are left beside [abc]") as caught:
        plan_folds(samples, list("abc"), gap=GapRule(2.0, 0.0))
    assert "--folds" in str(caught.value)


def test_a_run_that_is_a_mean_of_presentations_is_the_test_story():
    """ds003020 publishes the mean of ten presentations of one story as one run."""
    run = np.repeat(np.arange(5), 60)
    samples = Samples(
        run=run, group=run, time_s=np.tile(np.arange(60.0), 5), stimulus=run,
        stimulus_s=np.tile(np.arange(60.0), 5), interval_s=1.0,
    )  # fmt: skip
    plan = plan_folds(samples, list("abcde"), gap=GapRule(2.0, 0.0), mean_runs=[3])
    assert plan.kind == "repeated story"
    (fold,) = plan.folds
    assert fold.name == "d"
    assert set(run[fold.outer.test]) == {3}
    assert len(plan_folds(samples, list("abcde"), gap=GapRule(2.0, 0.0)).folds) == 5


@pytest.mark.parametrize(("hard_s", "n_folds"), [(2.0, 5), (7.0, 3), (20.0, 2)])
def test_blocks_are_four_gaps_long_at_least(hard_s, n_folds):
    samples = make_samples([100 * 50])
    plan = plan_folds(samples, ["a"], gap=GapRule(hard_s, 0.0))
    assert len(plan.folds) == n_folds
    held = [samples.time_s[fold.outer.test] for fold in plan.folds]
    assert [np.ptp(times) for times in held] == pytest.approx([100 / n_folds] * n_folds, abs=0.05)


@pytest.mark.parametrize("soft_share", [0.05, 0.15, 0.4])
def test_the_soft_gap_is_the_largest_that_may_be_paid_for(soft_share):
    samples = make_samples([120 * 50])
    plan = plan_folds(samples, ["a"], gap=GapRule(2.0, 20.0, soft_share))
    assert len(plan.folds) == 5

    def cost(soft_s):
        lost = []
        for fold in plan.folds:
            first, last = samples.time_s[fold.outer.test[[0, -1]]]
            outside = np.maximum(first - samples.time_s, samples.time_s - last)
            kept = [(outside > 2.0 + s).sum() for s in (0.0, soft_s)]
            lost.append(1 - kept[1] / kept[0])
        return max(lost)

    assert cost(plan.soft_gap_s) <= soft_share
    assert cost(plan.soft_gap_s + 1.0) > soft_share  # steps of 1 s, a twentieth of 20
    assert (plan.soft_gap_s + 1.0) % 1 == 0


def test_blocks_of_several_stimuli_are_of_their_content_end_to_end():
    """Two parts of a story, the second begun in its middle, heard in either order."""
    first = np.arange(1000) * 0.02
    samples = Samples(
        run=np.repeat([0, 1], 1000),
        group=np.repeat([0, 1], 1000),
        time_s=np.tile(first + 3.0, 2),
        stimulus=np.repeat([0, 1], 1000),
        stimulus_s=np.concatenate([first + 7.0, first + 40.0]),
        interval_s=0.02,
    )
    plan = plan_folds(samples, ["one", "two"], gap=GapRule(1.0, 0.0))
    assert [fold.name for fold in plan.folds] == [f"{a}–{a + 8} s" for a in range(0, 40, 8)]
    held = [fold.outer.test for fold in plan.folds]
    assert [(rows.min(), rows.max()) for rows in held] == [
        (a, a + 399) for a in range(0, 2000, 400)
    ]
