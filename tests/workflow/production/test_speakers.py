"""Recordings with words, pooled per participant."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.workflow.production.speakers import Speaker, find_speakers, is_running
from tests.workflow.production.spoken import config

ONE_BY_ONE = (2.0, 5.0, 8.1)
RUNNING = (2.0, 2.3, 2.9, 3.2)


def spoken(folder: Path, task: str, onsets: Sequence[float] | None) -> Recording:
    """A recording with words that begin then; None: without events."""
    events = None
    if onsets is not None:
        events = folder / f"sub-01_task-{task}_events.tsv"
        rows = [f"{onset}\t0.4\tword{row}" for row, onset in enumerate(onsets)]
        events.write_text("\n".join(["onset\tduration\tword", *rows]) + "\n", "utf-8")
    path = folder / f"sub-01_task-{task}_ieeg.edf"
    return Recording(
        "01", None, task, None, "ieeg", path, "ieeg", (("sub", "01"), ("task", task)),
        events_path=events,
    )  # fmt: skip


def found(
    folder: Path, *recordings: Recording, **production: object
) -> tuple[tuple[Speaker, ...], list[tuple[Recording, BrainAlignError]]]:
    return find_speakers(config(folder, **production), recordings)


def test_tasks_are_pooled_and_that_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "bids_brainalign")
    speakers, without = found(
        tmp_path, spoken(tmp_path, "words", ONE_BY_ONE), spoken(tmp_path, "naming", ONE_BY_ONE)
    )
    (speaker,) = speakers
    assert [recording.task for recording in speaker.recordings] == ["naming", "words"]
    assert [len(words.table) for words in speaker.words] == [3, 3]
    assert not without
    assert "tasks naming, words are scored together" in caplog.text


def test_trials_and_running_speech_are_not_pooled(tmp_path: Path) -> None:
    both = spoken(tmp_path, "words", ONE_BY_ONE), spoken(tmp_path, "talk", RUNNING)
    with pytest.raises(BrainAlignError, match="can't be scored together") as refused:
        found(tmp_path, *both)
    assert "talk, words" in refused.value.where
    assert "choose one by --task-label" in refused.value.fix
    speakers, _ = found(tmp_path, *both, speech="continuous")
    assert len(speakers[0].recordings) == 2


@pytest.mark.parametrize("others", [ONE_BY_ONE, RUNNING])
def test_a_single_word_joins_either(tmp_path: Path, others: Sequence[float]) -> None:
    speakers, without = found(
        tmp_path, spoken(tmp_path, "one", (4.0,)), spoken(tmp_path, "more", others)
    )
    assert len(speakers[0].recordings) == 2
    assert not without


def test_recordings_without_words_are_given_back_with_the_reason(tmp_path: Path) -> None:
    silent = spoken(tmp_path, "rest", None)
    speakers, without = found(tmp_path, spoken(tmp_path, "words", ONE_BY_ONE), silent)
    assert [recording.task for recording in speakers[0].recordings] == ["words"]
    assert [recording for recording, _ in without] == [silent]
    with pytest.raises(BrainAlignError, match="words"):
        found(tmp_path, silent)


def test_one_kind_for_all_recordings(tmp_path: Path) -> None:
    def kind(*onsets: Sequence[float], **production: object) -> bool:
        recordings = [spoken(tmp_path, f"task{n}", times) for n, times in enumerate(onsets)]
        speakers, _ = found(tmp_path, *recordings, **production)
        return is_running(config(tmp_path, **production), speakers[0].words)

    assert kind((4.0,), RUNNING)
    assert not kind((4.0,), ONE_BY_ONE)
    assert not kind((4.0,))
    assert kind((4.0,), speech="continuous")
