"""Small BIDS trees written file by file, as they lie on OpenNeuro."""

import json
from pathlib import Path

import numpy as np
import soundfile


def write(path: Path, text: str = "", *, bom: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8-sig" if bom else "utf-8")
    return path


def write_wav(path: Path, seconds: float, *, seed: int = 0, rate: int = 8000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * rate))
    soundfile.write(path, noise, rate)
    return path


def dataset(root: Path) -> Path:
    write(root / "dataset_description.json", json.dumps({"Name": "t", "BIDSVersion": "1.9.0"}))
    return root


def ieeg_run(
    root: Path, sub: str, task: str, *, run: str | None = None, events: str | None = None
):
    stem = f"sub-{sub}_task-{task}" + (f"_run-{run}" if run else "")
    folder = root / f"sub-{sub}" / "ieeg"
    write(folder / f"{stem}_ieeg.edf", "not really")
    write(folder / f"{stem}_channels.tsv", "name\ttype\tunits\nG1\tECOG\tuV\n")
    if events is not None:
        write(folder / f"{stem}_events.tsv", events)
    return folder / f"{stem}_ieeg.edf"


def fmriprep(root: Path, sub: str, task: str, *, spaces=("MNI152NLin2009cAsym",), name="fmriprep"):
    folder = root / "derivatives" / name
    write(
        folder / "dataset_description.json",
        json.dumps(
            {
                "Name": "fMRIPrep", "BIDSVersion": "1.9.0", "DatasetType": "derivative",
                "GeneratedBy": [{"Name": "fMRIPrep"}],
            }
        ),
    )  # fmt: skip
    func = folder / f"sub-{sub}" / "func"
    for space in spaces:
        stem = f"sub-{sub}_task-{task}_space-{space}"
        write(func / f"{stem}_desc-preproc_bold.nii.gz", "x")
        write(func / f"{stem}_desc-preproc_bold.json", json.dumps({"RepetitionTime": 1.5}))
        write(func / f"{stem}_desc-brain_mask.nii.gz", "x")
    write(func / f"sub-{sub}_task-{task}_desc-confounds_timeseries.tsv", "csf\n0\n")
    return folder


EVENTS = "onset\tduration\ttrial_type\tstim_file\n2.5\t4.0\tstory\tstory.wav\n"
