"""The Boutiques descriptor: in step with the parser, accepted by Boutiques, understood by us."""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bids_brainalign import __version__
from bids_brainalign.cli.descriptor import OUTPUTS, describe, descriptor_text
from bids_brainalign.cli.options import build_parser
from bids_brainalign.cli.toolbox import main
from bids_brainalign.errors import ExitCode

COMMITTED = Path(__file__).resolve().parents[2] / "descriptors" / "bids-brainalign.json"
DESCRIPTOR = json.loads(descriptor_text())
INPUTS = {one["id"]: one for one in DESCRIPTOR["inputs"]}
POSITIONALS = {"bids_dir", "output_dir", "output_dir_existing", "analysis_level"}


@pytest.fixture(scope="module")
def bosh():
    beside = Path(sys.executable).with_name("bosh")
    program = str(beside) if beside.is_file() else shutil.which("bosh")
    if program is None:
        pytest.skip("boutiques is not installed")
    return program


@pytest.fixture
def simulate(bosh, tmp_path):
    """``bosh exec simulate`` with an invocation."""

    def run(invocation):
        (tmp_path / "descriptor.json").write_text(descriptor_text())
        (tmp_path / "invocation.json").write_text(json.dumps(invocation))
        command = [bosh, "exec", "simulate", "descriptor.json", "-i", "invocation.json"]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    return run


def words_of(done):
    """What bosh would run, after the program's name."""
    assert done.returncode == 0, done.stderr
    folder, _, command = done.stdout.splitlines()[-1].partition("; ")
    program, *words = shlex.split(command)
    assert program == "bids-brainalign"
    assert shlex.split(folder) == ["mkdir", "-p", words[1]]
    return words


def test_the_committed_file_is_what_the_parser_gives(capsys):
    assert main(["descriptor"]) == 0
    assert capsys.readouterr().out == COMMITTED.read_text(), "run: make descriptor"


def test_printing_it_imports_no_heavy_library():
    code = (
        "import sys; from bids_brainalign.cli.toolbox import main; main(['descriptor'])\n"
        "print('heavy:', sorted({'torch', 'mne', 'nilearn', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_every_option_and_exit_code_is_described():
    options = {o for action in build_parser()._actions for o in action.option_strings}
    described = {one["command-line-flag"] for one in INPUTS.values() if "command-line-flag" in one}
    mentioned = " ".join(one["description"] for one in INPUTS.values())
    for option in options - described - {"-h", "--help", "--version"}:
        assert f" {option}" in mentioned, f"{option} is neither an input nor named as a spelling"
    assert described <= options
    assert {e["code"] for e in DESCRIPTOR["error-codes"]} == {int(code) for code in ExitCode}
    assert (DESCRIPTOR["tool-version"], DESCRIPTOR["schema-version"]) == (__version__, "0.5")


def test_types_lists_and_choices_follow_the_parser():
    assert INPUTS["analysis_level"]["value-choices"] == ["participant", "group"]
    assert INPUTS["reference"]["value-choices"] == [
        "none",
        "car",
        "car-device",
        "bipolar",
        "laplacian",
    ]
    assert (INPUTS["nprocs"]["type"], INPUTS["nprocs"]["integer"]) == ("Number", True)
    assert (INPUTS["mem_gb"]["type"], INPUTS["mem_gb"]["integer"]) == ("Number", False)
    assert (INPUTS["mem"]["type"], INPUTS["sloppy"]["type"]) == ("String", "Flag")
    assert {INPUTS[name]["type"] for name in ("bids_dir", "work_dir", "folds")} == {"File"}
    assert (INPUTS["models"]["type"], INPUTS["models"]["list"]) == ("String", True)
    assert [name for name, one in INPUTS.items() if not one["optional"]] == [
        "bids_dir",
        "analysis_level",
    ]


def test_a_new_option_is_described_without_being_told():
    parser = argparse.ArgumentParser(prog="x", description="d")
    for name in ("bids_dir", "output_dir", "level"):
        parser.add_argument(name)
    group = parser.add_argument_group("extra things")
    group.add_argument(
        "-q", "--quick-look", dest="a.b", type=float, choices=[1.0, 2.0], help="50%%"
    )
    found = describe(parser)
    assert found["command-line"].endswith("[SESSION_LABEL] [QUICK_LOOK]")
    assert found["inputs"][-1] == {
        "id": "quick_look", "name": "quick look", "description": "50%; also -q", "type": "Number",
        "value-key": "[QUICK_LOOK]", "optional": True, "command-line-flag": "--quick-look",
        "integer": False, "value-choices": [1.0, 2.0],
    }  # fmt: skip
    assert found["groups"][-1] == {
        "id": "extra_things_options", "name": "extra things", "members": ["quick_look"],
    }  # fmt: skip


def test_boutiques_accepts_it(bosh):
    command = [bosh, "validate", "--bids", str(COMMITTED)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "BIDS validation OK" in done.stdout + done.stderr


def any_value(one):
    """A value that Boutiques allows for this input."""
    value = {"String": "some text", "File": "some/file", "Number": 2, "Flag": True}[one["type"]]
    value = one.get("value-choices", [value])[-1]
    return [value, value] if one.get("list") else value


def test_every_option_reaches_our_parser(simulate):
    exclusive = [g for g in DESCRIPTOR["groups"] if g.get("mutually-exclusive")]
    dropped = {member for group in exclusive for member in group["members"][1:]}
    invocation = {name: any_value(one) for name, one in INPUTS.items() if name not in dropped}
    given = vars(build_parser().parse_strictly(words_of(simulate(invocation))))
    assert (given["bids_dir"], given["output_dir"]) == ("some/file", "some text")
    assert given["level"] == "group"
    dests = {o: action.dest for action in build_parser()._actions for o in action.option_strings}
    for name in invocation.keys() - POSITIONALS:
        value = given[dests[INPUTS[name]["command-line-flag"]]]
        if INPUTS[name]["type"] == "Flag":
            assert value in (True, False, 1)
        else:
            assert value == invocation[name], name


def test_what_is_not_given_is_left_out(simulate):
    given = {"bids_dir": "/my data", "output_dir": "out", "analysis_level": "group"}
    assert words_of(simulate(given)) == ["/my data", "out", "group"]


@pytest.mark.parametrize(
    "wrong",
    [{"analysis_level": "session"}, {"mem": "16G", "mem_gb": 4.0}, {"nprocs": "two"},
     {"reference": "bipola"}],
)  # fmt: skip
def test_boutiques_refuses_what_we_would_refuse(simulate, wrong):
    right = {"bids_dir": "d", "output_dir": "o", "analysis_level": "participant"}
    assert words_of(simulate(right)) == ["d", "o", "participant"]
    refused = simulate(right | wrong)
    assert refused.returncode != 0
    assert next(iter(wrong)) in refused.stdout + refused.stderr


def test_the_outputs_named_are_those_we_write():
    golden = (Path(__file__).parent / "golden_outputs.txt").read_text().split()
    for pattern in OUTPUTS.keys() - {"logs/status.tsv"}:
        suffix = pattern.rpartition("*")[2]
        assert any(path.endswith(suffix) for path in golden), pattern
