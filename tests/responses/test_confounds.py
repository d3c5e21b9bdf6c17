import numpy as np
import pandas as pd
import pytest
from scipy import fft

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.responses.confounds import DEFAULT, cosine_drifts, read_confounds

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
