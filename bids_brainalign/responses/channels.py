"""Which channels of a recording are neural, good, and in volts: ``*_channels.tsv``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bids_brainalign.dataset.tables import read_tsv
from bids_brainalign.errors import BrainAlignError, ExitCode

NEURAL_TYPES = ("ECOG", "SEEG")
EEG_TYPES = ("EEG",)

VOLT_UNITS = ("uv", "µv", "μv", "mv", "v", "n/a")
"""Lower case; both micro signs of Unicode. ds005574 types oximeters as ECOG: their units, ``%``
and ``bpm``, tell them apart."""


@dataclass(frozen=True)
class ChannelChoice:
    """What is kept of ``channels.tsv`` and why the rest is not."""

    kept: pd.DataFrame
    """``name``, ``type`` (upper case), in the table's order."""
    dropped: tuple[tuple[str, str], ...]
    """Channel name and the reason, in the table's order."""
    names: tuple[str, ...]
    """All rows of the table."""
    notes: tuple[str, ...]
    """One sentence per reason, with its channels."""


def choose_channels(
    channels_path: Path | None, *, recording_name: str, types: tuple[str, ...] = NEURAL_TYPES
) -> ChannelChoice:
    """Choose the good neural channels of a recording.

    Parameters
    ----------
    channels_path : Path or None
        ``*_channels.tsv``; types are taken from it, never guessed from names.
    recording_name : str
        For the messages.
    types : tuple of str
        Of neural channels.

    Returns
    -------
    ChannelChoice

    Raises
    ------
    BrainAlignError
        66: no ``channels.tsv``. 65: columns missing, names twice, nothing left.
    """
    if channels_path is None or not channels_path.exists():
        raise BrainAlignError(
            f"{recording_name} has no channels.tsv: nothing says which channels are neural.",
            where="" if channels_path is None else f"Looked for {channels_path}.",
            fix=f"add *_channels.tsv with the columns name, type ({' or '.join(types)}), units "
            "and status beside the recording.",
            exit_code=ExitCode.MISSING_INPUT,
        )
    table = _read_channels(channels_path)
    reasons = [_reason(table.loc[index], types) for index in table.index]
    kept = table[[reason is None for reason in reasons]]
    dropped = tuple(
        (str(name), reason)
        for name, reason in zip(table["name"], reasons, strict=True)
        if reason is not None
    )
    if kept.empty:
        raise BrainAlignError(
            f"{channels_path.name} leaves no channel to analyse.",
            where=" ".join(_by_reason(dropped)),
            fix=f"neural channels have type {' or '.join(types)}, status good and units uV, mV, V "
            "or n/a.",
        )
    notes = _by_reason(dropped)
    if (table["status"] == "n/a").all():
        notes = ("channels.tsv gives no status: every neural channel was taken as good.", *notes)
    return ChannelChoice(
        kept[["name", "type"]].reset_index(drop=True), dropped, tuple(table["name"]), notes
    )


def _read_channels(path: Path) -> pd.DataFrame:
    table = read_tsv(path).fillna("n/a")
    missing = [c for c in ("name", "type") if c not in table.columns]
    if missing:
        raise BrainAlignError(
            f"{path.name} has no column {', '.join(missing)}.",
            where=f"It has: {', '.join(table.columns)}.",
            fix="BIDS requires the columns name, type and units.",
        )
    for optional in ("units", "status", "status_description"):
        if optional not in table.columns:
            table[optional] = "n/a"
    for column in ("name", "type", "units", "status", "status_description"):
        table[column] = table[column].str.strip()
    table["type"] = table["type"].str.upper()
    table["status"] = table["status"].str.lower()
    twice = sorted(set(table["name"][table["name"].duplicated()]))
    if twice:
        raise BrainAlignError(
            f"{path.name} names channels more than once: {', '.join(twice)}.",
            fix="give every channel its own name, as in the recording.",
        )
    return table


def _reason(row: pd.Series[str], types: tuple[str, ...]) -> str | None:
    """Why a channel is left out, as the end of a sentence; None if it stays."""
    if row["name"].lower() == "edf annotations":
        return "is the annotation track, not a signal"
    if row["type"] not in types:
        return f"has type {row['type']}, not {' or '.join(types)}"
    if row["units"].lower() not in VOLT_UNITS:
        return f"is in {row['units']}, not in volts"
    if row["status"] not in ("good", "n/a"):
        described = row["status_description"]
        because = "" if described.lower() in ("", "n/a") else f" ({described})"
        return f"has status {row['status']}{because}"
    return None


def _by_reason(dropped: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """One sentence per reason.

    Examples
    --------
    >>> _by_reason((("DC1", "has type MISC, not ECOG or SEEG"),))
    ('1 channel dropped, it has type MISC, not ECOG or SEEG: DC1.',)
    """
    groups: dict[str, list[str]] = {}
    for name, reason in dropped:
        groups.setdefault(reason, []).append(name)
    return tuple(
        f"{len(names)} channel{'s' * (len(names) > 1)} dropped, "
        f"{'each' if len(names) > 1 else 'it'} {reason}: {', '.join(names)}."
        for reason, names in groups.items()
    )
