"""CPU seconds to find what can be run in a dataset with fMRIPrep's outputs, beside plain PyBIDS.

The tree is written here (empty images, real sidecars). Ours is asked for all runs with their
preprocessed images, masks, confounds and events; PyBIDS for the same files, by building a
``BIDSLayout`` with the derivative and querying it. Both find the same runs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from tables import Row, show

SPACE = "MNI152NLin2009cAsym"


def write_tree(root: Path, n_participants: int, n_runs: int) -> None:
    """Write names and sidecars of a dataset and its derivative."""
    described = {"Name": "benchmark", "BIDSVersion": "1.10.0"}
    made_by = {"DatasetType": "derivative", "GeneratedBy": [{"Name": "fMRIPrep", "Version": "0"}]}
    prepared = root / "derivatives" / "fmriprep"
    for folder, content in ((root, described), (prepared, described | made_by)):
        folder.mkdir(parents=True)
        (folder / "dataset_description.json").write_text(json.dumps(content))
    for label in range(n_participants):
        for folder in (root, prepared):
            (folder / f"sub-{label:03d}" / "func").mkdir(parents=True)
        for run in range(n_runs):
            stem = f"sub-{label:03d}_task-story{run:02d}"
            raw, done = (f / f"sub-{label:03d}" / "func" for f in (root, prepared))
            timing = json.dumps({"RepetitionTime": 2.0, "TaskName": f"story{run:02d}"})
            (raw / f"{stem}_bold.nii.gz").touch()
            (raw / f"{stem}_bold.json").write_text(timing)
            events = f"onset\tduration\tstim_file\n10\t300\tstory{run:02d}.wav\n"
            (raw / f"{stem}_events.tsv").write_text(events)
            spaced = f"{stem}_space-{SPACE}"
            for name in ("desc-preproc_bold", "desc-brain_mask"):
                (done / f"{spaced}_{name}.nii.gz").touch()
                (done / f"{spaced}_{name}.json").write_text(timing)
            (done / f"{stem}_desc-confounds_timeseries.tsv").write_text("trans_x\n0\n")
            (done / f"{stem}_desc-confounds_timeseries.json").write_text("{}")


def ours(root: Path) -> set[str]:
    from bids_brainalign.config.schema import Selection
    from bids_brainalign.dataset.index import find_recordings

    found = find_recordings(root, derivatives=(), selection=Selection(), modalities=("fmri",))
    return {run.name for run in found.recordings}


def pybids(root: Path) -> set[str]:
    from bids import BIDSLayout

    layout = BIDSLayout(root, derivatives=root / "derivatives" / "fmriprep", validate=False)
    names = set()
    for image in layout.get(suffix="bold", desc="preproc", extension=".nii.gz"):
        layout.get_metadata(image.path)
        names.add(image.filename.split("_space-")[0])
    for query in ({"suffix": "events"}, {"suffix": "timeseries"}, {"suffix": "mask"}):
        layout.get(**query)
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--participants", type=int, default=40)
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "dataset"
        write_tree(root, given.participants, given.runs)
        case = f"index {given.participants} participants × {given.runs} runs"
        found: list[set[str]] = []
        for tool, work in (("bids_brainalign", ours), ("PyBIDS BIDSLayout", pybids)):
            start = time.process_time()
            found.append(work(root))
            seconds = time.process_time() - start
            ratio = seconds / rows[0].cpu_s if rows else 1.0
            agreement = "" if not rows else f"same runs: {found[0] == found[1]}"
            rows.append(Row(case, tool, seconds, ratio, None, agreement))
    show(rows, threads=1, as_json=given.json)


if __name__ == "__main__":
    main()
