"""The group level's tables about tuned models."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from bids_brainalign.config.schema import Config
from bids_brainalign.group.tuning import (
    GAIN_COLUMNS,
    TRANSFER_COLUMNS,
    gain_table,
    transfer_table,
)
from bids_brainalign.outputs.reading import ScoreFile
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.outputs.tuning import read_tuning_tables, tuning_files
from bids_brainalign.store.digest import file_digest
from bids_brainalign.store.steps import Step

logger = logging.getLogger(__name__)

KINDS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], dict[str, str]]] = {
    "tuning": (gain_table, GAIN_COLUMNS),
    "transfer": (transfer_table, TRANSFER_COLUMNS),
}


def group_tuning_steps(config: Config) -> list[Step]:
    """One step per tuned model and kind of table; none where nothing was tuned."""
    return [
        Step(
            name=f"group {kind} {label}",
            inputs={"tables": _digests(config, files)},
            modules=("bids_brainalign.group.tuning", "bids_brainalign.workflow.group_tuning"),
            work=partial(_write, config.paths.output_dir, kind, label, files),
        )
        for kind in KINDS
        for label, files in _by_label(config, kind).items()
    ]


def tuning_digests(config: Config) -> list[list[str]]:
    """Digests of the participants' tables, which the page shows."""
    chosen, output = config.selection.participants, config.paths.output_dir
    return [
        pair
        for kind in KINDS
        for pair in _digests(config, tuning_files(output, kind, chosen=chosen)[0])
    ]


def _by_label(config: Config, kind: str) -> dict[str, list[ScoreFile]]:
    chosen = config.selection.participants
    files, outdated = tuning_files(config.paths.output_dir, kind, chosen=chosen)
    for path in outdated:
        logger.warning(
            "%s is left out: it was made with other settings or data than the scores beside it. "
            "Run its participant again, or delete the file.", path.name,
        )  # fmt: skip
    found: dict[str, list[ScoreFile]] = {}
    for file in files:
        found.setdefault(file.label, []).append(file)
    return found


def _digests(config: Config, files: Sequence[ScoreFile]) -> list[list[str]]:
    output, memo = config.paths.output_dir, config.paths.work_dir / "digests"
    return [[str(f.path.relative_to(output)), file_digest(f.path, memo)] for f in files]


def _write(output: Path, kind: str, label: str, files: Sequence[ScoreFile]) -> list[Path]:
    tables = read_tuning_tables(files)
    if tables.empty:
        return []
    make, columns = KINDS[kind]
    return list(write_tsv(output / "group" / f"desc-{label}_{kind}.tsv", make(tables), columns))
