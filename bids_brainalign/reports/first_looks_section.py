"""First looks on the page: speech against silence, and clock drift."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.outputs.reading import read_table
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.figures.silence_contrast import contrast_dots
from bids_brainalign.reports.rendering import Album, Picture
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import number

CONTRAST_TEXT = ("target", "labels_from", "reason")
LAG_TEXT = ("recording", "flagged", "reason")


def first_looks_section(block: Block, album: Album) -> Section | None:
    """Speech against silence per channel, and the lag at both ends of each recording."""
    contrast = read_table(_beside(block, "silence_contrast"), text=CONTRAST_TEXT)
    lags = read_table(_beside(block, "sound_lags"), text=LAG_TEXT)
    if contrast is None and lags is None:
        return None
    sentences: list[str] = []
    pictures: list[Picture] = []
    tables: list[Cells] = []
    if contrast is not None:
        sentences.append(_contrast_sentence(contrast))
        if contrast["d"].notna().any():
            pictures.append(_contrast_picture(block, contrast, album))
    if lags is not None:
        sentences += _drift_sentences(lags)
        tables.append(_lag_cells(lags))
    return Section("First looks", tuple(sentences), tuple(pictures), tuple(tables))


def _beside(block: Block, name: str) -> Path:
    return block.main.file.path.with_name(f"{block.main.file.prefix}_desc-{name}.tsv")


def _contrast_sentence(table: pd.DataFrame) -> str:
    first = table.iloc[0]
    if table["d"].isna().all():
        return f"Speech against silence: n/a, {first['reason']}."
    amount = (
        f"{first['speech_s']:.0f} s of speech against {first['silence_s']:.0f} s of silence "
        f"(told apart by {first['labels_from']})"
    )
    if table["p"].isna().all():
        return f"Speech against silence, {amount}: no p values, {first['reason']}."
    found = table["q_fdr"] < 0.05
    higher = int((found & (table["d"] > 0)).sum())
    lower = int((found & (table["d"] < 0)).sum())
    return (
        f"Speech against silence, {amount}: {higher} of {len(table)} channels respond more to "
        f"speech and {lower} less (q < .05)."
    )


def _contrast_picture(block: Block, table: pd.DataFrame, album: Album) -> Picture:
    found = int((table["q_fdr"] < 0.05).sum())
    return album.add(
        f"{block.main.file.prefix}_desc-silence_contrast",
        contrast_dots(table),
        alt=f"Speech minus silence for {len(table)} channels; {found} are marked.",
        caption="Mean response in speech minus mean response in settled silence, in standard "
        "deviations. Filled: q < .05 over channels; p from circular shifts of the labels along "
        "the response, which keep the slowness of both (two-sided).",
    )


def _drift_sentences(table: pd.DataFrame) -> list[str]:
    flagged = table[table["flagged"] == "true"]
    said = [
        f"WARNING: {row['recording']}: the clocks of sound and recording drift apart by "
        f"{_ms(row['drift_s'])} ms between the first and the last third (95 % interval "
        f"{_ms(row['drift_low_s'])} to {_ms(row['drift_high_s'])} ms): give parts of the stimulus "
        "onsets of their own (--stimuli-map), or correct the sampling rate."
        for row in flagged.to_dict("records")
    ]
    known = int(table["drift_s"].notna().sum())
    if known and not said:
        return [
            f"No clock drift above 20 ms in {known} of {len(table)} recordings with an answer."
        ]
    if not known:
        return ["Clock drift: no answer, the sound is not linked to the responses closely enough."]
    return said


def _lag_cells(table: pd.DataFrame) -> Cells:
    rows = []
    for row in table.to_dict("records"):
        interval = f"{_ms(row['drift_low_s'])} to {_ms(row['drift_high_s'])}"
        known = bool(np.isfinite(row["drift_s"]))
        rows.append(
            (
                str(row["recording"]),
                _lag(row["lag_first_s"], row["lag_first_se_s"]),
                _lag(row["lag_last_s"], row["lag_last_se_s"]),
                _ms(row["drift_s"]),
                interval if known else "n/a",
                ("yes" if row["flagged"] == "true" else "no") if known else str(row["reason"]),
            )
        )
    return Cells(
        ("Recording", "Lag, first third (ms)", "Lag, last third (ms)", "Drift (ms)",
         "95 % interval", "Above 20 ms"),
        tuple(rows),
        "Lag of the responses behind the envelope of the sound, ± standard error (jackknife over "
        "blocks). A drift is given where both ends are linked to the sound (p < .01).",
    )  # fmt: skip


def _lag(lag_s: float, error_s: float) -> str:
    return f"{_ms(lag_s)} ± {_ms(error_s)}" if np.isfinite(lag_s) else "n/a"


def _ms(seconds: float) -> str:
    return number(1000 * seconds, 0)
