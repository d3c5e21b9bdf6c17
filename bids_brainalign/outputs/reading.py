"""Reading derivatives back: the tables of output_dir, for the group level and the pages."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.outputs.names import FitName

MODALITIES = {"ieeg": "ieeg", "eeg": "eeg", "func": "fmri"}
"""Folder → what was measured."""
UNTRAINED = ":untrained"
CAUSAL = ":causal"
SLIDING = ":sliding"
LOWLEVEL = "lowlevel"
CIRCULAR_PARCEL = ":circular"
"""Ends parcels of voxels that were selected on the samples they are scored on."""
SETTINGS = "SettingsDigest"
"""Field of sidecars: digest of what every result of one fit depends on."""
RESULTS = ("scores", "reconstruction")
"""Suffixes of the tables that make a participant one with results: encoding, speech production."""
PHONES = " phone"
"""Ends what a response is locked to where that is a class of phones: ``vowel phone``."""

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
    "r_normalised",
    "q_fdr",
    "q_delta",
    "q_untrained",
    "n_null",
    "context_past_s",
    "context_future_s",
)


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


def settings_of(path: Path) -> str:
    """Digest of the settings that a table was made with; empty where its sidecar has none."""
    return str(read_sidecar(path.with_suffix(".json")).get(SETTINGS, ""))


def is_outdated(path: Path, settings: Collection[str]) -> bool:
    """Whether a table is there, but was made with none of these settings."""
    return path.is_file() and settings_of(path) not in settings


@dataclass(frozen=True)
class ScoreFile:
    """A scores table and what its name says."""

    path: Path
    participant: str
    session: str
    """Label, ``n/a`` without sessions."""
    modality: str
    """``ieeg``, ``eeg`` or ``fmri``."""
    prefix: str
    """Entities without ``desc``, e.g. ``sub-01_task-listen``."""
    label: str
    """``<analysis>`` of the file names."""

    @property
    def fit(self) -> FitName:
        """What all files of the same recordings share."""
        session = None if self.session == "n/a" else self.session
        pairs = [part.partition("-") for part in self.prefix.split("_")]
        entities = tuple((key, value) for key, _, value in pairs)
        return FitName(self.participant, session, self.path.parent.name, entities)

    @property
    def output_dir(self) -> Path:
        """The folder that holds the folder of the participant."""
        return self.path.parents[len(self.fit.folder.parts)]


def score_files(
    output_dir: Path, *, chosen: tuple[str, ...] = (), suffix: str = "scores"
) -> list[ScoreFile]:
    """Find the scores tables: participants in order, iEEG before fMRI, then sessions.

    Parameters
    ----------
    output_dir : Path
    chosen : tuple of str
        Participants; all if empty.
    suffix : str
        Of other tables that have the same kind of name: ``tuning``, ``reconstruction`` …
    """
    found = []
    for folder in sorted(path for path in output_dir.glob("sub-*") if path.is_dir()):
        label = folder.name.removeprefix("sub-")
        if chosen and label not in chosen:
            continue
        end = f"*_{suffix}.tsv"
        paths = [*folder.glob(f"*/{end}"), *folder.glob(f"ses-*/*/{end}")]
        known = [p for p in paths if p.parent.name in MODALITIES and "_desc-" in p.name]
        order = list(MODALITIES)
        known.sort(key=lambda p: (order.index(p.parent.name), p))
        found += [_score_file(path, label, suffix) for path in known]
    return found


def _score_file(path: Path, participant: str, suffix: str) -> ScoreFile:
    prefix, _, label = path.name.removesuffix(f"_{suffix}.tsv").partition("_desc-")
    sessions = [part[4:] for part in prefix.split("_") if part.startswith("ses-")]
    return ScoreFile(
        path=path,
        participant=participant,
        session=sessions[0] if sessions else "n/a",
        modality=MODALITIES[path.parent.name],
        prefix=prefix,
        label=label,
    )


def read_score_table(path: Path) -> pd.DataFrame | None:
    """Read one scores table, with every column there is; None if it has no rows."""
    scores = read_table(path, text=TEXT_COLUMNS)
    if scores is None:
        return None
    lacking = [name for name in (*TEXT_COLUMNS, *NUMBER_COLUMNS) if name not in scores]
    scores = scores.reindex(columns=[*scores.columns, *lacking])
    for column in TEXT_COLUMNS:
        scores[column] = scores[column].astype("object").fillna("n/a").astype(str)
    for column in NUMBER_COLUMNS:
        scores[column] = pd.to_numeric(scores[column], errors="coerce")
    return scores


def read_scores(files: Sequence[ScoreFile]) -> pd.DataFrame:
    """Read several scores tables into one.

    Returns
    -------
    DataFrame
        Their rows with ``participant``, ``modality``, ``session`` and ``analysis`` before them;
        empty if there are none.
    """
    names = ["participant", "modality", "session", "analysis"]
    frames = []
    for file in files:
        frame = read_score_table(file.path)
        if frame is not None:
            for position, name in enumerate(names[:3]):
                frame.insert(position, name, getattr(file, name))
            frame.insert(3, "analysis", file.label)
            frames.append(frame)
    if not frames:
        return pd.DataFrame(columns=[*names, *TEXT_COLUMNS, *NUMBER_COLUMNS])
    return pd.concat(frames, ignore_index=True)


def participants(output_dir: Path) -> list[str]:
    """Labels of all participants that have scores, of encoding or of speech production."""
    return sorted(
        {file.participant for suffix in RESULTS for file in score_files(output_dir, suffix=suffix)}
    )


def missing_participants(output_dir: Path) -> list[str]:
    """Labels that were begun (folder, logs or ``logs/status.tsv``) but have no scores."""
    known = {path.name for path in output_dir.glob("sub-*") if path.is_dir()}
    known |= {path.name for path in output_dir.glob("logs/sub-*") if path.is_dir()}
    status = output_dir / "logs" / "status.tsv"
    if status.is_file():
        known |= set(re.findall(r"\bsub-[A-Za-z0-9]+", status.read_text(encoding="utf-8")))
    return sorted({name.removeprefix("sub-") for name in known} - set(participants(output_dir)))


def model_descriptions(output_dir: Path) -> dict[str, str]:
    """Read what each model is, from the first sidecar of it that says so.

    Returns
    -------
    dict
        ``<analysis>`` of the file names → sentence.
    """
    found: dict[str, str] = {}
    for file in score_files(output_dir):
        text = read_sidecar(file.path.with_suffix(".json")).get("ModelDescription")
        if isinstance(text, str):
            found.setdefault(file.label, text)
    return found
