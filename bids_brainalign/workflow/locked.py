"""The alignment check: responses averaged around stimulus and word onsets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.assemble import common_targets
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.responses import load_response, response_path

WINDOW_S = {
    ("ieeg", "stimulus onset"): (-1.0, 2.0),
    ("ieeg", "word onset"): (-0.5, 1.0),
    ("fmri", "stimulus onset"): (-6.0, 20.0),
    ("fmri", "word onset"): (-6.0, 16.0),
}
"""Seconds around each event, by modality."""

COLUMNS = {
    "locked_to": "Event around which the response was averaged",
    "time_s": "Seconds from the event",
    "target": "Channel, or group of voxels",
    "mean": "Mean response, in standard deviations of the run",
    "sem": "Standard error over events (events overlap: for orientation only)",
    "n": "Events",
}


def locked_step(config: Config, fit: Fit) -> Step:
    """Average the responses of one fit around onsets and write ``desc-onset_locked.tsv``."""
    path = config.paths.output_dir / fit.name.file("locked.tsv", analysis="onset")
    onsets = [
        [p.recording.name, p.onset_s, p.stimulus.name,
         [] if p.stimulus.words is None else p.stimulus.words.table["onset"].round(6).tolist()]
        for p in fit.presentations
    ]  # fmt: skip

    def work() -> list[Path]:
        return list(write_tsv(path, locked_table(config, fit), COLUMNS))

    return Step(
        name=f"locked {fit.name.stem} {fit.name.datatype}",
        inputs={
            "onsets": onsets,
            "responses": [response_path(config, fit, r).name for r in fit.recordings],
        },
        modules=("bids_brainalign.workflow.locked",),
        work=work,
    )


def locked_table(config: Config, fit: Fit) -> pd.DataFrame:
    """Long table of averages for every target (parcels for fMRI)."""
    loaded = [load_response(response_path(config, fit, r)) for r in fit.recordings]
    responses, _ = common_targets(fit, loaded)
    names = list(responses[0].targets["name"])
    groups: dict[str, NDArray[np.bool_]] = {}
    if fit.modality == "fmri":
        side = responses[0].targets["hemisphere"].to_numpy(dtype=str)
        groups = {"whole": side != "", "left": side == "L", "right": side == "R"}
    runs = []
    for response in responses:
        data = response.data.astype(np.float32)
        sd = data.std(axis=0)
        data = (data - data.mean(axis=0)) / np.where(sd > 0, sd, 1)
        if groups:
            data = np.stack([data[:, g].mean(axis=1) for g in groups.values()], axis=1)
        runs.append(data)
    names = list(groups) or names
    tables = []
    for event in ("stimulus onset", "word onset"):
        low, high = WINDOW_S[fit.modality, event]
        interval = responses[0].interval_s
        offsets = np.arange(np.ceil(low / interval), np.floor(high / interval) + 1) * interval
        epochs = []
        for recording, response, data in zip(fit.recordings, responses, runs, strict=True):
            times = _event_times(fit, recording.name, event)
            epochs.append(_epochs(data, response.times, times, offsets))
        stacked = np.concatenate(epochs)
        if len(stacked):
            tables.append(_summary(event, offsets, names, stacked))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))


def _event_times(fit: Fit, recording: str, event: str) -> NDArray[np.float64]:
    times: list[float] = []
    for p in fit.presentations:
        if p.recording.name != recording:
            continue
        if event == "stimulus onset":
            times += [p.onset_s + start for start, _ in p.segments]
        elif p.stimulus.words is not None:
            onsets = p.stimulus.words.table["onset"].to_numpy(dtype=np.float64)
            played = np.zeros(len(onsets), dtype=bool)
            for start, stop in p.segments:
                played |= (onsets >= start) & (onsets <= stop)
            times += list(p.onset_s + onsets[played])
    return np.array(times)


def _epochs(
    data: NDArray[np.float32],
    times: NDArray[np.float64],
    events: NDArray[np.float64],
    offsets: NDArray[np.float64],
) -> NDArray[np.float32]:
    """(n_events, n_offsets, n_targets), linearly interpolated; events near the ends are left."""
    whole = (events + offsets[0] >= times[0]) & (events + offsets[-1] <= times[-1])
    wanted = events[whole][:, None] + offsets
    position = (wanted - times[0]) / (times[1] - times[0])
    left = np.clip(np.floor(position).astype(int), 0, len(times) - 2)
    share = (position - left)[..., None].astype(np.float32)
    return np.asarray((1 - share) * data[left] + share * data[left + 1], dtype=np.float32)


def _summary(
    event: str, offsets: NDArray[np.float64], names: list[str], epochs: NDArray[np.float32]
) -> pd.DataFrame:
    n = len(epochs)
    mean = epochs.mean(axis=0)
    sem = epochs.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(mean.shape, np.nan)
    return pd.DataFrame(
        {
            "locked_to": event,
            "time_s": np.round(np.tile(offsets, len(names)), 6),
            "target": np.repeat(np.array(names, dtype=object), len(offsets)),
            "mean": mean.T.ravel(),
            "sem": sem.T.ravel(),
            "n": n,
        }
    )
