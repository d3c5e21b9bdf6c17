from dataclasses import replace

import nibabel
import numpy as np
import pandas as pd
import pytest

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.simulate.ground_truth import GroundTruth, PlantedGroup
from bids_brainalign.simulate.recovery import format_recovery, passed, recover


def _group(modality, name, source, layer, targets):
    return PlantedGroup("01", modality, name, source, layer, 0.1, None, 0.5, 0.7, targets, ())


TRUTH = GroundTruth(
    model="small-whisper",
    n_layers=3,
    seed=0,
    made_by="0",
    null=False,
    groups=(
        _group("ieeg", "A", "layer", 1, ("A1", "A2")),
        _group("ieeg", "H", "lowlevel", None, ("H1",)),
        _group("ieeg", "N", "none", None, ("N1", "N2")),
        _group("fmri", "right", "layer", 2, ((1, 0, 0), (1, 1, 0))),
        _group("fmri", "left", "none", None, ((0, 0, 0),)),
    ),
    notes=(),
)


def _write_outputs(folder, *, curves, voxels):
    """Scores as contract.md describes them, with rows that must not be read."""
    rows = []
    for target, curve in curves.items():
        for layer, r in enumerate(curve):
            rows.append((target, "small-whisper", str(layer), "ridge", "all", r, "n/a"))
            rows.append((target, "small-whisper", str(layer), "ridge", "1", 0.99, "n/a"))
            rows.append((target, "small-whisper", str(layer), "gru", "all", 0.99, "n/a"))
            rows.append(
                (target, "small-whisper:untrained", str(layer), "ridge", "all", 0.9, "n/a")
            )
        rows.append((target, "small-whisper", "selected", "ridge", "all", max(curve), 0.25))
    columns = ["target", "model", "layer", "encoder", "fold", "r", "delta_r_lowlevel"]
    (folder / "sub-01" / "ieeg").mkdir(parents=True)
    (folder / "sub-01" / "func").mkdir(parents=True)
    pd.DataFrame(rows, columns=columns).to_csv(
        folder / "sub-01" / "ieeg" / "sub-01_task-stories_desc-smallwhisper_scores.tsv",
        sep="\t",
        index=False,
    )
    name = "sub-01_space-X_stat-r_desc-smallwhisper_statmap.nii.gz"
    image = nibabel.Nifti1Image(np.asarray(voxels, dtype=np.float32), np.eye(4))
    nibabel.save(image, folder / "sub-01" / "func" / name)


GOOD = {
    "A1": [0.1, 0.5, 0.2],
    "A2": [0.1, 0.3, 0.4],
    "H1": [0.4, 0.3, 0.2],
    "N1": [0.0, 0.01, 0.0],
    "N2": [0.02, 0.0, -0.01],
}


def _voxels():
    image = np.full((2, 2, 1, 3), np.nan)
    image[1, :, 0] = [0.1, 0.2, 0.3]
    image[0, 0, 0] = [0.01, 0.0, 0.02]
    return image


def test_the_planted_layers_are_read_from_the_right_rows(tmp_path):
    _write_outputs(tmp_path, curves=GOOD, voxels=_voxels())
    results = recover(TRUTH, tmp_path)
    assert [one.found_layer for one in results if one.group.source == "layer"] == [1, 2]
    np.testing.assert_allclose(results[0].curve, [0.1, 0.4, 0.3])
    # A1 prefers layer 1 and A2 layer 2: two electrodes don't tell these from each other.
    assert results[0].plausible_layers == (1, 2)
    assert results[3].plausible_layers == (2,)
    assert "layer 1 (1, 2)" in format_recovery(results)
    assert results[0].delta == pytest.approx(0.25)
    assert [passed(results, one) for one in results] == [True, None, True, True, True]
    assert "NOT FOUND" not in format_recovery(results)


def test_a_wrong_layer_and_a_responding_null_are_not_found(tmp_path):
    wrong = GOOD | {"A1": [0.1, 0.2, 0.6], "A2": [0.1, 0.1, 0.5], "N1": [0.5, 0.5, 0.5]}
    _write_outputs(tmp_path, curves=wrong, voxels=_voxels())
    results = recover(TRUTH, tmp_path)
    assert [passed(results, one) for one in results[:3]] == [False, None, False]
    assert format_recovery(results).count("NOT FOUND") == 2


def test_layers_planted_elsewhere_must_be_told_apart(tmp_path):
    """A flat curve is compatible with every layer, and so finds none."""
    groups = (*TRUTH.groups[:3], _group("ieeg", "B", "layer", 0, ("B1", "B2", "B3")))
    truth = replace(TRUTH, groups=groups)
    flat = {"B1": [0.3, 0.29, 0.1], "B2": [0.3, 0.32, 0.1], "B3": [0.3, 0.29, 0.1]}
    steep = {"B1": [0.3, 0.2, 0.1], "B2": [0.32, 0.2, 0.1], "B3": [0.31, 0.2, 0.1]}
    for name, curves, expected in (("flat", flat, False), ("steep", steep, True)):
        _write_outputs(tmp_path / name, curves=GOOD | curves, voxels=_voxels())
        results = recover(truth, tmp_path / name)
        assert passed(results, results[-1]) is expected


def test_missing_results_are_named(tmp_path):
    with pytest.raises(BrainAlignError, match="sub-01 has no desc-smallwhisper_scores") as caught:
        recover(TRUTH, tmp_path)
    assert caught.value.exit_code == ExitCode.MISSING_INPUT
