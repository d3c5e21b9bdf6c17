"""Speech production on the group's page: participants by embeddings, everyone shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_brainalign.outputs.reading import read_table
from bids_brainalign.reports.figures.production_group import participants_by_embedding
from bids_brainalign.reports.production.results import K_FOLD, LABEL, MAPPINGS, PUBLISHED
from bids_brainalign.reports.production.scores_section import CORRECTED
from bids_brainalign.reports.production.twin import HIDDEN, WHY_HIDDEN, twin_cells, with_twin
from bids_brainalign.reports.production.wording import first_of
from bids_brainalign.reports.rendering import Album, Picture
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import number, probability, span
from bids_brainalign.statistics.intervals import MIN_FOR_INTERVAL

TITLE = "Speech production"
DIFFERENCES_TITLE = "Speech production: differences between embeddings"
TEXT = ("embedding", "mapping", "folds", "score", "interval_kind")
PEOPLE = ("participant", "embedding", "mapping", "folds", "score")
PEOPLE_TEXT = (*PEOPLE, "session", "answer")
DIFFERENCE_TEXT = ("embedding_a", "embedding_b", "mapping", "folds", "score", "interval_kind")
PANELS = (("pattern_r", "pattern r", 0.0), ("two_vs_two", "2-vs-2", 0.5))
MOST_ROWS = 60
FEW = (
    f"With fewer than {MIN_FOR_INTERVAL} participants no interval and no p over participants is "
    "given: every participant is shown instead."
)


def production_files(output_dir: Path) -> list[Path]:
    """Tables of the group level about speech production."""
    return sorted(output_dir.glob(f"group/desc-{LABEL}_*.tsv"))


def group_production_sections(output_dir: Path, album: Album) -> list[Section]:
    """Make the sections; none where the group level has no such tables."""
    found = (_main(output_dir, album), _differences(output_dir))
    return [section for section in found if section is not None]


def _read(output_dir: Path, suffix: str, text: tuple[str, ...]) -> pd.DataFrame | None:
    table = read_table(output_dir / "group" / f"desc-{LABEL}_{suffix}.tsv", text=text)
    return None if table is None or not set(text) <= set(table.columns) else table


def _main(output_dir: Path, album: Album) -> Section | None:
    table = _read(output_dir, "reconstruction", TEXT)
    people = _read(output_dir, "participants", PEOPLE_TEXT)
    if table is None and people is None:
        return None
    sentences: list[str] = [] if people is None else _answers(people)
    most = 0 if table is None else int(table["n_participants"].max())
    sentences.append(
        "Every participant counts once. Published scores stand beside those of the mean over the "
        "training words, which ignores the word; only the corrected ones tell about words."
    )
    if most < MIN_FOR_INTERVAL:
        sentences.append(FEW)
    cells = () if table is None else _cells(table)
    if any(HIDDEN in row for one in cells for row in one.rows):
        sentences.append(WHY_HIDDEN)
    pictures = () if people is None else _picture(people, table, album)
    shown = () if people is None else _people(people)
    return Section(TITLE, tuple(sentences), pictures, (*cells, *shown))


def _answers(people: pd.DataFrame) -> list[str]:
    """Count the verdicts of every embedding."""
    sentences = []
    judged = people[people["answer"].isin(["evidence", "no evidence", "undecided"])]
    for embedding, part in judged.groupby("embedding", sort=False):
        answers = part.groupby("participant", sort=False)["answer"].agg(_of_sessions)
        total, found = len(answers), int((answers == "evidence").sum())
        undecided = int((answers == "undecided").sum())
        said = (
            f"No evidence in any of {total} participants that {embedding} predicts the responses "
            "to the words"
            if found == 0 and undecided == 0
            else f"Evidence that {embedding} predicts the responses to the words in {found} of "
            f"{total} participants"
        )
        sentences.append(said + (f" ({undecided} undecided)." if undecided else "."))
    if sentences:
        sentences.append(
            "Without any information, up to 1 in 20 participants would show evidence."
        )
    return sentences


def _of_sessions(answers: pd.Series) -> str:
    """Give one answer for the sessions of a participant: evidence only where all have it."""
    for answer in ("no evidence", "undecided", "evidence"):
        if (answers == answer).any():
            return answer
    return "n/a"


def _per_participant(people: pd.DataFrame) -> pd.DataFrame:
    """Average sessions, as the table of means does."""
    groups = people.groupby(list(PEOPLE), sort=False)
    return groups.agg({"value": "mean", "answer": _of_sessions}).reset_index()


def _main_mapping(table: pd.DataFrame) -> str:
    """Ridge, whose verdicts count, or else the first."""
    names = list(dict.fromkeys(map(str, table["mapping"])))
    return next((name for name in MAPPINGS if name in names), names[0])


def _picture(
    people: pd.DataFrame, table: pd.DataFrame | None, album: Album
) -> tuple[Picture, ...]:
    mapping = _main_mapping(people)
    mine = _of(people, mapping)
    if mine.empty:
        return ()
    nothing = pd.DataFrame(columns=["embedding", "score", "mean", "ci_low", "ci_high"])
    means = nothing if table is None else _of(table, mapping)
    known = "ci_low" in means and means["ci_low"].notna().any()
    intervals = (
        "their means with 95 % intervals over participants"
        if known
        else "their means; too few participants for intervals"
    )
    picture = album.add(
        f"desc-{LABEL}_participants",
        participants_by_embedding(_per_participant(mine), means, PANELS),
        alt="Corrected scores of every participant, by embedding.",
        caption=f"Corrected scores, {MAPPINGS.get(mapping, mapping)}, k-fold; a dot per "
        "participant, at the same height in every row. Filled: evidence by all rules of the "
        f"verdict. Diamonds: {intervals}. Line: what comes without "
        "information on the word, unless words come again in continuous speech.",
    )
    return (picture,)


def _of(table: pd.DataFrame, mapping: str) -> pd.DataFrame:
    return table[(table["mapping"] == mapping) & (table["folds"] == K_FOLD)]


def _cells(table: pd.DataFrame) -> tuple[Cells, ...]:
    """One row per embedding, mapping and folds; a published score never without its twin."""
    rows = []
    for key, part in table.groupby(["embedding", "mapping", "folds"], sort=False):
        embedding, mapping, folds = map(str, key)
        scores = part.drop_duplicates("score").set_index("score")
        across = [cell for name in PUBLISHED for cell in twin_cells(_published(scores, name))]
        mine = (_corrected(scores, name) for name in CORRECTED)
        rows.append((embedding, f"{MAPPINGS.get(mapping, mapping)}\n{folds}", _evidence(scores),
                     *across, *mine))  # fmt: skip
    columns = ("Embedding", "Mapping and folds", "Evidence", "PCC", "train mean", "R²",
               "train mean", *CORRECTED.values())  # fmt: skip
    caption = (
        "Means over participants; below the corrected scores the 95 % interval of how far they "
        "are above each participant's shuffled words, and its q. Evidence: in how many "
        "participants."
        f"{first_of(len(rows), MOST_ROWS, 'rows')}"
    )
    return (Cells(columns, tuple(rows[:MOST_ROWS]), caption=caption),)


def _published(scores: pd.DataFrame, name: str) -> tuple[float, float] | None:
    both = with_twin(scores, "mean", "mean_train_mean")
    if name not in both.index:
        return None
    value, twin = both.loc[[name]].to_numpy(dtype=float)[0]
    return float(value), float(twin)


def _corrected(scores: pd.DataFrame, name: str) -> str:
    if name not in scores.index:
        return "n/a"
    row = scores.loc[[name]].to_dict("records")[0]
    lines = [number(_float(row, "mean"))]
    if np.isfinite(_float(row, "above_low")):
        lines.append(span(_float(row, "above_low"), _float(row, "above_high")))
    if np.isfinite(_float(row, "q_fdr")):
        lines.append(f"q {probability(_float(row, 'q_fdr'))}")
    return "\n".join(lines)


def _evidence(scores: pd.DataFrame) -> str:
    """Count participants with evidence; the same for all scores of a fit."""
    row = scores.iloc[[0]].to_dict("records")[0]
    count, total = _float(row, "n_evidence"), _float(row, "n_participants")
    return f"{count:.0f} of {total:.0f}" if np.isfinite(count) else "n/a"


def _float(row: Mapping[Any, Any], name: str) -> float:
    value = row.get(name)
    return float("nan") if value is None or pd.isna(value) else float(value)


def _people(people: pd.DataFrame) -> tuple[Cells, ...]:
    """Pattern r and answer of every participant by every embedding."""
    mine = _of(people, _main_mapping(people))
    mine = mine[mine["score"] == "pattern_r"]
    if mine.empty:
        return ()
    names = list(dict.fromkeys(mine["embedding"]))
    rows = []
    mine = mine.assign(person=[_person(*both) for both in zip(
        mine["participant"], mine["session"], strict=True)])  # fmt: skip
    for person, part in mine.groupby("person", sort=True):
        by_name = part.drop_duplicates("embedding").set_index("embedding")
        cells = (
            f"{number(float(by_name.loc[name, 'value']))} ({_answer(by_name.loc[name, 'answer'])})"
            if name in by_name.index
            else "n/a"
            for name in names
        )
        rows.append((str(person), *cells))
    return (
        Cells(("Participant", *names), tuple(rows), caption="Pattern r, k-fold, and the verdict."),
    )


def _person(participant: str, session: object) -> str:
    return f"sub-{participant}" + (f", ses-{session}" if isinstance(session, str) else "")


def _answer(value: object) -> str:
    return value if isinstance(value, str) else "not judged"


def _differences(output_dir: Path) -> Section | None:
    table = _read(output_dir, "differences", DIFFERENCE_TEXT)
    if table is None:
        return None
    # A difference of published scores may be one of shrinkage alone.
    table = table[~table["score"].isin(list(PUBLISHED))]
    rows = tuple(
        (
            f"{row['embedding_a']} − {row['embedding_b']}",
            f"{MAPPINGS.get(str(row['mapping']), row['mapping'])}\n{row['folds']}",
            CORRECTED.get(str(row["score"]), str(row["score"])),
            number(float(row["mean"])),
            span(_float(row, "ci_low"), _float(row, "ci_high")),
            probability(_float(row, "p")),
            probability(_float(row, "q_fdr")),
            f"{float(row['n_participants']):.0f}",
        )
        for row in table.head(MOST_ROWS).to_dict("records")
    )
    if not rows:
        return None
    found = table[table["q_fdr"] <= 0.05]
    tested = int(table["q_fdr"].notna().sum())
    said = (
        f"{len(found)} of {tested} differences are reliable over participants (q ≤ .05)."
        if tested
        else FEW
    )
    columns = ("Embeddings", "Mapping and folds", "Score", "Mean difference", "95 % interval", "p",
               "q", "Participants")  # fmt: skip
    more = first_of(len(table), MOST_ROWS, "rows")
    caption = (
        f"Differences within participants, on the same words. q: over pairs of embeddings.{more}"
    )
    return Section(DIFFERENCES_TITLE, (said,), (), (Cells(columns, rows, caption=caption),))
