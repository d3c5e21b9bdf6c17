"""What every test stands on: two cores at most, no network, the order of the steps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Before numpy and torch are imported anywhere: they read these once.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "MPLBACKEND": "Agg"}

REPOSITORY = Path(__file__).resolve().parents[1]
STEPS = ("unit", "cli", "validator", "container")
"""The order of ``make test``; all but ``unit`` are markers."""

# The same examples every time, and no deadline: CI machines are slow now and then.
settings.register_profile("repository", derandomize=True, deadline=None)
settings.load_profile("repository")


def step_of(item: pytest.Item) -> int:
    """Index of the last step that the test's markers name."""
    return max((i for i, s in enumerate(STEPS) if item.get_closest_marker(s)), default=0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the steps one after the other, each in its own order."""
    items.sort(key=step_of)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Stop after a step with failures: what comes later would fail for the same reason."""
    result = yield
    failed = item.session.testsfailed
    if failed and nextitem is not None and step_of(nextitem) > step_of(item):
        item.session.shouldstop = f"{failed} failed in the step '{STEPS[step_of(item)]}'"
    return result


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data and weights beside the repository (``data/``, ``models/``), or skip."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "models").is_dir():
        pytest.skip("no folder ../shared with real data and weights")
    return folder
