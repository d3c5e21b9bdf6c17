import json

import pytest

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.derivatives import choose_space, is_fmriprep
from bids_brainalign.dataset.index import find_recordings
from bids_brainalign.errors import BrainAlignError
from tests.dataset.trees import EVENTS, dataset, fmriprep, ieeg_run, write

MNI = "MNI152NLin2009cAsym"


def find(root, *, derivatives=(), **selection):
    return find_recordings(
        root, derivatives=derivatives, selection=Selection(**selection), modalities=("fmri",)
    )


def prepared(root, stem, *, rest="desc-preproc_bold", fields=None):
    func = root / "derivatives/fmriprep/sub-01/func"
    write(func / f"{stem}_{rest}.json", json.dumps(fields or {}))
    return write(func / f"{stem}_{rest}.nii.gz", "x")


@pytest.mark.parametrize(
    ("labels", "wanted", "expected"),
    [
        ({"T1w"}, None, "T1w"),
        ({"T1w", MNI}, None, MNI),
        ({"T1w", MNI}, "T1w", "T1w"),
        ({f"{MNI}:res-2", "T1w"}, None, f"{MNI}:res-2"),
        ({f"{MNI}:res-2", f"{MNI}:res-1"}, f"{MNI}:res-1", f"{MNI}:res-1"),
        ({f"{MNI}:res-2", MNI}, None, MNI),
        ({f"{MNI}:res-2"}, MNI, f"{MNI}:res-2"),
    ],
)
def test_space_choice(labels, wanted, expected):
    assert choose_space(labels, wanted) == expected


@pytest.mark.parametrize(
    ("labels", "wanted", "code", "part"),
    [
        ({"T1w", "fsLR"}, None, 64, "spaces found: T1w, fsLR"),
        ({f"{MNI}:res-1", f"{MNI}:res-2"}, None, 64, f"--space {MNI}:res-1"),
        ({"T1w", MNI}, "MNI152NLin2009cSym", 18, f"Fix: --space {MNI}"),
    ],
)
def test_spaces_that_cannot_be_chosen(labels, wanted, code, part):
    with pytest.raises(BrainAlignError) as caught:
        choose_space(labels, wanted)
    assert caught.value.exit_code == code
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ({"GeneratedBy": [{"Name": "fMRIPrep", "Version": "24"}]}, True),
        ({"PipelineDescription": {"Name": "fmriprep"}}, True),
        ({"GeneratedBy": [{"Name": "bids-brainalign"}, {"Name": "fMRIPrep"}]}, False),
        ({"GeneratedBy": []}, False),
        ([], False),
    ],
)
def test_only_the_first_maker_counts(tmp_path, description, expected):
    """What we and XCP-D write lists fMRIPrep as well, after ourselves."""
    write(tmp_path / "dataset_description.json", json.dumps(description), bom=True)
    assert is_fmriprep(tmp_path) is expected


def test_labels_confounds_and_inheritance_of_a_run(tmp_path):
    """Sidecar before raw sidecar; mask of the same space; confounds without space; raw events."""
    root = dataset(tmp_path)
    fmriprep(root, "01", "other")
    write(root / "task-a_bold.json", json.dumps({"RepetitionTime": 2, "SliceTiming": [0, 1]}))
    write(root / "sub-01/func/sub-01_task-a_run-01_echo-1_bold.json", json.dumps({"EchoTime": 9}))
    write(root / "sub-01/func/sub-01_task-a_run-01_events.tsv", EVENTS)
    write(root / "sub-01/func/sub-01_task-a_run-02_events.tsv", EVENTS)
    stem = "sub-01_task-a_run-01"
    for space in (f"space-{MNI}", "space-T1w"):
        prepared(root, f"{stem}_{space}", fields={"StartTime": 0.7, "SliceTimingCorrected": True})
        prepared(root, f"{stem}_{space}", rest="desc-brain_mask")
    write(
        root / f"derivatives/fmriprep/sub-01/func/{stem}_desc-confounds_regressors.tsv", "x\n1\n"
    )
    (run,) = find(root, tasks=("a",)).recordings
    assert run.name == stem
    assert run.mask_path.name == f"{stem}_space-{MNI}_desc-brain_mask.nii.gz"
    assert run.confounds_path.name == f"{stem}_desc-confounds_regressors.tsv"
    assert run.events_path == root / f"sub-01/func/{stem}_events.tsv"
    assert {
        k: run.metadata[k]
        for k in ("RepetitionTime", "StartTime", "SliceTimingCorrected", "EchoTime")
    } == {"RepetitionTime": 2, "StartTime": 0.7, "SliceTimingCorrected": True, "EchoTime": 9}


def test_raw_sidecars_that_are_pointers_do_not_stop_a_prepared_run(tmp_path):
    root = dataset(tmp_path)
    fmriprep(root, "01", "a")
    write(root / "sub-01/func/sub-01_task-a_bold.json", "/annex/objects/MD5-s9--ab\n")
    (run,) = find(root).recordings
    assert run.metadata["RepetitionTime"] == 1.5


def test_runs_left_out_are_told_why(tmp_path):
    root = dataset(tmp_path)
    fmriprep(root, "01", "a")
    fmriprep(root, "01", "flat", spaces=("T1w",))
    surface = root / "derivatives/fmriprep/sub-01/func"
    write(surface / "sub-01_task-surf_hemi-L_space-fsaverage5_bold.func.gii", "x")
    for task in ("a", "flat", "surf", "new"):
        write(root / f"sub-01/func/sub-01_task-{task}_bold.nii.gz", "x")
    (root / "sub-02").mkdir()
    index = find(root)
    assert [r.task for r in index.recordings] == ["a"]
    reasons = dict(index.skipped)
    assert reasons["sub-01_task-flat"] == f"it is not in space {MNI}, only in T1w"
    assert reasons["sub-01_task-surf"] == f"it is not in space {MNI}, only in fsaverage5"
    assert reasons["sub-01_task-new"] == "fmriprep has no desc-preproc_bold.nii.gz of it"
    assert reasons["sub-02"] == "has no recording that passes the filters"
    assert len(reasons) == 4


def test_images_without_a_space_entity_are_native(tmp_path):
    root = dataset(tmp_path)
    fmriprep(root, "01", "a", spaces=())
    prepared(root, "sub-01_task-a", fields={"RepetitionTime": 1})
    assert [r.space for r in find(root).recordings] == ["native"]


def test_two_images_of_one_run_must_be_told_apart(tmp_path):
    root = dataset(tmp_path)
    fmriprep(root, "01", "other")
    for rec in ("dynamic", "magnitude"):
        prepared(root, f"sub-01_task-a_rec-{rec}_space-{MNI}")
    with pytest.raises(BrainAlignError, match="sub-01_task-a has two recordings") as caught:
        find(root)
    assert caught.value.exit_code == 64
    assert '{"bold": {"rec": "dynamic"}}' in str(caught.value)
    chosen = (("bold", (("reconstruction", ("dynamic",)),)),)
    assert len(find(root, filters=chosen).recordings) == 1


def test_a_derivative_without_the_runs_is_missing_input(tmp_path):
    root = dataset(tmp_path)
    write(root / "sub-01/func/sub-01_task-a_bold.nii.gz", "x")
    elsewhere = tmp_path / "prep"
    elsewhere.mkdir()
    with pytest.raises(BrainAlignError, match="none of the 1 recordings") as caught:
        find(root, derivatives=(("prep", elsewhere),))
    assert caught.value.exit_code == 66
    assert "prep has no desc-preproc_bold.nii.gz" in str(caught.value)


def test_an_absent_derivative_is_told_even_where_none_is_needed(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a")
    with pytest.raises(BrainAlignError, match="that folder does not exist") as caught:
        find_recordings(
            root,
            derivatives=(("x", root / "gone"),),
            selection=Selection(),
            modalities=("ieeg",),
        )
    assert caught.value.exit_code == 66
