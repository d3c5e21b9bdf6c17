import os
import time
from pathlib import Path

import pytest

from bids_brainalign.dataset import listing
from bids_brainalign.dataset.filenames import DatasetFile
from bids_brainalign.dataset.listing import list_files
from tests.dataset.trees import dataset, ieeg_run, write


def names(root, *, participants=(), database_dir=None):
    found = list_files(
        root, participants=participants, database_dir=database_dir, derivative=False
    )
    return [f.path.name for f in found.files if f.suffix == "ieeg"]


def test_names_are_taken_apart():
    file = DatasetFile(Path("sub-01_task-a_run-02_desc-preproc_bold.nii.gz"))
    assert file.entities == {"sub": "01", "task": "a", "run": "02", "desc": "preproc"}
    assert (file.suffix, file.extension) == ("bold", ".nii.gz")
    assert file.name == "sub-01_task-a_run-02"


def test_folders_that_hold_no_recordings_are_not_entered(tmp_path, monkeypatch):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a")
    ieeg_run(root, "02", "a")
    ieeg_run(root, "011", "a")
    for folder in ("derivatives/x", "sourcedata", "code", "stimuli", ".git"):
        ieeg_run(root / folder, "01", "hidden")
    entered = []
    index_dir = listing_indexer()._index_dir

    def spy(self, path, *args, **kwargs):
        entered.append(str(path).removeprefix(str(root)))
        return index_dir(self, path, *args, **kwargs)

    monkeypatch.setattr(listing_indexer(), "_index_dir", spy)
    assert names(root, participants=("01",)) == ["sub-01_task-a_ieeg.edf"]
    assert sorted(entered) == ["", "/sub-01", "/sub-01/ieeg"]


def listing_indexer():
    from bids.layout import BIDSLayoutIndexer

    return BIDSLayoutIndexer


def test_dangling_links_are_listed(tmp_path):
    root = dataset(tmp_path)
    path = root / "sub-01/ieeg/sub-01_task-a_ieeg.edf"
    path.parent.mkdir(parents=True)
    path.symlink_to("../../.git/annex/objects/a/b/MD5-s1--0/MD5-s1--0")
    assert names(root) == [path.name]


def test_a_kept_index_is_used_again_until_the_dataset_changes(tmp_path, monkeypatch):
    root, kept = dataset(tmp_path / "data"), tmp_path / "db"
    ieeg_run(root, "01", "a")
    first = names(root, database_dir=kept)
    indexed = []
    keep = listing._keep
    monkeypatch.setattr(
        listing, "_keep", lambda layout, where: (indexed.append(where), keep(layout, where))
    )
    assert names(root, database_dir=kept) == first == ["sub-01_task-a_ieeg.edf"]
    assert indexed == []
    ieeg_run(root, "01", "b")
    later = time.time() + 5  # coarse clocks of some file systems
    os.utime(root / "sub-01/ieeg", (later, later))
    assert len(names(root, database_dir=kept)) == 2
    assert len(indexed) == 1
    assert not [p for p in kept.iterdir() if p.name.startswith(".")]


def test_a_kept_index_of_one_participant_does_not_hide_others(tmp_path):
    root, kept = dataset(tmp_path / "data"), tmp_path / "db"
    ieeg_run(root, "01", "a")
    ieeg_run(root, "02", "a")
    assert len(names(root, participants=("01",), database_dir=kept)) == 1
    assert len(names(root, database_dir=kept)) == 2


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["task-a_events.tsv"], "task-a_events.tsv"),
        (["task-a_events.tsv", "sub-01/sub-01_task-a_events.tsv"], "sub-01_task-a_events.tsv"),
        (
            ["sub-01/ieeg/sub-01_task-a_events.tsv", "sub-01/ieeg/sub-01_task-a_run-1_events.tsv"],
            "sub-01_task-a_run-1_events.tsv",
        ),
        (["task-b_events.tsv", "sub-01/ieeg/sub-01_task-a_run-2_events.tsv"], None),
    ],
)
def test_the_nearest_and_most_specific_table_applies(tmp_path, files, expected):
    root = dataset(tmp_path)
    recording = DatasetFile(ieeg_run(root, "01", "a", run="01"))
    for name in files:
        write(root / name, "onset\tduration\n")
    found = list_files(root, participants=(), database_dir=None, derivative=False).nearest(
        recording.entities, recording.path.parent, suffix="events", extension=".tsv"
    )
    assert (found.name if found else None) == expected
