"""Networks of voxels from stored responses to tables and maps; what is done is not done again."""

import json
from dataclasses import replace

import nibabel
import numpy as np
import pandas as pd
import pytest

from bids_brainalign.config.schema import Mlp
from bids_brainalign.encoding import voxel_networks as networks
from bids_brainalign.workflow import voxel_network_fits
from bids_brainalign.workflow.encoding import encoding_step
from bids_brainalign.workflow.voxel_network_fits import VoxelStudy
from bids_brainalign.workflow.voxel_networks import voxel_network_steps
from tests.workflow.planted import PLANTED_LAYER, make_fit

SMALL = Mlp(seeds=2, hidden=16, epochs=6, weight_decays=(0.01, 1.0), patience=2, batch_rows=64)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    planted = make_fit(tmp_path_factory.mktemp("voxels"), "fmri", seconds=(200,) * 4)
    config = replace(planted.config, encoders=("ridge", "mlp"), mlp=SMALL)
    own = next(s for s in planted.spaces if s.name == "own")
    low = next(s for s in planted.spaces if s.kind == "lowlevel")
    for space in (low, own):
        encoding_step(config, planted.fit, space, None, planted.spaces).work()
    steps = list(voxel_network_steps(config, planted.fit, own, planted.spaces))
    return planted, config, own, [path for step in steps for path in step.work()]


def table_of(paths, encoder="Mlp"):
    (path,) = (p for p in paths if p.name.endswith(f"desc-own{encoder}_scores.tsv"))
    return pd.read_csv(path, sep="\t", na_values="n/a", dtype={"layer": str, "fold": str}), path


def test_parcels_stand_beside_ridge_on_the_same_layer_and_folds(written):
    table, path = table_of(written[3])
    rows = table[table.fold == "all"].set_index("target")
    assert list(rows.index) == ["whole", "left", "right"]
    assert (rows.encoder == "mlp").all()
    assert (rows.layer_mode == PLANTED_LAYER).all()
    assert rows.loc["left", "p"] < 0.01
    # The planted response is linear: nothing is to be gained, and nothing is lost.
    assert rows.delta_r_ridge.abs().max() < 0.02
    assert np.allclose(rows.r - rows.r_ridge, rows.delta_r_ridge, atol=1e-5)
    assert rows.p_delta_ridge.between(0, 1).all()
    assert rows.r_lowlevel.notna().all()
    ridge, _ = table_of([path.with_name(path.name.replace("ownMlp", "own"))], encoder="")
    of_layer = ridge[(ridge.layer == str(PLANTED_LAYER)) & (ridge.fold == "all")]
    assert np.allclose(rows.r_ridge, of_layer.set_index("target").r.loc[rows.index], atol=1e-3)
    said = json.loads(path.with_suffix(".json").read_text())
    assert "one hidden layer of 16 units" in said["Encoder"]
    assert [fold["layer"] for fold in said["Chosen"]] == [str(PLANTED_LAYER)] * 4


def test_maps_hold_the_voxels_of_the_table(written):
    maps = {
        p.name.split("_stat-")[1].split("_")[0]: np.asarray(nibabel.load(p).dataobj).ravel()
        for p in written[3]
        if p.name.endswith(".nii.gz")
    }
    assert set(maps) == {"r", "q", "rDelta", "qDelta"}
    rows = table_of(written[3])[0].query("fold == 'all'").set_index("target")
    assert maps["r"].mean() == pytest.approx(rows.r["whole"], abs=1e-4)
    assert maps["rDelta"].mean() == pytest.approx(rows.delta_r_ridge["whole"], abs=1e-4)
    n_planted = written[0].n_planted
    assert (maps["q"][:n_planted] < 0.05).all()
    assert np.isfinite(maps["qDelta"]).all()


def test_networks_read_the_inner_scores_that_encoding_kept(written, monkeypatch):
    planted, config, own, _ = written
    kept = VoxelStudy(config, planted.fit, own, planted.spaces).inner_scores
    monkeypatch.setattr(voxel_network_fits, "kept_inner_scores", lambda *_: None)
    computed = VoxelStudy(config, planted.fit, own, planted.spaces).inner_scores
    assert np.allclose(kept, computed, atol=1e-6)


def test_what_is_trained_is_not_trained_again_and_a_stopped_run_gives_the_same(
    written, monkeypatch
):
    planted, config, own, paths = written
    before = table_of(paths)[1].read_bytes()
    (step,) = voxel_network_steps(config, planted.fit, own, planted.spaces)
    trained = []
    real = networks.trained_network
    monkeypatch.setattr(
        networks, "trained_network", lambda *a, **k: (trained.append(1), real(*a, **k))[1]
    )
    step.work()
    assert trained == []
    kept = sorted((config.paths.work_dir / "mlp").glob("*.npy"))
    kept[-1].write_bytes(kept[-1].read_bytes()[:-100])  # as a full disk leaves it
    step.work()
    assert len(trained) <= 1
    assert table_of(paths)[1].read_bytes() == before


def test_without_inner_folds_it_is_said_not_failed(tmp_path):
    planted = make_fit(tmp_path, "fmri", seconds=(70, 70))
    config = replace(planted.config, encoders=("ridge", "mlp"), mlp=SMALL)
    own = next(s for s in planted.spaces if s.name == "own")
    (step,) = voxel_network_steps(config, planted.fit, own, planted.spaces)
    paths = step.work()
    said = json.loads(next(p for p in paths if p.suffix == ".json").read_text())
    assert "inner folds don't fit" in said["Skipped"][0]


def test_other_networks_are_for_electrodes(tmp_path, caplog):
    planted = make_fit(tmp_path, "fmri", seconds=(60, 60))
    config = replace(planted.config, encoders=("ridge", "gru"))
    with caplog.at_level("INFO"):
        assert list(voxel_network_steps(config, planted.fit, planted.spaces[0], ())) == []
    assert "gru are for iEEG and EEG" in caplog.text
