"""What was run, on what, and what went wrong: everything under ``logs/``."""

from __future__ import annotations

import json
import platform
import re
import shlex
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from bids_brainalign import __version__
from bids_brainalign.outputs.tables import format_table
from bids_brainalign.store.atomic import write_json, write_text

PACKAGES = (
    "numpy", "scipy", "pandas", "scikit-learn", "torch", "transformers", "mne", "nilearn",
    "nibabel", "pybids", "h5py", "safetensors", "soundfile", "joblib",
)  # fmt: skip


def write_run_files(folder: Path, *, config_toml: str, command: Sequence[str]) -> None:
    """Write config.toml, environment.json (versions and hardware only) and command.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "config.toml", config_toml)
    write_json(folder / "environment.json", environment())
    write_text(folder / "command.txt", shlex.join(["bids-brainalign", *command]) + "\n")


def environment() -> dict[str, object]:
    """Package versions and hardware; never environment variables or host names."""
    import os

    packages = {"bids-brainalign": __version__}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "packages": packages,
    }


def write_status(output_dir: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Merge the steps of this run into ``logs/status.tsv``; the newest word on a step stays."""
    path = output_dir / "logs" / "status.tsv"
    known: dict[str, dict[str, object]] = {}
    if path.is_file():
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
        known = {str(row["step"]): dict(row) for _, row in table.iterrows()}
    known |= {str(row["step"]): dict(row) for row in rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = ["step", "participant", "status", "exit_code", "message"]
    frame = pd.DataFrame(list(known.values()), columns=columns)
    write_text(path, format_table(frame))
    return path


def write_crash_file(
    output_dir: Path,
    *,
    run_id: str,
    unit: str,
    participant: str | None,
    details: Mapping[str, object],
    text: str,
) -> Path:
    """Write everything known about a crash of ours."""
    owner = f"sub-{participant}" if participant else "dataset"
    slug = re.sub(r"[^A-Za-z0-9.-]+", "-", unit).strip("-")
    path = output_dir / "logs" / owner / run_id / f"crash-{slug}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [
        f"step: {unit}",
        text,
        json.dumps(environment(), indent=2),
        json.dumps(details, indent=2, default=str),
    ]
    write_text(path, "\n\n".join(parts) + "\n")
    return path
