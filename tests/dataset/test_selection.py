import pytest

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.index import find_recordings
from bids_brainalign.errors import BrainAlignError
from tests.dataset.trees import dataset, ieeg_run, write


def find(root, **selection):
    return find_recordings(
        root, derivatives=(), selection=Selection(**selection), modalities=("ieeg", "fmri")
    ).recordings


@pytest.fixture
def root(tmp_path):
    root = dataset(tmp_path)
    for sub in ("01", "02"):
        for run in ("01", "02"):
            ieeg_run(root, sub, "listen", run=run)
    write(root / "sub-02/ses-a/ieeg/sub-02_ses-a_task-rest_acq-hi_ieeg.edf", "x")
    return root


def query(**entities):
    return (("ieeg", tuple(entities.items())),)


@pytest.mark.parametrize(
    ("selection", "count"),
    [
        ({}, 5),
        ({"participants": ("02",)}, 3),
        ({"sessions": ("a",)}, 1),
        ({"tasks": ("listen",)}, 4),
        ({"tasks": ("listen", "rest"), "participants": ("02",)}, 3),
        ({"runs": ("1",)}, 2),
        ({"runs": ("002",)}, 2),
        ({"filters": query(acquisition=("hi",))}, 1),
        ({"filters": query(acq=())}, 4),
        ({"filters": query(run=("1", "2"), suffix=("ieeg",), extension=(".edf",))}, 4),
        ({"filters": query(datatype=("ieeg",))}, 5),
        ({"filters": (("bold", (("task", ("rest",)),)),)}, 5),
    ],
)
def test_filters_keep_what_they_say(root, selection, count):
    assert len(find(root, **selection)) == count


@pytest.mark.parametrize(
    ("selection", "parts"),
    [
        (
            {"participants": ("1", "3")},
            ["no participant 1, 3", "participants: 01, 02", "label 01"],
        ),
        ({"tasks": ("lisen",)}, ["--task-label lisen", "tasks listen, rest", "--task-label list"]),
        ({"runs": ("7",)}, ["--run-label 7", "runs 01, 02"]),
        ({"sessions": ("A",)}, ["--session-label A", "sessions a", "Fix: --session-label a"]),
        (
            {"participants": ("01",), "tasks": ("rest",)},
            [
                "--participant-label 01",
                "--task-label rest",
                "in those selected, ",
                "tasks listen;",
            ],
        ),
        (
            {"filters": query(session=("b",), acq=())},
            ["--bids-filter-file ieeg: session=b acq=none"],
        ),
    ],
)
def test_nothing_selected_names_filters_and_what_there_is(root, selection, parts):
    with pytest.raises(BrainAlignError) as caught:
        find(root, **selection)
    assert caught.value.exit_code == 18
    for part in parts:
        assert part in str(caught.value)


def test_unknown_entities_of_the_filter_file_are_usage_errors(root):
    with pytest.raises(BrainAlignError, match=r"filters by 'sesion'.*BIDS entity") as caught:
        find(root, filters=query(sesion=("a",)))
    assert caught.value.exit_code == 64
    assert "write 'session'" in str(caught.value)


def test_without_filters_an_empty_dataset_is_missing_input(tmp_path):
    root = dataset(tmp_path)
    write(root / "sub-01/anat/sub-01_T1w.nii.gz", "x")
    with pytest.raises(BrainAlignError, match="no recording was selected") as caught:
        find(root)
    assert caught.value.exit_code == 66
    assert "no filters in force" in str(caught.value)
