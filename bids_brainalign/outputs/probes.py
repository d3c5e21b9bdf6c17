"""Tables about models and speech alone, read again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bids_brainalign.outputs.reading import read_sidecar, read_table

TEXT = ("model", "original", "other", "probe", "data", "metric")
KINDS = ("probes", "changes", "similarity")


def model_files(output_dir: Path, kind: str) -> list[Path]:
    """Tables of one kind (``probes``, ``changes``, ``similarity``) that belong to models."""
    return sorted(output_dir.glob(f"group/desc-*_{kind}.tsv"))


def read_model_tables(output_dir: Path, kind: str) -> pd.DataFrame | None:
    """Join the tables of one kind; None where there are none."""
    found = [read_table(path, text=TEXT) for path in model_files(output_dir, kind)]
    kept = [table for table in found if table is not None]
    return pd.concat(kept, ignore_index=True) if kept else None


def told_of_data(output_dir: Path) -> dict[str, Mapping[str, object]]:
    """NAME of data → what the sidecars of probes say of it."""
    told: dict[str, Mapping[str, object]] = {}
    for path in model_files(output_dir, "probes"):
        data = read_sidecar(path.with_suffix(".json")).get("Data")
        if isinstance(data, dict):
            for name, facts in data.items():
                if isinstance(facts, dict):
                    told.setdefault(str(name), facts)
    return told
