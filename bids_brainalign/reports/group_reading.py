"""Scores of all participants, read back for the group's page."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bids_brainalign.reports.reading import (
    MODALITIES,
    NUMBER_COLUMNS,
    TEXT_COLUMNS,
    missing_participants,
    participants,
    read_analysis,
    read_sidecar,
    score_files,
)


def read_scores(
    output_dir: Path, *, chosen: tuple[str, ...] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """Read the scores of participants and name those that have none.

    Parameters
    ----------
    output_dir : Path
    chosen : tuple of str
        Labels to read; all if empty.

    Returns
    -------
    scores : DataFrame
        The rows of all scores tables with ``participant``, ``modality``, ``session`` and
        ``analysis`` before them; empty if there are none.
    missing : list of str
        Labels of participants that were begun but have no scores.
    """
    frames = []
    for label in participants(output_dir):
        if chosen and label not in chosen:
            continue
        for path in score_files(output_dir / f"sub-{label}"):
            analysis = read_analysis(path, label)
            if analysis is not None:
                frame = analysis.scores.copy()
                frame.insert(0, "participant", label)
                frame.insert(1, "modality", MODALITIES[analysis.datatype])
                frame.insert(2, "session", analysis.session)
                frame.insert(3, "analysis", analysis.label)
                frames.append(frame)
    columns = ["participant", "modality", "session", "analysis", *TEXT_COLUMNS, *NUMBER_COLUMNS]
    scores = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
    missing = missing_participants(output_dir)
    return scores, [label for label in missing if not chosen or label in chosen]


def model_descriptions(output_dir: Path) -> dict[str, str]:
    """Read what each model is, from the first sidecar of it that says so.

    Returns
    -------
    dict
        ``<analysis>`` of the file names → sentence.
    """
    found: dict[str, str] = {}
    for path in sorted(output_dir.glob("sub-*/**/*_scores.json")):
        label = path.name.partition("_desc-")[2].removesuffix("_scores.json")
        text = read_sidecar(path).get("ModelDescription")
        if isinstance(text, str):
            found.setdefault(label, text)
    return found
