"""HDF5 responses as ds003020 has them: found by themselves, or through -d."""

import json

import pytest

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.index import find_recordings
from bids_brainalign.dataset.stimuli import find_presentations
from bids_brainalign.errors import BrainAlignError
from tests.dataset.trees import EVENTS, dataset, fmriprep, ieeg_run, write, write_wav

GRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 4
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "word"
        xmin = 0
        xmax = 4
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 4
            text = "SOULS"
"""


def find(root, *, derivatives=(), **selection):
    return find_recordings(
        root, derivatives=derivatives, selection=Selection(**selection), modalities=("fmri",)
    )


def lebel(tmp_path, people=("UTS01", "UTS02"), stories=("souls", "wheretheressmoke")):
    root = dataset(tmp_path)
    for story in stories:
        write(root / f"task-{story}_bold.json", json.dumps({"RepetitionTime": 2}))
    for person in people:
        for story in stories:
            func = root / f"sub-{person}/ses-2/func"
            for run in (1, 2):
                stem = f"sub-{person}_ses-2_task-{story}_run-{run}_bold"
                write(func / f"{stem}.nii.gz", "x")
                write(func / f"{stem}.json", json.dumps({"EchoTime": 0.03, "StartTime": 0.9}))
            write(root / f"derivative/preprocessed_data/{person}/{story}.hf5", "x")
    write(root / "sub-UTS01/ses-1/func/sub-UTS01_ses-1_task-Localizer_bold.nii.gz", "x")
    write(root / "derivative/english1000sm.hf5", "x")
    write(root / "derivative/freesurfer_subjdir/UTS01/surf/lh.pial", "x")
    return root


def test_one_recording_per_participant_and_story(tmp_path):
    index = find(lebel(tmp_path))
    names = [r.name for r in index.recordings]
    assert names == [
        f"sub-{p}_task-{s}" for p in ("UTS01", "UTS02") for s in ("souls", "wheretheressmoke")
    ]
    run = index.recordings[0]
    assert (run.kind, run.space, run.session, run.run) == ("columns", "native", None, None)
    # A sidecar of a raw run says nothing else that still holds.
    assert run.metadata == {"RepetitionTime": 2}
    assert dict(index.skipped) == {
        "sub-UTS01_ses-1_task-Localizer": "preprocessed_data has no HDF5 file of it"
    }


def test_sound_words_and_onset(tmp_path):
    root = lebel(tmp_path, people=("UTS01",), stories=("souls",))
    write_wav(root / "stimuli/souls.wav", 4.0)
    write_wav(root / "stimuli/buck.wav", 4.0, seed=1)
    write(root / "derivative/TextGrids/souls.TextGrid", GRID)
    found = find_presentations(find(root).recordings, bids_dir=root)
    (heard,) = found.presentations
    assert heard.onset_s == 10.0
    assert heard.onset_assumed
    assert heard.rule == "task name, onset by the code published with the data"
    assert heard.stimulus.words.table["label"].tolist() == ["SOULS"]
    assert any("10 s after the first volume" in note for note in found.notes)


def test_files_that_say_when_the_sound_started_come_first(tmp_path):
    root = lebel(tmp_path, people=("UTS01",), stories=("souls",))
    write_wav(root / "stimuli/souls.wav", 4.0)
    table = write(tmp_path / "map.tsv", "task\tstim_file\tonset\nsouls\tsouls.wav\t12\n")
    recordings = find(root).recordings
    (heard,) = find_presentations(recordings, bids_dir=root, stimuli_map=table).presentations
    assert (heard.onset_s, heard.rule) == (12.0, "stimuli map")
    write(root / "task-souls_events.tsv", EVENTS.replace("story.wav", "souls.wav"))
    (heard,) = find_presentations(find(root).recordings, bids_dir=root).presentations
    assert (heard.onset_s, heard.rule) == (2.5, "events stim_file")


@pytest.mark.parametrize("below", ["", "preprocessed_data"])
def test_given_with_d(tmp_path, below):
    """The folder itself, or the one above; it wins over fMRIPrep's output in derivatives/."""
    root = lebel(tmp_path / "bids")
    (root / "derivative").rename(tmp_path / "elsewhere")
    fmriprep(root, "UTS01", "souls")
    assert {r.kind for r in find(root).recordings} == {"volume"}
    index = find(root, derivatives=(("x", tmp_path / "elsewhere" / below),))
    assert {r.kind for r in index.recordings} == {"columns"}
    assert len(index.recordings) == 4


def test_fmriprep_comes_first_where_nothing_is_given(tmp_path):
    root = lebel(tmp_path)
    fmriprep(root, "UTS01", "souls")
    assert {r.kind for r in find(root).recordings} == {"volume"}


def test_both_given(tmp_path):
    root = lebel(tmp_path)
    given = (("a", fmriprep(root, "UTS01", "souls")), ("b", root / "derivative"))
    with pytest.raises(BrainAlignError, match="-d gives preprocessed fMRI twice") as caught:
        find(root, derivatives=given)
    assert caught.value.exit_code == 64


def test_several_folders(tmp_path):
    root = lebel(tmp_path)
    write(root / "derivatives/mine/UTS01/souls.h5", "x")
    with pytest.raises(BrainAlignError, match="several folders hold HDF5 responses") as caught:
        find(root)
    assert "-d responses=" in str(caught.value)
    chosen = (("mine", root / "derivatives/mine"),)
    assert [r.name for r in find(root, derivatives=chosen).recordings] == ["sub-UTS01_task-souls"]


def test_selection(tmp_path):
    root = lebel(tmp_path)
    (run,) = find(root, participants=("UTS02",), tasks=("souls",)).recordings
    assert run.path == root / "derivative/preprocessed_data/UTS02/souls.hf5"
    with pytest.raises(BrainAlignError, match="--space fsaverage5") as caught:
        find(root, space="fsaverage5")
    assert caught.value.exit_code == 18


def test_folders_of_strangers_are_something_else(tmp_path):
    root = lebel(tmp_path)
    write(root / "derivative/preprocessed_data/pilot/souls.hf5", "x")
    assert {r.participant for r in find(root).recordings} == {"UTS01", "UTS02"}


def test_other_options_do_not_hide_them(tmp_path):
    """FreeSurfer's folder is no preprocessed fMRI."""
    root = lebel(tmp_path)
    given = (("freesurfer", root / "derivative/freesurfer_subjdir"),)
    assert len(find(root, derivatives=given).recordings) == 4


def test_hdf5_of_people_without_fmri_is_something_else(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a")
    write(root / "derivatives/bands/01/a.h5", "x")
    index = find_recordings(
        root, derivatives=(), selection=Selection(), modalities=("ieeg", "eeg", "fmri")
    )
    assert [r.modality for r in index.recordings] == ["ieeg"]


def test_two_files_of_one_story(tmp_path):
    root = lebel(tmp_path)
    write(root / "derivative/preprocessed_data/UTS01/sou-ls.hf5", "x")
    with pytest.raises(BrainAlignError, match="sub-UTS01_task-souls has two recordings"):
        find(root)
