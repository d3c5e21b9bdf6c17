"""How much memory this run may use."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from bids_brainalign.config.schema import Resources

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def memory_limit(resources: Resources) -> float:
    """Bytes given with ``--mem``, else those of the machine, or of the job or container in it."""
    if resources.mem_gb is not None:
        return resources.mem_gb * 1e9
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return float(min([machine, *_cgroup_limits()]))


def _cgroup_limits() -> list[int]:
    """Limits of this process' control group and of all around it (version 2; Linux only)."""
    with suppress(OSError):
        lines = _OWN_CGROUP.read_text().splitlines()
        own = next((line[3:] for line in lines if line.startswith("0::")), "/")
        folder = _CGROUPS / own.strip("/")
        found = []
        for group in (folder, *folder.parents):
            with suppress(OSError):
                found.append((group / "memory.max").read_text().strip())
        return [int(limit) for limit in found if limit.isdigit()]  # otherwise "max"
    return []
