"""Small preprocessed runs of every kind, with the arrays that were written."""

from pathlib import Path

import h5py
import nibabel
import numpy as np
import pandas as pd
from nibabel.cifti2 import BrainModelAxis, Cifti2Image, SeriesAxis
from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiMetaData

from bids_brainalign.dataset.types import Recording
from bids_brainalign.responses.confounds import DEFAULT

N, TR = 60, 1.5


def confound_table(n=N, *, seed=3):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.standard_normal((n, len(DEFAULT))), columns=list(DEFAULT))
    table["cosine00"] = np.cos(np.pi * (np.arange(n) + 0.5) / n)
    table["motion_outlier00"] = (np.arange(n) == 20).astype(float)
    return table


def write_confounds(folder: Path, task="a", table=None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"sub-01_task-{task}_desc-confounds_timeseries.tsv"
    table = confound_table() if table is None else table
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")
    return path


def recording(path: Path, confounds: Path | None, *, task="a", space="fsaverage5", right=None):
    return Recording(
        participant="01", session=None, task=task, run=None, modality="fmri", path=path,
        datatype="func", entities=(("sub", "01"), ("task", task), ("space", space)),
        metadata={"RepetitionTime": TR, "StartTime": 0.71, "SliceTimingCorrected": True},
        confounds_path=confounds, space=space, right_path=right,
    )  # fmt: skip


def noise(n_targets, *, n=N, seed=0):
    """Baseline, noise, and confounds with a weight of their own per target."""
    rng = np.random.default_rng(seed)
    data = 500 + 5 * rng.standard_normal((n, n_targets))
    return data + confound_table(n).to_numpy() @ rng.standard_normal((len(DEFAULT) + 2, n_targets))


def write_gifti(path: Path, data, *, step_ms=None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = GiftiMetaData({} if step_ms is None else {"TimeStep": str(step_ms)})
    arrays = [
        GiftiDataArray(np.asarray(row, dtype=np.float32), intent="NIFTI_INTENT_TIME_SERIES",
                       datatype="NIFTI_TYPE_FLOAT32")
        for row in data
    ]  # fmt: skip
    nibabel.save(GiftiImage(darrays=arrays, meta=meta), path)
    return path


def gifti_name(folder: Path, side: str, *, task="a", space="fsaverage5") -> Path:
    return folder / f"sub-01_task-{task}_hemi-{side}_space-{space}_bold.func.gii"


def brain_axis(n_left=6, n_right=5):
    """Cortex of both sides (one vertex of the left mesh is no grayordinate) and a brain stem."""
    left = BrainModelAxis.from_mask(np.arange(n_left + 1) != 2, name="CortexLeft")
    right = BrainModelAxis.from_mask(np.ones(n_right), name="CortexRight")
    mask = np.zeros((4, 4, 4), dtype=bool)
    mask[1, 2, 3] = mask[2, 2, 3] = True
    affine = np.array([[2.0, 0, 0, -4], [0, 2, 0, -6], [0, 0, 2, 8], [0, 0, 0, 1]])
    return left + right + BrainModelAxis.from_mask(mask, name="BrainStem", affine=affine)


def write_cifti(path: Path, data, axis=None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    series = SeriesAxis(start=0, step=TR, size=len(data))
    axis = brain_axis() if axis is None else axis
    nibabel.save(Cifti2Image(np.asarray(data, dtype=np.float32), (series, axis)), path)
    return path


def write_columns(path: Path, data, *, repeats=None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["data"] = np.asarray(data, dtype=np.float64)
        if repeats is not None:
            file["individual_repeats"] = np.asarray(repeats, dtype=np.float64)
    return path


def residuals(series, table=None):
    """Least squares on the uncensored volumes, with an intercept; (n_kept, n_targets)."""
    table = confound_table(len(series)) if table is None else table
    kept = table["motion_outlier00"].to_numpy() == 0
    nuisance = table.drop(columns="motion_outlier00").to_numpy()
    design = np.column_stack([np.ones(len(series)), nuisance])[kept]
    coefficients = np.linalg.lstsq(design, series[kept], rcond=None)[0]
    return series[kept] - design @ coefficients, kept
