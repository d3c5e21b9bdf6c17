"""Reading the tables of tuned models back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bids_brainalign.outputs.reading import (
    ScoreFile,
    is_outdated,
    read_table,
    score_files,
    settings_of,
)
from bids_brainalign.outputs.tuned_models import models_folder, read_facts

TEXT = ("target", "target_type", "hemisphere", "region", "model", "reference", "tuned_on",
        "reason")  # fmt: skip


def tuning_files(
    output_dir: Path, kind: str, *, chosen: tuple[str, ...] = ()
) -> tuple[list[ScoreFile], list[Path]]:
    """Find the participants' tables of a kind: ``tuning`` or ``transfer``.

    Returns
    -------
    current : list of ScoreFile
    outdated : list of Path
        Made with other settings or data than the scores beside them.
    """
    settings: dict[tuple[Path, str], set[str]] = {}
    for file in score_files(output_dir, chosen=chosen):
        settings.setdefault((file.path.parent, file.prefix), set()).add(settings_of(file.path))
    current, outdated = [], []
    for file in score_files(output_dir, chosen=chosen, suffix=kind):
        if is_outdated(file.path, settings.get((file.path.parent, file.prefix), set())):
            outdated.append(file.path)
        else:
            current.append(file)
    return current, outdated


def read_tuning_tables(files: Sequence[ScoreFile]) -> pd.DataFrame:
    """Join tables of several participants, with ``participant``, ``modality``, ``session``."""
    found = []
    for file in files:
        table = read_table(file.path, text=TEXT)
        if table is not None:
            found.append(
                table.assign(
                    participant=file.participant, modality=file.modality, session=file.session
                )
            )
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def tuned_on_targets(file: ScoreFile, model: str) -> str:
    """Give ``[tuning] targets`` of a tuned model, by a table of it; ``whole`` if not known."""
    settings = read_facts(models_folder(file.output_dir, file.fit, model)).get("Settings")
    return str(settings.get("targets", "whole")) if isinstance(settings, dict) else "whole"
