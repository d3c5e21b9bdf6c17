"""Phones from the command line: planted tuning, its null, Dutch, French, phones that are found."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from bids_brainalign.simulate.dataset import simulate_dataset
from bids_brainalign.simulate.stories import synthetic_stories
from tests.cli.simulated import MODEL, run
from tests.small_whisper import write_small_whisper

pytestmark = pytest.mark.cli
SETTINGS = "[nulls]\nn_draws = 200\n[features]\nuntrained = false\n"


def analyse(folder, *, language="en", phones="grouped", null=False, annotated=True):
    """Simulate one listener and run up to the phones; the table, its sidecar, the truth."""
    write_small_whisper(folder / "model", seed=5)
    stories = synthetic_stories(3, duration_s=45.0, seed=5, language=language)
    truth = simulate_dataset(
        folder, model=MODEL, model_folder=folder / "model", ieeg_stories=stories,
        fmri_stories=[], n_participants=1, layers=None, seed=5, null=null, phones=phones,
    )  # fmt: skip
    if not annotated:
        for path in (folder / "bids" / "stimuli").glob("*_phones.tsv"):
            path.unlink()
    (folder / "settings.toml").write_text(SETTINGS)
    done = run(
        folder / "bids", folder / "out", "participant", "--reference", "none",
        "--models", f"{MODEL}={folder / 'model'}", "--config-file", folder / "settings.toml",
        "--steps", "features", "responses", "phonemes", "-w", folder / "work", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    path = folder / "out/sub-01/ieeg/sub-01_task-stories_desc-phones_phonemes.tsv"
    table = pd.read_csv(path, sep="\t", na_values="n/a")
    return table, json.loads(path.with_suffix(".json").read_text()), truth


def tunings(truth):
    return {name: g.tuning for g in truth.groups if g.tuning for name in g.targets}


@pytest.mark.parametrize(
    "language",
    ["en", pytest.param("nl", marks=pytest.mark.slow), pytest.param("fr", marks=pytest.mark.slow)],
)
def test_planted_tuning_is_recovered(tmp_path, language):
    table, sidecar, truth = analyse(tmp_path, language=language)
    planted = tunings(truth)
    rows = table[table["kind"] == "any"].set_index("target")
    tuned = rows.loc[list(planted)]
    assert (tuned["q_fdr"] < 0.05).mean() > 0.9
    assert (tuned["q_unique"] < 0.05).mean() > 0.8  # beyond acoustics
    found = tuned[tuned["informative"] == 1]
    assert len(found) > 0.8 * len(tuned)
    assert adjusted_rand_score([planted[name] for name in found.index], found["cluster"]) > 0.8
    method = {times["Method"] for times in sidecar["PhoneTimes"].values()}
    assert method == {"annotated"}
    best = table[table["kind"].isin(["manner", "syllabicity"])]
    vowels = [name for name, tuning in planted.items() if tuning == "vowels"]
    mine = best[best["target"].isin(vowels)].groupby("phone_class")["selectivity"].mean()
    assert mine.idxmax() == "vowel"


def test_null_finds_nothing(tmp_path):
    table, _, _ = analyse(tmp_path, null=True)
    rows = table[table["kind"] == "any"]
    assert (rows["q_fdr"] < 0.05).sum() <= 1
    assert (rows["q_unique"] < 0.05).sum() <= 1
    assert np.nanmax(rows["cluster"].fillna(1)) == 1


def test_french_words_get_approximate_phones(tmp_path):
    pytest.importorskip("espeakng_loader")
    table, sidecar, truth = analyse(tmp_path, language="fr", annotated=False)
    for times in sidecar["PhoneTimes"].values():
        assert "espeak-ng" in times["Method"]
        assert times["Method"].endswith("approximate")
        assert times["WordsAligned"] + times["WordsSplit"] > 50
    rows = table[table["kind"] == "any"].set_index("target")
    assert (rows.loc[list(tunings(truth)), "q_fdr"] < 0.05).mean() > 0.5


@pytest.mark.slow
def test_found_phones_serve_the_baseline_and_steps_one_by_one_are_one_run(tmp_path):
    pytest.importorskip("pocketsphinx")
    table, sidecar, _ = analyse(tmp_path, annotated=False)
    assert len(table)
    methods = {times["Method"] for times in sidecar["PhoneTimes"].values()}
    assert methods == {"forced alignment (pocketsphinx, CMU dictionary)"}
    (method,) = methods

    def again(*steps):
        done = run(
            tmp_path / "bids", tmp_path / "out", "participant", "--reference", "none",
            "--models", f"{MODEL}={tmp_path / 'model'}", "--config-file",
            tmp_path / "settings.toml", "--steps", *steps, "-w", tmp_path / "work", cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout + done.stderr

    again("encoding")
    assert "done: 0 " in again("features", "responses", "encoding", "phonemes")
    folder = tmp_path / "out/sub-01/ieeg"
    locked = pd.read_csv(folder / "sub-01_task-stories_desc-onset_locked.tsv", sep="\t")
    assert {"vowel phone", "plosive phone", "fricative phone"} < set(locked["locked_to"])
    about = folder / "sub-01_task-stories_desc-lowlevel_scores.json"
    assert method in json.loads(about.read_text())["ModelDescription"]
    written = (tmp_path / "out/logs/CITATION.md").read_text()
    assert "found from the times of the words" in written
