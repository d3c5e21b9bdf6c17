"""The page's section on lags: when a response follows the features that predict it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bids_brainalign.outputs.reading import LOWLEVEL, read_sidecar
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.figures.lag_curves import lag_curves, layer_by_lag
from bids_brainalign.reports.rendering import Album, Picture
from bids_brainalign.reports.section import Cells, Section, sentences_of
from bids_brainalign.reports.summary import NO_TEST, number
from bids_brainalign.statistics.intervals import MIN_FOR_INTERVAL

TITLES = {"continuous": "Every sample", "word": "Locked to words"}
_TEXT = ("target", "region", "hemisphere", "model", "mode", "layer", "peak", "at_edge")
_MOST_ROWS = 8


def lags_section(block: Block, album: Album) -> Section | None:
    """Lag curves, the layer × lag map and the slope of the peak lag; None without the table."""
    main = block.main
    lags = _table(block, main.file.label, "lags")
    if lags is None:
        return None
    baseline = None if main.model == LOWLEVEL else _table(block, LOWLEVEL, "lags")
    slopes = block.table(
        main.file.path.with_name(f"{main.stem}_lagslopes.tsv"),
        text=("group", "group_type", "model", "mode", "heard_future"),
    )
    sentences: list[str] = []
    pictures: list[Picture] = []
    for mode in lags["mode"].unique():
        rows = lags[lags["mode"] == mode]
        floor = None if baseline is None else baseline[baseline["mode"] == mode]
        sentences.append(_finding(rows, str(mode)))
        pictures += _pictures(block, rows, floor, str(mode), album)
    sentences += _context(lags)
    sidecar = read_sidecar(_path(block, main.file.label, "lags").with_suffix(".json"))
    sentences += sentences_of(sidecar, "Notes")
    tables = () if slopes is None else (_slope_cells(slopes),)
    return Section("Lags", tuple(sentences), tuple(pictures), tables)


def _path(block: Block, label: str, suffix: str) -> Path:
    file = block.main.file
    return file.path.with_name(f"{file.prefix}_desc-{label}_{suffix}.tsv")


def _table(block: Block, label: str, suffix: str) -> pd.DataFrame | None:
    return block.table(_path(block, label, suffix), text=_TEXT)


def _context(lags: pd.DataFrame) -> list[str]:
    """Say why a lag may not be when the response came; nothing where it may."""
    future = lags["context_future_s"].max()
    if pd.isna(future):
        return [
            "It is not known how much sound before and after each moment these features have "
            "heard: a peak lag says where prediction is best, and when the response came only if "
            "they have heard nothing from after the moment."
        ]
    if future <= 0:
        return []
    return [
        f"These features have heard up to {future:g} s of sound after each moment: a peak lag "
        "says where prediction is best, not when the response came, and lags below zero have "
        "no causal reading. Run with --feature-mode causal to ask about time."
    ]


def _answers(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["layer"].isin(["selected", "n/a"]) | rows["layer"].isna()]


def _found(rows: pd.DataFrame) -> list[str]:
    peaks = _answers(rows)
    peaks = peaks[(peaks["peak"] == "true") & (peaks["q_peak"] < 0.05)]
    return [str(name) for name in peaks["target"]]


def _finding(rows: pd.DataFrame, mode: str) -> str:
    peaks = _answers(rows)
    peaks = peaks[peaks["peak"] == "true"]
    if peaks["q_peak"].isna().all():
        return f"{TITLES[mode]}: {NO_TEST}."
    found = peaks[peaks["q_peak"] < 0.05]
    inside = found[found["at_edge"] == "false"]
    text = (
        f"{TITLES[mode]}: {len(found)} of {len(peaks)} electrodes have a peak that chance does "
        "not explain (q < .05, corrected for the lags)"
    )
    if len(inside):
        median = number(1000 * float(inside["peak_s"].median()), 0)
        text += f"; their median peak lag is {median} ms"
    at_edge = len(found) - len(inside)
    if at_edge:
        text += f"; {at_edge} of them peak on the window's edge and may peak outside"
    return text + "."


def _pictures(
    block: Block, rows: pd.DataFrame, baseline: pd.DataFrame | None, mode: str, album: Album
) -> list[Picture]:
    found = _found(rows)
    who = f"the {len(found)} electrodes with a significant peak" if found else "all electrodes"
    curves = {block.main.model: _answers(rows)}
    if baseline is not None and len(baseline):
        curves["low-level baseline"] = _answers(baseline)
    pictures = [
        album.add(
            f"{block.name}_lags-{mode}",
            lag_curves(curves, found),
            alt=f"Held-out correlation over lags, {TITLES[mode].lower()}.",
            caption="Prediction from features at one lag at a time, with the layer that inner "
            "folds chose. Light lines are single electrodes, dark ones the mean over "
            f"{who} (their selection lifts the mean).",
        )
    ]
    layers = rows[rows["layer"].astype(str).str.fullmatch(r"\d+")]
    if len(layers):
        pictures.append(
            album.add(
                f"{block.name}_layerlags-{mode}",
                layer_by_lag(layers, selected=found),
                alt=f"Map of layers by lags, {TITLES[mode].lower()}.",
                caption=f"Mean r over {who} for every layer and lag. Dots: the layer's largest.",
            )
        )
    return pictures


def _slope_cells(slopes: pd.DataFrame) -> Cells:
    shown = slopes[slopes["group_type"] != "target"].head(_MOST_ROWS)
    rows = tuple(
        (
            str(row["group"]),
            TITLES[str(row["mode"])].lower(),
            str(int(row["n_targets"])),
            number(row["slope_ms"], 1),
            _interval(row["ci_low_ms"], row["ci_high_ms"]),
        )
        for _, row in shown.iterrows()
    )
    heard = set(slopes["heard_future"].fillna("n/a"))
    warning = ""
    if "true" in heard:
        warning = " The features have heard the future: no causal reading."
    elif "n/a" in heard:
        warning = " What the features have heard is not known: perhaps no causal reading."
    return Cells(
        ("Electrodes", "Mode", "n", "Slope (ms per layer)", "95 % interval"),
        rows,
        "Slope of the peak lag over layers: does what deeper layers hold come later? Electrodes "
        "with a significant peak inside the window. The interval (Student's t) is over electrodes "
        "alone and says how they differ: it holds this recording fixed, does not contain the "
        f"noise that electrodes share, and is n/a below {MIN_FOR_INTERVAL} electrodes.{warning}",
    )


def _interval(low: float, high: float) -> str:
    return "n/a" if pd.isna(low) else f"{number(low, 1)} to {number(high, 1)}"
