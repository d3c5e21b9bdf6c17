"""What is read of speech production, in which order, and what is left out."""

import json
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest

from bids_brainalign.reports.production import results
from bids_brainalign.reports.production.results import Score, read_productions
from bids_brainalign.workflow.production.rebuilding import BASELINE as THEIR_BASELINE
from bids_brainalign.workflow.production.reconstruction import REALIGNED as THEIR_REALIGNED
from bids_brainalign.workflow.production.speakers import LABEL as THEIR_LABEL
from bids_brainalign.workflow.production.tables import RESPONSE as THEIR_RESPONSE
from bids_brainalign.workflow.production.tables import SCORES
from tests.reports.fake_production import PLANTED, write_speaker


def the(folder: Path):
    (found,) = read_productions(folder, "01")
    return found


def test_names_are_those_the_workflow_writes():
    """Reports can't import the workflow, so that nothing else would notice a change."""
    mine = (results.LABEL, results.RESPONSE, results.BASELINE, results.REALIGNED)
    assert mine == (THEIR_LABEL, THEIR_RESPONSE, THEIR_BASELINE, THEIR_REALIGNED)
    assert {field.name for field in fields(Score)} <= set(SCORES)
    assert set(results.PUBLISHED) <= set(SCORES["score"]["Levels"])


def test_embeddings_come_in_order_and_combinations_last(tmp_path: Path):
    write_speaker(tmp_path, embeddings={"gpt2": 0.4, "a+b": 0.0, "fasttext": 0.0})
    found = the(tmp_path)
    assert [one.embedding for one in found.main()] == ["fasttext", "gpt2", "a+b"]
    assert {one.mapping for one in found.main()} == {"ridge"}
    assert [one.mapping for one in found.rebuilt][:3] == ["ridge", "multi-task", "elastic-net"]
    assert len(found.rebuilt) == 9
    assert [one.embedding for one in found.realigned] == ["fasttext", "gpt2", "a+b"]
    assert found.main()[0].folds() == ["k-fold", "leave-one-word-out"]


def test_scores_are_those_of_folds_and_window(tmp_path: Path):
    folder = write_speaker(tmp_path, embeddings={"gpt2": PLANTED})
    table = pd.read_csv(
        folder / "sub-01_task-wordProduction_desc-gpt2_reconstruction.tsv", sep="\t"
    )
    (one,) = the(tmp_path).main()
    for folds, window in (("k-fold", "after the onset"), ("k-fold", "before the cue"),
                          ("leave-one-word-out", "after the onset")):  # fmt: skip
        row = table[(table["score"] == "pattern_r") & (table["folds"] == folds)]
        row = row[row["window"] == window].iloc[0]
        score = one.score("pattern_r", folds=folds, window=window)
        assert score.value == row["value"]
        assert score.p_shuffled == pytest.approx(row["p_shuffled"], nan_ok=True)
    with pytest.raises(ValueError, match="with its twin only"):
        one.score("pcc")


def test_tables_of_other_settings_are_left_out_and_named(tmp_path: Path):
    folder = write_speaker(tmp_path, embeddings={"gpt2": PLANTED})
    sidecar = folder / "sub-01_task-wordProduction_desc-gpt2_r2bins.json"
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"SettingsDigest": "other"}))
    found = the(tmp_path)
    ridge = found.main()[0]
    assert found.table(ridge, "r2bins") is None
    assert found.table(ridge, "wordscores") is not None
    assert found.outdated == ["sub-01_task-wordProduction_desc-gpt2_r2bins.tsv"]


def test_words_alone_are_there_too(tmp_path: Path):
    write_speaker(tmp_path, embeddings={})
    assert the(tmp_path).rebuilt == ()
    assert read_productions(tmp_path, "02") == []


def test_embeddings_of_an_earlier_run_are_left_out_and_named(tmp_path: Path):
    folder = write_speaker(tmp_path, embeddings={"gpt2": PLANTED, "old": PLANTED})
    for path in folder.glob("*_desc-old*.json"):
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"SettingsDigest": "other"}))
    found = the(tmp_path)
    assert {one.embedding for one in (*found.rebuilt, *found.realigned)} == {"gpt2"}
    assert [one.embedding for one in found.per_embedding("timecourse")] == ["gpt2"]
    assert {name.rpartition("_")[0].rpartition("-")[2] for name in found.outdated} == {
        "old", "oldMultiTask", "oldElasticNet", "oldRealigned"
    }  # fmt: skip
    assert f"{found.prefix}_desc-old_timecourse.tsv" in found.outdated


def test_a_table_without_rows_keeps_its_sentences(tmp_path: Path):
    folder = write_speaker(tmp_path, embeddings={"gpt2": PLANTED})
    path = folder / "sub-01_task-wordProduction_desc-gpt2_regions.tsv"
    path.write_text(path.read_text().partition("\n")[0] + "\n")
    (one,) = the(tmp_path).per_embedding("regions")
    assert (one.embedding, len(one.table)) == ("gpt2", 0)
    assert one.sidecar["Sentences"]
