"""The container starts and is this version."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bids_brainalign import __version__

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.mark.container
def test_image_runs() -> None:
    if not (REPOSITORY / "Dockerfile").is_file():
        pytest.skip("container: there is no Dockerfile yet")
    if shutil.which("docker") is None:
        pytest.skip("container: docker is not installed")
    build = ["docker", "build", "--quiet", str(REPOSITORY)]
    image = subprocess.run(build, check=True, capture_output=True, text=True).stdout.strip()
    run = ["docker", "run", "--rm", image, "--version"]
    assert __version__ in subprocess.run(run, check=True, capture_output=True, text=True).stdout
