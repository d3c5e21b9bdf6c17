"""Phones that nobody annotated are found before features are made of them, and used everywhere."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.config.schema import Control
from bids_brainalign.dataset.types import Annotations
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.phonemes.classes import PhoneClasses
from bids_brainalign.phonemes.times import PhoneTimes
from bids_brainalign.workflow import phone_times
from bids_brainalign.workflow.assemble import assemble
from bids_brainalign.workflow.encoding import fit_inputs
from bids_brainalign.workflow.extraction import feature_steps, stimuli_of
from bids_brainalign.workflow.locked import locked_step, locked_table
from bids_brainalign.workflow.narrative import annotations_of, model_description
from bids_brainalign.workflow.onset_attention import locked_rows
from bids_brainalign.workflow.phone_times import (
    load_phone_times,
    missing_reason,
    require_aligner,
    stimuli_of_fit,
    stimuli_to_align,
)
from bids_brainalign.workflow.run import _find_phones
from bids_brainalign.workflow.spaces import feature_key, stored_features
from tests.workflow.planted import make_fit

RATE_HZ = 50.0
METHOD = "forced alignment (planted)"


@dataclass
class Aligner:
    """Two phones per word, the second ``second_s`` after the first."""

    second_s: float = 0.1
    asked: int = 0
    """Calls so far."""
    fails_on: int = -1
    """The call that fails."""

    def __call__(self, wave, words, *, language):
        self.asked += 1
        if self.asked - 1 == self.fails_on:
            raise RuntimeError("no alignment")
        onset = words["onset"].to_numpy()
        table = pd.DataFrame(
            {
                "onset": np.r_[onset, onset + self.second_s],
                "duration": 0.05,
                "phone": ["s"] * len(onset) + ["a"] * len(onset),
                "source": "aligned",
            }
        )
        return PhoneTimes(table.sort_values("onset", ignore_index=True), METHOD, len(onset))


@pytest.fixture
def aligner(monkeypatch):
    mine = Aligner()
    monkeypatch.setattr(phone_times, "find_phones", mine)
    monkeypatch.setattr(phone_times, "can_find_phones", lambda language: language == "en")
    return mine


@pytest.fixture
def planted(tmp_path):
    return make_fit(tmp_path, "ieeg", seconds=(40.0, 40.0), n_targets=2)


def align(planted, **settings):
    """Fit with the phones that were found, and the units of the run."""
    units = []
    config = replace(planted.config, **settings)
    (fit,) = _find_phones(config, (planted.fit,), units, "run")
    return fit, units


def extract(planted, fit):
    for step in feature_steps(
        planted.config, planted.spaces[0], stimuli_of(planted.config, (fit,))
    ):
        step.work()


def frames_per_onset(onsets, n_frames):
    """Count by a loop: what the column of the features should hold."""
    counts = np.zeros(n_frames)
    for onset in onsets:
        frame = round(onset * RATE_HZ)
        if 0 <= frame < n_frames:
            counts[frame] += 1
    return counts


def test_found_phones_are_in_the_baseline(planted, aligner):
    lowlevel = planted.spaces[0]
    for stimulus in stimuli_of_fit(planted.fit):
        column = stored_features(planted.config, lowlevel, stimulus, "ieeg").read(0)[:, -1]
        assert not column.any()
    fit, units = align(planted)
    assert [(unit.name, unit.status) for unit in units] == [
        ("phones story0", "done"),
        ("phones story1", "done"),
    ]
    extract(planted, fit)
    for stimulus in stimuli_of_fit(fit):
        column = stored_features(planted.config, lowlevel, stimulus, "ieeg").read(0)[:, -1]
        words = stimulus.words.table["onset"]
        expected = frames_per_onset([*words, *(words + 0.1)], len(column))
        assert expected.sum() > 100
        np.testing.assert_array_equal(column, expected)


def test_moved_phones_are_another_baseline_and_the_same_are_reused(planted, aligner):
    config, spaces = planted.config, planted.spaces

    def keys(fit):
        return [
            [feature_key(config, spaces[0], s, RATE_HZ) for s in stimuli_of_fit(fit)],
            locked_step(config, fit, spaces[0]).inputs,
            fit_inputs(config, fit, spaces),
        ]

    first, _ = align(planted)
    again, units = align(planted)
    assert [unit.status for unit in units] == ["reused", "reused"]
    assert aligner.asked == 2
    assert keys(again) == keys(first)
    aligner.second_s = 0.12
    for path in (config.paths.work_dir / "phones").iterdir():
        path.unlink()
    moved, units = align(planted)
    assert [unit.status for unit in units] == ["done", "done"]
    for known, other, none in zip(keys(first), keys(moved), keys(planted.fit), strict=True):
        assert known != other
        assert none not in (known, other)


def test_attention_is_locked_to_found_phones(planted, aligner):
    fit, _ = align(planted)
    extract(planted, fit)
    assembly = assemble(planted.config, fit, planted.spaces)
    rows = assembly.plan.folds[0].outer.test
    table = locked_rows(
        assembly,
        rows,
        {"prediction": _after_phones(assembly, rows)},
        rng=np.random.default_rng(0),
    )
    assert set(table["locked_to"]) == {"word onset", "phone onset"}
    counts = table.groupby("locked_to")["n"].first()
    assert counts["phone onset"] == pytest.approx(2 * counts["word onset"], abs=2)
    curve = table[table["locked_to"] == "phone onset"].set_index("time_s")["mean"]
    assert curve.idxmax() == pytest.approx(0.2)


def _after_phones(assembly, rows):
    """A bump 200 ms after every second phone of a word, which comes 100 ms after its first."""
    samples, stimuli = assembly.samples, stimuli_of_fit(assembly.fit)
    values = np.zeros(len(rows))
    for index, stimulus in enumerate(stimuli):
        here = samples.stimulus[rows] == index
        for onset in stimulus.words.table["onset"]:
            for phone in (onset, onset + 0.1):
                away = samples.stimulus_s[rows[here]] - phone - 0.2
                values[here] += np.exp(-0.5 * (away / 0.02) ** 2)
    return values


def test_responses_are_locked_to_classes_of_found_phones(planted, aligner):
    fit, _ = align(planted)
    extract(planted, fit)
    table = locked_table(planted.config, fit, PhoneClasses(), planted.spaces[0])
    n = table.groupby("locked_to")["n"].first()
    assert {"vowel phone", "fricative phone"} < set(n.index)
    n_words = sum(len(s.words.table) for s in stimuli_of_fit(fit))
    assert n_words - 4 <= n["vowel phone"] <= n_words
    without = locked_table(planted.config, planted.fit, PhoneClasses(), planted.spaces[0])
    assert not {"vowel phone", "fricative phone"} & set(without["locked_to"])


def test_sidecars_name_the_method(planted, aligner):
    config, lowlevel = planted.config, planted.spaces[0]
    fit, _ = align(planted)
    assert f"Phones of 2 stimuli come from {METHOD}." in annotations_of(config, fit)
    text = model_description(config, fit, lowlevel)
    assert f"Phone onsets of 2 stimuli are not annotated: they come from {METHOD}." in text
    times = load_phone_times(config, stimuli_of_fit(fit)[0])
    assert times.method == METHOD
    assert times.words_aligned == len(stimuli_of_fit(fit)[0].words.table)
    assert set(times.table["source"]) == {"aligned"}


def test_a_failed_alignment_leaves_out_the_phones_of_its_stimulus_alone(planted, aligner, caplog):
    aligner.fails_on = 1
    fit, units = align(planted)
    assert [unit.status for unit in units] == ["done", "failed"]
    assert "story1: its phones are left out" in caplog.text
    first, second = stimuli_of_fit(fit)
    assert first.phones is not None
    assert second.phones is None
    reason = missing_reason(planted.config, fit)
    assert reason is not None
    assert "story1" in reason
    assert "alignment failed" in reason
    text = model_description(planted.config, fit, planted.spaces[0])
    assert f"Phone onsets of story0 are not annotated: they come from {METHOD}." in text
    assert f"Phone onsets are missing: {reason}." in text
    extract(planted, fit)
    column = stored_features(planted.config, planted.spaces[0], second, "ieeg").read(0)[:, -1]
    assert not column.any()


def test_annotated_phones_stay(planted, aligner):
    table = pd.DataFrame({"onset": [1.0], "duration": [0.1], "label": ["m"]})
    first, *others = planted.fit.presentations
    phones = Annotations(table, planted.config.paths.bids_dir / "story0_phones.tsv")
    stimulus = replace(first.stimulus, phones=phones)
    mine = replace(planted.fit, presentations=(replace(first, stimulus=stimulus), *others))
    fit, units = align(replace(planted, fit=mine))
    assert [unit.name for unit in units] == ["phones story1"]
    assert stimuli_of_fit(fit)[0].phones is phones


@pytest.mark.parametrize(
    ("changes", "times", "reason"),
    [
        ({}, "annotated", "has no annotated phones"),
        ({"language": "nl"}, "auto", "is not installed"),
        ({"words": None}, "auto", "neither annotated phones nor words"),
        ({"words": "untimed"}, "auto", "neither annotated phones nor words"),
    ],
)
def test_where_nothing_can_be_found_nothing_changes(planted, aligner, changes, times, reason):
    def changed(stimulus):
        words = stimulus.words
        untimed = replace(words, table=words.table.iloc[:0], n_untimed=len(words.table))
        kept = {k: untimed if v == "untimed" else v for k, v in changes.items()}
        return replace(stimulus, **kept)

    presentations = tuple(
        replace(p, stimulus=changed(p.stimulus)) for p in planted.fit.presentations
    )
    mine = replace(planted, fit=replace(planted.fit, presentations=presentations))
    phonemes = replace(planted.config.phonemes, times=times)
    fit, units = align(mine, phonemes=phonemes)
    assert units == []
    assert aligner.asked == 0
    assert all(s.phones is None for s in stimuli_of_fit(fit))
    said = missing_reason(replace(planted.config, phonemes=phonemes), fit)
    assert said is not None
    assert reason in said


@pytest.mark.parametrize(
    ("steps", "aligns"),
    [
        (("features",), True),
        (("responses", "encoding"), True),
        (("phonemes",), True),
        (("responses",), False),
        (("reports",), False),
    ],
)
def test_steps_run_one_by_one_share_a_baseline(planted, aligner, steps, aligns):
    config = replace(planted.config, control=Control(steps=steps))
    assert bool(stimuli_to_align(config, (planted.fit,))) == aligns


def test_a_missing_aligner_is_refused_where_it_was_asked_for(planted, monkeypatch):
    monkeypatch.setattr(phone_times, "can_find_phones", lambda language: False)
    config = replace(planted.config, phonemes=replace(planted.config.phonemes, times="align"))
    with pytest.raises(BrainAlignError, match="story0") as caught:
        require_aligner(config, (planted.fit,))
    assert caught.value.exit_code == ExitCode.USAGE
    require_aligner(replace(config, control=Control(steps=("responses",))), (planted.fit,))
    require_aligner(planted.config, (planted.fit,))
