import json

import pytest

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.index import find_recordings
from bids_brainalign.errors import BrainAlignError, ExitCode
from tests.dataset.trees import EVENTS, dataset, fmriprep, ieeg_run, write

BOTH = ("ieeg", "fmri")


def find(root, *, derivatives=(), modalities=BOTH, **selection):
    return find_recordings(
        root, derivatives=derivatives, selection=Selection(**selection), modalities=modalities
    )


def test_labels_stay_as_written_and_files_are_found(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "story", run="01", events=EVENTS)
    write(root / "sub-01/ieeg/sub-01_space-Other_electrodes.tsv", "name\tx\ty\tz\n")
    write(root / "sub-01/ieeg/sub-01_space-MNI152Lin_electrodes.tsv", "name\tx\ty\tz\n")
    write(root / "sub-01/ieeg/sub-01_space-MNI152Lin_coordsystem.json", "{}")
    (recording,) = find(root).recordings
    assert recording.name == "sub-01_task-story_run-01"
    assert recording.events_path.name == "sub-01_task-story_run-01_events.tsv"
    assert recording.channels_path is not None
    assert recording.space == "MNI152Lin"
    assert recording.coordsystem_path.name == "sub-01_space-MNI152Lin_coordsystem.json"


def test_sidecars_are_inherited_with_a_byte_order_mark(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "story")
    write(root / "task-story_ieeg.json", json.dumps({"PowerLineFrequency": 60}), bom=True)
    write(root / "sub-01/ieeg/sub-01_task-story_ieeg.json", json.dumps({"SamplingFrequency": 512}))
    (recording,) = find(root).recordings
    assert recording.metadata["PowerLineFrequency"] == 60
    assert recording.metadata["SamplingFrequency"] == 512


def test_fmriprep_below_derivatives_is_used_with_events_of_the_raw_data(tmp_path):
    root = dataset(tmp_path)
    write(root / "sub-01/func/sub-01_task-story_bold.nii.gz", "x")
    write(root / "sub-01/func/sub-01_task-story_events.tsv", EVENTS)
    write(root / "task-story_bold.json", json.dumps({"TaskName": "story", "Flip": 3}))
    fmriprep(root, "01", "story", spaces=("MNI152NLin2009cAsym", "T1w"))
    (recording,) = find(root).recordings
    assert recording.modality == "fmri"
    assert recording.space == "MNI152NLin2009cAsym"
    assert recording.mask_path.name.endswith("space-MNI152NLin2009cAsym_desc-brain_mask.nii.gz")
    assert recording.confounds_path.name == "sub-01_task-story_desc-confounds_timeseries.tsv"
    assert recording.events_path.parent.name == "func"
    assert recording.metadata["RepetitionTime"] == 1.5
    assert recording.metadata["Flip"] == 3


@pytest.mark.parametrize(
    ("selection", "code", "parts"),
    [
        ({"participants": ("1",)}, 18, ["no participant 1", "participants: 01, 02"]),
        ({"tasks": ("stori",)}, 18, ["tasks story", "--task-label story"]),
        ({"runs": ("9",)}, 18, ["with --run-label 9", "runs 1"]),
        ({"space": "MNI"}, 18, ["spaces found: T1w", "--space"]),
    ],
)
def test_nothing_selected_says_what_there_is(tmp_path, selection, code, parts):
    root = dataset(tmp_path)
    for sub in ("01", "02"):
        ieeg_run(root, sub, "story", run="1", events=EVENTS)
    fmriprep(root, "01", "story", spaces=("T1w",))
    with pytest.raises(BrainAlignError) as caught:
        find(root, **selection)
    assert caught.value.exit_code == code
    for part in parts:
        assert part in str(caught.value)


def test_bold_without_fmriprep_is_missing_input(tmp_path):
    root = dataset(tmp_path)
    write(root / "sub-01/func/sub-01_task-story_bold.nii.gz", "x")
    with pytest.raises(BrainAlignError, match="no fMRIPrep derivative") as caught:
        find(root)
    assert caught.value.exit_code == ExitCode.MISSING_INPUT
    assert "-d fmriprep=PATH" in str(caught.value)


def test_bold_without_fmriprep_is_only_skipped_beside_ieeg(tmp_path):
    root = dataset(tmp_path)
    write(root / "sub-01/func/sub-01_task-story_bold.nii.gz", "x")
    ieeg_run(root, "01", "story", events=EVENTS)
    index = find(root)
    assert len(index.recordings) == 1
    assert "fMRIPrep" in index.skipped[0][1]


def test_two_derivatives_or_spaces_must_be_told_apart(tmp_path):
    root = dataset(tmp_path)
    fmriprep(root, "01", "story", name="a")
    fmriprep(root, "01", "story", name="b", spaces=("fsLR", "T1w"))
    with pytest.raises(BrainAlignError, match="several derivatives") as caught:
        find(root)
    assert caught.value.exit_code == ExitCode.USAGE
    with pytest.raises(BrainAlignError, match="spaces found: T1w, fsLR"):
        find(root, derivatives=(("b", root / "derivatives" / "b"),))


def test_absent_derivative_is_missing_input(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "story", events=EVENTS)
    with pytest.raises(BrainAlignError, match="does not exist") as caught:
        find(root, derivatives=(("x", root / "nowhere"),))
    assert caught.value.exit_code == ExitCode.MISSING_INPUT


def test_only_chosen_participants_are_indexed(tmp_path):
    """A broken sidecar of somebody else does not matter."""
    root = dataset(tmp_path)
    ieeg_run(root, "01", "story", events=EVENTS)
    ieeg_run(root, "02", "story", events=EVENTS)
    write(root / "sub-02/ieeg/sub-02_task-story_ieeg.json", "{broken")
    index = find(root, participants=("01",))
    assert [r.participant for r in index.recordings] == ["01"]


@pytest.mark.shared
def test_real_sidecars_of_the_podcast_dataset(shared, tmp_path):
    source = shared / "data" / "ds005574"
    for path in source.rglob("*"):
        if path.is_file():
            write(tmp_path / path.relative_to(source), path.read_text(encoding="utf-8-sig"))
    for sub in range(1, 10):
        stem = f"sub-{sub:02d}"
        write(tmp_path / stem / "ieeg" / f"{stem}_task-podcast_ieeg.edf", "x")
    index = find(tmp_path)
    assert len(index.recordings) == 9
    assert {r.space for r in index.recordings} == {"MNI152NLin2009aSym"}
    assert {r.metadata["PowerLineFrequency"] for r in index.recordings} == {60}
    assert all(r.events_path is None for r in index.recordings)
