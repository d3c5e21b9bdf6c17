"""Tuned models on the group's page: gains, transfer, regions tuned on by regions scored."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_brainalign.group.tuning import (
    CELL,
    DIFFERENCE,
    OTHERS,
    OWN,
    gain_table,
    names_of_targets,
    participant_gains,
    transfer_table,
    tuned_by_scored,
)
from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.outputs.reading import ScoreFile
from bids_brainalign.outputs.tuning import read_tuning_tables, tuned_on_targets, tuning_files
from bids_brainalign.reports.figures.group_tuning import delta_matrix, gains_by_region
from bids_brainalign.reports.rendering import Album, Picture
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import number, probability, span
from bids_brainalign.statistics.intervals import MIN_FOR_INTERVAL

MOST_PANELS = 4
MOST_ROWS = 24
FEW = (
    f"With fewer than {MIN_FOR_INTERVAL} participants no interval and no p over participants is "
    "given: every participant is shown instead."
)


def group_tuning_files(output_dir: Path) -> list[Path]:
    """Tables of the group level about tuned models."""
    return [path for kind in ("tuning", "transfer")
            for path in sorted(output_dir.glob(f"group/desc-*_{kind}.tsv"))]  # fmt: skip


def group_tuning_sections(
    output_dir: Path, album: Album, *, participants: tuple[str, ...] = ()
) -> list[Section]:
    """Make the sections; none where nothing was tuned.

    Parameters
    ----------
    output_dir : Path
    album : Album
        Takes the figures.
    participants : tuple of str
        Labels to include; all if empty.
    """
    files, _ = tuning_files(output_dir, "tuning", chosen=participants)
    moved, _ = tuning_files(output_dir, "transfer", chosen=participants)
    sections = [
        section
        for label in dict.fromkeys(file.label for file in files)
        if (section := _gains([f for f in files if f.label == label], album)) is not None
    ]
    regions = _regions(files, album)
    sections += regions
    sections += [
        section
        for label in dict.fromkeys(file.label for file in moved)
        for section in _transfers([f for f in moved if f.label == label], album)
    ]
    return sections


def _gains(files: list[ScoreFile], album: Album) -> Section | None:
    tables = read_tuning_tables(files)
    if tables.empty:
        return None
    table, values, model = gain_table(tables), participant_gains(tables), tables["model"].iloc[0]
    sentences, pictures, cells = [], [], []
    for modality, part in table.groupby("modality", sort=False):
        mine = values[values["modality"] == modality]
        every = part[part["region"] == "all"]
        sentences += [_told(row) for row in every.to_dict("records")]
        if mine["participant"].nunique() < MIN_FOR_INTERVAL:
            sentences.append(FEW)
        names = list(dict.fromkeys(map(str, part["reference"])))[:MOST_PANELS]
        pictures.append(
            album.add(
                f"{modality}_desc-{analysis_label(model)}_groupgains",
                gains_by_region(mine, part, {name: f"− {name}" for name in names}),
                alt=f"Gain of {model} per region, every participant a dot.",
                caption="r of the tuned model minus r of each reference on the test stories, mean "
                "over the targets of a region. Dots: participants; diamonds: their means, with "
                "95 % intervals over participants where there are enough.",
            )
        )
        cells.append(_cells(part))
    return Section(f"Did tuning help? {model}", tuple(sentences), tuple(pictures), tuple(cells))


def _told(row: Mapping[Hashable, Any]) -> str:
    n, better = row["n_participants"], row["n_better"]
    span = _span(row)
    how = "" if better is pd.NA else f"; in {better} of {n} some target is better at q < .05"
    return (
        f"{row['model']} against {row['reference']}: mean Δr over {n} participants is "
        f"{number(_float(row['delta_r']))}{span}{how}."
    )


def _span(row: Mapping[Hashable, Any]) -> str:
    low, high = _float(row["ci_low"]), _float(row["ci_high"])
    if not np.isfinite(low):
        return ""
    p = probability(_float(row["p"]))
    return f" (95 % interval {number(low)} to {number(high)}, p {p})"


def _float(value: object) -> float:
    return float("nan") if value is None or value is pd.NA else float(str(value))


def _cells(table: pd.DataFrame) -> Cells:
    shown = table.head(MOST_ROWS)
    rows = tuple(
        (
            f"{row['region']} − {row['reference']}", str(row["n_participants"]),
            *(number(_float(row[k])) for k in ("r", "r_reference", "delta_r")),
            span(_float(row["ci_low"]), _float(row["ci_high"])),
            probability(_float(row["q_fdr"])),
        )
        for row in shown.to_dict("records")
    )  # fmt: skip
    more = "" if len(shown) == len(table) else f"The first {len(shown)} of {len(table)} rows."
    columns = ("Region", "Participants", "r", "r of the reference", "Δr", "95 % interval", "q")
    return Cells(columns, rows, caption=more)


def _regions(files: list[ScoreFile], album: Album) -> list[Section]:
    """Show gains by the targets tuned on and the regions scored, where several were tuned on."""
    tables = read_tuning_tables(files)
    if tables.empty:
        return []
    models = list(dict.fromkeys(map(str, tables["model"])))
    base = next((m for m in models if m.endswith(":tuned")), None)
    first = next((f for f in files if base is not None and f.label == analysis_label(base)), None)
    if base is None or first is None:
        return []
    names, sections = names_of_targets(models, tuned_on_targets(first, base)), []
    gains = participant_gains(tables)
    for modality, part in gains.groupby("modality", sort=False):
        matrix = tuned_by_scored(part, names)
        if len(matrix) < 2:
            continue
        n = part["participant"].nunique()
        picture = album.add(
            f"{modality}_desc-{analysis_label(base)}_tunedbyscored",
            delta_matrix(matrix, xlabel="scored", ylabel="tuned on"),
            alt="Gain by the targets that were tuned on and the regions that are scored.",
            caption=f"Gain over the original, mean over {n} participants. Rows: targets that the "
            "model was tuned on; columns: regions that are scored.",
        )
        sections.append(
            Section(
                "Tuned on one region, scored in another", (), (picture,), (matrix_cells(matrix),)
            )
        )
    return sections


def matrix_cells(matrix: pd.DataFrame, *, first: str = "Tuned on") -> Cells:
    """Give a matrix of Δr as a small table."""
    return Cells(
        (first, *map(str, matrix.columns)),
        tuple(
            (str(name), *(number(float(v)) for v in row))
            for name, row in zip(matrix.index, matrix.to_numpy(dtype=float), strict=True)
        ),
        caption="Δr against the original.",
    )


def _transfers(files: list[ScoreFile], album: Album) -> list[Section]:
    tables = read_tuning_tables(files)
    if tables.empty:
        return []
    sections = []
    for modality, part in transfer_table(tables).groupby("modality", sort=False):
        every = part[part["region"] == "all"]
        model = str(every["model"].iloc[0])
        sections.append(
            Section(
                f"Transfer between participants: {model}",
                _transfer_sentences(every),
                (_matrix_picture(every, str(modality), model, album),),
            )
        )
    return sections


def _matrix_picture(every: pd.DataFrame, modality: str, model: str, album: Album) -> Picture:
    cells = every[every["kind"] == CELL]
    matrix = cells.pivot_table(
        index="tuned_on", columns="scored_on", values="delta_r", dropna=False
    )
    return album.add(
        f"{modality}_desc-{analysis_label(model)}_transfer",
        delta_matrix(matrix, xlabel="scored on sub-", ylabel="tuned on sub-"),
        alt="Gain over the original by the participant tuned on and the participant scored on.",
        caption="Gain over the original on the test stories of the participant who is scored, "
        "mean over targets: ridge, layer and penalty are that participant's own. Grey: not "
        "scored, as the model was trained or chosen on what would be scored, or is of other "
        "settings.",
    )


def _transfer_sentences(every: pd.DataFrame) -> tuple[str, ...]:
    means = {row["kind"]: row for row in every.to_dict("records") if row["kind"] != CELL}
    called = {
        OWN: "Scored with the model tuned on themselves",
        OTHERS: "Scored with the models tuned on others",
        DIFFERENCE: "Own less others",
    }
    told = [
        f"{what}: mean Δr over {int(_float(means[kind]['n_participants']))} participants is "
        f"{number(_float(means[kind]['delta_r']))}{_span(means[kind])}."
        for kind, what in called.items()
        if kind in means
    ]
    cells = every[every["kind"] == CELL]
    if cells["scored_on"].nunique() < MIN_FOR_INTERVAL:
        told.append(FEW)
    reasons = cells[cells["reason"].notna()]
    told += [
        f"sub-{row['tuned_on']} on sub-{row['scored_on']} is left out: {row['reason']}."
        for row in reasons.to_dict("records")
    ]
    return tuple(told)
