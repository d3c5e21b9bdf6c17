import json

import nibabel
import numpy as np
import pytest

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.index import find_recordings
from bids_brainalign.dataset.stimuli import find_presentations
from bids_brainalign.errors import BrainAlignError, ExitCode
from tests.dataset.trees import dataset, fmriprep, ieeg_run, write, write_wav


def present(root):
    index = find_recordings(
        root, derivatives=(), selection=Selection(), modalities=("ieeg", "fmri")
    )
    return find_presentations(index.recordings, bids_dir=root)


def edf(path, seconds):
    """An EDF header: the number of records and the seconds of each stand at bytes 236 to 251."""
    header = b"0".ljust(8) + b" " * 228 + str(seconds).encode().ljust(8) + b"1".ljust(8)
    path.write_bytes(header.ljust(512))


def test_one_sound_as_long_as_the_recording_starts_at_0(tmp_path):
    root = dataset(tmp_path)
    edf(ieeg_run(root, "01", "listen"), 61)
    write_wav(root / "stimuli/podcast.wav", 60.0)
    found = present(root)
    (p,) = found.presentations
    assert (p.rule, p.onset_s, p.onset_assumed) == ("assumed onset 0", 0.0, True)
    assert "the recording lasts 61.0 s, the sound 60.0 s" in found.notes[0]


@pytest.mark.parametrize(
    ("seconds", "sounds", "reason"),
    [
        (70, ["podcast.wav"], "it lasts 70.0 s, but the only sound of the dataset, podcast.wav,"),
        (50, ["podcast.wav"], "it lasts 50.0 s"),
        (60, ["podcast.wav", "jingle.wav"], "the dataset has 2 sounds"),
        (60, [], "the dataset has no sounds"),
    ],
)
def test_it_is_refused_and_everything_looked_for_is_listed(tmp_path, seconds, sounds, reason):
    root = dataset(tmp_path)
    edf(ieeg_run(root, "01", "listen"), seconds)
    for name in sounds:
        write_wav(root / "stimuli" / name, 60.0)
    with pytest.raises(BrainAlignError) as caught:
        present(root)
    message = str(caught.value)
    assert caught.value.exit_code == ExitCode.MISSING_INPUT
    assert reason in message
    for looked in ("stim_id", "stim_file", "--stimuli-map", "like the task", "single sound"):
        assert looked in message
    assert "no stimulus is called listen" in message


def test_files_that_macos_leaves_are_no_sounds(tmp_path):
    root = dataset(tmp_path)
    edf(ieeg_run(root, "01", "listen"), 60)
    write_wav(root / "stimuli/podcast.wav", 60.0)
    write(root / "stimuli/._podcast.wav", "resource fork")
    assert len(present(root).presentations) == 1


def test_the_sidecar_tells_the_length_where_the_header_is_not_edf(tmp_path):
    root = dataset(tmp_path)
    path = ieeg_run(root, "01", "listen")
    path.rename(path.with_suffix(".vhdr"))
    write(path.with_suffix(".json"), json.dumps({"RecordingDuration": 59.998}))
    write_wav(root / "stimuli/podcast.wav", 60.0)
    assert present(root).presentations[0].rule == "assumed onset 0"


@pytest.mark.parametrize(("volumes", "fits"), [(41, True), (44, False)])
def test_fmri_may_differ_by_two_volumes(tmp_path, volumes, fits):
    root = dataset(tmp_path)
    func = fmriprep(root, "01", "listen") / "sub-01" / "func"
    stem = "sub-01_task-listen_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz"
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2, volumes), np.float32), np.eye(4))
    nibabel.save(image, func / stem)
    write_wav(root / "stimuli/podcast.wav", 60.0)  # 40 volumes of 1.5 s
    if fits:
        assert present(root).presentations[0].rule == "assumed onset 0"
    else:
        with pytest.raises(BrainAlignError, match="no recording has a stimulus"):
            present(root)


def test_a_broken_header_leaves_only_its_recording_out(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "listen")  # not an EDF at all
    edf(ieeg_run(root, "02", "listen"), 60)
    write_wav(root / "stimuli/podcast.wav", 60.0)
    found = present(root)
    assert [p.recording.participant for p in found.presentations] == ["02"]
    assert "can't be read" in found.skipped[0][1]
