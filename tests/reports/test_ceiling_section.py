"""What the page says of noise ceilings, and what it must not say."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.reports.ceiling_section import ceiling_section
from bids_brainalign.reports.group_isc import group_isc_section
from bids_brainalign.reports.rendering import Album
from tests.reports.fake_outputs import bare_block

PREFIX = "sub-01_space-MNI"


def shown(folder, *, modality="fmri", kind="single", p=0.001, sidecar=None):
    name, type_ = ("whole", "parcel") if modality == "fmri" else ("A1", "SEEG")
    row = {
        "target": name, "target_type": type_, "hemisphere": "n/a", "region": "n/a",
        "r_ceiling": 0.5, "ci_low": 0.4, "ci_high": 0.6, "ceiling_kind": kind, "p": p, "q_fdr": p,
        "n_voxels": 10, "n_significant": 4, "n_repeats": 5, "n_samples": 120, "n_null": 2000,
    }  # fmt: skip
    path = folder / f"{PREFIX}_desc-repeats_ceilings.tsv"
    pd.DataFrame([row]).to_csv(path, sep="\t", index=False, na_rep="n/a")
    path.with_suffix(".json").write_text(json.dumps(sidecar or {}))
    bins = pd.DataFrame({"low": [0.0, 0.5], "high": [0.5, 1.0], "n_targets": [6, 4],
                         "n_significant": [0, 4], "n_null": [7.5, 0.1]})  # fmt: skip
    bins.to_csv(folder / f"{PREFIX}_desc-repeats_histogram.tsv", sep="\t", index=False)
    block = bare_block(folder, PREFIX, "own")
    scores = pd.DataFrame({"target": [name], "layer": ["selected"], "fold": ["all"], "r": [0.2],
                           "r_normalised": [0.4]})  # fmt: skip
    main = replace(block.main, file=replace(block.main.file, modality=modality), scores=scores)
    section = ceiling_section(replace(block, main=main), Album(folder, folder))
    return section, " ".join(section.sentences)


@pytest.mark.parametrize(("modality", "units"), [("fmri", "voxels"), ("ieeg", "electrodes")])
def test_counts_and_kinds_are_told(tmp_path, modality, units):
    section, text = shown(tmp_path, modality=modality)
    assert f"4 of 10 {units} respond alike" in text
    assert "presented 5 times (120 samples); single presentations are scored" in text
    (cells,) = section.tables
    assert cells.rows[0][1:] == ("0.500 (0.400 to 0.600)", "0.001", "4 of 10", "0.200", "0.400")


def test_the_mean_is_told_from_single_presentations(tmp_path):
    assert "the mean of 5 presentations is scored" in shown(tmp_path, kind="mean_of_5")[1]


def test_without_a_test_nothing_is_counted(tmp_path):
    text = shown(tmp_path, p=np.nan)[1]
    assert "No test" in text
    assert "respond alike" not in text


@pytest.mark.parametrize("circular", [True, False])
def test_circular_scores_are_labelled(tmp_path, circular):
    said = {"Description": "Voxels were selected.", "threshold": 0.4, "circular": circular}
    text = shown(tmp_path, sidecar={"CeilingSelection": said})[1]
    assert "Voxels were selected. Threshold: 0.4." in text
    assert ("Don't read these scores as held out" in text) is circular


def test_without_repeats_there_is_no_section(tmp_path):
    assert ceiling_section(bare_block(tmp_path, PREFIX, "own"), Album(tmp_path, tmp_path)) is None


def test_isc_is_said_to_be_no_ceiling(tmp_path):
    (tmp_path / "group").mkdir()
    table = pd.DataFrame(
        {"space": "space-MNI", "participant": ["01", "02"], "session": "n/a", "target": "whole",
         "isc": [0.3, 0.1], "ci_low": [0.2, -0.1], "ci_high": [0.4, 0.2], "p": [0.001, 0.2],
         "q_fdr": [0.001, 0.2]}
    )  # fmt: skip
    table.to_csv(tmp_path / "group/desc-responses_isc.tsv", sep="\t", index=False)
    section = group_isc_section(tmp_path, Album(tmp_path, tmp_path))
    text = " ".join(section.sentences)
    assert "in 1 of 2 participants some parcel is above chance" in text
    assert "no score is divided by it" in text
