from pathlib import Path

import nibabel
import numpy as np
import pytest

from bids_brainalign.dataset.lengths import recording_length
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError, ExitCode
from tests.dataset.real_trees import pointer
from tests.dataset.trees import write
from tests.responses.series_files import (
    gifti_name,
    noise,
    write_cifti,
    write_columns,
    write_gifti,
)

VHDR = """Brain Vision Data Exchange Header File Version 1.0
[Common Infos]
Codepage=UTF-8
DataFile=a.eeg
MarkerFile=a.vmrk
DataFormat=BINARY
DataOrientation=MULTIPLEXED
NumberOfChannels=2
SamplingInterval=2000
[Binary Infos]
BinaryFormat=INT_16
[Channel Infos]
Ch1=G1,,0.1,µV
Ch2=G2,,0.1,µV
"""
VMRK = "Brain Vision Data Exchange Marker File, Version 1.0\n[Common Infos]\nDataFile=a.eeg\n"


def recording(path: Path, modality="ieeg", **metadata) -> Recording:
    return Recording("01", None, "a", None, modality, path, "x", (), metadata)


def test_brainvision_without_sidecar_is_read_by_its_header(tmp_path):
    write(tmp_path / "a.vmrk", VMRK)
    np.zeros((1500, 2), np.int16).tofile(tmp_path / "a.eeg")
    path = write(tmp_path / "a.vhdr", VHDR)
    assert recording_length(recording(path)) == (3.0, 0.0)  # 1500 samples of 2 ms


def test_the_header_of_an_edf_counts_more_than_its_sidecar(tmp_path):
    path = tmp_path / "a.edf"
    path.write_bytes((b"0".ljust(236) + b"90".ljust(8) + b"0.5".ljust(8)).ljust(512))
    assert recording_length(recording(path, RecordingDuration=60.0)) == (45.0, 0.0)


def test_a_pointer_is_as_long_as_its_sidecar_says(tmp_path):
    pointer(tmp_path / "a.edf", tmp_path)
    path = tmp_path / "a.edf"
    assert recording_length(recording(path, RecordingDuration=60.0)) == (60.0, 0.0)
    assert recording_length(recording(path)) == (None, 0.0)


def test_bold_by_the_sidecar_s_repetition_time_else_the_header_s(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2, 10), np.float32), np.eye(4))
    image.header.set_zooms((1, 1, 1, 2.0))
    path = tmp_path / "bold.nii.gz"
    nibabel.save(image, path)
    assert recording_length(recording(path, "fmri", RepetitionTime=1.5)) == (15.0, 1.5)
    assert recording_length(recording(path, "fmri")) == (20.0, 2.0)
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2)), np.eye(4)), path)
    assert recording_length(recording(path, "fmri")) == (None, 0.0)


@pytest.mark.parametrize(("name", "modality"), [("a.edf", "ieeg"), ("a.nii", "fmri")])
def test_a_header_that_can_not_be_read_is_an_error(tmp_path, name, modality):
    path = write(tmp_path / name, "nothing of the kind")
    with pytest.raises(BrainAlignError, match="the header of a") as caught:
        recording_length(recording(path, modality))
    assert caught.value.exit_code == ExitCode.DATA_ERROR


def test_surfaces_cifti_and_columns_tell_their_volumes(tmp_path):
    data = noise(13, n=40)
    paths = [
        write_gifti(gifti_name(tmp_path, "L"), data),
        write_cifti(tmp_path / "sub-01_task-a_bold.dtseries.nii", data),
    ]
    for path in paths:
        assert recording_length(recording(path, "fmri", RepetitionTime=1.5)) == (60.0, 1.5)
        assert recording_length(recording(path, "fmri")) == (None, 0.0)
    # Ten volumes were cut off either end.
    path = write_columns(tmp_path / "a.hf5", data)
    assert recording_length(recording(path, "fmri", RepetitionTime=2)) == (120.0, 2.0)


@pytest.mark.parametrize("name", ["a_hemi-L_bold.func.gii", "a_bold.dtseries.nii", "a.hf5"])
def test_damaged_series(tmp_path, name):
    run = recording(write(tmp_path / name, "x"), "fmri", RepetitionTime=2)
    if name.endswith(".gii"):  # its length is not told
        assert recording_length(run) == (None, 0.0)
        return
    with pytest.raises(BrainAlignError, match="can't be read") as caught:
        recording_length(run)
    assert caught.value.exit_code == ExitCode.DATA_ERROR
