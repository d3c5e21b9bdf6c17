import nibabel
import numpy as np
import pytest
from nibabel.cifti2 import BrainModelAxis, Cifti2Image, ScalarAxis

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.responses.grayordinates import (
    common_grayordinates,
    live_grayordinates,
    load_grayordinates,
)
from bids_brainalign.responses.series import Cleaning
from tests.responses.series_files import (
    TR,
    N,
    brain_axis,
    noise,
    recording,
    residuals,
    write_cifti,
    write_confounds,
)

SIZE = 6 + 5 + 2


def write_run(folder, task="a", *, seed=0):
    data = noise(SIZE, seed=seed)
    path = folder / f"sub-01_task-{task}_space-fsLR_den-91k_bold.dtseries.nii"
    write_cifti(path, data)
    return recording(path, write_confounds(folder, task), task=task, space="fsLR"), data


def grid_of(*runs):
    return common_grayordinates(runs, [live_grayordinates(run) for run in runs])


def load(run, *others, **changes):
    return load_grayordinates(run, grid=grid_of(run, *others), cleaning=Cleaning(**changes))


def test_targets_are_the_grayordinates(tmp_path):
    run, data = write_run(tmp_path)
    response = load(run)
    targets = response.targets.set_index("name")
    assert list(targets.index[:7]) == [f"CORTEX_LEFT-{v}" for v in (0, 1, 3, 4, 5, 6)] + [
        "CORTEX_RIGHT-0"
    ]
    assert list(targets.index[-2:]) == ["BRAIN_STEM-1-2-3", "BRAIN_STEM-2-2-3"]
    assert targets["hemisphere"].tolist() == ["L"] * 6 + ["R"] * 5 + ["n/a"] * 2
    assert targets["type"].tolist() == ["vertex"] * 11 + ["voxel"] * 2
    assert targets["region"].unique().tolist() == ["CORTEX_LEFT", "CORTEX_RIGHT", "BRAIN_STEM"]
    assert targets.loc["BRAIN_STEM-1-2-3", ["x", "y", "z"]].tolist() == [-2, -2, 14]
    assert targets.loc["CORTEX_LEFT-0", ["x", "y", "z"]].isna().all()
    expected, kept = residuals(data.astype(np.float32))
    found = response.data[kept] - response.data[kept].mean(axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_allclose(response.times, 0.71 + TR * np.arange(N))
    np.testing.assert_array_equal(response.censored, ~kept)


def test_no_signal_in_one_run_is_none_in_all(tmp_path):
    first, _ = write_run(tmp_path)
    second, data = write_run(tmp_path, "b", seed=1)
    data[5, 7] = np.nan
    data[:, 12] = 4.0
    write_cifti(second.path, data)
    responses = [load(first, second), load(second, first)]
    assert responses[0].targets.equals(responses[1].targets)
    assert np.flatnonzero(~responses[0].grid.mask).tolist() == [7, 12]
    assert any("2 of 13 grayordinates have no signal" in note for note in responses[0].notes)
    assert all(np.isfinite(r.data).all() for r in responses)


def test_cortex_alone(tmp_path):
    axis = BrainModelAxis.from_mask(np.ones(SIZE), name="CortexRight")
    run, data = write_run(tmp_path)
    write_cifti(run.path, data, axis)
    response = load(run)
    assert set(response.targets["hemisphere"]) == {"R"}
    assert response.grid.volume_shape == (0, 0, 0)


def test_other_grayordinates(tmp_path):
    first, _ = write_run(tmp_path)
    second, data = write_run(tmp_path, "b")
    write_cifti(second.path, data[:, :-1], brain_axis(6, 4))
    with pytest.raises(BrainAlignError, match=r"has other grayordinates \(12\) .* \(13\)"):
        grid_of(first, second)


@pytest.mark.parametrize("share", [0.6, 0.05])
def test_a_cut_off_file(tmp_path, share):
    run, _ = write_run(tmp_path)
    grid = grid_of(run)
    content = run.path.read_bytes()
    run.path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BrainAlignError, match=r"dtseries\.nii can't be read") as caught:
        load_grayordinates(run, grid=grid, cleaning=Cleaning())
    assert caught.value.exit_code == ExitCode.DATA_ERROR


def test_files_of_another_kind(tmp_path):
    run, data = write_run(tmp_path)
    scalars = ScalarAxis([f"map {i}" for i in range(N)])
    nibabel.save(Cifti2Image(data.astype(np.float32), (scalars, brain_axis())), run.path)
    with pytest.raises(BrainAlignError, match="it holds Scalar by BrainModel, not a series"):
        live_grayordinates(run)
    nibabel.save(nibabel.Nifti2Image(np.ones((2, 2, 2, 5), np.float32), np.eye(4)), run.path)
    with pytest.raises(BrainAlignError, match="it is no CIFTI file"):
        live_grayordinates(run)


def test_nothing_alive_and_smoothing(tmp_path):
    run, data = write_run(tmp_path)
    with pytest.raises(BrainAlignError, match="surfaces are not smoothed here"):
        load(run, smoothing_fwhm_mm=3.0)
    write_cifti(run.path, np.ones_like(data))
    with pytest.raises(BrainAlignError, match="no common grayordinate with a signal"):
        grid_of(run)
