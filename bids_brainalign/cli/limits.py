"""What this machine lets us use."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path

from bids_brainalign.cli.arguments import usage_error

_CGROUP = Path("/sys/fs/cgroup")


def available_cpus(*, cgroup: Path = _CGROUP) -> int:
    """Count processors this process may use: affinity mask, or the container's quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = _quota(cgroup)
    return max(1, min(cpus, math.floor(quota))) if quota else cpus


def _quota(cgroup: Path) -> float | None:
    with suppress(OSError, ValueError):  # version 2: "max 100000" or "150000 100000"
        limit, period = (cgroup / "cpu.max").read_text().split()
        return int(limit) / int(period)
    with suppress(OSError, ValueError):  # version 1
        limit_us = int((cgroup / "cpu/cpu.cfs_quota_us").read_text())
        period_us = int((cgroup / "cpu/cpu.cfs_period_us").read_text())
        return limit_us / period_us if limit_us > 0 else None
    return None


def check_device(device: str, *, precision: str = "fp32") -> None:
    """Refuse a CUDA device that is not there: computing on the CPU instead would be a surprise.

    Raises
    ------
    BrainAlignError
        With exit code 64.
    """
    if precision == "fp16" and device == "cpu":
        raise usage_error(
            "--precision fp16 with --device cpu: processors don't compute in it.",
            fix="use bf16 or fp32",
        )
    if not device.startswith("cuda"):
        return
    import torch

    number = int(device.partition(":")[2] or 0)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if number >= count:
        have = f"torch {torch.__version__} sees {count} CUDA devices here"
        raise usage_error(
            f"--device {device}: {have}.",
            fix="use --device cpu, or a machine, driver and torch with CUDA (containers: --nv)",
        )
