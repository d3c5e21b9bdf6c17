from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.responses.bold import common_mask, load_bold, voxel_targets
from bids_brainalign.responses.confounds import DEFAULT
from bids_brainalign.responses.series import Cleaning
from bids_brainalign.responses.types import Volume

SHAPE, N, TR = (6, 5, 4), 90, 1.5
AFFINE = np.array([[2.0, 0, 0, -6], [0, 2, 0, -4], [0, 0, 2, 10], [0, 0, 0, 1]])
SETTINGS = {"high_pass_s": 128.0, "smoothing_fwhm_mm": 0.0}


def write_run(folder: Path, task: str = "a", *, seed: int = 7) -> Recording:
    rng = np.random.default_rng(seed)
    folder = folder / "sub-01" / "func"
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rng.standard_normal((N, len(DEFAULT))), columns=list(DEFAULT))
    data = 1000 + 10 * rng.standard_normal((*SHAPE, N))
    data += rng.standard_normal((*SHAPE, len(DEFAULT))) @ table.to_numpy().T * 20
    data[..., 30] += 5000  # the participant moved
    data[2, 2, 2] = 500.0  # no signal
    table["motion_outlier00"] = (np.arange(N) == 30).astype(float)
    stem = folder / f"sub-01_task-{task}_space-MNI152NLin2009cAsym"
    image = nibabel.Nifti1Image(data.astype(np.float32), AFFINE)
    image.header.set_zooms((2, 2, 2, TR))
    bold = Path(f"{stem}_desc-preproc_bold.nii.gz")
    nibabel.save(image, bold)
    mask = np.ones(SHAPE, dtype=np.uint8)
    mask[0] = 0
    mask_path = Path(f"{stem}_desc-brain_mask.nii.gz")
    nibabel.save(nibabel.Nifti1Image(mask, AFFINE), mask_path)
    confounds = folder / f"sub-01_task-{task}_desc-confounds_timeseries.tsv"
    table.to_csv(confounds, sep="\t", index=False, na_rep="n/a")
    return Recording(
        participant="01",
        session=None,
        task=task,
        run=None,
        modality="fmri",
        path=bold,
        datatype="func",
        entities=(("sub", "01"), ("task", task)),
        metadata={"RepetitionTime": TR, "StartTime": 0.71, "SliceTimingCorrected": True},
        mask_path=mask_path,
        confounds_path=confounds,
        space="MNI152NLin2009cAsym",
    )


@pytest.fixture
def recording(tmp_path):
    return write_run(tmp_path)


def load(recording, **changes):
    cleaning = Cleaning(**(SETTINGS | changes))
    return load_bold(recording, volume=common_mask([recording]), cleaning=cleaning)


def test_confounds_are_regressed_out(recording):
    """Against least squares on the uncensored volumes, with an intercept that is given back."""
    response = load(recording)
    image = nibabel.load(recording.path).get_fdata()
    mask = nibabel.load(recording.mask_path).get_fdata() > 0
    series = image[mask].T
    table = pd.read_csv(recording.confounds_path, sep="\t")
    drifts = np.cos(np.pi * (np.arange(N)[:, None] + 0.5) * np.arange(1, 3) / N)
    nuisance = np.column_stack([table[list(DEFAULT)], drifts])
    kept = table["motion_outlier00"].to_numpy() == 0
    design = np.column_stack([np.ones(N), nuisance])
    coefficients = np.linalg.lstsq(design[kept], series[kept], rcond=None)[0]
    residuals = series - design @ coefficients
    found = response.data - response.data[kept].mean(axis=0)
    np.testing.assert_allclose(
        found[kept], residuals[kept] - residuals[kept].mean(axis=0), atol=2e-3
    )
    assert response.data.dtype == np.float32
    np.testing.assert_array_equal(response.censored, ~kept)
    # Nothing is z-scored: every voxel keeps its mean and its noise.
    np.testing.assert_allclose(response.data.mean(axis=0), series.mean(axis=0), rtol=1e-4)
    assert 6 < np.median(found[kept].std(axis=0)) < 11


def test_times_are_those_of_the_slice_reference(recording):
    np.testing.assert_allclose(load(recording).times, 0.71 + TR * np.arange(N))


@pytest.mark.parametrize(
    "metadata",
    [
        {"RepetitionTime": TR, "StartTime": 0.0, "SliceTimingCorrected": False},
        {"RepetitionTime": TR, "StartTime": 0.0},
        {"RepetitionTime": TR, "SliceTimingCorrected": True},
        {"RepetitionTime": TR},
    ],
)
def test_without_slice_timing_the_middle_counts(recording, metadata):
    response = load(replace(recording, metadata=metadata))
    assert response.times[0] == TR / 2
    assert any("each volume counts for its middle, 0.75 s" in note for note in response.notes)


def test_targets(recording):
    response = load(recording)
    targets = response.targets
    assert len(targets) == 5 * 5 * 4 == response.data.shape[1]
    assert targets["name"].iloc[0] == "1-0-0"
    assert targets["name"].iloc[1] == "1-0-1"
    sides = targets.groupby("x")["hemisphere"].unique().map(list).to_dict()
    assert sides == {-4.0: ["L"], -2.0: ["L"], 0.0: ["n/a"], 2.0: ["R"], 4.0: ["R"]}
    assert targets[["x", "y", "z"]].iloc[1].tolist() == [-4.0, -4.0, 12.0]
    assert set(targets["type"]) == {"voxel"}
    assert response.volume is not None
    assert response.support_s == 0


def test_oblique_affine():
    affine = AFFINE.copy()
    affine[:3, :3] = [[0, -2, 0], [2, 0, 0], [0, 0, 2]]
    volume = Volume(np.ones(SHAPE, dtype=bool), affine, "T1w")
    targets = voxel_targets(volume).set_index("name")
    expected = affine @ [3, 2, 1, 1]
    assert targets.loc["3-2-1", ["x", "y", "z"]].tolist() == expected[:3].tolist()


def test_silent_voxels_stay_and_are_named(recording):
    image = nibabel.load(recording.path)
    data = image.get_fdata()
    data[3, 3, 3, 10] = np.nan
    nibabel.save(nibabel.Nifti1Image(data, AFFINE), recording.path)
    response = load(recording)
    assert "2-2-2" in response.targets["name"].tolist()
    assert any("2 of 100 voxels are constant" in n and "2-2-2, 3-3-3" in n for n in response.notes)
    assert np.isfinite(response.data).all()


def test_smoothing(recording):
    """A full width of 4 mm is an SD of 4 / 2.3548 mm, of 2 mm voxels."""
    empty = replace(recording, confounds_path=None)
    response = load(empty, smoothing_fwhm_mm=4.0, high_pass_s=1e4)
    image = nibabel.load(recording.path).get_fdata()
    mask = nibabel.load(recording.mask_path).get_fdata() > 0
    sigma = 4 / np.sqrt(8 * np.log(2)) / 2
    expected = gaussian_filter(image[..., 5], sigma)[mask]
    np.testing.assert_allclose(response.data[5], expected, rtol=1e-4)
    assert "Smoothed with 4 mm FWHM." in response.notes


def test_common_mask_is_the_intersection(tmp_path):
    first, second = write_run(tmp_path, "a"), write_run(tmp_path, "b")
    other = np.ones(SHAPE, dtype=np.uint8)
    other[:, 0] = 0
    nibabel.save(nibabel.Nifti1Image(other, AFFINE), second.mask_path)
    volume = common_mask([first, second])
    expected = np.ones(SHAPE, dtype=bool)
    expected[0] = expected[:, 0] = False
    np.testing.assert_array_equal(volume.mask, expected)
    np.testing.assert_array_equal(volume.affine, AFFINE)
    assert volume.space == "MNI152NLin2009cAsym"


def test_masks_must_share_a_grid(tmp_path):
    first, second = write_run(tmp_path, "a"), write_run(tmp_path, "b")
    moved = AFFINE.copy()
    moved[0, 3] += 1
    nibabel.save(nibabel.Nifti1Image(np.ones(SHAPE, np.uint8), moved), second.mask_path)
    with pytest.raises(BrainAlignError, match="another position or voxel size") as caught:
        common_mask([first, second])
    assert caught.value.exit_code == ExitCode.DATA_ERROR
    nibabel.save(nibabel.Nifti1Image(np.ones((6, 5, 3), np.uint8), AFFINE), second.mask_path)
    with pytest.raises(BrainAlignError, match=r"shape \(6, 5, 3\)"):
        common_mask([first, second])


def test_disjoint_masks(tmp_path):
    first, second = write_run(tmp_path, "a"), write_run(tmp_path, "b")
    other = np.zeros(SHAPE, dtype=np.uint8)
    other[0] = 1
    nibabel.save(nibabel.Nifti1Image(other, AFFINE), second.mask_path)
    with pytest.raises(BrainAlignError, match="no common voxel"):
        common_mask([first, second])


def test_no_mask(recording):
    with pytest.raises(BrainAlignError, match="has no brain mask") as caught:
        common_mask([replace(recording, mask_path=None)])
    assert caught.value.exit_code == ExitCode.MISSING_INPUT


@pytest.mark.parametrize("share", [0.5, 0.001])
def test_truncated_image(recording, share):
    volume = common_mask([recording])
    content = recording.path.read_bytes()
    recording.path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(
        BrainAlignError, match=r"desc-preproc_bold\.nii\.gz can't be read"
    ) as caught:
        load_bold(recording, volume=volume, cleaning=Cleaning())
    assert caught.value.exit_code == ExitCode.DATA_ERROR


def test_image_of_another_grid(recording):
    volume = common_mask([recording])
    other = Volume(np.ones((5, 5, 4), dtype=bool), volume.affine, volume.space)
    with pytest.raises(BrainAlignError, match="does not lie on the grid of the mask"):
        load_bold(recording, volume=other, cleaning=Cleaning())


def test_three_dimensional_image(recording):
    volume = common_mask([recording])
    nibabel.save(nibabel.Nifti1Image(np.ones(SHAPE, np.float32), AFFINE), recording.path)
    with pytest.raises(BrainAlignError, match="a run needs several volumes"):
        load_bold(recording, volume=volume, cleaning=Cleaning())


def test_confounds_of_another_length(recording):
    table = pd.read_csv(recording.confounds_path, sep="\t")
    table.iloc[:-3].to_csv(recording.confounds_path, sep="\t", index=False)
    with pytest.raises(BrainAlignError, match="has 87 rows but the image has 90 volumes"):
        load(recording)


def test_more_regressors_than_volumes(recording):
    image = nibabel.load(recording.path)
    short = nibabel.Nifti1Image(image.get_fdata()[..., :14], AFFINE)
    nibabel.save(short, recording.path)
    pd.read_csv(recording.confounds_path, sep="\t").iloc[:14].to_csv(
        recording.confounds_path, sep="\t", index=False
    )
    with pytest.raises(BrainAlignError, match="14 volumes but 14 columns"):
        load(recording)


def test_repetition_time(recording):
    response = load(replace(recording, metadata={"RepetitionTime": 2.0}))
    assert response.interval_s == 2.0
    assert any("TR 2 s is the sidecar's; the image header says 1.5." in n for n in response.notes)
    response = load(replace(recording, metadata={}))
    assert response.interval_s == TR
    assert any("image header's" in note for note in response.notes)
