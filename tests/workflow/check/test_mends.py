from bids_brainalign.workflow.check.mends import datalad_commands, size_of
from tests.dataset.real_trees import pointer


def pointers(root, names, **options):
    paths = [root / name for name in names]
    for path in paths:
        pointer(path, root, **options)
    return paths


def test_few_files_are_named_quoted_and_sized(tmp_path):
    paths = pointers(tmp_path, ["stimuli/my story.wav"], size=2_500_000)
    assert datalad_commands(paths, tmp_path) == [
        "datalad get 'stimuli/my story.wav'   # 1 file, 2.5 MB"
    ]
    assert size_of(paths[0]) == 2_500_000


def test_many_of_a_kind_become_one_pattern(tmp_path):
    names = [f"sub-0{i}/ses-1/ieeg/sub-0{i}_ses-1_task-a_ieeg.edf" for i in range(1, 6)]
    (command,) = datalad_commands(pointers(tmp_path, names, size=10**9), tmp_path)
    assert command == "datalad get sub-*/ses-*/ieeg/*_ieeg.edf   # needed: 5 files, 5.0 GB"


def test_of_a_selection_only_its_folders_are_named(tmp_path):
    names = [f"sub-{i:02d}/ieeg/sub-{i:02d}_run-{r}_ieeg.edf" for i in range(1, 30) for r in "12"]
    paths = pointers(tmp_path, names)
    (command,) = datalad_commands(paths[:4], tmp_path)
    assert command.startswith("datalad get sub-01/ieeg/*_ieeg.edf sub-02/ieeg/*_ieeg.edf   # 4")


def test_commands_are_bounded(tmp_path):
    names = [f"stimuli/{i}/a.wav" for i in range(20)]
    commands = datalad_commands(pointers(tmp_path, names), tmp_path)
    assert len(commands) == 9
    assert commands[-1] == "# … and 12 more files"
