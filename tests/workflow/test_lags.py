"""Lag curves from stored responses and features to tables, in both modes."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.config.schema import Lags
from bids_brainalign.workflow import word_lags
from bids_brainalign.workflow.assemble import assemble
from bids_brainalign.workflow.combined import combined_step
from bids_brainalign.workflow.encoding import encoding_step
from bids_brainalign.workflow.lags import LAG_COLUMNS, lag_step
from bids_brainalign.workflow.responses import load_response, response_path, save_response
from tests.workflow.planted import make_fit

MODES = ("continuous", "word")


def run(planted, **lags):
    config = replace(
        planted.config, lags=Lags(modes=MODES, word_min_s=-0.6, word_max_s=1.0, **lags)
    )
    own = next(s for s in planted.spaces if s.name == "own")
    encoding_step(config, planted.fit, own, None, planted.spaces).work()
    written = lag_step(config, planted.fit, own, planted.spaces).work()
    tables = {
        p.name.split("_")[-1]: pd.read_csv(
            p, sep="\t", na_values="n/a", dtype={"layer": str, "peak": str, "at_edge": str}
        )
        for p in written
        if p.suffix == ".tsv"
    }
    return tables["lags.tsv"], tables["lagslopes.tsv"]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    planted = make_fit(tmp_path_factory.mktemp("lags"), "ieeg")
    for p in planted.fit.presentations:
        path = response_path(planted.config, planted.fit, p.recording)
        response = load_response(path)
        region = ["STG", "unknown"] * (len(response.targets) // 2)
        save_response(path, replace(response, targets=response.targets.assign(region=region)))
    return planted, *run(planted)


def test_both_modes_find_the_planted_lag_and_nothing_elsewhere(found):
    planted, table, _ = found
    assert list(table.columns) == list(LAG_COLUMNS)
    targets = [f"E{i:02d}" for i in range(planted.n_planted)]
    for mode, lag_s, tolerance in (("continuous", 0.2, 0.02), ("word", 0.3, 0.15)):
        answer = table[(table["mode"] == mode) & (table.layer == "selected")]
        peaks = answer[answer.peak == "true"].set_index("target")
        assert len(peaks) == 12
        # A word's features are means over its 0.2 s: their peak is half of that later.
        assert (peaks.loc[targets, "peak_s"] - lag_s).abs().max() < tolerance, mode
        assert (peaks.loc[targets, "q_peak"] < 0.05).all()
        assert (peaks.loc[targets, "at_edge"] == "false").all()
        assert (peaks.drop(targets)["q_peak"] > 0.05).sum() >= 5
        curve = answer[answer.target == "E00"]
        assert curve.r.abs().max() <= 1
        assert (curve.p.dropna() > 0).all()
    layers = table[(table["mode"] == "continuous") & (table.lag_s.round(2) == 0.2)]
    best = layers[layers.layer.str.isdigit() & layers.target.isin(targets)]
    best = best.pivot_table(index="target", columns="layer", values="r")
    assert (best.idxmax(axis=1) == "1").all()


def test_slopes_do_not_say_what_own_features_have_heard(found):
    _, _, slopes = found
    assert set(slopes["mode"]) == set(MODES)
    assert slopes["heard_future"].isna().all()
    assert slopes.loc[slopes.group_type == "target", "ci_low_ms"].isna().all()
    assert (slopes.loc[slopes.group_type == "target", "n_targets"] <= 1).all()


def test_electrodes_beyond_the_atlas_have_no_slope_together(found):
    _, _, slopes = found
    assert set(slopes.loc[slopes.group_type == "region", "group"]) == {"STG"}


def test_null_data_have_no_peaks(tmp_path):
    planted = make_fit(tmp_path, "ieeg", null=True, seed=3)
    table, _ = run(planted)
    peaks = table[(table.layer == "selected") & (table.peak == "true")]
    assert not (peaks.q_peak < 0.05).any()


def test_words_too_near_to_the_ends_are_left_out(found):
    planted, table, _ = found
    counts = table[table["mode"] == "word"].n_samples.unique()
    everything = sum(len(p.stimulus.words.table) for p in planted.fit.presentations)
    assert len(counts) == 1
    assert 0.8 * everything < counts[0] <= everything
    assert np.isfinite(table[table["mode"] == "word"].r).all()


def word_curves(planted, monkeypatch, *, block_columns):
    monkeypatch.setattr(word_lags, "BLOCK_COLUMNS", block_columns)
    own = next(s for s in planted.spaces if s.name == "own")
    assembly = assemble(planted.config, planted.fit, planted.spaces)
    lags_s = np.arange(-3, 8) * 0.1
    return word_lags.word_lag_curves(planted.config, assembly, own, planted.spaces, lags_s)


def test_lags_fitted_in_blocks_are_lags_fitted_at_once(found, monkeypatch):
    planted, *_ = found
    *_, once, weights, left_out = word_curves(planted, monkeypatch, block_columns=10**6)
    for columns in (1, 40):  # one lag and three lags at a time
        *_, curves, w, n = word_curves(planted, monkeypatch, block_columns=columns)
        np.testing.assert_array_equal(w, weights)
        assert (n, curves.n_null) == (left_out, once.n_null)
        for name in ("r_fold", "r", "selected_r"):
            np.testing.assert_allclose(getattr(curves, name), getattr(once, name), atol=1e-6)
        np.testing.assert_allclose(curves.p, once.p, rtol=1e-3)


def test_words_are_cut_and_features_read_once(found, monkeypatch):
    planted, *_ = found
    config, own = planted.config, next(s for s in planted.spaces if s.name == "own")
    assembly = assemble(config, planted.fit, planted.spaces)
    lags_s = np.array([0.0, 0.2])
    epochs = word_lags.word_epochs(config, assembly, planted.spaces, lags_s)
    cut = np.concatenate(epochs.responses(slice(None)))
    np.testing.assert_array_equal(epochs.columns(slice(1, None, 5)), cut[:, 1::5])
    response = assembly.responses[1]
    word = int(np.flatnonzero(epochs.table["run"] == 1)[7])
    near = np.abs(response.times - epochs.table["time"].iloc[word] - 0.2) <= 0.09
    by_hand = response.data[near].mean(axis=0)  # 9 or 10 of the 10 samples of the window
    assert np.corrcoef(by_hand, cut[word, epochs.n_targets :])[0, 1] > 0.95

    reads = []
    opened = word_lags.stored_features

    def counted(*args):
        stored = opened(*args)
        return replace(stored, read=lambda layer: reads.append(layer) or stored.read(layer))

    monkeypatch.setattr(word_lags, "stored_features", counted)
    space = word_lags._word_features(config, planted.fit, own, epochs.table)
    runs = space.read(1)
    assert reads == [1] * len({p.stimulus.name for p in planted.fit.presentations})
    assert [len(run) for run in runs] == [len(s) for s in epochs.starts]
    source = opened(config, own, planted.fit.presentations[1].stimulus, "ieeg")
    one = epochs.table.iloc[word]
    inside = (source.times >= one.onset) & (source.times <= one.offset)
    np.testing.assert_allclose(runs[1][7], source.read(1)[inside].mean(axis=0), atol=1e-5)


def test_combined_layers_are_no_better_where_one_layer_was_planted(found):
    planted, *_ = found
    own = next(s for s in planted.spaces if s.name == "own")
    config = replace(planted.config, ridge=replace(planted.config.ridge, top_layers=2))
    scores = planted.config.paths.output_dir / planted.fit.name.file("scores.tsv", analysis="own")
    written = combined_step(config, planted.fit, own, planted.spaces, scores=scores).work()
    table = pd.read_csv(written[0], sep="\t", na_values="n/a").set_index("target")
    chosen = pd.read_csv(scores, sep="\t", na_values="n/a", dtype={"layer": str, "fold": str})
    chosen = chosen[(chosen.layer == "selected") & (chosen.fold == "all")].set_index("target")
    np.testing.assert_allclose(table.r_selected, chosen.r.loc[table.index], atol=2e-5)
    assert table.layers.iloc[: planted.n_planted].str.startswith("1:").all()
    assert (table.q > 0.05).sum() >= 11
    assert (table.n_best == 2).all()
