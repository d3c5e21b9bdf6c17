"""The package as a whole: quick start-up, README and CHANGELOG true, nothing of one machine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bids_brainalign import __version__

REPOSITORY = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "transformers", "mne", "nilearn", "matplotlib", "bids")
HELP_PROGRAM = """
import importlib, json, sys
module, sys.argv = sys.argv[1], [sys.argv[2], "--help"]
try:
    importlib.import_module(module).main()
except SystemExit as stop:
    assert not stop.code, stop.code
print()
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
OPTION = re.compile(r"(?<![\w-])(--?[A-Za-z][A-Za-z_-]*)")


@pytest.mark.parametrize(
    ("module", "program"),
    [
        ("bids_brainalign.cli.app", "bids-brainalign"),
        ("bids_brainalign.cli.toolbox", "brainalign"),
    ],
)
def test_help_is_light(module: str, program: str) -> None:
    command = [sys.executable, "-c", HELP_PROGRAM, module, program]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text, _, modules = done.stdout.strip().rpartition("\n")
    assert "usage" in text.lower()
    assert program in text
    assert not set(HEAVY) & set(json.loads(modules))


def _options_section() -> str:
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    found = re.search(r"^## Options\n(.*?)^## ", readme, flags=re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_readme_lists_every_option() -> None:
    from bids_brainalign.cli.options import build_parser

    told = set(OPTION.findall(_options_section()))
    actions = [a for a in build_parser()._actions if a.option_strings]
    untold = [a.option_strings for a in actions if not told & set(a.option_strings)]
    assert untold in ([], [["-h", "--help"]])


def test_readme_names_only_options_that_exist() -> None:
    from bids_brainalign.cli import toolbox
    from bids_brainalign.cli.options import build_parser

    known = {option for action in build_parser()._actions for option in action.option_strings}
    (commands,) = (
        a for a in toolbox.build_parser()._actions if a.choices and not a.option_strings
    )
    tools = {
        option
        for tool in commands.choices.values()
        for action in tool._actions
        for option in action.option_strings
    }
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    # The section on containers names options of Docker, Podman and Apptainer: see tests/container.
    readme = re.sub(r"^## In a container\n.*?(?=^## )", "", readme, flags=re.MULTILINE | re.DOTALL)
    told = {option for option in OPTION.findall(readme) if option.startswith("--")}
    assert told
    assert told <= known | tools
    assert set(OPTION.findall(_options_section())) <= known


def test_changelog_has_this_version() -> None:
    changelog = (REPOSITORY / "CHANGELOG.md").read_text("utf-8")
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changelog, flags=re.MULTILINE)
    assert versions[:1] == [__version__]


def _repository_files() -> list[Path]:
    if shutil.which("git") is None or not (REPOSITORY / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return [REPOSITORY / name for name in done.stdout.split("\0") if name]


# Written in pieces: this file is a file of the repository too.
REGISTRIES = [
    r"\.".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("download", "pytorch", "org"),
        ("npmjs", "(org|com)"),
        ("anaconda", "(org|com)"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
    )
]
MACHINE_PATH = r"(?<![\w.)}>~*$-])/(" + "|".join(("work", "root")) + ")/"


def test_no_registry_host_and_no_path_of_one_machine() -> None:
    pattern = re.compile("|".join([*REGISTRIES, MACHINE_PATH]))
    hits = []
    for path in _repository_files():
        if not path.is_file() or path.is_symlink():
            continue
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:  # not a text file
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            if pattern.search(line):
                hits.append(f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()[:80]}")
    assert hits == []


@pytest.mark.parametrize(
    ("line", "forbidden"),
    [
        ("see https://" + "pypi" + ".org/project/x", True),
        ("cd /" + "root/data", True),
        ("--models base=/" + "work/models", True),
        ("out/work/features", False),
        ("$OUT/root/x", False),
        ("/path/to/whisper-base", False),
    ],
)
def test_pattern_of_what_must_not_be_named(line: str, forbidden: bool) -> None:
    pattern = re.compile("|".join([*REGISTRIES, MACHINE_PATH]))
    assert bool(pattern.search(line)) is forbidden


def test_lock_fits_pyproject() -> None:
    """Every dependency that pyproject names is pinned, by version alone."""
    import tomllib

    lock = (REPOSITORY / "requirements.lock").read_text("utf-8").splitlines()
    assert lock[0].startswith("#")
    pins = dict(line.split("==") for line in lock[1:])
    assert lock[1:] == sorted(lock[1:], key=str.upper)
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in pins.values())
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.split(r"[^A-Za-z0-9._-]", text)[0].lower() for group in groups for text in group}
    pinned = {name.lower().replace("_", "-") for name in pins}
    assert names - pinned == {"bids-brainalign"}
