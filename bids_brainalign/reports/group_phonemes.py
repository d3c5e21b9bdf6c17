"""Phones on the group's page: categories by region, every participant counted."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from bids_brainalign.outputs.phonemes import PHONES_LABEL, TEXT_COLUMNS
from bids_brainalign.outputs.reading import read_table
from bids_brainalign.reports.figures import canvas
from bids_brainalign.reports.figures.phoneme_profiles import DIVERGING
from bids_brainalign.reports.rendering import Album
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import number, probability
from bids_brainalign.statistics.intervals import MIN_FOR_INTERVAL

WHOLE = {"all": "all electrodes", "L": "left hemisphere", "R": "right hemisphere"}
SIDES = {"L": "left", "R": "right", "all": "any side"}
MAX_PLACES = 20
MAX_BEHAVIOUR = 10


def group_phoneme_files(output_dir: Path) -> list[Path]:
    """Tables of the group level about phones."""
    return sorted(output_dir.glob(f"group/desc-{PHONES_LABEL}_*.tsv"))


def group_phoneme_section(output_dir: Path, album: Album) -> Section | None:
    """Read ``group/desc-phones_*.tsv``; None where they are absent."""
    table = read_table(
        output_dir / "group" / f"desc-{PHONES_LABEL}_phonemes.tsv",
        text=("region", "hemisphere", "kind", "phone_class"),
    )
    if table is None:
        return None
    classes = table[table["kind"] != "phone"]
    if classes.empty:
        classes = table
    n = int(table["n_participants"].max())
    rule = (
        f"{n} participant{'' if n == 1 else 's'} with responses to phones. All electrodes of a "
        "region and side are averaged within each participant, whatever they prefer."
    )
    if n < MIN_FOR_INTERVAL:
        rule += f" No p over participants with fewer than {MIN_FOR_INTERVAL}."
    pictures = (
        album.add(
            f"desc-{PHONES_LABEL}_regions",
            region_responses(classes),
            alt="Heat map of regions and sides by categories of phones: mean response.",
            caption="Mean over participants of the response to each category less that to all "
            "other phones.",
        ),
    )
    order = read_table(
        output_dir / "group" / f"desc-{PHONES_LABEL}_coherence.tsv", text=TEXT_COLUMNS
    )
    behaviour = read_table(
        output_dir / "group" / f"desc-{PHONES_LABEL}_behaviour.tsv",
        text=("score", "participant", "measure", "phone_class"),
    )
    tables = [] if order is None else [_order(order)]
    if behaviour is not None:
        tables.append(_behaviour(behaviour))
    return Section("Phones", (rule,), pictures, tuple(tables))


def region_responses(table: pd.DataFrame) -> Figure:
    """Draw places × categories.

    Parameters
    ----------
    table : DataFrame
        ``region, hemisphere, phone_class, n_participants, n_electrodes, selectivity_mean``.
    """
    sides = table["hemisphere"].fillna("n/a")
    table = table.assign(place=list(map(_place, table["region"], sides)))
    places = list(dict.fromkeys(table["place"]))[:MAX_PLACES]
    names = list(dict.fromkeys(table["phone_class"]))
    values = table.pivot_table(index="place", columns="phone_class", values="selectivity_mean")
    values = values.reindex(index=places, columns=names)
    counts = table.groupby("place")[["n_participants", "n_electrodes"]].max()
    figure = canvas.paper(2.6 + 0.32 * len(names), 1.9 + 0.28 * len(places))
    axes = figure.subplots()
    canvas.tidy(axes, title="response to categories of phones")
    axes.grid(visible=False)
    limit = max(float(values.abs().max().max()), 1e-3)
    image = axes.imshow(
        values.to_numpy(float), aspect="auto", cmap=DIVERGING, norm=TwoSlopeNorm(0, -limit, limit)
    )
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=canvas.SIZE_PT - 1)
    labels = [
        f"{place} ({int(counts.loc[place, 'n_electrodes'])} in "
        f"{int(counts.loc[place, 'n_participants'])})"
        for place in places
    ]
    axes.set_yticks(range(len(places)), labels, fontsize=canvas.SIZE_PT - 1)
    bar = figure.colorbar(image, ax=axes, shrink=0.9, pad=0.02)
    bar.set_label("SD of the run", fontsize=canvas.SIZE_PT, color=canvas.INK)
    bar.outline.set_visible(False)
    return figure


def _place(region: str, hemisphere: str) -> str:
    if region == "all":
        return WHOLE[hemisphere]
    side = SIDES.get(hemisphere)
    return region if side is None else f"{region}, {side}"


def _order(table: pd.DataFrame) -> Cells:
    rows = []
    for _, row in table.iterrows():
        p = probability(row["p_combined"])
        value, null = number(row["value_mean"]), number(row["null_mean"])
        surrogates = "n/a" if pd.isna(row["n_null"]) else f"{int(row['n_null'])}"
        rows.append(
            (str(row["statistic"]), f"{int(row['n_participants'])}", value, null, p, surrogates)
        )
    return Cells(
        ("Anatomical coherence", "Participants", "Value", "Null", "p (combined)", "Surrogates"),
        tuple(rows),
        caption="Participants' p combined by Stouffer's method: a statement on these participants "
        "together, not on a population.",
    )


def _behaviour(table: pd.DataFrame) -> Cells:
    """Show the rows of each score and measure that lie furthest from 0."""
    named = table.fillna({"participant": "n/a", "phone_class": "n/a"})
    shown = named.assign(size=table["rho"].abs()).sort_values("size", ascending=False)
    shown = shown.groupby(["score", "measure"], sort=False).head(MAX_BEHAVIOUR).sort_index()

    rows = [
        (str(r["score"]), str(r["participant"]), str(r["measure"]), str(r["phone_class"]),
         number(r["rho"]), f"{int(r['n'])}", probability(r["p"]), probability(r["q_fdr"]))
        for _, r in shown.iterrows()
    ]  # fmt: skip
    few = int(table["p"].isna().sum())
    return Cells(
        ("Behaviour", "Participant", "Measure", "Category", "rho", "n", "p", "q"),
        tuple(rows),
        caption=f"Spearman's rank correlation, the {MAX_BEHAVIOUR} furthest from 0 of each score "
        "and measure; p by permutation of participants or of phones"
        + (f"; {few} of {len(table)} rows have too few for a p." if few else "."),
    )
