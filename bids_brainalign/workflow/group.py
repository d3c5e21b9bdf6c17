"""The group level: tables over participants, from output_dir alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bids_brainalign.config.schema import Config
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.group.layers import LAYER_COLUMNS, layer_table
from bids_brainalign.outputs.reading import (
    ScoreFile,
    participants,
    read_scores,
    score_files,
)
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.store.digest import file_digest
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.group_isc import isc_steps
from bids_brainalign.workflow.group_phonemes import group_phoneme_steps
from bids_brainalign.workflow.group_tuning import group_tuning_steps, tuning_digests
from bids_brainalign.workflow.production.group import production_group_steps


def group_steps(config: Config) -> tuple[list[Step], list[str]]:
    """Build the steps of the group level and the participants without results.

    Raises
    ------
    BrainAlignError
        output_dir holds no score table (exit code 66).
    """
    output = config.paths.output_dir
    files = score_files(output, chosen=config.selection.participants)
    spoken = production_group_steps(config)
    if not files and not spoken:
        raise BrainAlignError(
            f"{output} holds no results of participants",
            where="looked for sub-*/**/*_scores.tsv and *_reconstruction.tsv",
            fix="run the participant level into this output folder first",
            exit_code=ExitCode.MISSING_INPUT,
        )
    steps = [
        Step(
            name=f"group layers {label}",
            inputs={"scores": _digests(config, [file for file in files if file.label == label])},
            modules=("bids_brainalign.group.layers", "bids_brainalign.workflow.group"),
            work=partial(_write_layers, output, label, config.selection.participants),
        )
        for label in sorted({file.label for file in files})
    ]
    steps += group_phoneme_steps(config)
    steps += group_tuning_steps(config)
    steps += isc_steps(config, files)
    steps += spoken
    steps.append(
        Step(
            name="group report",
            inputs={
                "scores": _digests(config, files),
                "participants": config.selection.participants,
                "others": _other_tables(config),
                "spoken": [s.inputs for s in spoken],
                "tuning": tuning_digests(config),
            },
            modules=("bids_brainalign.reports.pages",),
            work=partial(_page, output, config.selection.participants),
        )
    )
    return steps, _missing(config)


def _digests(config: Config, files: Sequence[ScoreFile]) -> list[list[str]]:
    output, memo = config.paths.output_dir, config.paths.work_dir / "digests"
    return [[str(f.path.relative_to(output)), file_digest(f.path, memo)] for f in files]


def _other_tables(config: Config) -> list[list[str]]:
    """Tables of the group level that the page shows beside the scores."""
    output, memo = config.paths.output_dir, config.paths.work_dir / "digests"
    found = [p for p in sorted(output.glob("group/*.tsv")) if not p.stem.endswith("_layers")]
    return [[p.name, file_digest(p, memo)] for p in found]


def _write_layers(output: Path, label: str, participants: tuple[str, ...]) -> list[Path]:
    files = [file for file in score_files(output, chosen=participants) if file.label == label]
    path = output / "group" / f"desc-{label}_layers.tsv"
    return list(write_tsv(path, layer_table(read_scores(files)), LAYER_COLUMNS))


def _page(output: Path, participants: tuple[str, ...]) -> list[Path]:
    from bids_brainalign.reports.pages import write_group_page

    return write_group_page(output, participants=participants)


def _missing(config: Config) -> list[str]:
    """Participants of the dataset (or those asked for) without results."""
    wanted = set(config.selection.participants) or {
        p.name.removeprefix("sub-") for p in config.paths.bids_dir.glob("sub-*") if p.is_dir()
    }
    return sorted(wanted - set(participants(config.paths.output_dir)))
