from pathlib import Path

import pytest

from bids_brainalign.dataset.types import Recording
from bids_brainalign.outputs.names import analysis_label, fit_name


def recording(task, run=None, *, modality="ieeg", session=None):
    datatype = "ieeg" if modality == "ieeg" else "func"
    space = None if modality == "ieeg" else "MNI152NLin2009cAsym"
    return Recording("01", session, task, run, modality, Path("x"), datatype, (), space=space)


@pytest.mark.parametrize(
    ("model", "label"),
    [
        ("whisper-base", "whisperbase"),
        ("whisper-base:untrained", "whisperbaseUntrained"),
        ("lowlevel", "lowlevel"),
        ("My_model.v2", "Mymodelv2"),
    ],
)
def test_labels_keep_letters_and_digits(model, label):
    assert analysis_label(model) == label


def test_only_shared_entities_are_in_the_name():
    runs = fit_name([recording("listen", "1"), recording("listen", "2")])
    path = runs.file("scores.tsv", analysis="whisperbase")
    assert path == Path("sub-01/ieeg/sub-01_task-listen_desc-whisperbase_scores.tsv")
    tasks = fit_name([recording(f"story{i}", modality="fmri") for i in range(4)])
    path = tasks.file("statmap.nii.gz", analysis="whisperbase", stat="r")
    assert path.name == ("sub-01_space-MNI152NLin2009cAsym_stat-r_desc-whisperbase_statmap.nii.gz")
    one = fit_name([recording("listen", "1", session="x")])
    assert one.folder == Path("sub-01/ses-x/ieeg")
    assert one.stem == "sub-01_ses-x_task-listen_run-1"
