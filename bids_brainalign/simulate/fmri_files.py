"""Files of a BOLD run, raw and as fMRIPrep would leave them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.simulate.bids_tree import BIDS_VERSION, write_events, write_json, write_tsv
from bids_brainalign.simulate.confounds import sidecar
from bids_brainalign.simulate.stories import Story
from bids_brainalign.simulate.volume import SPACE, affine, brain_mask

TR_S = 1.5
"""Repetition time where none is given, s."""
_image: Any = nibabel.Nifti1Image
"""Untyped in nibabel."""


def reference_s(tr_s: float) -> float:
    """FMRIPrep's slice timing reference: volume k shows the brain at k·TR + this."""
    return tr_s / 2


def _write_image(path: Path, data: NDArray[np.generic], *, interval_s: float | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = _image(data, affine())
    image.header.set_xyzt_units("mm", "sec")
    if interval_s is not None:
        image.header.set_zooms((*image.header.get_zooms()[:3], interval_s))
    nibabel.save(image, path)


def write_raw(
    stem: Path,
    image: NDArray[np.float32],
    story: Story,
    onset_s: float,
    *,
    tr_s: float = TR_S,
) -> None:
    """Write the scanner's image (whole numbers) with its sidecar and events."""
    path = stem.with_name(f"{stem.name}_bold.nii.gz")
    _write_image(path, np.round(image).astype(np.int16), interval_s=tr_s)
    write_json(
        stem.with_name(f"{stem.name}_bold.json"),
        {
            "TaskName": story.label,
            "TaskDescription": "Listening to a story (simulated).",
            "RepetitionTime": tr_s,
            "Manufacturer": "bids-brainalign simulate",
        },
    )
    write_events(stem, story, onset_s=onset_s)


def write_preprocessed(
    stem: Path,
    image: NDArray[np.float32],
    story: Story,
    table: pd.DataFrame,
    *,
    tr_s: float = TR_S,
) -> None:
    """Write the preprocessed image, its mask and the confounds."""
    spaced = f"{stem.name}_space-{SPACE}"
    bold = stem.with_name(f"{spaced}_desc-preproc_bold.nii.gz")
    _write_image(bold, image, interval_s=tr_s)
    write_json(
        stem.with_name(f"{spaced}_desc-preproc_bold.json"),
        {
            "TaskName": story.label,
            "RepetitionTime": tr_s,
            "StartTime": reference_s(tr_s),
            "SliceTimingCorrected": True,
            "SkullStripped": False,
        },
    )
    mask = stem.with_name(f"{spaced}_desc-brain_mask.nii.gz")
    _write_image(mask, brain_mask().astype(np.uint8), interval_s=None)
    write_json(
        stem.with_name(f"{spaced}_desc-brain_mask.json"),
        {"Type": "Brain", "RawSources": [], "Sources": []},
    )
    confounds = stem.with_name(f"{stem.name}_desc-confounds_timeseries")
    write_tsv(confounds.with_suffix(".tsv"), table)
    write_json(confounds.with_suffix(".json"), sidecar(table))


def write_derivative_description(folder: Path) -> None:
    """Write ``dataset_description.json`` as a derivative of fMRIPrep."""
    folder.mkdir(parents=True, exist_ok=True)
    # The validator doesn't know fMRIPrep's confounds; fMRIPrep itself ignores them this way.
    (folder / ".bidsignore").write_text("*_timeseries.tsv\n*_timeseries.json\n", encoding="utf-8")
    write_json(
        folder / "dataset_description.json",
        {
            "Name": "Simulated fMRIPrep outputs",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": [
                {
                    "Name": "fMRIPrep",
                    "Version": "0.0.0",
                    "Description": "Not run: files of its kind made by brainalign simulate",
                }
            ],
        },
    )
