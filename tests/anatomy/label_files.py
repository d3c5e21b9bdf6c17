"""Small label files of every kind, as FreeSurfer, Workbench and TemplateFlow write them."""

from pathlib import Path

import nibabel
import numpy as np
from nibabel.cifti2 import BrainModelAxis, Cifti2Image, LabelAxis
from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiLabel, GiftiLabelTable


def write_annot(path: Path, labels, names) -> Path:
    """Labels are rows of the table of names; -1 for none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = np.array([[20 * i, 10, 5, 0, 0] for i in range(len(names))], dtype=np.int32)
    nibabel.freesurfer.write_annot(
        path, np.asarray(labels, dtype=np.int32), table, list(names), fill_ctab=True
    )
    return path


def write_label_gii(path: Path, labels, names: dict[int, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = GiftiLabelTable()
    for key, name in names.items():
        label = GiftiLabel(key=key, red=0.5, green=0.5, blue=0.5, alpha=1.0)
        label.label = name
        table.labels.append(label)
    array = GiftiDataArray(
        np.asarray(labels, dtype=np.int32), intent="NIFTI_INTENT_LABEL",
        datatype="NIFTI_TYPE_INT32",
    )  # fmt: skip
    nibabel.save(GiftiImage(darrays=[array], labeltable=table), path)
    return path


def write_dlabel(path: Path, labels, names: dict[int, str], brain: BrainModelAxis) -> Path:
    table = {key: (name, (0.5, 0.5, 0.5, 1.0)) for key, name in names.items()}
    axis = LabelAxis(["atlas"], [table])
    data = np.asarray(labels, dtype=np.float32)[None]
    nibabel.save(Cifti2Image(data, (axis, brain)), path)
    return path
