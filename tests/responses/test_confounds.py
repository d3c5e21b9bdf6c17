import json

import numpy as np
import pandas as pd
import pytest
from nilearn.interfaces.fmriprep import load_confounds_strategy
from scipy import fft

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.responses.confounds import DEFAULT, MOTION, cosine_drifts, read_confounds

N, TR = 200, 1.5


@pytest.fixture
def table():
    rng = np.random.default_rng(6)
    table = pd.DataFrame(rng.standard_normal((N, len(DEFAULT))), columns=list(DEFAULT))
    table.loc[0, [name for name in DEFAULT if name.endswith("derivative1")]] = np.nan
    table["cosine00"] = np.cos(np.pi * (np.arange(N) + 0.5) / N)
    table["cosine01"] = np.cos(2 * np.pi * (np.arange(N) + 0.5) / N)
    table["global_signal"] = 1.0
    table["trans_x_power2"] = 2.0
    table["motion_outlier00"] = (np.arange(N) == 30).astype(float)
    table["non_steady_state_outlier00"] = (np.arange(N) == 0).astype(float)
    return table


def write(folder, table):
    path = folder / "sub-01_desc-confounds_timeseries.tsv"
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")
    return path


def test_default_columns(tmp_path, table):
    found = read_confounds(write(tmp_path, table), n_volumes=N, tr_s=TR, high_pass_s=128)
    assert found.names == (*DEFAULT, "cosine00", "cosine01")
    expected = table[list(found.names)].fillna(0.0).to_numpy()
    np.testing.assert_allclose(found.regressors, expected, rtol=1e-12)
    assert np.flatnonzero(found.censored).tolist() == [0, 30]


def test_missing_columns_are_said(tmp_path, table):
    path = write(tmp_path, table.drop(columns=["csf", "rot_y"]))
    found = read_confounds(path, n_volumes=N, tr_s=TR, high_pass_s=128)
    assert "csf" not in found.names
    assert any("not regressed out: rot_y, csf." in note for note in found.notes)


def test_drifts_are_built_without_cosines(tmp_path, table):
    path = write(tmp_path, table.drop(columns=["cosine00", "cosine01"]))
    found = read_confounds(path, n_volumes=N, tr_s=TR, high_pass_s=128)
    drifts = found.regressors[:, len(DEFAULT) :]
    # SPM and nilearn: floor(2 · duration / period) cosines, here floor(2 · 300 / 128).
    assert drifts.shape == (N, 4)
    assert any("4 cosines with periods down to 128 s" in note for note in found.notes)
    basis = fft.idct(np.eye(N)[:, 1:5], axis=0, norm="ortho")
    np.testing.assert_allclose(basis @ (basis.T @ drifts), drifts, atol=1e-12)


def test_without_a_file():
    found = read_confounds(None, n_volumes=N, tr_s=TR, high_pass_s=128)
    assert found.regressors.shape == (N, 4)
    assert not found.censored.any()
    assert "only slow drifts" in found.notes[0]


def test_short_run_has_no_drift():
    assert cosine_drifts(20, tr_s=1.5, high_pass_s=128).shape == (20, 0)
    found = read_confounds(None, n_volumes=20, tr_s=1.5, high_pass_s=128)
    assert found.regressors.shape == (20, 0)


def test_other_length_than_the_image(tmp_path, table):
    with pytest.raises(BrainAlignError, match="has 200 rows but the image has 190") as caught:
        read_confounds(write(tmp_path, table), n_volumes=190, tr_s=TR, high_pass_s=128)
    assert caught.value.exit_code == ExitCode.DATA_ERROR


def test_gaps_in_the_middle_are_refused(tmp_path, table):
    table.loc[7, "csf"] = np.nan
    with pytest.raises(BrainAlignError, match="csf is 'n/a' at volume 7"):
        read_confounds(write(tmp_path, table), n_volumes=N, tr_s=TR, high_pass_s=128)


def fmriprep_confounds(folder, n=120, *, drop=(), json_too=True):
    """A table with every column that nilearn's strategies look for."""
    rng = np.random.default_rng(8)
    names = [
        f"{name}{more}"
        for name in (*MOTION, "white_matter", "csf", "global_signal")
        for more in ("", "_derivative1", "_power2", "_derivative1_power2")
    ]
    table = pd.DataFrame(rng.standard_normal((n, len(names))), columns=names)
    for k in range(3):
        table[f"cosine{k:02d}"] = np.cos(np.pi * (np.arange(n) + 0.5) * (k + 1) / n)
        table[f"a_comp_cor_{k:02d}"] = rng.standard_normal(n)
        table[f"aroma_motion_{k:02d}"] = rng.standard_normal(n)
    table["framewise_displacement"] = 0.1
    table["std_dvars"] = 1.0
    table.loc[60, "framewise_displacement"] = 2.0
    # Less than 5 volumes are left between this one and the next: they go with them.
    table.loc[63, "std_dvars"] = 9.0
    table.loc[0, [name for name in names if "derivative1" in name]] = np.nan
    table.loc[0, ["framewise_displacement", "std_dvars"]] = np.nan
    table["non_steady_state_outlier00"] = (np.arange(n) == 0).astype(float)
    table = table.drop(columns=list(drop))
    stem = "sub-01_task-a_desc-confounds_timeseries"
    table.to_csv(folder / f"{stem}.tsv", sep="\t", index=False, na_rep="n/a")
    if json_too:
        meta = {
            f"a_comp_cor_{k:02d}": {"Mask": "combined", "Method": "aCompCor", "Retained": True}
            for k in range(3)
        }
        (folder / f"{stem}.json").write_text(json.dumps(meta))
    return folder / f"{stem}.tsv"


def strategy_of(path, name, n=120):
    return read_confounds(path, n_volumes=n, tr_s=2.0, high_pass_s=128, strategy=name)


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("simple", [f"hemi-{side}_space-fsaverage5_bold.func.gii" for side in "LR"]),
        ("simple", "space-fsLR_den-91k_bold.dtseries.nii"),
        ("scrubbing", "space-T1w_desc-preproc_bold.nii.gz"),
        ("compcor", "space-T1w_desc-preproc_bold.nii.gz"),
        ("ica_aroma", "space-MNI152NLin6Asym_desc-smoothAROMAnonaggr_bold.nii.gz"),
    ],
)  # fmt: skip
def test_strategies_are_those_of_nilearn(tmp_path, name, image):
    """Against nilearn called with the image itself, of whatever kind."""
    path = fmriprep_confounds(tmp_path)
    images = [image] if isinstance(image, str) else image
    files = [str(tmp_path / f"sub-01_task-a_{one}") for one in images]
    table, kept = load_confounds_strategy(files[0] if len(files) == 1 else files, name)
    found = strategy_of(path, name)
    assert list(found.names) == list(table.columns)
    np.testing.assert_array_equal(found.regressors, table.to_numpy())
    np.testing.assert_array_equal(np.flatnonzero(~found.censored), kept)
    assert f"strategy {name}" in found.notes[0]
    assert np.isfinite(found.regressors).all()


def test_scrubbed_volumes_are_censored(tmp_path):
    found = strategy_of(fmriprep_confounds(tmp_path), "scrubbing")
    # 0 is not steady, 60 and 63 moved, and the 2 between them are too few to stay.
    assert np.flatnonzero(found.censored).tolist() == [0, 60, 61, 62, 63]
    assert "It leaves out 5 of 120 volumes." in found.notes


@pytest.mark.parametrize(
    ("name", "drop", "part"),
    [
        ("simple", ("csf",), "csf"),
        ("scrubbing", ("framewise_displacement",), "framewise_displacement"),
        ("compcor", tuple(f"a_comp_cor_{k:02d}" for k in range(3)), "compcor"),
        ("ica_aroma", ("white_matter",), "white_matter"),
    ],
)
def test_what_a_strategy_lacks_is_named(tmp_path, name, drop, part):
    path = fmriprep_confounds(tmp_path, drop=drop)
    with pytest.raises(BrainAlignError, match=f"--confounds {name} needs") as caught:
        strategy_of(path, name)
    assert part in str(caught.value)
    assert "choose --confounds default" in str(caught.value)
    assert caught.value.exit_code == ExitCode.DATA_ERROR


def test_compcor_needs_the_sidecar(tmp_path):
    path = fmriprep_confounds(tmp_path, json_too=False)
    with pytest.raises(BrainAlignError, match="Could not find associated json"):
        strategy_of(path, "compcor")


def test_a_strategy_without_a_table_or_of_another_length(tmp_path):
    with pytest.raises(BrainAlignError, match=r"fmri\.confounds is simple, but") as caught:
        strategy_of(None, "simple")
    assert caught.value.exit_code == ExitCode.MISSING_INPUT
    with pytest.raises(BrainAlignError, match="has 120 rows but the image has 90 volumes"):
        strategy_of(fmriprep_confounds(tmp_path), "simple", n=90)


def test_drifts_are_built_where_a_strategy_finds_none(tmp_path):
    path = fmriprep_confounds(tmp_path, drop=[f"cosine{k:02d}" for k in range(3)])
    found = strategy_of(path, "simple")
    expected = cosine_drifts(120, tr_s=2.0, high_pass_s=128)
    np.testing.assert_array_equal(found.regressors[:, -expected.shape[1] :], expected)
    assert found.names[-1] == f"drift{expected.shape[1] - 1:02d}"
    assert any("cosines with periods down to 128 s were built" in note for note in found.notes)
