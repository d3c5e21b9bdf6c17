"""Decoding on a participant's page: figure, numbers, and what they mean."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.outputs.reading import LOWLEVEL, UNTRAINED, read_sidecar
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.figures.decoding_curves import DecodingPanel, decoding_curves
from bids_brainalign.reports.rendering import Album, Picture
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import number, probability

TEXT = ("model", "decoder", "layer", "fold", "score", "layer_mode", "reason")
PANELS = (("two_vs_two", "2-vs-2 accuracy"), ("r_mean", "mean r over dimensions"))
NAMES = {
    "two_vs_two": "2-vs-2 accuracy",
    "rank": "normalised rank",
    "top1": "first of all",
    "pattern_r": "pattern r",
    "r_mean": "mean r",
}


def decoding_section(block: Block, album: Album) -> Section | None:
    """Show the decoded embedding of one model; None where nothing was decoded."""
    path = block.main.file.path.with_name(f"{block.main.stem}_decoding.tsv")
    table = block.table(path, text=TEXT)
    if table is None:
        return None
    table = table[table["fold"] == "all"]
    chosen = table[(table["layer"] == "selected") | (table["model"] == LOWLEVEL)]
    main = chosen[(chosen["model"] == block.main.model) & (chosen["decoder"] == "ridge")]
    method = str(read_sidecar(path.with_suffix(".json")).get("Method", ""))
    return Section(
        "Decoding: from the electrodes back to the model",
        (*_headline(main), method),
        _pictures(block, table, album),
        (_cells(chosen),),
    )


def _headline(main: pd.DataFrame) -> list[str]:
    row = main.set_index("score").loc["two_vs_two"]
    if pd.isna(row["value"]):
        return [f"Held-out segments could not be told from each other: {row['reason']}."]
    share, p = float(row["value"]), float(row["p"])
    said = (
        f"Of two held-out segments, the decoder says rightly which is which in {share:.0%} of "
        f"pairs (chance 50 %; layer {row['layer_mode']} chosen on inner folds). "
    )
    if np.isnan(p):
        return [said + f"There is no p value: {row['reason']}."]
    found = "more than chance" if p < 0.05 else "not more than chance"
    said += f"That is {found} (p {_equals(p)})."
    against = row["delta_untrained"]
    if pd.notna(against):
        p_delta = float(row["p_delta"])
        signed = ("+" if float(against) > 0 else "") + number(100 * float(against), 0)
        sign = "better" if p_delta < 0.05 else "not reliably better"
        said += (
            f" The trained model's embedding is {sign} identified than that of the same network "
            f"with random weights ({signed} points, p "
            f"{_equals(p_delta)})."
        )
    return [
        said,
        "Success means that the electrodes carry what distinguishes these stretches of speech. It "
        "does not show that the brain computes as the model does: where low-level features are "
        "identified as well, loudness and spectrum may be all that was decoded.",
    ]


def _equals(p: float) -> str:
    text = probability(p)
    return text if text.startswith("<") else f"= {text}"


def _pictures(block: Block, table: pd.DataFrame, album: Album) -> tuple[Picture, ...]:
    panels = [p for score, title in PANELS if (p := _panel(block, table, score, title))]
    if not panels:
        return ()
    picture = album.add(
        f"{block.name}_decoding",
        decoding_curves(panels),
        alt=f"Decoding scores over the layers of {block.main.model}.",
        caption="Decoding of each layer's embedding on held-out data. Solid: trained model; "
        "dashed: the same network with random weights; dotted: low-level features decoded the "
        "same way (another target, so the heights compare loosely). Grey: from chance to the "
        "95th percentile of each layer's null; dash-dotted: that of the best of all layers.",
    )
    return (picture,)


def _panel(block: Block, table: pd.DataFrame, score: str, title: str) -> DecodingPanel | None:
    ridge = table[(table["score"] == score) & (table["decoder"] == "ridge")]
    rows = ridge[ridge["layer"].str.fullmatch(r"\d+")]
    trained = _curve(rows, block.main.model, "value")
    if len(trained) < 2 or not np.isfinite(trained.to_numpy()).any():
        return None
    twin = _curve(rows, block.main.model + UNTRAINED, "value").reindex(trained.index)
    band = _array(_curve(rows, block.main.model, "null_q95"))
    mine = rows[rows["model"] == block.main.model]
    others = table[
        (table["score"] == score)
        & (table["decoder"] != "ridge")
        & (table["model"] == block.main.model)
    ]
    low = ridge[ridge["model"] == LOWLEVEL]["value"]
    return DecodingPanel(
        title=title,
        chance=float(mine["chance"].iloc[0]),
        layers=np.asarray(trained.index, dtype=np.int64),
        trained=_array(trained),
        untrained=_known(twin),
        lowlevel=float(low.iloc[0]) if len(low) else np.nan,
        band=band if np.isfinite(band).any() else None,
        band_max=float(mine["null_max_q95"].iloc[0]),
        points=tuple(
            (f"{decoder}, chosen layer", float(value))
            for decoder, value in zip(others["decoder"], others["value"], strict=True)
            if np.isfinite(value)
        ),
    )


def _curve(rows: pd.DataFrame, model: str, column: str) -> pd.Series[float]:
    mine = rows[rows["model"] == model]
    return pd.Series(
        mine[column].to_numpy(dtype=float), index=mine["layer"].astype(int).to_numpy()
    ).sort_index()


def _known(values: pd.Series[float]) -> NDArray[np.float64] | None:
    return _array(values) if values.notna().any() else None


def _array(values: pd.Series[float]) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def _cells(chosen: pd.DataFrame) -> Cells:
    """One row per model and decoder, one column per score."""
    rows = []
    for (model, decoder), part in chosen.groupby(["model", "decoder"], sort=False):
        by_score = part.set_index("score")
        cells = [f"{model} ({decoder})"]
        for score in NAMES:
            row = by_score.loc[[score]]
            value, p = row["value"].to_numpy(dtype=float)[0], row["p"].to_numpy(dtype=float)[0]
            cells.append(f"{number(value)} (p {probability(p)})")
        rows.append((*cells, f"{int(part['n_segments'].iloc[0])}"))
    chance = chosen.set_index("score")["chance"]
    first = chance.loc["top1"]
    first = first.iloc[0] if isinstance(first, pd.Series) else first
    return Cells(
        ("Decoded", *NAMES.values(), "Segments"),
        tuple(rows),
        caption="Layer chosen on inner folds; p of each number by itself. Chance: .5, .5, "
        f"{number(first)}, 0, 0.",
    )
