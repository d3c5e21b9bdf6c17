"""Whether sound and responses run together, and whether sound leaked into the electrodes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bids_brainalign.outputs.reading import read_table
from bids_brainalign.reports.figures.production_sound import channel_lags
from bids_brainalign.reports.production.results import Production
from bids_brainalign.reports.rendering import Album, Picture
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import number, probability

TITLE = "Sound and responses"
TEXT = ("recording", "name", "flagged")
MOST_ROWS = 24


def sound_section(production: Production, album: Album) -> Section:
    """Show the checks against the sound, or say that there were none."""
    lags = _read(production, "synchrony")
    leaks = _read(production, "contamination")
    sentences = [*production.said("words", "Sound")]
    sentences += production.said("synchrony") or (
        "Whether sound and responses run together was not checked: there is no table of it.",
    )
    leaked = production.said("contamination")
    if leaks is not None:
        leaked = (_leaks(leaks), *leaked)
    sentences += leaked or (
        "Whether sound leaked into the electrodes was not checked: there is no table of it.",
    )
    return Section(
        TITLE, tuple(sentences), _picture(production, lags, album),
        _leaking(leaks) if leaks is not None else (),
    )  # fmt: skip


def _read(production: Production, suffix: str) -> pd.DataFrame | None:
    table = read_table(production.shared(suffix), text=TEXT)
    if table is None or not set(TEXT) <= set(table.columns):
        return None
    return table.assign(flagged=table["flagged"].str.casefold() == "true")


def _picture(
    production: Production, lags: pd.DataFrame | None, album: Album
) -> tuple[Picture, ...]:
    if lags is None or lags["lag"].isna().all():
        return ()
    picture = album.add(
        f"{production.name}_synchrony",
        channel_lags(lags),
        alt="Lag of the high gamma of every channel behind the sound.",
        caption="At which lag the high gamma of each channel correlates most with the loudness of "
        "the sound; positive: high gamma follows the sound. Lines with bands: all channels "
        "together, and sound that leaks into channels where there is some, with their 95 % "
        "intervals. Brains answer to their own voice later and prepare speech before it, each "
        "channel in its way; clocks that are apart shift all channels alike.",
    )
    return (picture,)


def _leaks(table: pd.DataFrame) -> str:
    flagged = table[table["flagged"]]
    channels = table["name"].nunique()
    names = list(dict.fromkeys(flagged["name"].astype(str)))
    if not names:
        return (
            f"Sound in the electrodes (microphonics): none of {channels} channels is flagged. The "
            "voice's own frequencies overlap those of high gamma, so a leak would be decoded as "
            "speech."
        )
    shown = ", ".join(names[:MOST_ROWS]) + (" …" if len(names) > MOST_ROWS else "")
    return (
        f"Sound in the electrodes (microphonics): {len(names)} of {channels} channels "
        f"{'is' if len(names) == 1 else 'are'} flagged: {shown}. The voice's own frequencies "
        "overlap those of high gamma; what these channels tell of words may be the sound itself."
    )


def _leaking(table: pd.DataFrame) -> tuple[Cells, ...]:
    flagged = table[table["flagged"]].sort_values("q_fdr", kind="stable")
    if flagged.empty:
        return ()
    several = table["recording"].nunique() > 1
    rows = tuple(
        (
            f"{row['name']} ({row['recording']})" if several else str(row["name"]),
            number(float(row["statistic"])),
            number(float(row.get("r_waveform", np.nan))),
            f"{number(1000 * float(row['lag']), 0)} ms" if pd.notna(row["lag"]) else "n/a",
            probability(float(row["q_fdr"])),
        )
        for row in flagged.head(MOST_ROWS).to_dict("records")
    )
    return (
        Cells(
            ("Flagged channel", "r of fine spectra", "r of waveforms", "Lag", "q"),
            rows,
            caption="Fine spectra: correlation over frames and frequencies of sound and voltage, "
            "without what is broadband, at the lag at which it is highest. Waveforms: the "
            "correlation (70 to 170 Hz) that is furthest from 0 at lags up to 0.5 s. q: of the "
            "smaller p of the two, doubled; either flags a channel.",
        ),
    )
