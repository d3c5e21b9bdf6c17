"""The group level of speech production: participants × embeddings."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd

from bids_brainalign.config.schema import Config
from bids_brainalign.group.production import (
    DIFFERENCE_COLUMNS,
    SCORE_COLUMNS,
    difference_table,
    score_table,
)
from bids_brainalign.outputs.production import current_files
from bids_brainalign.outputs.reading import ScoreFile, read_sidecar, read_table
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.store.digest import file_digest
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.production.speakers import LABEL

PARTICIPANTS: dict[str, str] = {
    "participant": "Label of the participant",
    "session": "Label of the session; n/a without sessions",
    "embedding": "NAME of the model, or of several side by side",
    "mapping": "ridge, multi-task or elastic-net",
    "folds": "k-fold, or leave-one-word-out",
    "score": "As in the participants' reconstruction.tsv",
    "value": "Score of the mapping",
    "train_mean": "The same score of the mean over the training words",
    "null_mean": "Mean of the score over shuffles of the words, each fitted anew; n/a where none "
    "were drawn",
    "answer": "evidence, no evidence or undecided, by ridge",
}
TEXT = ("embedding", "layer", "mapping", "folds", "window", "score")
RESPONSE = "after the onset"


def production_group_steps(config: Config) -> list[Step]:
    """One step for all tables; none where nobody has spoken."""
    files = current_files(config.paths.output_dir, chosen=config.selection.participants)
    if not files:
        return []
    output, memo = config.paths.output_dir, config.paths.work_dir / "digests"
    return [
        Step(
            name="group speech production",
            inputs={
                "tables": [
                    [str(f.path.relative_to(output)), file_digest(path, memo)]
                    for f in files
                    for path in (f.path, f.path.with_suffix(".json"))
                ]
            },
            modules=(
                "bids_brainalign.group.production",
                "bids_brainalign.workflow.production.group",
            ),
            work=partial(_write, output, files),
        )
    ]


def _write(output: Path, files: list[ScoreFile]) -> list[Path]:
    values = participant_values(files)
    folder = output / "group"
    return [
        *write_tsv(folder / f"desc-{LABEL}_participants.tsv", values, PARTICIPANTS),
        *write_tsv(
            folder / f"desc-{LABEL}_reconstruction.tsv", score_table(values), SCORE_COLUMNS
        ),
        *write_tsv(
            folder / f"desc-{LABEL}_differences.tsv", difference_table(values), DIFFERENCE_COLUMNS
        ),
    ]


def participant_values(files: list[ScoreFile]) -> pd.DataFrame:
    """Scores of all participants after the onset, with the verdict on each embedding."""
    parts: list[pd.DataFrame] = []
    answers: dict[tuple[str, str, str], str] = {}
    for file in files:
        table = read_table(file.path, text=TEXT)
        if table is None:
            continue
        about = read_sidecar(file.path.with_suffix(".json"))
        table = table[table["window"] == RESPONSE]
        table = table.assign(participant=file.participant, session=file.session)
        parts.append(table)
        if "Answer" in about:
            answers[file.participant, file.session, str(about["Embedding"])] = str(about["Answer"])
    if not parts:
        return pd.DataFrame(columns=list(PARTICIPANTS))
    whole = pd.concat(parts, ignore_index=True)
    keys = zip(whole["participant"], whole["session"], whole["embedding"], strict=True)
    told = [answers.get((str(who), str(when), str(name)), "n/a") for who, when, name in keys]
    return whole.assign(answer=told)[list(PARTICIPANTS)]
