"""The group level: tables over participants, from output_dir alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.tables import read_tsv
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.group.layers import LAYER_COLUMNS, layer_table
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.store.digest import file_digest
from bids_brainalign.store.steps import Step

TEXT_COLUMNS = {
    "target",
    "target_type",
    "hemisphere",
    "region",
    "model",
    "layer",
    "layer_mode",
    "encoder",
    "fold",
    "ceiling_kind",
}


def score_files(output_dir: Path, participants: tuple[str, ...]) -> dict[str, list[Path]]:
    """Score tables per analysis label, of the chosen participants (all if none is named)."""
    files: dict[str, list[Path]] = {}
    for path in sorted(output_dir.glob("sub-*/**/*_scores.tsv")):
        participant = path.relative_to(output_dir).parts[0].removeprefix("sub-")
        if participants and participant not in participants:
            continue
        label = path.name.split("_desc-")[1].removesuffix("_scores.tsv")
        files.setdefault(label, []).append(path)
    return files


def read_scores(output_dir: Path, paths: list[Path]) -> pd.DataFrame:
    """Long table of several participants, with ``participant`` and ``modality``."""
    parts = []
    for path in paths:
        table = read_tsv(path)
        for column in table.columns:
            if column not in TEXT_COLUMNS:
                table[column] = pd.to_numeric(table[column], errors="coerce")
        relative = path.relative_to(output_dir)
        table.insert(0, "participant", relative.parts[0].removeprefix("sub-"))
        table.insert(1, "session", _session(relative))
        table["modality"] = "fmri" if path.parent.name == "func" else path.parent.name
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def _session(relative: Path) -> str:
    sessions = [part.removeprefix("ses-") for part in relative.parts if part.startswith("ses-")]
    return sessions[0] if sessions else "n/a"


def group_steps(config: Config) -> tuple[list[Step], list[str]]:
    """Build the steps of the group level and the participants without results.

    Raises
    ------
    BrainAlignError
        output_dir holds no score table (exit code 66).
    """
    output = config.paths.output_dir
    files = score_files(output, config.selection.participants)
    if not files:
        raise BrainAlignError(
            f"{output} holds no results of participants",
            where="looked for sub-*/**/*_scores.tsv",
            fix="run the participant level into this output folder first",
            exit_code=ExitCode.MISSING_INPUT,
        )
    memo = config.paths.work_dir / "digests"
    steps = []
    for label, paths in sorted(files.items()):
        inputs = [[str(p.relative_to(output)), file_digest(p, memo)] for p in paths]
        steps.append(
            Step(
                name=f"group layers {label}",
                inputs={"scores": inputs},
                modules=("bids_brainalign.group.layers", "bids_brainalign.workflow.group"),
                work=partial(_write_layers, output, label, paths),
            )
        )
    every = [
        [str(p.relative_to(output)), file_digest(p, memo)] for ps in files.values() for p in ps
    ]
    steps.append(
        Step(
            name="group report",
            inputs={"scores": every, "participants": config.selection.participants},
            modules=("bids_brainalign.reports.pages",),
            work=partial(_page, output, config.selection.participants),
        )
    )
    return steps, _missing(config, files)


def _write_layers(output: Path, label: str, paths: list[Path]) -> list[Path]:
    table = layer_table(read_scores(output, paths))
    path = output / "group" / f"desc-{label}_layers.tsv"
    return list(write_tsv(path, table, LAYER_COLUMNS))


def _page(output: Path, participants: tuple[str, ...]) -> list[Path]:
    from bids_brainalign.reports.pages import write_group_page

    return write_group_page(output, participants=participants)


def _missing(config: Config, files: dict[str, list[Path]]) -> list[str]:
    """Participants of the dataset (or those asked for) without results."""
    output = config.paths.output_dir
    present = {
        p.relative_to(output).parts[0].removeprefix("sub-") for ps in files.values() for p in ps
    }
    wanted = set(config.selection.participants) or {
        p.name.removeprefix("sub-") for p in config.paths.bids_dir.glob("sub-*") if p.is_dir()
    }
    return sorted(wanted - present)
