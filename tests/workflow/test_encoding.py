"""Stored responses and features in, tables and maps out: the planted answer is in them."""

from dataclasses import replace

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_brainalign.encoding import many_targets
from bids_brainalign.encoding.torch_arrays import TorchArrays
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.workflow.assemble import assemble
from bids_brainalign.workflow.encoding import (
    encode,
    encoding_step,
    fit_inputs,
    problem_of,
    write_result,
)
from bids_brainalign.workflow.inner_scores import kept_inner_scores
from bids_brainalign.workflow.tables import SCORE_COLUMNS
from tests.workflow.planted import PLANTED_LAYER, make_fit, with_folds


def run(planted):
    own = next(s for s in planted.spaces if s.name == "own")
    result = encode(planted.config, planted.fit, own, None, planted.spaces)
    written = write_result(planted.config, result, own)
    scores = next(p for p in written if p.name.endswith("_scores.tsv"))
    table = pd.read_csv(scores, sep="\t", na_values="n/a", dtype={"layer": str, "fold": str})
    return result, written, table


def test_ecog_finds_the_planted_layer_and_nothing_elsewhere(tmp_path):
    planted = make_fit(tmp_path, "ieeg")
    _, written, table = run(planted)
    assert list(table.columns) == list(SCORE_COLUMNS)
    whole = table[table.fold == "all"]
    chosen = whole[whole.layer == "selected"].set_index("target")
    found = [f"E{i:02d}" for i in range(planted.n_planted)]
    assert (chosen.loc[found, "layer_mode"] == PLANTED_LAYER).all()
    assert (chosen.loc[found, "layer_agreement"] == 1).all()
    assert chosen.loc[found, "r"].min() > 0.4
    assert (chosen.loc[found, "q_delta"] < 0.01).all()
    assert (chosen.loc[found, "p_max"] < 0.01).all()
    assert chosen.drop(found)["r"].abs().max() < 0.1
    curve = whole[whole.target == "E00"].set_index("layer")["r"]
    assert curve[["0", "1", "2"]].idxmax() == "1"
    assert (table[table.fold.isin(["1", "2", "3", "4"])].layer == "selected").all()
    names = {p.name for p in written}
    stem = "sub-01"
    assert {f"{stem}_desc-own_{s}" for s in ("scores.tsv", "channels.tsv", "folds.tsv")} <= names
    channels = pd.read_csv(
        next(p for p in written if p.name.endswith("_channels.tsv")), sep="\t"
    ).set_index("name")
    assert channels.loc[found, "significant"].all()


def test_ridge_of_voxels_is_made_on_the_device(tmp_path, monkeypatch):
    asked = []

    def arrays_on(device):
        asked.append(device)
        return TorchArrays("cpu")

    tables = []
    for device in ("cpu", "cuda:1"):
        planted = make_fit(tmp_path / device[:3], "fmri", seconds=(300, 300, 240, 300))
        resources = replace(planted.config.resources, device=device)
        planted = replace(planted, config=replace(planted.config, resources=resources))
        tables.append(run(planted)[2])
        monkeypatch.setattr(many_targets, "arrays_on", arrays_on)
    assert set(asked) == {"cuda:1"}
    pd.testing.assert_frame_equal(tables[1], tables[0], rtol=1e-3, atol=1e-4)


def test_ridge_of_electrodes_stays_on_the_cpu(tmp_path):
    planted = make_fit(tmp_path, "ieeg")
    config = replace(planted.config, resources=replace(planted.config.resources, device="cuda"))
    assembly = assemble(config, planted.fit, planted.spaces)
    assert problem_of(config, assembly, slice(None), None).device == "cpu"
    coarse = replace(config, ridge=replace(config.ridge, scoring="bf16"))
    assert problem_of(coarse, assembly, slice(None), None).scoring == "bf16"
    assert fit_inputs(coarse, planted.fit, planted.spaces) != fit_inputs(
        config, planted.fit, planted.spaces
    )


def test_fmri_rows_are_parcels_and_maps_hold_the_layer(tmp_path):
    planted = make_fit(tmp_path, "fmri", seconds=(300, 300, 240, 300))
    _, written, table = run(planted)
    chosen = table[(table.fold == "all") & (table.layer == "selected")].set_index("target")
    assert list(chosen.index) == ["whole", "left", "right"]
    assert chosen.loc["left", "r"] > 3 * abs(chosen.loc["right", "r"])
    assert chosen.loc["left", "layer_mode"] == PLANTED_LAYER
    assert chosen.loc["left", "q_delta"] < 0.05
    maps = {p.name.split("_stat-")[1].split("_")[0]: p for p in written if "statmap.nii" in p.name}
    r = np.asarray(nib.load(maps["r"]).dataobj)
    assert r.shape == (12, 1, 1, 3)
    assert (r[:6, 0, 0].argmax(axis=1) == PLANTED_LAYER).all()
    layer = np.asarray(nib.load(maps["layer"]).dataobj)[:, 0, 0]
    shown = layer[np.isfinite(layer)]
    assert len(shown) >= 4
    assert (shown == PLANTED_LAYER).sum() >= len(shown) - 1  # a voxel may be mistaken
    assert np.isfinite(layer[6:]).sum() <= 1  # q < .05 allows for one in twelve
    assert (np.asarray(nib.load(maps["q"]).dataobj)[:6] < 0.05).all()


@pytest.mark.parametrize("modality", ["ieeg", "fmri"])
def test_all_null_data_give_no_discovery(tmp_path, modality):
    seconds = (60,) * 4 if modality == "ieeg" else (300,) * 4
    planted = make_fit(tmp_path, modality, null=True, seconds=seconds, seed=4)
    _, _, table = run(planted)
    chosen = table[(table.fold == "all") & (table.layer == "selected")]
    assert not (chosen.q_fdr < 0.05).any()
    assert not (chosen.q_delta < 0.05).any()


def test_predictions_reproduce_the_scores(tmp_path):
    """Whoever opens the HDF5 file can compute the table's r."""
    planted = make_fit(tmp_path, "ieeg")
    _, written, table = run(planted)
    with h5py.File(next(p for p in written if p.suffix == ".h5")) as file:
        predicted, response = np.asarray(file["predicted"]), np.asarray(file["response"])
        fold = np.asarray(file["samples/fold"])
    rows = table[(table.target == "E01") & (table.layer == "selected")].set_index("fold")
    z, n = [], []
    for k in np.unique(fold):
        r = np.corrcoef(predicted[fold == k, 1], response[fold == k, 1])[0, 1]
        assert rows.loc[str(k), "r"] == pytest.approx(r, abs=1e-5)
        z.append(np.arctanh(r))
        n.append((fold == k).sum())
    assert rows.loc["all", "r"] == pytest.approx(np.tanh(np.average(z, weights=n)), abs=1e-5)


def test_user_folds_hold_out_what_they_say(tmp_path):
    planted = make_fit(tmp_path / "data", "ieeg")
    path = tmp_path / "folds.tsv"
    path.write_text(
        "run\tstart\tstop\tfold\n"
        "task-story0\tn/a\tn/a\ttest\n"
        "task-story1\t0\t30\texclude\n"
        "task-story2\tn/a\tn/a\ta\n"
        "task-story3\tn/a\tn/a\tb\n"
    )
    result, written, _ = run(with_folds(planted, path))
    assert result.assembly.plan.kind == "user"
    folds = pd.read_csv(next(p for p in written if p.name.endswith("folds.tsv")), sep="\t")
    test = folds[folds.role == "test"]
    assert list(test.run) == ["sub-01_task-story0"]
    story1 = folds[folds.run == "sub-01_task-story1"]
    assert story1.start.min() >= 30


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fold\nx\n", "has no column run"),
        ("run\tfold\nsub-99\ttest\n", "no row of folds.tsv matches"),
        ("run\tstart\tfold\nsub-01\tsoon\ta\n", "start that is not a number"),
    ],
)
def test_bad_fold_tables_are_named(tmp_path, text, message):
    planted = make_fit(tmp_path / "data", "ieeg")
    path = tmp_path / "folds.tsv"
    path.write_text(text)
    with pytest.raises(BrainAlignError, match=message) as caught:
        run(with_folds(planted, path))
    assert caught.value.exit_code == ExitCode.DATA_ERROR


def test_too_short_a_recording_is_a_data_error(tmp_path):
    planted = make_fit(tmp_path, "fmri", seconds=(80,))
    with pytest.raises(BrainAlignError, match="too little for two folds"):
        run(planted)


def test_a_step_changes_with_what_it_depends_on_and_with_nothing_else(tmp_path):
    from dataclasses import replace

    planted = make_fit(tmp_path, "ieeg")
    own = next(s for s in planted.spaces if s.name == "own")

    def inputs(config):
        return encoding_step(config, planted.fit, own, None, planted.spaces).inputs

    base = inputs(planted.config)
    config = planted.config
    assert inputs(replace(config, resources=replace(config.resources, nprocs=9))) == base
    assert inputs(replace(config, control=replace(config.control, verbose=3))) == base
    assert inputs(replace(config, nulls=replace(config.nulls, n_draws=9))) != base
    assert inputs(replace(config, random_seed=9)) != base


@pytest.mark.parametrize("modality", ["ieeg", "eeg", "fmri"])
def test_inner_scores_are_kept_for_networks(tmp_path, modality):
    seconds = (300.0,) * 3 if modality == "fmri" else (40.0,) * 3
    planted = make_fit(tmp_path, modality, seconds=seconds, n_targets=4)
    own = next(s for s in planted.spaces if s.name == "own")
    encoding_step(planted.config, planted.fit, own, None, planted.spaces).work()
    inputs = fit_inputs(planted.config, planted.fit, planted.spaces)
    scores = kept_inner_scores(planted.config, inputs, own)
    assert scores.shape == (3, 3)  # layers, folds
    assert (scores.argmax(axis=0) == PLANTED_LAYER).all()
