"""Which results of a speaker belong together, and which words take part."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.spoken_words import SpokenWords
from bids_brainalign.dataset.types import Recording
from bids_brainalign.outputs.names import fit_name
from bids_brainalign.workflow.production.material import Material, save_material
from bids_brainalign.workflow.production.one_speaker import _Work
from bids_brainalign.workflow.production.responses import material_path
from bids_brainalign.workflow.production.speakers import Speaker
from bids_brainalign.workflow.production.word_vectors import Chosen
from tests.workflow.production.spoken import config, planted

WORDS = pd.DataFrame({"word": ["een", "twee"], "onset": [1.0, 4.0]})
CHOSEN = Chosen({}, np.ones(2, dtype=bool), "")


def work(folder: Path, settings: Config) -> _Work:
    path = folder / "sub-01_task-words_ieeg.edf"
    path.write_text("voltages")
    recording = Recording("01", None, "words", None, "ieeg", path, "ieeg", ())
    said = SpokenWords(pd.DataFrame(), "Said by a test.", ())
    who = Speaker(fit_name([recording]), (recording,), (said,))
    return _Work(settings, who, (), "r")


def digest(folder: Path, settings: Config) -> str:
    return work(folder, settings)._settings(WORDS, CHOSEN)


@pytest.mark.parametrize(
    "changed",
    [
        {"n_folds": 5},
        {"n_inner": 3},
        {"folds": ("k-fold",)},
        {"speech": "continuous"},
        {"layer": "last"},
        {"explained": 0.5},
        {"ridge_draws": 199},
        {"multi_task_draws": 59},
        {"elastic_net_draws": 39},
        {"random_draws": 19},
    ],
)
def test_scores_by_other_settings_are_told_apart(
    tmp_path: Path, changed: dict[str, object]
) -> None:
    assert digest(tmp_path, config(tmp_path, **changed)) != digest(tmp_path, config(tmp_path))


def test_scores_of_another_seed_are_told_apart(tmp_path: Path) -> None:
    other = dataclasses.replace(config(tmp_path), random_seed=config(tmp_path).random_seed + 1)
    assert digest(tmp_path, other) != digest(tmp_path, config(tmp_path))


@pytest.mark.parametrize(
    "more",
    [
        {"mappings": ("ridge", "multi-task", "elastic-net")},
        {"combine": ("a+b",)},
        {"realign": True},
        {"penalties": False},
    ],
)
def test_a_mapping_or_embedding_more_leaves_the_others_as_they_are(
    tmp_path: Path, more: dict[str, object]
) -> None:
    assert digest(tmp_path, config(tmp_path, **more)) == digest(tmp_path, config(tmp_path))


def stored(folder: Path, step_s: float) -> Material:
    """What is read back of 40 words, one of which has no baseline and one no response."""
    made, _ = planted(0.5, n_words=40, step_s=step_s)
    made.baseline[7], made.response[9] = np.nan, np.nan
    one = work(folder, config(folder))
    save_material(material_path(one.config, one.speaker, WORDS), made)
    return one._material(WORDS)


def test_single_words_need_responses_before_their_cue(tmp_path: Path) -> None:
    kept = stored(tmp_path, 3.0)
    assert sorted(set(range(40)) - set(kept.words["row"])) == [7, 9]
    assert kept.notes[-1].startswith("2 words have no response after their onset or before their")


def test_running_words_are_not_asked_for_responses_before_them(tmp_path: Path) -> None:
    kept = stored(tmp_path, 0.4)
    assert sorted(set(range(40)) - set(kept.words["row"])) == [9]
    assert kept.notes[-1].startswith("1 words have no response after their onset within")
