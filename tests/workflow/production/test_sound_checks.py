"""Lags of channels behind the sound, over recordings that name them in their own order."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter1d

from bids_brainalign.dataset.speech_audio import SpeechAudio
from bids_brainalign.dataset.spoken_words import SpokenWords
from bids_brainalign.dataset.types import Recording
from bids_brainalign.outputs.names import fit_name
from bids_brainalign.responses.word_windows import COURSE_HZ, WordResponses
from bids_brainalign.workflow.production.responses import (
    course_path,
    load_course,
    material_path,
    save_course,
)
from bids_brainalign.workflow.production.sound_checks import lag_of, synchrony_step
from bids_brainalign.workflow.production.speakers import Speaker
from bids_brainalign.workflow.production.word_sounds import SpeakerSound
from tests.workflow.production.spoken import config

RATE_HZ, SECONDS = 2000, 90
LAGS_S = {"A1": 0.1, "A2": 0.25, "A3": 0.0}
"""Of channels behind the sound."""
WORDS = pd.DataFrame({"word": ["een"], "onset": [1.0]})


class Voice:
    """Noise that swells several times a second."""

    path = Path("voice.wav")

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        swell = gaussian_filter1d(rng.standard_normal(round(SECONDS * COURSE_HZ)), 6)
        self.level = np.exp(swell / swell.std())
        times = np.arange(SECONDS * RATE_HZ) / RATE_HZ
        noise = rng.standard_normal(len(times))
        self.wave = 0.01 * np.interp(times * COURSE_HZ, np.arange(len(swell)), self.level) * noise

    def samples(self, first: int, stop: int) -> np.ndarray:
        return self.wave[first:stop].astype(np.float32)


def speaker(folder: Path, n_runs: int = 2) -> Speaker:
    runs = []
    for run in range(1, n_runs + 1):
        path = folder / f"sub-01_task-words_run-{run}_ieeg.edf"
        path.write_text(str(run))
        entities = (("sub", "01"), ("task", "words"), ("run", str(run)))
        runs.append(Recording("01", None, "words", str(run), "ieeg", path, "ieeg", entities))
    words = SpokenWords(pd.DataFrame(), "Said by a test.", ())
    return Speaker(fit_name(runs), tuple(runs), (words,) * n_runs)


def checked(
    folder: Path,
    orders: tuple[tuple[str, ...], ...],
    *,
    flagged: str = "",
    unlinked: tuple[int, ...] = (),
) -> tuple[pd.DataFrame, str, Speaker]:
    """Table of lags with what is said; runs `unlinked` have nothing of the sound."""
    folder.mkdir(exist_ok=True)
    settings, who = config(folder), speaker(folder, len(orders))
    material = material_path(settings, who, WORDS)
    material.parent.mkdir(parents=True)
    sounds = []
    for run, order in enumerate(orders):
        voice, rng = Voice(run), np.random.default_rng(100 + run)
        level = Voice(50 + run).level if run in unlinked else voice.level
        course = np.stack(
            [np.roll(level, round(LAGS_S[name] * COURSE_HZ)) for name in order], axis=1
        )
        course += course.std() * rng.standard_normal(course.shape)
        times = (np.arange(len(course)) + 0.5) / COURSE_HZ
        targets = pd.DataFrame({"name": order})
        read = WordResponses((), course.astype(np.float32), times, targets, 0.1, ())
        save_course(course_path(material, who.recordings[run]), read)
        sounds.append(SpeechAudio(RATE_HZ, 0.0, len(voice.wave), "A voice.", voice))
    if flagged:
        leaks = settings.paths.output_dir / who.name.file(
            "contamination.tsv", analysis="production"
        )
        leaks.parent.mkdir(parents=True)
        rows = [
            f"{run.name}\t{name}\t{'true' if name == flagged else 'false'}\n"
            for run in who.recordings
            for name in ("A1", "A2", "A3")
        ]
        leaks.write_text("recording\tname\tflagged\n" + "".join(rows))
    step = synchrony_step(settings, who, WORDS, SpeakerSound(tuple(sounds), "d"))
    table, sidecar = step.work()
    said = " ".join(json.loads(sidecar.read_text("utf-8"))["Sentences"])
    return pd.read_csv(table, sep="\t", na_values="n/a"), said, who


def lags(table: pd.DataFrame, run: int) -> dict[str, float]:
    """Name → lag of one run."""
    runs = list(dict.fromkeys(table["recording"]))
    mine = table[table["recording"] == runs[run]]
    return dict(zip(mine["name"], mine["lag"], strict=True))


def test_a_course_knows_the_names_of_its_channels(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    targets = pd.DataFrame({"name": ["B", "A", "C"]})
    read = WordResponses((), values, np.arange(2.0), targets, 0.1, ())
    found = load_course(save_course(tmp_path / "course.npz", read))
    assert found.names == ("B", "A", "C")
    left = found.without({"A"})
    assert left.names == ("B", "C")
    np.testing.assert_array_equal(left.values, values[:, [0, 2]])


def test_runs_may_have_the_same_channels_in_another_order(tmp_path: Path) -> None:
    table, _, _ = checked(tmp_path, (("A1", "A2", "A3"), ("A3", "A1", "A2")))
    for run in range(2):
        found = lags(table, run)
        assert {name: found[name] for name in LAGS_S} == pytest.approx(LAGS_S, abs=0.02)


def test_channels_of_one_run_keep_their_names(tmp_path: Path) -> None:
    table, _, _ = checked(tmp_path, (("A1", "A2"), ("A3", "A2", "A1")))
    assert set(lags(table, 0)) == {"A1", "A2", "all"}
    assert lags(table, 1)["A3"] == pytest.approx(0, abs=0.02)


def test_channels_that_hear_the_voice_are_not_asked_when_cortex_follows_it(tmp_path: Path) -> None:
    loud = (("A3", "A1"),)
    everything, _, _ = checked(tmp_path / "a", loud)
    table, said, _ = checked(tmp_path / "b", loud, flagged="A3")
    assert set(lags(everything, 0)) == {"A1", "A3", "all"}
    assert set(lags(table, 0)) == {"A1", "all"}
    assert lags(table, 0)["all"] == pytest.approx(0.1, abs=0.02)
    assert "Not asked, as sound leaks into them: A3." in said


def test_pairs_of_contacts_hear_the_voice_if_one_of_them_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LAGS_S, "A2-A3", 0.0)
    table, said, _ = checked(tmp_path, (("A1", "A2-A3"),), flagged="A3")
    assert set(lags(table, 0)) == {"A1", "all"}
    assert "A2-A3" in said


def test_where_all_channels_hear_the_voice_all_are_asked(tmp_path: Path) -> None:
    table, said, _ = checked(tmp_path, (("A3",),), flagged="A3")
    assert set(lags(table, 0)) == {"A3", "all"}
    assert "Sound leaks into all channels" in said


def test_realign_shifts_by_the_mean_of_reliable_lags_and_this_is_said(tmp_path: Path) -> None:
    orders = (("A1",), ("A2",), ("A1",))
    table, said, who = checked(tmp_path, orders, unlinked=(2,))
    whole = table[table["name"] == "all"]
    assert (whole["p"] <= 0.05).tolist() == [True, True, False]
    lag_s, _ = lag_of(config(tmp_path), who)
    assert lag_s == pytest.approx(0.175, abs=0.02)
    assert f"shifts all 3 recordings alike, by {1000 * lag_s:+.0f} ms" in said
    assert "mean lag of 2 of them" in said


def test_one_recording_is_shifted_by_its_own_lag(tmp_path: Path) -> None:
    _, said, _ = checked(tmp_path, (("A2",),))
    assert "shifts all" not in said
