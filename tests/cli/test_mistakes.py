"""Mistakes that show only in the data: exit code, one message that mends it, no traceback."""

import shutil

import pytest

from tests.cli.simulated import run, simulate

pytestmark = pytest.mark.cli


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("mistakes"), ieeg_s=(20.0,) * 3, fmri_s=(60.0,) * 3)


@pytest.fixture
def bids(data, tmp_path):
    shutil.copytree(data.bids, tmp_path / "bids")
    return tmp_path / "bids"


def first(bids, pattern):
    return sorted(bids.glob(pattern))[0]


def cut_edf(bids):
    path = first(bids, "sub-01/ieeg/*_run-1_ieeg.edf")
    path.write_bytes(path.read_bytes()[:100])


def cut_bold(bids):
    path = first(bids, "derivatives/fmriprep/sub-02/func/*_desc-preproc_bold.nii.gz")
    path.write_bytes(path.read_bytes()[:2000])


def pointer(bids):
    path = first(bids, "sub-01/ieeg/*_run-1_ieeg.edf")
    path.unlink()
    path.symlink_to("../../.git/annex/objects/aa/bb/SHA256E-s5--ff.edf/SHA256E-s5--ff.edf")


def no_channels(bids):
    for path in bids.glob("sub-01/ieeg/*_channels.tsv"):
        path.unlink()


def no_stimulus(bids):
    (bids / "stimuli" / "harbour.wav").unlink()


def no_stim_file(bids):
    for path in bids.glob("sub-*/*/*_events.tsv"):
        path.unlink()


def no_description(bids):
    (bids / "dataset_description.json").unlink()


def missing_mask(bids):
    for path in bids.glob("derivatives/fmriprep/sub-02/func/*_mask.nii.gz"):
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "participant", "code", "parts"),
    [
        (cut_edf, "01", 65, ["_ieeg.edf"]),
        (cut_bold, "02", 65, ["desc-preproc_bold.nii.gz"]),
        (pointer, "01", 66, ["is not downloaded (DataLad pointer). Run: datalad get sub-01/"]),
        (no_channels, "01", 66, ["channels.tsv"]),
        (no_stimulus, "01", 66, ["stimuli/"]),
        (no_stim_file, "01", 66, ["--stimuli-map"]),
        (no_description, "01", 16, ["dataset_description.json"]),
        (missing_mask, "02", 66, ["mask"]),
    ],
    ids=lambda v: getattr(v, "__name__", None),
)
def test_broken_data(bids, tmp_path, spoil, participant, code, parts):
    spoil(bids)
    done = run(
        bids, tmp_path / "out", "participant", "--participant-label", participant, cwd=tmp_path
    )
    text = done.stdout + done.stderr
    assert done.returncode == code, text[-3000:]
    for part in parts:
        assert part in text
    assert "Traceback" not in text
    assert done.stdout.strip().splitlines()[-1] == f"exit code: {code}"


def test_one_broken_participant_does_not_stop_the_other(bids, tmp_path):
    cut_edf(bids)
    done = run(bids, tmp_path / "out", "participant", cwd=tmp_path)
    text = done.stdout + done.stderr
    assert done.returncode == 1, text[-3000:]
    assert list((tmp_path / "out" / "sub-02").rglob("*_scores.tsv"))
    status = (tmp_path / "out" / "logs" / "status.tsv").read_text()
    assert "failed" in status
