"""The alignment check: responses averaged around onsets of stimuli, words and phones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.types import Recording, Stimulus
from bids_brainalign.outputs.reading import PHONES
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.phonemes.classes import (
    CLASSES,
    PhoneClasses,
    is_arpabet,
    read_phone_classes,
)
from bids_brainalign.responses.types import Response
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.assemble import common_targets
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.phone_times import phone_methods
from bids_brainalign.workflow.responses import load_response, response_path
from bids_brainalign.workflow.sound import stretches_of
from bids_brainalign.workflow.spaces import Space, feature_key, rate_of

SPEECH = "speech onset"
"""The first sound of speech after silence."""
WINDOW_S = {
    ("ieeg", "stimulus onset"): (-1.0, 2.0),
    ("ieeg", "word onset"): (-0.5, 1.0),
    ("eeg", "stimulus onset"): (-1.0, 2.0),
    ("eeg", "word onset"): (-0.5, 1.0),
    ("fmri", "stimulus onset"): (-6.0, 20.0),
    ("fmri", "word onset"): (-6.0, 16.0),
}
"""Seconds around each event, by modality."""
SPEECH_WINDOW_S = (-0.5, 1.0)
PHONE_WINDOW_S = (-0.2, 0.6)
_CHUNK = 500
"""Events interpolated at once: bounds memory, as a story has thousands of phones."""

COLUMNS = {
    "locked_to": "Event around which the response was averaged",
    "time_s": "Seconds from the event",
    "target": "Channel, or group of voxels",
    "mean": "Mean response, in standard deviations of the run",
    "sem": "Standard error over events (events overlap: for orientation only)",
    "n": "Events",
}


def locked_step(config: Config, fit: Fit, lowlevel: Space) -> Step:
    """Average the responses of one fit around onsets and write ``desc-onset_locked.tsv``.

    The low-level features are stored: they tell silence where no words are annotated.
    """
    path = config.paths.output_dir / fit.name.file("locked.tsv", analysis="onset")
    classes = phone_classes(config)
    rate = rate_of(config, fit.modality)
    onsets = [
        [p.recording.name, p.onset_s, p.segments, p.stimulus.name, _annotated(p.stimulus)]
        for p in fit.presentations
    ]

    def work() -> list[Path]:
        extra: dict[str, object] = {}
        if fit.modality != "fmri":
            extra = {"PhoneClasses": classes.source, "PhoneTimes": phone_methods(fit)}
        return list(
            write_tsv(path, locked_table(config, fit, classes, lowlevel), COLUMNS, extra=extra)
        )

    return Step(
        name=f"locked {fit.name.stem} {fit.name.datatype}",
        inputs={
            "onsets": onsets,
            "phone_classes": classes.table,
            "stimuli": [
                feature_key(config, lowlevel, p.stimulus, rate) for p in fit.presentations
            ],
            "responses": [response_path(config, fit, r).name for r in fit.recordings],
        },
        modules=("bids_brainalign.workflow.locked",),
        work=work,
    )


def phone_classes(config: Config) -> PhoneClasses:
    """Classes of phones: the user's table, else manner of articulation."""
    given = config.paths.phone_classes
    return PhoneClasses() if given is None else read_phone_classes(given)


def _annotated(stimulus: Stimulus) -> list[object]:
    """Words and phones as they are used: the ends of words tell where silence begins."""
    columns = ["onset", "duration", "label"]
    return [
        [] if a is None else [a.n_untimed, *(a.table[column].tolist() for column in columns)]
        for a in (stimulus.words, stimulus.phones)
    ]


def locked_table(config: Config, fit: Fit, classes: PhoneClasses, lowlevel: Space) -> pd.DataFrame:
    """Long table of averages for every target (parcels for fMRI).

    Parameters
    ----------
    config : Config
    fit : Fit
    classes : PhoneClasses
        For electrodes there is an average per class of phones; BOLD is too slow for them.
    lowlevel : Space
        Low-level features, whose envelope finds silence.
    """
    loaded = [load_response(response_path(config, fit, r)) for r in fit.recordings]
    responses, _ = common_targets(fit, loaded)
    names, runs = _standardised(fit, responses)
    interval = responses[0].interval_s
    tables = []
    stimuli = {p.stimulus.name: p.stimulus for p in fit.presentations}
    onsets = {n: _onsets_of(config, fit, s, classes, lowlevel) for n, s in stimuli.items()}
    for event in ["stimulus onset", *_kinds(onsets.values())]:
        usual = SPEECH_WINDOW_S if event == SPEECH else PHONE_WINDOW_S
        low, high = WINDOW_S.get((fit.modality, event), usual)
        offsets = np.arange(np.ceil(low / interval), np.floor(high / interval) + 1) * interval
        sums = _Moments(len(offsets), len(names))
        for recording, response, data in zip(fit.recordings, responses, runs, strict=True):
            times = _event_times(fit, recording, event, onsets)
            sums.add(data, response.times, times, offsets)
        if sums.n:
            tables.append(_summary(event, offsets, names, sums))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))


def _standardised(
    fit: Fit, responses: Sequence[Response]
) -> tuple[list[str], list[NDArray[np.float32]]]:
    """Names, and per run (n_times, n_names) in SD of the run; voxels averaged into parcels."""
    names = [str(name) for name in responses[0].targets["name"]]
    groups: dict[str, NDArray[np.bool_]] = {}
    if fit.modality == "fmri":
        side = responses[0].targets["hemisphere"].to_numpy(dtype=str)
        groups = {"whole": side != "", "left": side == "L", "right": side == "R"}
        groups = {name: members for name, members in groups.items() if members.any()}
    runs = []
    for response in responses:
        data = response.data.astype(np.float32)
        sd = data.std(axis=0)
        data = (data - data.mean(axis=0)) / np.where(sd > 0, sd, 1)
        if groups:
            data = np.stack([data[:, g].mean(axis=1) for g in groups.values()], axis=1)
        runs.append(data)
    return list(groups) or names, runs


def _onsets_of(
    config: Config, fit: Fit, stimulus: Stimulus, classes: PhoneClasses, lowlevel: Space
) -> dict[str, NDArray[np.float64]]:
    """Kind of event → its times on the stimulus clock, but for the starts of the stimulus."""
    onsets = {}
    if stimulus.words is not None:
        onsets["word onset"] = stimulus.words.table["onset"].to_numpy(dtype=np.float64)
    if fit.modality == "fmri":
        return onsets
    onsets[SPEECH] = stretches_of(config, fit, stimulus, lowlevel).onsets_s
    if stimulus.phones is not None:
        labels = [str(label) for label in stimulus.phones.table["label"]]
        arpabet = is_arpabet(labels)
        starts = stimulus.phones.table["onset"].to_numpy(dtype=np.float64)
        members = [classes.of(label, arpabet=arpabet) for label in labels]
        for name in dict.fromkeys(name for mine in members for name in mine):
            onsets[f"{name}{PHONES}"] = starts[[name in mine for mine in members]]
    return onsets


def _kinds(onsets: Iterable[dict[str, NDArray[np.float64]]]) -> list[str]:
    """All kinds of event in the order of the figure: classes of phones last, ours first."""
    found = list(dict.fromkeys(kind for mine in onsets for kind in mine))
    ours = [f"{name}{PHONES}" for name in CLASSES]
    phones = [kind for kind in found if kind.endswith(PHONES)]
    ordered = [*(k for k in ours if k in phones), *(k for k in phones if k not in ours)]
    return [*(k for k in ("word onset", SPEECH) if k in found), *ordered]


def _event_times(
    fit: Fit, recording: Recording, event: str, onsets: dict[str, dict[str, NDArray[np.float64]]]
) -> NDArray[np.float64]:
    """Seconds on the recording clock at which events of a kind happened in it."""
    times: list[float] = []
    for p in fit.of(recording):
        if event == "stimulus onset":
            times += [p.onset_s + start for start, _ in p.segments]
            continue
        mine = onsets[p.stimulus.name].get(event, np.empty(0))
        played = np.zeros(len(mine), dtype=bool)
        for start, stop in p.segments:
            played |= (mine >= start) & (mine <= stop)
        times += list(p.onset_s + mine[played])
    return np.array(times)


class _Moments:
    """Sum and sum of squares over events of (n_offsets, n_targets)."""

    def __init__(self, n_offsets: int, n_targets: int) -> None:
        self.n = 0
        self.total = np.zeros((n_offsets, n_targets))
        self.squares = np.zeros((n_offsets, n_targets))

    def add(
        self,
        data: NDArray[np.float32],
        times: NDArray[np.float64],
        events: NDArray[np.float64],
        offsets: NDArray[np.float64],
    ) -> None:
        """Take in one run, linearly interpolated; events near its ends are left out."""
        if not len(events):
            return
        whole = (events + offsets[0] >= times[0]) & (events + offsets[-1] <= times[-1])
        for wanted in np.array_split(events[whole], max(1, int(whole.sum()) // _CHUNK)):
            position = (wanted[:, None] + offsets - times[0]) / (times[1] - times[0])
            left = np.clip(np.floor(position).astype(int), 0, len(times) - 2)
            share = (position - left)[..., None].astype(np.float32)
            epochs = (1 - share) * data[left] + share * data[left + 1]
            self.total += epochs.sum(axis=0, dtype=np.float64)
            self.squares += np.einsum("eot,eot->ot", epochs, epochs, dtype=np.float64)
            self.n += len(wanted)

    def mean_and_sem(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and its standard error over events; NaN for one event."""
        mean = self.total / self.n
        if self.n < 2:
            return mean, np.full(mean.shape, np.nan)
        variance = np.maximum(self.squares - self.n * mean**2, 0) / (self.n - 1)
        return mean, np.sqrt(variance / self.n)


def _summary(
    event: str, offsets: NDArray[np.float64], names: list[str], sums: _Moments
) -> pd.DataFrame:
    mean, sem = sums.mean_and_sem()
    return pd.DataFrame(
        {
            "locked_to": event,
            "time_s": np.round(np.tile(offsets, len(names)), 6),
            "target": np.repeat(np.array(names, dtype=object), len(offsets)),
            "mean": mean.T.ravel(),
            "sem": sem.T.ravel(),
            "n": sums.n,
        }
    )
