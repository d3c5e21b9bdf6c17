"""From stored responses and phone times to one response per phone that was heard."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.phonemes.articulation import CATEGORIES, KINDS, categories_of
from bids_brainalign.phonemes.classes import PhoneClasses
from bids_brainalign.phonemes.selectivity import Tokens
from bids_brainalign.phonemes.times import PhoneTimes
from bids_brainalign.responses.types import Response
from bids_brainalign.workflow.assemble import Assembly
from bids_brainalign.workflow.fits import Fit

_WINDOW_POINTS = 6
BLOCK_S = 60.0
"""Halves and bootstraps take whole minutes."""


def heard_phones(fit: Fit, times: Mapping[str, PhoneTimes]) -> list[pd.DataFrame]:
    """Phones on the clock of each recording.

    Parameters
    ----------
    fit : Fit
    times : mapping
        Stimulus name → its phones.

    Returns
    -------
    list of DataFrame
        Per recording: ``onset`` (s on the recording clock), ``phone``; in time order.
    """
    tables = []
    for recording in fit.recordings:
        parts = []
        for p in fit.of(recording):
            table = times[p.stimulus.name].table
            onset = table["onset"].to_numpy(dtype=float)
            played = np.zeros(len(onset), dtype=bool)
            for start, stop in p.segments:
                played |= (onset >= start) & (onset <= stop)
            heard = table.loc[played, ["onset", "phone"]]
            parts.append(heard.assign(onset=heard["onset"] + p.onset_s))
        table = pd.concat(parts, ignore_index=True)
        tables.append(table.sort_values("onset", kind="stable", ignore_index=True))
    return tables


def known_phones(classes: PhoneClasses) -> tuple[str, ...] | None:
    """Phones of the user's table; None: all whose first symbol stands on the IPA chart."""
    return tuple(classes.table) or None


def token_table(
    config: Config, assembly: Assembly, heard: list[pd.DataFrame], classes: PhoneClasses
) -> tuple[Tokens, tuple[str, ...]]:
    """Mean responses after every phone, and the phones that are too rare to be tested.

    Responses are in SD of their run. The window is ``phonemes.window_s`` long around
    ``phonemes.window_centre_s`` after the onset. Phones near the ends of the recording or in
    censored samples are left out.
    """
    settings = config.phonemes
    values, labels, runs, blocks, n_blocks = [], [], [], [], 0
    for index, (response, table) in enumerate(zip(assembly.responses, heard, strict=True)):
        onsets = table["onset"].to_numpy(dtype=float)
        mean, whole = window_means(
            response, onsets, centre_s=settings.window_centre_s, width_s=settings.window_s
        )
        minute = ((onsets - (onsets[0] if len(onsets) else 0)) // BLOCK_S).astype(np.int64)
        values.append(mean[whole])
        labels.append(table["phone"].to_numpy(dtype=object)[whole])
        runs.append(np.full(int(whole.sum()), index))
        blocks.append(minute[whole] + n_blocks)
        n_blocks += int(minute.max(initial=0)) + 1
    every = np.concatenate(labels)
    names, counts = np.unique(every.astype(str), return_counts=True)
    known = np.array([bool(classes_of(str(name), classes)) for name in names], dtype=bool)
    tested = names[known & (counts >= settings.min_tokens)]
    rare = names[known & (counts < settings.min_tokens)]
    order = _in_order([str(n) for n in tested], classes)
    where = {name: i for i, name in enumerate(order)}
    tokens = Tokens(
        responses=np.concatenate(values).astype(np.float64),
        phone=np.array([where.get(str(label), -1) for label in every], dtype=np.int64),
        names=tuple(order),
        run=np.concatenate(runs).astype(np.int64),
        block=np.concatenate(blocks).astype(np.int64),
    )
    return tokens, tuple(str(name) for name in rare)


def window_means(
    response: Response, onsets: NDArray[np.float64], *, centre_s: float, width_s: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Mean of the linearly interpolated response after each onset, in SD of the run.

    Returns
    -------
    means : ndarray of shape (n_onsets, n_targets)
    whole : ndarray of bool, shape (n_onsets,)
        The window lies in the recording and no sample of it is censored.
    """
    kept = ~response.censored
    data = response.data.astype(np.float64)
    sd = data[kept].std(axis=0)
    data = (data - data[kept].mean(axis=0)) / np.where(sd > 0, sd, 1)
    offsets = centre_s + width_s * (np.arange(_WINDOW_POINTS) / (_WINDOW_POINTS - 1) - 0.5)
    position = (onsets[:, None] + offsets - response.times[0]) / response.interval_s
    inside = (position[:, 0] >= 0) & (position[:, -1] <= len(data) - 1)
    left = np.clip(np.floor(position).astype(np.int64), 0, len(data) - 2)
    means = np.zeros((len(onsets), data.shape[1]))
    for column in range(_WINDOW_POINTS):
        share = (position[:, column] - left[:, column])[:, None]
        means += (1 - share) * data[left[:, column]] + share * data[left[:, column] + 1]
    censored = response.censored[left].any(axis=1) | response.censored[left + 1].any(axis=1)
    return means / _WINDOW_POINTS, inside & ~censored


def classes_of(phone: str, classes: PhoneClasses) -> tuple[str, ...]:
    """Categories of a phone: of the user's table if there is one, else by articulation."""
    return classes.of(phone) if classes.table else categories_of(phone)


def categories(
    names: tuple[str, ...], classes: PhoneClasses
) -> tuple[list[tuple[str, str]], NDArray[np.bool_]]:
    """Kind and name of every category that some but not all tested phones belong to.

    Returns
    -------
    categories : list of (kind, name)
    members : ndarray of bool, shape (n_categories, n_phones)
    """
    belongs = [classes_of(name, classes) for name in names]
    if classes.table:
        found = [("class", name) for name in dict.fromkeys(c for b in belongs for c in b)]
    else:
        found = [(kind, name) for kind, members in KINDS.items() for name in members]
    table = np.array([[name in b for b in belongs] for _, name in found], dtype=bool)
    table = table.reshape(len(found), len(names))
    useful = np.flatnonzero(table.any(axis=1) & ~table.all(axis=1))
    return [found[index] for index in useful], table[useful]


def _in_order(names: list[str], classes: PhoneClasses) -> list[str]:
    """Alike phones beside each other: by their categories, then by name."""
    if classes.table:
        return sorted(names, key=lambda name: (classes.of(name), name))
    rank = {name: i for i, name in enumerate(CATEGORIES)}
    return sorted(names, key=lambda n: ([rank[c] for c in categories_of(n)], n))
