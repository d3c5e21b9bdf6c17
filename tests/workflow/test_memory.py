from pathlib import Path

import pytest

from bids_brainalign.config.schema import Resources
from bids_brainalign.workflow import memory
from bids_brainalign.workflow.memory import memory_limit

GB = 10**9


@pytest.fixture
def group(tmp_path, monkeypatch):
    """A job's control group with one around it."""
    inner = tmp_path / "groups" / "slurm" / "job_1"
    inner.mkdir(parents=True)
    own = tmp_path / "cgroup"
    own.write_text("0::/slurm/job_1\n")
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(memory, "_OWN_CGROUP", own)
    return inner


def machine_bytes() -> int:
    line = Path("/proc/meminfo").read_text().splitlines()[0]
    return int(line.split()[1]) * 1024


def test_what_is_given_counts(group):
    (group / "memory.max").write_text(f"{GB // 2}\n")
    assert memory_limit(Resources(mem_gb=3.0)) == 3 * GB


def test_otherwise_the_machine_has_it_all(group):
    (group / "memory.max").write_text("max\n")
    assert memory_limit(Resources()) == machine_bytes()


@pytest.mark.parametrize(("of_job", "around"), [(GB // 2, GB), (GB, GB // 2)])
def test_a_job_has_its_share(group, of_job, around):
    (group / "memory.max").write_text(f"{of_job}\n")
    (group.parent / "memory.max").write_text(f"{around}\n")
    assert memory_limit(Resources()) == GB // 2


def test_without_control_groups(group):
    memory._OWN_CGROUP.unlink()
    assert memory_limit(Resources()) == machine_bytes()
