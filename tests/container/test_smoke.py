"""The image builds and finds the planted answer: scripts/container_smoke.sh does all of it.

A build takes minutes. So ``make test`` builds only when something that decides how the image is
built has changed since the last build that went well; ``make test-all`` always builds.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bids_brainalign.cli.options import build_parser

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "scripts" / "container_smoke.sh"
VERIFIED = REPOSITORY / "scripts" / "container_verified.sha256"


def inputs() -> list[str]:
    """The files that the script takes the digest of."""
    found = re.search(r"^INPUTS=\((.*)\)$", SCRIPT.read_text(), flags=re.MULTILINE)
    assert found is not None
    return found[1].split()


def changed() -> list[str]:
    """What is not as it was in the last build that went well."""
    lines = VERIFIED.read_text().splitlines() if VERIFIED.is_file() else []
    verified = {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}
    return [
        name
        for name in inputs()
        if verified.get(name) != hashlib.sha256((REPOSITORY / name).read_bytes()).hexdigest()
    ]


@pytest.fixture(scope="session")
def smoke(request: pytest.FixtureRequest) -> Callable[[], str]:
    """The script's output; it runs once, however many tests ask.

    It may install what it needs on CI and where everything is asked for, not in a ``make test``
    of somebody's machine.
    """
    everything = any(item.get_closest_marker("slow") for item in request.session.items)
    options = [] if everything or os.environ.get("CI") else ["--no-install"]
    finished: list[subprocess.CompletedProcess[str]] = []

    def run() -> str:
        if not finished:
            command = [str(SCRIPT), *options]
            finished.append(subprocess.run(command, capture_output=True, text=True, check=False))
        done = finished[0]
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        last = done.stdout.splitlines()[-1]
        if last.startswith("SKIPPED: "):
            pytest.skip(f"container: {last.removeprefix('SKIPPED: ')}")
        print(done.stdout)
        return done.stdout

    return run


@pytest.mark.container
def test_image_builds_where_something_changed(smoke):
    if not changed():
        pytest.skip("container: unchanged since the last verified build (make test-all builds it)")
    assert "all well" in smoke()


@pytest.mark.container
@pytest.mark.slow
def test_image_builds(smoke):
    assert "all well" in smoke()
    assert changed() == []


def run_script(
    path: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": str(path), **environment},
    )  # fmt: skip


def test_without_the_tools_it_is_skipped_and_says_why(tmp_path):
    """No buildah, no podman, no apt: only the shell's own tools are on PATH."""
    for tool in ("bash", "env", "awk", "grep", "uname", "id", "mktemp", "sort", "rm", "dirname"):
        program = shutil.which(tool)
        assert program is not None
        (tmp_path / tool).symlink_to(program)
    (tmp_path / "python3").symlink_to("/usr/bin/env")
    done = run_script(tmp_path, "--no-install")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("SKIPPED: ")


def test_an_unknown_option_is_refused():
    done = run_script(Path(os.environ["PATH"]), "--instal")
    assert done.returncode == 64
    assert "unknown option --instal" in done.stderr


def test_only_what_the_image_is_made_of_is_sent_to_the_build():
    """Everything that COPY and pip need, and no data, weights or environments."""
    allowed = {
        line[1:]
        for line in (REPOSITORY / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert {"bids_brainalign", "pyproject.toml", "requirements.lock", "README.md"} <= allowed
    assert all((REPOSITORY / name).exists() for name in allowed)
    assert not allowed & {".venv", ".git", "tests", "demo-output", "work"}


def test_hadolint_finds_nothing():
    beside = Path(sys.executable).with_name("hadolint")
    program = str(beside) if beside.is_file() else shutil.which("hadolint")
    if program is None:
        pytest.skip("container: hadolint is not installed")
    command = [program, str(REPOSITORY / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_dockerfile_names_no_address_and_needs_no_new_builder():
    """buildah of Debian 12 refuses heredocs and COPY --link; addresses are the user's to give."""
    text = (REPOSITORY / "Dockerfile").read_text()
    code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    assert "<<" not in code
    assert "--link" not in code
    assert not re.search(r"\w://|\.org/|\.io/", code)
    user = re.search(r"^USER (.*)$", code, flags=re.MULTILINE)
    assert user is not None
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user[1])


def test_the_lines_of_the_readme_are_understood():
    """What Docker, Podman and Apptainer hand on to the program, for each of the three."""
    readme = (REPOSITORY / "README.md").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in readme.splitlines() if " /data /out participant " in line]
    assert [line.split()[0] for line in lines] == ["docker", "podman", "apptainer"]
    for line in lines:
        ours = shlex.split(line[line.index(" /data /out participant ") :])
        given = vars(build_parser().parse_strictly(ours))
        assert given["features.models"] == ["whisper-base=/models/whisper-base"]
        assert ":/data:ro" in line
        assert ":/models:ro" in line
        assert ":/out" in line
        assert f":{given['paths.work_dir']}" in line
