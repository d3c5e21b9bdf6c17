from dataclasses import replace

import nibabel
import numpy as np
import pytest

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.responses.series import Cleaning
from bids_brainalign.responses.surfaces import common_surface, live_vertices, load_surfaces
from tests.responses.series_files import (
    TR,
    N,
    gifti_name,
    noise,
    recording,
    residuals,
    write_confounds,
    write_gifti,
)

N_LEFT, N_RIGHT = 8, 6


def write_run(folder, task="a", *, seed=0, medial=np.nan, left=None, right=None):
    """Vertex 3 left is medial wall, vertex 0 right constant."""
    left = noise(N_LEFT, seed=seed) if left is None else left
    right = noise(N_RIGHT, seed=seed + 50) if right is None else right
    left[:, 3] = medial
    right[:, 0] = 7.0
    paths = [gifti_name(folder, side, task=task) for side in "LR"]
    write_gifti(paths[0], left)
    write_gifti(paths[1], right)
    run = recording(paths[0], write_confounds(folder, task), task=task, right=paths[1])
    return run, left, right


def surface_of(*runs):
    return common_surface(runs, [live_vertices(run) for run in runs])


def load(run, *others, **changes):
    return load_surfaces(run, surface=surface_of(run, *others), cleaning=Cleaning(**changes))


@pytest.mark.parametrize("medial", [np.nan, 0.0])
def test_both_hemispheres_are_one_response(tmp_path, medial):
    """Against least squares by hand, vertex by vertex; the medial wall is no target."""
    run, left, right = write_run(tmp_path, medial=medial)
    response = load(run)
    names = [f"L-{v}" for v in (0, 1, 2, 4, 5, 6, 7)] + [f"R-{v}" for v in range(1, 6)]
    assert response.targets["name"].tolist() == names
    assert response.targets["hemisphere"].tolist() == ["L"] * 7 + ["R"] * 5
    assert set(response.targets["type"]) == {"vertex"}
    assert response.targets["x"].isna().all()
    series = np.column_stack([np.delete(left, 3, axis=1), right[:, 1:]]).astype(np.float32)
    expected, kept = residuals(series)
    found = response.data[kept] - response.data[kept].mean(axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_array_equal(response.censored, ~kept)
    np.testing.assert_allclose(response.data.mean(axis=0), series.mean(axis=0), rtol=1e-4)
    assert response.data.dtype == np.float32
    np.testing.assert_allclose(response.times, 0.71 + TR * np.arange(N))
    np.testing.assert_array_equal(np.flatnonzero(~response.grid.left), [3])
    np.testing.assert_array_equal(np.flatnonzero(~response.grid.right), [0])
    assert response.grid.space == "fsaverage5"
    assert response.volume is None
    assert any("2 of 14 vertices are left out" in note for note in response.notes)


def test_targets_are_common_to_all_runs(tmp_path):
    left = noise(N_LEFT, seed=9)
    left[10, 5] = np.nan
    first, second = write_run(tmp_path)[0], write_run(tmp_path, "b", left=left)[0]
    responses = [load(first, second), load(second, first)]
    assert responses[0].targets.equals(responses[1].targets)
    assert "L-5" not in responses[0].targets["name"].tolist()


@pytest.mark.parametrize(("side", "missing"), [("L", "right"), ("R", "left")])
def test_one_hemisphere_alone_is_said(tmp_path, side, missing):
    run, *_ = write_run(tmp_path)
    response = load(replace(run, path=gifti_name(tmp_path, side), right_path=None))
    assert set(response.targets["hemisphere"]) == {side}
    note = f"The {missing} hemisphere is left out in all runs: there is no file of it."
    assert note in response.notes


def test_a_hemisphere_that_another_run_lacks_is_left_out_in_both(tmp_path):
    whole, half = write_run(tmp_path)[0], write_run(tmp_path, "b")[0]
    half = replace(half, right_path=None)
    response = load(whole, half)
    assert set(response.targets["hemisphere"]) == {"L"}
    assert "The right hemisphere is left out in all runs: others lack it." in response.notes
    assert load(half, whole).targets.equals(response.targets)


def test_the_header_tells_the_tr_where_no_sidecar_does(tmp_path):
    run, left, right = write_run(tmp_path)
    for path, data in zip(run.paths, (left, right), strict=True):
        write_gifti(path, data, step_ms=2500)
    response = load(replace(run, metadata={}))
    assert response.interval_s == 2.5
    assert response.times[0] == 1.25


def test_no_tr_at_all(tmp_path):
    run, *_ = write_run(tmp_path)
    with pytest.raises(BrainAlignError, match="neither sidecar nor header gives a repetition"):
        load(replace(run, metadata={}))


def test_one_array_for_all_time_points(tmp_path):
    """As some tools write it: (n_vertices, n_times)."""
    run, left, _ = write_run(tmp_path)
    array = nibabel.gifti.GiftiDataArray(
        left.T.astype(np.float32), intent="NIFTI_INTENT_TIME_SERIES",
        datatype="NIFTI_TYPE_FLOAT32",
    )  # fmt: skip
    expected = load(run)
    nibabel.save(nibabel.gifti.GiftiImage(darrays=[array]), run.path)
    np.testing.assert_array_equal(load(run).data, expected.data)


@pytest.mark.parametrize("share", [0.5, 0.01])
def test_a_cut_off_file(tmp_path, share):
    run, *_ = write_run(tmp_path)
    surface = surface_of(run)
    content = run.right_path.read_bytes()
    run.right_path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BrainAlignError, match=r"hemi-R.*func\.gii can't be read") as caught:
        load_surfaces(run, surface=surface, cleaning=Cleaning())
    assert caught.value.exit_code == ExitCode.DATA_ERROR


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (N - 4, N_RIGHT, "has 56 time points, but .*hemi-L.* 60: both need the same"),
        (N, N_RIGHT + 1, "has 7 vertices, the mesh 6"),
    ],
)
def test_hemispheres_that_do_not_fit(tmp_path, rows, columns, message):
    run, *_ = write_run(tmp_path)
    surface = surface_of(run)
    write_gifti(run.right_path, noise(columns)[:rows])
    with pytest.raises(BrainAlignError, match=message):
        load_surfaces(run, surface=surface, cleaning=Cleaning())


def test_meshes_that_differ(tmp_path):
    first = write_run(tmp_path)[0]
    second = write_run(tmp_path, "b", left=noise(N_LEFT + 2))[0]
    with pytest.raises(BrainAlignError, match="10 vertices in the left hemisphere, sub-01_task-a"):
        surface_of(first, second)


def test_nothing_alive(tmp_path):
    run, *_ = write_run(tmp_path, left=np.ones((N, 8)), right=np.full((N, 6), np.nan))
    with pytest.raises(BrainAlignError, match="no common vertex with a signal"):
        surface_of(run)


def test_arrays_of_different_lengths(tmp_path):
    run, left, _ = write_run(tmp_path)
    write_gifti(run.path, [left[0], left[1, :4]])
    with pytest.raises(BrainAlignError, match="can't be read"):
        live_vertices(run)


def test_a_name_without_hemisphere(tmp_path):
    path = write_gifti(tmp_path / "sub-01_task-a_space-fsnative_bold.func.gii", noise(4))
    with pytest.raises(BrainAlignError, match="does not say which hemisphere"):
        live_vertices(recording(path, None))


def test_confounds_of_another_length(tmp_path):
    run, left, right = write_run(tmp_path)
    for path, data in zip(run.paths, (left, right), strict=True):
        write_gifti(path, data[:50])
    with pytest.raises(BrainAlignError, match="has 60 rows but the image has 50 volumes"):
        load(run)


def test_smoothing_is_refused(tmp_path):
    run, *_ = write_run(tmp_path)
    with pytest.raises(BrainAlignError, match="surfaces are not smoothed here") as caught:
        load(run, smoothing_fwhm_mm=4.0)
    assert caught.value.exit_code == ExitCode.USAGE
