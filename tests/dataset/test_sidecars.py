import json

import pytest

from bids_brainalign.dataset.sidecars import inherited_metadata
from bids_brainalign.errors import BrainAlignError
from tests.dataset.trees import dataset, ieeg_run, write


def test_the_more_specific_sidecar_wins(tmp_path):
    root = dataset(tmp_path)
    path = ieeg_run(root, "01", "a", run="01")
    for name, value in {
        "ieeg.json": 1,
        "task-a_ieeg.json": 2,
        "sub-01/sub-01_ieeg.json": 3,
        "sub-01/ieeg/sub-01_task-a_ieeg.json": 4,
        "sub-01/ieeg/sub-01_task-a_run-1_ieeg.json": 5,
        "sub-01/ieeg/sub-01_task-a_run-2_ieeg.json": 6,
        "task-b_ieeg.json": 7,
        "task-a_eeg.json": 8,
    }.items():
        write(root / name, json.dumps({f"from{value}": True, "last": value}), bom=value % 2 == 1)
    fields = inherited_metadata(path, root)
    assert fields.pop("last") == 5
    assert set(fields) == {f"from{value}" for value in (1, 2, 3, 4, 5)}


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("{broken", 16, "task-a_ieeg.json is not valid JSON"),
        ("[1]", 16, "holds a list, not a JSON object"),
        ("", 66, "task-a_ieeg.json is empty"),
        ("/annex/objects/MD5-s9--ab\n", 66, "Run: datalad get task-a_ieeg.json"),
    ],
)
def test_sidecars_that_cannot_be_read_are_named(tmp_path, text, code, message):
    root = dataset(tmp_path)
    path = ieeg_run(root, "01", "a")
    write(root / "task-a_ieeg.json", text)
    with pytest.raises(BrainAlignError, match=message) as caught:
        inherited_metadata(path, root)
    assert caught.value.exit_code == code


def test_pointers_can_be_passed_over(tmp_path):
    root = dataset(tmp_path)
    path = ieeg_run(root, "01", "a")
    write(root / "task-a_ieeg.json", "/annex/objects/MD5-s9--ab\n")
    assert inherited_metadata(path, root, missing_ok=True) == {}
