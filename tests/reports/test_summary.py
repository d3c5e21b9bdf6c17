"""Sentences say what the tests say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bids_brainalign.outputs.reading import ScoreFile
from bids_brainalign.reports.blocks import Analysis, Block
from bids_brainalign.reports.summary import context_sentence, headline, number, probability

COLUMNS = (
    "hemisphere", "layer_mode", "layer_agreement", "r", "delta_r_lowlevel", "q_fdr", "q_delta",
    "q_untrained", "context_past_s", "context_future_s",
)  # fmt: skip


def block(rows: dict[str, dict[str, object]], *, kind: str = "SEEG") -> Block:
    """One selected row per target, and a curve row so that layers 0 and 6 are known."""
    table = []
    for target, values in rows.items():
        base = dict.fromkeys(COLUMNS, float("nan")) | {"hemisphere": "n/a"}
        names = {"target": target, "target_type": kind, "model": "m", "fold": "all"}
        table.append(base | names | {"layer": "selected"} | values)
        table += [base | names | {"layer": layer, "r": 0.1} for layer in ("0", "6")]
    file = ScoreFile(Path(), "01", "n/a", "ieeg", "sub-01", "m")
    analysis = Analysis(file, "m", "ridge", pd.DataFrame(table), {}, None, None, None, {})
    return Block(analysis, None, None, None)


def test_gain_by_hemisphere():
    found = {"q_delta": 0.01, "layer_mode": 2.0, "hemisphere": "L", "layer_agreement": 1.0}
    nothing = {"q_delta": 0.9, "layer_mode": 5.0, "hemisphere": "R"}
    text = " ".join(headline(block({"A1": found, "B1": nothing}), None).sentences)
    assert "m adds to the low-level baseline at 1 of 2 electrodes (q < .05)" in text
    assert "1 of 1 in the left hemisphere, 0 of 1 in the right hemisphere" in text
    assert "most often there: layer 2 at 1 (layers run from 0 to 6)" in text
    assert "layer 5" not in text


def test_two_populations_of_layers_stay_two():
    layers = [1, 1, 1, 5, 5, 4]
    rows = {
        f"A{i}": {"q_delta": 0.01, "layer_mode": float(layer), "layer_agreement": 0.5}
        for i, layer in enumerate(layers)
    }
    found = headline(block(rows), None)
    text = " ".join(found.sentences)
    assert "layer 1 at 3, layer 5 at 2 and layer 4 at 1 (layers run from 0 to 6)" in text
    assert "On average 50% of the outer folds" in text
    assert ("1 (×3), 5 (×2)", "most frequent layers there") in found.facts


def test_rare_layers_are_counted_together():
    rows = {f"A{i}": {"q_delta": 0.01, "layer_mode": float(i)} for i in range(8)}
    assert "layer 4 at 1 and other layers at 3" in headline(block(rows), None).sentences[1]


def test_untested_gain_is_not_called_absent():
    text = " ".join(headline(block({"A1": {"r": 0.4, "q_fdr": 0.01}}), None).sentences)
    assert "was not tested" in text
    assert "No electrode" not in text


@pytest.mark.parametrize(("q", "said"), [(0.01, "adds to"), (0.2, "No gain of m")])
def test_parcels_by_name(q: float, said: str):
    rows = {
        "whole": {"q_delta": q, "delta_r_lowlevel": 0.021},
        "left": {"q_delta": q, "delta_r_lowlevel": 0.01, "hemisphere": "L"},
    }
    first = headline(block(rows, kind="parcel"), None).sentences[0]
    assert said in first
    assert "the whole mask (mean Δr = 0.021" in first
    assert "the left hemisphere" in first


def test_context_is_said_with_its_caution():
    both = block({"A1": {"context_past_s": 25.0, "context_future_s": 5.0}})
    assert context_sentence(both) == (
        "Features heard up to 25 s before and 5 s after each moment; lags below zero therefore "
        "have no causal reading."
    )
    causal = block({"A1": {"context_past_s": 30.0, "context_future_s": 0.0}})
    assert "causal" not in context_sentence(causal)
    assert context_sentence(block({"A1": {}})) == ""


def test_numbers():
    assert [number(x) for x in (0.5, -0.0001, -0.25, float("inf"))] == [
        "0.500", "0.000", "−0.250", "n/a",
    ]  # fmt: skip
    assert [probability(p) for p in (0.0005, 0.05)] == ["< 0.001", "0.050"]


def test_dense_windows_are_compared_with_sliding_ones():
    sliding = block({"A1": {"r": 0.20}, "B1": {"r": 0.10}, "C1": {"r": float("nan")}})
    dense = block({"A1": {"r": 0.23}, "B1": {"r": 0.09}, "C1": {"r": 0.3}}).main
    text = headline(replace(sliding, dense=dense), None).sentences[-1]
    assert text == (
        "Dense windows of the same model give a held-out r that differs by 0.010 on average "
        "(0.020 in absolute terms, at most 0.030; 2 targets)."
    )
    assert "Dense windows" not in " ".join(headline(sliding, None).sentences)
