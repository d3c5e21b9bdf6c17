"""Tables of speech production of one participant, as the pages show them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.outputs.production import SUFFIX, is_of_earlier_run
from bids_brainalign.outputs.reading import (
    SETTINGS,
    is_outdated,
    read_sidecar,
    read_table,
    score_files,
    settings_of,
)
from bids_brainalign.reports.section import sentences_of

LABEL = "production"
"""``desc-`` of tables about the recordings rather than an embedding."""
MAPPINGS = {
    "ridge": "ridge",
    "multi-task": "multi-task elastic net",
    "elastic-net": "elastic net",
}
"""In the order of the pages, as they are called there."""
PUBLISHED = {"pcc": "PCC", "r2": "R²"}
"""Scores across channels, which the train mean has, too."""
K_FOLD = "k-fold"
RESPONSE = "after the onset"
BASELINE = "before the cue"
REALIGNED = "realigned"
SCORE_TEXT = ("embedding", "layer", "mapping", "folds", "window", "score")


@dataclass(frozen=True)
class Score:
    """A corrected score with its null; NaN where there is none."""

    value: float
    p_shuffled: float
    p_random: float
    p_shifted: float
    null_mean: float
    n_draws: float


@dataclass(frozen=True)
class Rebuilt:
    """Responses rebuilt from one embedding by one mapping."""

    path: Path
    """Of the table of scores."""
    stem: str
    """Start of the names of its files."""
    embedding: str
    mapping: str
    scores: pd.DataFrame
    sidecar: dict[str, object]

    @property
    def answer(self) -> str:
        """``evidence``, ``no evidence`` or ``undecided``; empty where none was given."""
        return str(self.sidecar.get("Answer") or "")

    @property
    def settings(self) -> str:
        """Digest of the settings; empty where it is not known."""
        return str(self.sidecar.get(SETTINGS, ""))

    @property
    def called(self) -> str:
        """Name in tables that have all mappings."""
        return f"{self.embedding}, {MAPPINGS.get(self.mapping, self.mapping)}"

    def how(self, folds: str = "") -> str:
        """Name the mapping, and folds on a line of their own where they are given."""
        return "\n".join(
            part for part in (MAPPINGS.get(self.mapping, self.mapping), folds) if part
        )

    def rows(self, *, folds: str = K_FOLD, window: str = RESPONSE) -> pd.DataFrame:
        """Scores of one kind of folds and one window, by the name of the score."""
        here = (self.scores["folds"] == folds) & (self.scores["window"] == window)
        return self.scores[here].drop_duplicates("score").set_index("score")

    def score(self, name: str, *, folds: str = K_FOLD, window: str = RESPONSE) -> Score:
        """Give one corrected score.

        Raises
        ------
        ValueError
            For scores across channels, which stand beside their twin or not at all.
        """
        if name in PUBLISHED:
            raise ValueError(f"{name} is shown with its twin only (see twin.published)")
        rows = self.rows(folds=folds, window=window)
        row = rows.loc[[name]].to_dict("records")[0] if name in rows.index else {}
        return Score(*(float(row.get(field.name, np.nan)) for field in fields(Score)))

    def folds(self) -> list[str]:
        """Kinds of folds, k-fold first."""
        found = dict.fromkeys(map(str, self.scores["folds"]))
        return sorted(found, key=lambda name: name != K_FOLD)

    def beside(self, suffix: str) -> Path:
        """Path of another table of the same fit."""
        return self.path.with_name(f"{self.stem}_{suffix}.tsv")


@dataclass(frozen=True)
class OfEmbedding:
    """A table of one embedding at all its layers."""

    stem: str
    """Start of the names of its files."""
    embedding: str
    table: pd.DataFrame
    sidecar: dict[str, object]


@dataclass(frozen=True)
class Production:
    """What one participant's recordings of one session gave."""

    folder: Path
    prefix: str
    """Entities without ``desc``, e.g. ``sub-01_task-wordProduction``."""
    rebuilt: tuple[Rebuilt, ...]
    """Embeddings in order, combinations last; the mappings of each in order."""
    realigned: tuple[Rebuilt, ...]
    """… of responses that were shifted by the lag between sound and responses."""
    outdated: list[str] = field(default_factory=list)
    """Names of tables that were asked for and left out, as they are of other settings."""

    @property
    def name(self) -> str:
        """Start of the names of its figures."""
        return f"{self.prefix}_desc-{LABEL}"

    @property
    def title(self) -> str:
        """What the pages call it."""
        entities = dict(part.partition("-")[::2] for part in self.prefix.split("_"))
        shown = [entities[key] for key in ("task", "ses", "run") if key in entities]
        return f"Speech production: {', '.join(shown) or self.prefix}"

    def of_mapping(self, *mappings: str) -> list[Rebuilt]:
        """Results of some mappings."""
        return [one for one in self.rebuilt if one.mapping in mappings]

    def main(self) -> list[Rebuilt]:
        """One result per embedding: by ridge, whose verdict counts, or else by the first."""
        found: dict[str, Rebuilt] = {}
        for one in self.rebuilt:
            found.setdefault(one.embedding, one)
        return list(found.values())

    def shared(self, suffix: str) -> Path:
        """Path of a table about the recordings."""
        return self.folder / f"{self.name}_{suffix}.tsv"

    def per_embedding(self, suffix: str, *, text: tuple[str, ...] = ()) -> list[OfEmbedding]:
        """Tables that embeddings of single models have, whatever the mapping."""
        found = []
        for path in sorted(self.folder.glob(f"{self.prefix}_desc-*_{suffix}.tsv")):
            if self._is_other(path):
                continue
            table = read_table(path, text=(*text, "embedding", "layer"))
            stem = path.name.removesuffix(f"_{suffix}.tsv")
            sidecar = read_sidecar(path.with_suffix(".json"))
            if table is None or "embedding" not in table:
                table, name = pd.DataFrame(), self._embedding_at(stem)
            else:
                name = str(table["embedding"].iloc[0])
            found.append(OfEmbedding(stem, name, table, sidecar))
        order = [one.embedding for one in self.main()]
        return sorted(found, key=lambda one: [*order, one.embedding].index(one.embedding))

    def _is_other(self, path: Path) -> bool:
        """Whether a table says that it is of other settings than the scores."""
        known = {one.settings for one in self.rebuilt}
        other = bool(settings_of(path)) and is_outdated(path, known)
        if other and path.name not in self.outdated:
            self.outdated.append(path.name)
        return other

    def _embedding_at(self, stem: str) -> str:
        """Name of the embedding whose tables begin like this."""
        names = [one.embedding for one in self.rebuilt if one.stem == stem]
        return names[0] if names else stem.rpartition("_desc-")[2]

    def table(
        self, one: Rebuilt, suffix: str, *, text: tuple[str, ...] = ()
    ) -> pd.DataFrame | None:
        """Read a table of one fit; None if absent, empty, or made with other settings."""
        path = one.beside(suffix)
        return None if self._is_other(path) else read_table(path, text=text)

    def said(self, suffix: str, field_name: str = "Sentences") -> tuple[str, ...]:
        """Sentences that stand in the sidecar of a table about the recordings."""
        return told(read_sidecar(self.shared(suffix).with_suffix(".json")), field_name)


def told(sidecar: dict[str, object], field_name: str) -> tuple[str, ...]:
    """Sentences of a field that holds one or a list of them; none if it is not there."""
    value = sidecar.get(field_name)
    return (value,) if isinstance(value, str) and value else sentences_of(sidecar, field_name)


def read_productions(output_dir: Path, participant: str) -> list[Production]:
    """Everything about speech production that one participant's page shows.

    Returns
    -------
    list of Production
        One per set of recordings; those whose words were found but from which nothing could be
        rebuilt are among them.
    """
    chosen = (participant,)
    found: dict[tuple[Path, str], list[Rebuilt]] = {}
    earlier: dict[tuple[Path, str], list[str]] = {}
    for file in score_files(output_dir, chosen=chosen, suffix="words"):
        if file.label == LABEL:
            found.setdefault((file.path.parent, file.prefix), [])
    for file in score_files(output_dir, chosen=chosen, suffix=SUFFIX):
        if is_of_earlier_run(file):
            earlier.setdefault((file.path.parent, file.prefix), []).append(file.path.name)
            continue
        table = read_table(file.path, text=SCORE_TEXT)
        if table is None or not set(SCORE_TEXT) <= set(table.columns):
            continue
        one = Rebuilt(
            path=file.path,
            stem=f"{file.prefix}_desc-{file.label}",
            embedding=str(table["embedding"].iloc[0]),
            mapping=str(table["mapping"].iloc[0]),
            scores=table,
            sidecar=read_sidecar(file.path.with_suffix(".json")),
        )
        found.setdefault((file.path.parent, file.prefix), []).append(one)
    return [
        Production(
            folder,
            prefix,
            rebuilt=tuple(sorted(filter(_is_first, results), key=_place)),
            realigned=tuple(sorted((r for r in results if not _is_first(r)), key=_place)),
            outdated=earlier.get((folder, prefix), []),
        )
        for (folder, prefix), results in found.items()
    ]


def _is_first(one: Rebuilt) -> bool:
    return bool((one.scores["window"] != REALIGNED).all())


def _place(one: Rebuilt) -> tuple[bool, str, int]:
    order = [*MAPPINGS, one.mapping]
    return "+" in one.embedding, one.embedding, order.index(one.mapping)
