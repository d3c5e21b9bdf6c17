"""The first looks on the page: what is found, what drifts, and why there is nothing."""

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.reports.blocks import read_blocks
from bids_brainalign.reports.first_looks_section import first_looks_section
from bids_brainalign.reports.rendering import Album
from tests.reports.fake_outputs import write_ieeg, write_tsv


@pytest.fixture
def block(tmp_path):
    write_ieeg(tmp_path, "01", seed=1, n_electrodes=6)
    return read_blocks(tmp_path, "01")[0]


def write(block, name, rows):
    path = block.main.file.path.with_name(f"{block.main.file.prefix}_desc-{name}.tsv")
    write_tsv(path, pd.DataFrame(rows))


def section(block, tmp_path):
    return first_looks_section(block, Album(tmp_path, "sub-01/figures"))


def contrast(**changes):
    rows = {
        "target": ["A1", "A2", "A3"], "d": [0.8, -0.4, 0.1], "p": [0.001, 0.002, 0.4],
        "q_fdr": [0.003, 0.003, 0.4], "speech_s": 100.0, "silence_s": 30.0, "n_null": 2000,
        "labels_from": "words", "reason": "n/a",
    }  # fmt: skip
    return rows | changes


def lags(**changes):
    row = {
        "recording": ["run-1", "run-2"], "lag_first_s": [0.1, np.nan],
        "lag_first_se_s": [0.004, np.nan], "p_first": [0.002, 0.5], "lag_last_s": [0.15, np.nan],
        "lag_last_se_s": [0.005, np.nan], "p_last": [0.002, 0.6], "drift_s": [0.05, np.nan],
        "drift_low_s": [0.036, np.nan], "drift_high_s": [0.064, np.nan],
        "drift_ppm": [120.0, np.nan], "flagged": ["true", "n/a"], "n_targets": [4, 4],
        "reason": ["n/a", "no lag links sound and responses in the first third"],
    }  # fmt: skip
    return row | changes


def test_nothing_without_tables(block, tmp_path):
    assert section(block, tmp_path) is None


def test_what_was_found_and_what_drifts(block, tmp_path):
    write(block, "silence_contrast", contrast())
    write(block, "sound_lags", lags())
    found = section(block, tmp_path)
    assert "1 of 3 channels respond more to speech and 1 less" in found.sentences[0]
    assert "100 s of speech against 30 s of silence (told apart by words)" in found.sentences[0]
    assert found.sentences[1].startswith("WARNING: run-1: the clocks of sound and recording drift")
    assert "50 ms" in found.sentences[1]
    assert "36 to 64 ms" in found.sentences[1]
    (cells,) = found.tables
    assert cells.rows[0] == ("run-1", "100 ± 4", "150 ± 5", "50", "36 to 64", "yes")
    assert cells.rows[1][3:5] == ("n/a", "n/a")
    assert "first third" in cells.rows[1][5]
    (picture,) = found.pictures
    assert picture.path.read_text().startswith("<svg")


def test_reasons_are_said(block, tmp_path):
    nothing = contrast(d=np.nan, p=np.nan, q_fdr=np.nan, reason="too little silence: none")
    write(block, "silence_contrast", nothing)
    write(block, "sound_lags", lags(drift_s=[0.004, np.nan], flagged=["false", "n/a"]))
    found = section(block, tmp_path)
    assert found.sentences[0] == "Speech against silence: n/a, too little silence: none."
    assert found.sentences[1].startswith("No clock drift above 20 ms in 1 of 2 recordings")
    assert found.pictures == ()
    short = contrast(p=np.nan, q_fdr=np.nan, reason="no recording lasts long enough")
    write(block, "silence_contrast", short)
    write(block, "sound_lags", lags(drift_s=np.nan, flagged="n/a"))
    found = section(block, tmp_path)
    assert "no p values, no recording lasts long enough" in found.sentences[0]
    assert found.sentences[1].startswith("Clock drift: no answer")
    assert len(found.pictures) == 1
