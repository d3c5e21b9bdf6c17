"""The page's section on models that were tuned on other participants."""

from __future__ import annotations

import pandas as pd

from bids_brainalign.group.tuning import names_of_targets, participant_gains, tuned_by_scored
from bids_brainalign.outputs.reading import score_files
from bids_brainalign.outputs.tuning import TEXT, read_tuning_tables, tuned_on_targets
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.figures.group_tuning import delta_matrix
from bids_brainalign.reports.group_tuning import matrix_cells
from bids_brainalign.reports.rendering import Album
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import ALPHA, number


def transfer_section(block: Block, album: Album) -> Section | None:
    """Show this participant scored with models of others; None without ``transfer.tsv``."""
    file = block.main.file
    path = file.path.parent / f"{file.prefix}_desc-{file.label}_transfer.tsv"
    table = block.table(path, text=TEXT)
    if table is None:
        return None
    sentences = (
        "Models that were tuned on other participants, on this participant's test stories: ridge, "
        "layer and penalty are this participant's own, the model has never met these responses.",
        *_reasons(table),
    )
    rows = tuple(
        _row(str(who), part, file.participant)
        for who, part in table.groupby("tuned_on", sort=False)
    )
    columns = ("Tuned on", "Δr to the original", "better at q < .05", "Δr to the own model")
    return Section("Models that were tuned on others", sentences, (), (Cells(columns, rows),))


def _reasons(table: pd.DataFrame) -> tuple[str, ...]:
    """Say which models are left out, and why."""
    known = table.dropna(subset="reason").drop_duplicates("tuned_on")
    return tuple(
        f"The model of sub-{row['tuned_on']} is left out: {row['reason']}."
        for row in known.to_dict("records")
    )


def _row(who: str, part: pd.DataFrame, participant: str) -> tuple[str, ...]:
    own = part[part["reference"] == part["model"]]
    original = part[part["reference"] != part["model"]]
    tested, better = original["q_fdr"].notna().sum(), (original["q_fdr"] < ALPHA).sum()
    name = f"sub-{who}" + (" (this participant)" if who == participant else "")
    return (name, number(_mean(original)), f"{better} of {tested}", number(_mean(own)))


def _mean(rows: pd.DataFrame) -> float:
    """Give Δr of the whole mask, or the mean over electrodes."""
    whole = rows[rows["target"] == "whole"]
    values = (whole if len(whole) else rows)["delta_r"]
    return float(values.mean()) if len(values) else float("nan")


def tuned_regions_section(block: Block, album: Album) -> Section | None:
    """Show gains by the targets tuned on (``--compare targets=…``) and the regions scored."""
    file, model = block.main.file, block.main.model
    if not model.endswith(":tuned"):
        return None
    files = [
        other for other in score_files(file.output_dir, suffix="tuning",
                                       chosen=(file.participant,))
        if other.path.parent == file.path.parent and other.prefix == file.prefix
        and block.table(other.path, text=TEXT) is not None
    ]  # fmt: skip
    tables = read_tuning_tables(files)
    if tables.empty:
        return None
    models = list(dict.fromkeys(map(str, tables["model"])))
    names = names_of_targets(models, tuned_on_targets(file, model))
    matrix = tuned_by_scored(participant_gains(tables), names)
    if len(matrix) < 2:
        return None
    picture = album.add(
        f"{block.name}_tunedbyscored",
        delta_matrix(matrix, xlabel="scored", ylabel="tuned on"),
        alt="Gain by the targets that were tuned on and the regions that are scored.",
        caption="Gain over the original on the test stories. Rows: targets that the model was "
        "tuned on; columns: regions that are scored. Intervals are in the tables of each model.",
    )
    return Section(
        "Tuned on one region, scored in another", (), (picture,), (matrix_cells(matrix),)
    )
