import json

import pytest

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.index import find_recordings
from bids_brainalign.errors import BrainAlignError
from tests.dataset.trees import dataset, ieeg_run, write


def find(root, **selection):
    return find_recordings(
        root, derivatives=(), selection=Selection(**selection), modalities=("ieeg",)
    )


@pytest.mark.parametrize(
    ("spaces", "expected"),
    [
        (["Other", "MNI152NLin2009aSym", "ACPC"], "MNI152NLin2009aSym"),
        (["Pixels", "Other"], "Other"),
        (["Pixels"], "Pixels"),
    ],
)
def test_mni_electrodes_come_first_and_pixels_last(tmp_path, spaces, expected):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a")
    for space in spaces:
        write(root / f"sub-01/ieeg/sub-01_space-{space}_electrodes.tsv", "name\tx\ty\tz\n")
        write(root / f"sub-01/ieeg/sub-01_space-{space}_coordsystem.json", "{}")
    (recording,) = find(root).recordings
    assert recording.space == expected
    assert recording.electrodes_path.name == f"sub-01_space-{expected}_electrodes.tsv"
    assert recording.coordsystem_path.name == f"sub-01_space-{expected}_coordsystem.json"


def test_a_table_without_space_entity_has_that_of_its_coordinate_system(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a")
    write(root / "sub-01/ieeg/sub-01_electrodes.tsv", "name\tx\ty\tz\n")
    text = json.dumps({"iEEGCoordinateSystem": "MNI152Lin"})
    write(root / "sub-01/ieeg/sub-01_coordsystem.json", text, bom=True)
    write(root / "sub-01/ieeg/sub-01_space-Other_electrodes.tsv", "name\tx\ty\tz\n")
    (recording,) = find(root).recordings
    assert recording.electrodes_path.name == "sub-01_electrodes.tsv"
    assert recording.space == "MNI152Lin"


def test_electrodes_of_other_sessions_are_not_taken(tmp_path):
    root = dataset(tmp_path)
    for ses in ("a", "b"):
        write(root / f"sub-01/ses-{ses}/ieeg/sub-01_ses-{ses}_task-t_ieeg.edf", "x")
    write(root / "sub-01/ses-b/ieeg/sub-01_ses-b_electrodes.tsv", "name\tx\ty\tz\n")
    a, b = find(root).recordings
    assert (a.session, a.electrodes_path) == ("a", None)
    assert b.electrodes_path.parent.parent.name == "ses-b"


def test_formats_that_cannot_be_read_are_told(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a")
    write(root / "sub-02/ieeg/sub-02_task-a_ieeg.mefd", "x")
    index = find(root)
    assert [r.participant for r in index.recordings] == ["01"]
    ((name, reason),) = index.skipped
    assert name == "sub-02_task-a"
    assert reason.startswith(
        "sub-02_task-a_ieeg.mefd: .mefd is not read (it needs the package pymef)"
    )
    with pytest.raises(BrainAlignError, match="none of the 1 recordings") as caught:
        find(root, participants=("02",))
    assert caught.value.exit_code == 66


def test_pointers_are_found_not_opened(tmp_path):
    root = dataset(tmp_path)
    write(root / "sub-01/ieeg/sub-01_task-a_ieeg.vhdr", "/annex/objects/MD5-s9--ab\n")
    (recording,) = find(root).recordings
    assert recording.path.suffix == ".vhdr"


def test_two_files_of_one_run_must_be_told_apart(tmp_path):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a")
    write(root / "sub-01/ieeg/sub-01_task-a_ieeg.set", "x")
    with pytest.raises(BrainAlignError, match="sub-01_task-a has two recordings") as caught:
        find(root)
    assert caught.value.exit_code == 64
    assert '{"ieeg": {"extension": ".edf"}}' in str(caught.value)


def test_a_folder_that_is_no_dataset_is_missing_input(tmp_path):
    with pytest.raises(BrainAlignError, match="does not exist") as caught:
        find(tmp_path / "gone")
    assert caught.value.exit_code == 66
    ieeg_run(tmp_path / "ds1", "01", "a")
    with pytest.raises(BrainAlignError, match=r"has no sub-\* folder") as caught:
        find(tmp_path)
    assert caught.value.exit_code == 66
    assert f"did you mean {tmp_path / 'ds1'}?" in str(caught.value)
