"""The section on lags says what was skipped, what could not be tested and what is not known."""

import json

import numpy as np
import pandas as pd

from bids_brainalign.reports.lags_section import lags_section
from bids_brainalign.reports.rendering import Album
from tests.reports.fake_outputs import bare_block

PREFIX = "sub-01_task-listen"


def shown(folder, *, q=0.01, future_s=0.0, slopes=None, notes=()):
    """Section of a made-up table: two electrodes, five lags, one layer."""
    rows = [
        {
            "target": name, "region": "n/a", "hemisphere": "L", "model": "own",
            "mode": "continuous", "layer": layer, "lag_s": lag, "n_samples": 100,
            "r": 0.2 - abs(lag), "p": q, "peak": str(lag == 0).lower(), "peak_s": 0.0,
            "at_edge": "false", "q_peak": q if lag == 0 else np.nan,
            "context_past_s": future_s, "context_future_s": future_s,
        }
        for name in ("A1", "A2") for layer in ("0", "selected") for lag in (-0.1, 0.0, 0.1)
    ]  # fmt: skip
    path = folder / f"{PREFIX}_desc-own_lags.tsv"
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False, na_rep="n/a")
    path.with_suffix(".json").write_text(json.dumps({"Notes": list(notes)}))
    if slopes is not None:
        slope = {"group": "all", "group_type": "all", "model": "own", "mode": "continuous"}
        frame = pd.DataFrame([slope | slopes])
        name = f"{PREFIX}_desc-own_lagslopes.tsv"
        frame.to_csv(folder / name, sep="\t", index=False, na_rep="n/a")
    section = lags_section(bare_block(folder, PREFIX, "own"), Album(folder, folder))
    return section, " ".join(section.sentences)


def test_what_was_tested_is_counted(tmp_path):
    _, text = shown(tmp_path)
    assert "2 of 2 electrodes have a peak" in text
    assert "heard" not in text  # causal features need no warning


def test_without_a_null_nothing_is_counted(tmp_path):
    _, text = shown(tmp_path, q=np.nan)
    assert "Every sample: no test: held-out folds are too short" in text
    assert "of 2 electrodes" not in text


def test_unknown_context_is_said_to_be_unknown(tmp_path):
    slopes = {
        "n_targets": 6, "slope_ms": -2.0, "ci_low_ms": -2.42, "ci_high_ms": 2.0,
        "heard_future": np.nan,
    }  # fmt: skip
    section, text = shown(tmp_path, future_s=np.nan, slopes=slopes)
    assert "not known how much sound" in text
    assert "nan" not in text
    (table,) = section.tables
    assert table.rows[0][-2:] == ("−2.0", "−2.4 to 2.0")
    assert "not known: perhaps no causal reading" in table.caption


def test_notes_beside_the_table_are_shown(tmp_path):
    _, text = shown(tmp_path, future_s=2.0, notes=["Word-locked mode was skipped: no words."])
    assert "up to 2 s of sound after" in text
    assert "Word-locked mode was skipped: no words." in text
