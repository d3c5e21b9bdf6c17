"""The group level's tables about phones."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.behaviour import read_behaviour
from bids_brainalign.group.behaviour import BEHAVIOUR_COLUMNS, behaviour_table
from bids_brainalign.group.phonemes import (
    GROUP_COHERENCE_COLUMNS,
    GROUP_PHONEME_COLUMNS,
    coherence_group_table,
    phoneme_group_table,
)
from bids_brainalign.outputs.phonemes import (
    PHONES_LABEL,
    outdated_phoneme_files,
    phoneme_files,
    read_phoneme_tables,
)
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.store.digest import file_digest
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.spaces import seed_of

logger = logging.getLogger(__name__)


def group_phoneme_steps(config: Config) -> list[Step]:
    """One step if some participant has responses to phones, else none."""
    output, memo = config.paths.output_dir, config.paths.work_dir / "digests"
    chosen, behaviour = config.selection.participants, config.paths.behaviour
    for path in outdated_phoneme_files(output, chosen=chosen):
        logger.warning(
            "%s is left out: it was made with other settings or data than the scores beside it. "
            "Run its participant again with --steps phonemes, or delete the file.",
            path.name,
        )
    files = [
        path
        for kind in ("phonemes", "coherence")
        for path in phoneme_files(output, kind, chosen=chosen)
    ]
    if not files:
        return []
    return [
        Step(
            name="group phonemes",
            inputs={
                "files": [[str(p.relative_to(output)), file_digest(p, memo)] for p in files],
                "behaviour": "" if behaviour is None else file_digest(behaviour, memo),
                "seed": config.random_seed,
            },
            modules=("bids_brainalign.group.phonemes", "bids_brainalign.workflow.group_phonemes"),
            work=lambda: _write(config),
        )
    ]


def _write(config: Config) -> list[Path]:
    output, chosen = config.paths.output_dir, config.selection.participants
    written: list[Path] = []
    phones = read_phoneme_tables(output, "phonemes", chosen=chosen)
    if not phones.empty:
        path = output / "group" / f"desc-{PHONES_LABEL}_phonemes.tsv"
        written += write_tsv(path, phoneme_group_table(phones), GROUP_PHONEME_COLUMNS)
    if config.paths.behaviour is not None and not phones.empty:
        path = output / "group" / f"desc-{PHONES_LABEL}_behaviour.tsv"
        rng = np.random.default_rng(seed_of(config, "behaviour"))
        found = behaviour_table(read_behaviour(config.paths.behaviour), phones, rng)
        written += write_tsv(path, found, BEHAVIOUR_COLUMNS)
    order: pd.DataFrame = read_phoneme_tables(output, "coherence", chosen=chosen)
    if not order.empty:
        path = output / "group" / f"desc-{PHONES_LABEL}_coherence.tsv"
        written += write_tsv(path, coherence_group_table(order), GROUP_COHERENCE_COLUMNS)
    return written
