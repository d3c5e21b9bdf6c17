"""What lies in an output folder, read back for the pages: nothing here looks anywhere else."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bids_brainalign.errors import BrainAlignError

MODALITIES = {"ieeg": "ieeg", "eeg": "eeg", "func": "fmri"}
"""Folder → what was measured."""
UNTRAINED = ":untrained"
LOWLEVEL = "lowlevel"

TEXT_COLUMNS = (
    "target",
    "target_type",
    "hemisphere",
    "region",
    "model",
    "layer",
    "encoder",
    "fold",
    "ceiling_kind",
)
CHANNEL_TEXT = ("name", "hemisphere", "region", "device", "space")
NUMBER_COLUMNS = (
    "layer_mode",
    "layer_agreement",
    "n_samples",
    "r",
    "r2",
    "r_lowlevel",
    "r_untrained",
    "delta_r_lowlevel",
    "delta_r_untrained",
    "r_ceiling",
    "q_fdr",
    "q_delta",
    "q_untrained",
    "n_null",
    "context_past_s",
    "context_future_s",
)


@dataclass(frozen=True)
class Analysis:
    """One ``desc-<analysis>`` of one participant."""

    participant: str
    datatype: str
    folder: Path
    prefix: str
    """Entities of the scores file without ``desc``, e.g. ``sub-01_task-listen``."""
    label: str
    """``<analysis>`` of the file names."""
    model: str
    encoder: str
    scores: pd.DataFrame
    sidecar: dict[str, object]
    channels: pd.DataFrame | None
    folds: pd.DataFrame | None
    nulls: pd.DataFrame | None
    maps: dict[str, Path]
    """``r``, ``q``, ``layer`` → image."""

    @property
    def session(self) -> str:
        """Label of the session, ``n/a`` without one."""
        entities = self.prefix.split("_")
        return next((part[4:] for part in entities if part.startswith("ses-")), "n/a")

    @property
    def scores_path(self) -> Path:
        """The table this analysis was read from."""
        return self.folder / f"{self.prefix}_desc-{self.label}_scores.tsv"

    def sentences(self, key: str) -> list[str]:
        """Return a list of sentences of the sidecar, empty if it has none."""
        value = self.sidecar.get(key)
        if isinstance(value, str):
            return [value]
        return [str(item) for item in value] if isinstance(value, list) else []


@dataclass(frozen=True)
class Block:
    """One model of one set of recordings, with the controls it is compared to."""

    main: Analysis
    untrained: Analysis | None
    lowlevel: Analysis | None
    locked: pd.DataFrame | None
    """Responses around onsets, in standard deviations of the run."""

    @property
    def name(self) -> str:
        """Stem of the block's figures."""
        return f"{self.main.prefix}_desc-{self.main.label}"


def read_table(path: Path, *, text: tuple[str, ...] = ()) -> pd.DataFrame | None:
    """Read a BIDS TSV; None if it is absent or has no rows.

    Raises
    ------
    BrainAlignError
        If the file is not a table.
    """
    if not path.is_file():
        return None
    try:
        frame = pd.read_csv(
            path,
            sep="\t",
            na_values=["n/a"],
            keep_default_na=False,
            dtype=dict.fromkeys(text, str),
        )
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise BrainAlignError(
            f"{path.name} is not a table.",
            where=f"in {path.parent}: {error}",
            fix="delete it and run the participant level again.",
        ) from error
    return frame if len(frame) else None


def read_sidecar(path: Path) -> dict[str, object]:
    """Read a JSON sidecar; empty if it is absent.

    Raises
    ------
    BrainAlignError
        If the file is not a JSON object.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        content = error
    if not isinstance(content, dict):
        raise BrainAlignError(
            f"{path.name} is not a JSON object.",
            where=f"in {path.parent}",
            fix="delete it and run the participant level again.",
        )
    return content


def participants(output_dir: Path) -> list[str]:
    """Labels of all participants with a folder that holds scores."""
    folders = sorted(path for path in output_dir.glob("sub-*") if path.is_dir())
    return [path.name.removeprefix("sub-") for path in folders if score_files(path)]


def missing_participants(output_dir: Path) -> list[str]:
    """Labels that were begun (folder, logs or ``logs/status.tsv``) but have no scores."""
    known = {path.name for path in output_dir.glob("sub-*") if path.is_dir()}
    known |= {path.name for path in output_dir.glob("logs/sub-*") if path.is_dir()}
    status = output_dir / "logs" / "status.tsv"
    if status.is_file():
        known |= set(re.findall(r"\bsub-[A-Za-z0-9]+", status.read_text(encoding="utf-8")))
    return sorted({name.removeprefix("sub-") for name in known} - set(participants(output_dir)))


def crash_files(output_dir: Path, participant: str) -> list[Path]:
    """Crash files of one participant, sorted."""
    return sorted((output_dir / "logs" / f"sub-{participant}").rglob("crash-*.txt"))


def read_blocks(output_dir: Path, participant: str) -> list[Block]:
    """Everything one participant's page shows, models before baselines.

    Returns
    -------
    list of Block
        One per set of recordings and model; the low-level baseline is a block of its own only
        where no model was run.
    """
    files = score_files(output_dir / f"sub-{participant}")
    together: dict[tuple[Path, str], list[Analysis]] = {}
    for path in files:
        analysis = read_analysis(path, participant)
        if analysis is not None:
            together.setdefault((analysis.folder, analysis.prefix), []).append(analysis)
    blocks: list[Block] = []
    for analyses in together.values():
        blocks.extend(_blocks_of(analyses))
    return blocks


def score_files(folder: Path) -> list[Path]:
    """Scores tables of one participant; iEEG before fMRI, sessions in order."""
    found = [*folder.glob("*/*_scores.tsv"), *folder.glob("ses-*/*/*_scores.tsv")]
    order = list(MODALITIES)
    known = [path for path in found if path.parent.name in MODALITIES and "_desc-" in path.name]
    return sorted(known, key=lambda path: (order.index(path.parent.name), path))


def read_analysis(path: Path, participant: str) -> Analysis | None:
    """Read a scores table and what stands beside it; None if it has no rows."""
    stem = path.name.removesuffix("_scores.tsv")
    prefix, _, label = stem.partition("_desc-")
    scores = read_table(path, text=TEXT_COLUMNS)
    if scores is None:
        return None
    scores = scores.reindex(columns=[*scores.columns, *_lacking(scores)])
    for column in TEXT_COLUMNS:
        scores[column] = scores[column].astype("object").fillna("n/a").astype(str)
    for column in NUMBER_COLUMNS:
        scores[column] = pd.to_numeric(scores[column], errors="coerce")
    models = [model for model in scores["model"].unique() if model != "n/a"]
    encoders = [encoder for encoder in scores["encoder"].unique() if encoder != "n/a"]

    def beside(suffix: str) -> Path:
        return path.with_name(f"{stem}_{suffix}")

    return Analysis(
        participant=participant,
        datatype=path.parent.name,
        folder=path.parent,
        prefix=prefix,
        label=label,
        model=models[0] if models else label,
        encoder=encoders[0] if encoders else "ridge",
        scores=scores,
        sidecar=read_sidecar(beside("scores.json")),
        channels=read_table(beside("channels.tsv"), text=CHANNEL_TEXT),
        folds=read_table(beside("folds.tsv"), text=("fold", "run", "role", "content_group")),
        nulls=read_table(beside("nulls.tsv"), text=("target",)),
        maps=_maps(path.parent, prefix, label),
    )


def _lacking(frame: pd.DataFrame) -> list[str]:
    return [name for name in (*TEXT_COLUMNS, *NUMBER_COLUMNS) if name not in frame]


def _maps(folder: Path, prefix: str, label: str) -> dict[str, Path]:
    """Find statmaps of this analysis; they carry ``space`` and ``stat`` beside its entities."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob(f"*_desc-{label}_statmap.nii.gz")):
        entities = path.name.split("_")
        stat = next((part[5:] for part in entities if part.startswith("stat-")), "")
        if stat and set(prefix.split("_")) <= set(entities):
            found[stat] = path
    return found


def _blocks_of(analyses: list[Analysis]) -> list[Block]:
    lowlevel = next((item for item in analyses if item.model == LOWLEVEL), None)
    models = [
        item for item in analyses if item is not lowlevel and not item.model.endswith(UNTRAINED)
    ]
    locked = _locked(analyses[0])
    blocks = []
    for main in models or analyses[:1]:
        twin = (main.model + UNTRAINED, main.encoder)
        untrained = next((item for item in analyses if (item.model, item.encoder) == twin), None)
        blocks.append(Block(main, untrained, lowlevel, locked))
    return blocks


def _locked(analysis: Analysis) -> pd.DataFrame | None:
    """Read the onset-locked responses; they belong to the recordings, not to a model."""
    path = analysis.folder / f"{analysis.prefix}_desc-onset_locked.tsv"
    return read_table(path, text=("locked_to", "target"))
