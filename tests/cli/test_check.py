"""``brainalign check`` as a user calls it."""

import shlex
import subprocess
import sys

import pytest

from bids_brainalign.cli.toolbox import main
from tests.dataset.real_trees import pointer, real_tree
from tests.dataset.trees import EVENTS, dataset, ieeg_run, write, write_wav


def good_tree(tmp_path):
    root = dataset(tmp_path / "ds")
    for sub in ("01", "02"):
        ieeg_run(root, sub, "a", events=EVENTS)
    write_wav(root / "stimuli/story.wav", 4.0)
    return root


def test_the_last_line_is_the_command_that_runs_what_was_checked(tmp_path, capsys):
    root = good_tree(tmp_path)
    table = write(tmp_path / "my map.tsv", "task\tstim_file\nb\tstory.wav\n")
    code = main(
        [
            "check",
            str(root),
            "--participant-label",
            "sub-02",
            "-t",
            "a",
            "--stimuli-map",
            str(table),
        ]
    )
    out = capsys.readouterr().out
    assert code == 0
    command = shlex.split(out.strip().splitlines()[-1].split("Run: ")[1])
    assert command == [
        "bids-brainalign", str(root), str(root / "derivatives/bids-brainalign"), "participant",
        "--participant-label", "02", "--task-label", "a", "--stimuli-map", str(table),
    ]  # fmt: skip
    assert "1 of 1 recording can run now" in out
    assert "story at 2.5 s: ready" in out


def test_that_command_is_understood_by_the_app(tmp_path, capsys):
    from bids_brainalign.cli.options import build_parser

    root = good_tree(tmp_path)
    assert main(["check", str(root), "--space", "T1w", "-t", "a"]) == 0
    line = capsys.readouterr().out.strip().splitlines()[-1]
    words = shlex.split(line.split("Run: ")[1])[1:]
    given = build_parser().parse_strictly(words)
    assert vars(given)["selection.space"] == "T1w"


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--participant-label", "03"], 18, "no participant 03"),
        (["-t", "b"], 18, "no recording was selected"),
        (["--stimuli-map", "absent.tsv"], 66, "there is no file"),
        (["-d", "fmriprep"], 64, "is not NAME=PATH"),
        (["-d", "fmriprep=/absent"], 66, "does not exist"),
        (["--frobnicate"], 64, "unrecognized arguments"),
    ],
)
def test_wrong_options(tmp_path, capsys, options, code, message):
    assert main(["check", str(good_tree(tmp_path)), *options]) == code
    assert message in capsys.readouterr().err


def test_what_is_not_downloaded_comes_with_the_command_that_gets_it(tmp_path, capsys):
    root = good_tree(tmp_path)
    (root / "stimuli/story.wav").unlink()
    pointer(root / "stimuli/story.wav", root, size=48_000_000)
    assert main(["check", str(root)]) == 66
    out = capsys.readouterr().out
    assert "  datalad get stimuli/story.wav   # 1 file, 48 MB\n" in out
    assert "events stim_file  2 recordings" in out
    assert "0 of 2 recordings can run now, 2 once the above is mended" in out


def test_without_any_rule_the_reasons_are_listed(tmp_path, capsys):
    root = dataset(tmp_path)
    ieeg_run(root, "01", "a", events="onset\tduration\n1\t2\n")
    write_wav(root / "stimuli/one.wav", 4.0)
    write_wav(root / "stimuli/two.wav", 4.0)
    assert main(["check", str(root)]) == 66
    text = " ".join(capsys.readouterr().out.split())
    for reason in ("no column stim_id", "no column stim_file", "no --stimuli-map",
                   "no stimulus is called like the task", "2 sounds, not just one"):  # fmt: skip
        assert reason in text
    assert "bids-brainalign" not in text.split("Next")[1]


def test_a_check_loads_no_library_that_computes(tmp_path):
    root = good_tree(tmp_path)
    code = (
        "import sys; from bids_brainalign.cli.toolbox import main\n"
        f"assert main(['check', {str(root)!r}]) == 0\n"
        "print('heavy:', sorted({'torch', 'mne', 'nilearn', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


@pytest.mark.shared
@pytest.mark.parametrize("name", ["ds002345", "ds003020", "ds005574"])
def test_real_trees_are_told_on_one_screen(shared, tmp_path, capsys, name):
    root = real_tree(shared, name, tmp_path / name)
    assert main(["check", str(root)]) == 66
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 60
    # Commands and the path of the dataset may be as long as they are.
    sentences = [line for line in lines if str(root) not in line]
    assert max(map(len, sentences)) <= 100
