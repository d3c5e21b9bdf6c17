import json
import subprocess
import sys

import pytest

from bids_brainalign import __version__
from bids_brainalign.cli.toolbox import main
from bids_brainalign.config.recipes import list_recipes


def test_help_and_recipes_import_no_heavy_library():
    code = (
        "import sys; from bids_brainalign.cli.toolbox import main\n"
        "assert main(['--help']) == 0 and main(['recipes']) == 0\n"
        "print('heavy:', sorted({'torch', 'mne', 'nilearn', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"
    assert "simulate" in done.stdout


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"brainalign {__version__}\n"


def test_recipes_are_listed_and_printed(capsys):
    assert main(["recipes"]) == 0
    assert tuple(capsys.readouterr().out.split()) == list_recipes()
    assert main(["recipes", list_recipes()[0]]) == 0
    assert "=" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 64, "COMMAND"),
        (["simulat"], 64, "invalid choice"),
        (["simulate", "{out}", "--participants", "0"], 64, "not 1 or more"),
        (["simulate", "{out}", "--minutes", "0.1"], 64, "too short"),
        (["simulate", "{out}", "--models", "folder"], 64, "NAME=FOLDER"),
        (["simulate", "{out}", "--models", "m=/absent"], 66, "/absent does not exist"),
        (["simulate", "{out}", "--audio", "/absent.wav"], 66, "/absent.wav does not exist"),
        (["simulate", "{out}", "--audio", "a.wav", "--stories", "2"], 64, "leave out one"),
        (["simulate", "{out}", "--words", "20"], 64, "--words is an option of simulated speakers"),
        (["simulate", "{out}", "--speech-production", "--stories", "2"], 64, "--stories is an"),
        (["simulate", "{out}", "--speech-production", "--words", "2"], 64, "with 2 words"),
        (["simulate", "{out}", "--speech-production", "--production-signal", "2"], 64, "share of"),
        (
            ["simulate", "{out}", "--speech-production", "--null", "--production-signal", ".2"],
            64,
            "leave out one",
        ),
        (["recipes", "whisper-ecgo"], 64, "whisper-ecog"),
    ],
)
def test_mistakes_are_told_with_their_exit_code(tmp_path, capsys, arguments, code, message):
    out_dir = str(tmp_path / "out")
    assert main([argument.format(out=out_dir) for argument in arguments]) == code
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown


def test_an_older_dataset_is_left_alone(tmp_path, capsys):
    (tmp_path / "bids").mkdir()
    (tmp_path / "bids" / "README").write_text("mine")
    assert main(["simulate", str(tmp_path)]) == 73
    assert "not empty" in capsys.readouterr().err


def test_simulate_writes_dataset_and_truth(tmp_path, capsys):
    arguments = ["--modality", "ieeg", "--participants", "1", "--stories", "1", "--minutes", "0.5"]
    assert main(["simulate", str(tmp_path), *arguments, "--layers", "2", "--seed", "9"]) == 0
    truth = json.loads((tmp_path / "ground_truth.json").read_text())
    assert (truth["seed"], truth["model"]) == (9, "embedded")
    assert {group["layer"] for group in truth["groups"]} == {2, None}
    assert len(list((tmp_path / "bids").glob("sub-*/ieeg/*.edf"))) == 1
    assert "analyse: bids-brainalign" in capsys.readouterr().out
