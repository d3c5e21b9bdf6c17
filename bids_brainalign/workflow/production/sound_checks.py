"""Sound against responses: their lag, and whether the sound has leaked into the voltages."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.alignment.sound_level import sound_level
from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.speech_audio import SpeechAudio
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.outputs.reading import read_table
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.production.clocks import ALPHA, LIMIT_S, Reading, read_lags
from bids_brainalign.production.lags import Lag
from bids_brainalign.production.synchrony import Synchrony, synchrony
from bids_brainalign.responses.word_windows import COURSE_HZ
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.production.leaks import NAMED, leak_about, leak_of, leak_step
from bids_brainalign.workflow.production.responses import (
    Course,
    course_path,
    load_course,
    material_path,
)
from bids_brainalign.workflow.production.speakers import LABEL, Speaker
from bids_brainalign.workflow.production.structure_tables import SYNCHRONY
from bids_brainalign.workflow.production.word_sounds import SpeakerSound
from bids_brainalign.workflow.spaces import seed_of

Array64 = NDArray[np.float64]

ALL, LEAK = "all", "leak"
"""Rows beside those of single channels."""


def steps(
    config: Config, speaker: Speaker, words: pd.DataFrame, sound: SpeakerSound
) -> Iterator[Step]:
    """Give the checks; responses are stored, and there is some sound."""
    yield leak_step(config, speaker, sound)
    yield synchrony_step(config, speaker, words, sound)


def synchrony_step(
    config: Config, speaker: Speaker, words: pd.DataFrame, sound: SpeakerSound
) -> Step:
    """Estimate the lag of high gamma behind the sound, for every recording."""
    path = _path(config, speaker)
    material = material_path(config, speaker, words)
    leaking = leaking_channels(config, speaker)

    def work() -> list[Path]:
        parts, said = [], []
        for recording, audio in zip(speaker.recordings, sound.audio, strict=True):
            if audio is None:
                said.append(f"{recording.name} has no sound.")
                continue
            course = load_course(course_path(material, recording))
            apart = course.without(_of_channels(course.names, leaking.get(recording.name, {})))
            clean = apart if apart.names else course
            found = _lags(config, recording, audio, clean)
            if isinstance(found, BrainAlignError):
                said.append(f"{recording.name}: {found.what}")
                continue
            leak = leak_of(config, speaker, recording)
            reading = read_lags(found, leak)
            if leak is not None and reading.source == LEAK:
                parts.append(_leak_row(recording, leak, reading))
            parts.append(_rows(recording, found, reading, clean.names))
            said.append(sentence(recording.name, found, reading) + _left_out(course, apart))
        table = (
            pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*SYNCHRONY])
        )
        said += _of_all(table, speaker)
        return list(write_tsv(path, table[list(SYNCHRONY)], SYNCHRONY, extra={"Sentences": said}))

    return Step(
        name=f"synchrony {speaker.name.stem}",
        inputs={
            "responses": material.name,
            "sound": sound.digest,
            "max_lag_s": config.production.max_lag_s,
            "seed": config.random_seed,
            "leaks": [leak_about(config, speaker, recording) for recording in speaker.recordings],
            "leaking": leaking,
        },
        modules=("bids_brainalign.workflow.production.sound_checks",),
        work=work,
    )


def lag_of(config: Config, speaker: Speaker) -> tuple[float | None, str]:
    """Lag that ``--realign`` shifts all recordings by: the mean of those that are reliable.

    Of each recording, the clocks' own lag counts where it is known.

    Returns
    -------
    lag_s : float or None
    reason : str
        Why there is none.
    """
    table = read_table(_path(config, speaker), text=("recording", "name"))
    if table is None:
        return None, "the lag between sound and responses could not be estimated"
    lags = _reliable(table)
    if not lags:
        return None, f"no lag between sound and responses is reliable (p > {ALPHA:g})"
    return float(np.mean(lags)), ""


def _reliable(table: pd.DataFrame) -> list[float]:
    """Lags, s, of the recordings that have one with p of at most .05."""
    lags = []
    for _, rows in table.groupby("recording", sort=False):
        told = rows[rows["name"].isin([LEAK, ALL]) & (rows["p"] <= ALPHA)].set_index("name")
        if len(told):
            lag_s = told["lag"].astype(float).to_dict()
            lags.append(lag_s[LEAK if LEAK in lag_s else ALL])
    return lags


def _of_all(table: pd.DataFrame, speaker: Speaker) -> list[str]:
    """Say what ``--realign`` makes of several recordings."""
    n_recordings, lags = len(speaker.recordings), _reliable(table)
    if n_recordings < 2 or not lags:
        return []
    return [
        f"--realign shifts all {n_recordings} recordings alike, by "
        f"{1000 * np.mean(lags):+.0f} ms: the mean lag of {len(lags)} of them, in which p is at "
        f"most {ALPHA:g}."
    ]


def sentence(name: str, found: Synchrony, reading: Reading) -> str:
    """Say what the lag is, and what it can mean."""
    limit = f"{1000 * LIMIT_S:.0f} ms"
    lag = f"{1000 * reading.lag_s:+.0f} ms (95 % interval {1000 * reading.low_s:+.0f} to "
    lag += f"{1000 * reading.high_s:+.0f})"
    if reading.answer == "no link":
        return (
            f"{name}: no lag up to {found.lag.max_lag_s:g} s links high gamma to the loudness of "
            f"the sound (p = {found.lag.p:.3g}): whether they are synchronous can't be told."
        )
    if reading.source == "leak":
        said = f"{name}: sound leaks into channels, at a lag of {lag}, which is the clocks' own: "
        cortex = (
            f" By that clock, high gamma as a whole is {1000 * reading.cortex_s:+.0f} ms from the "
            "loudness."
            if np.isfinite(reading.cortex_s)
            else ""
        )
        return {
            "together": f"{said}they agree within {limit}.{cortex}",
            "apart": f"WARNING: {said}they are apart by more than {limit}; --realign shows "
            f"what a shift changes.{cortex}",
            "undecided": f"{said}whether they agree within {limit} is undecided.{cortex}",
        }[reading.answer]
    ms = round(1000 * reading.lag_s)
    when = "with" if ms == 0 else f"{abs(ms)} ms {'before' if ms < 0 else 'after'}"
    said = (
        f"{name}: high gamma comes {when} the loudness of the sound (95 % interval of its lag "
        f"{1000 * reading.low_s:+.0f} to {1000 * reading.high_s:+.0f} ms)"
    )
    sides = (
        f" Of single channels, {reading.n_before} are before the sound, {reading.n_beside} with "
        f"it, and {reading.n_after} after it; a shift of the clocks would move all alike."
    )
    return {
        "within": f"{said}: within {limit}.{sides}",
        "beyond": f"WARNING: {said}, beyond {limit}. Clocks that are apart look like this; so "
        "does a cortex that plans speech before the voice, or hears it after. --realign shows "
        f"what a shift changes.{sides}",
        "undecided": f"{said}: whether that is within {limit} is undecided.{sides}",
    }[reading.answer]


def _path(config: Config, speaker: Speaker) -> Path:
    return config.paths.output_dir / speaker.name.file("synchrony.tsv", analysis=LABEL)


def _lags(
    config: Config,
    recording: Recording,
    audio: SpeechAudio,
    course: Course,
) -> Synchrony | BrainAlignError:
    times = course.times_s
    level = sound_level(audio.pieces(), audio.clock_hz, start_s=audio.start_s)
    try:
        return synchrony(
            _on_clock(level.power, level.times_s, times),
            course.values,
            (times >= level.times_s[0]) & (times <= level.times_s[-1]),
            sfreq_hz=COURSE_HZ,
            rng=np.random.default_rng(seed_of(config, "synchrony", recording.name)),
            max_lag_s=config.production.max_lag_s,
        )
    except BrainAlignError as error:
        return error


def _on_clock(power: Array64, power_s: Array64, times: Array64) -> Array64:
    """Loudness (power to the .3) averaged over the bins of the responses' course."""
    half = 0.5 / COURSE_HZ
    loudness = np.maximum(power, 0.0) ** 0.3
    sums = np.concatenate([[0.0], np.cumsum(loudness)])
    first = np.searchsorted(power_s, times - half)
    stop = np.searchsorted(power_s, times + half)
    return np.asarray((sums[stop] - sums[first]) / np.maximum(stop - first, 1))


def leaking_channels(config: Config, speaker: Speaker) -> dict[str, dict[str, bool]]:
    """Give recording → channel → whether the sound was found in it."""
    path = config.paths.output_dir / speaker.name.file("contamination.tsv", analysis=LABEL)
    table = read_table(path, text=("recording", "name", "flagged"))
    found: dict[str, dict[str, bool]] = {}
    for row in [] if table is None else table.to_dict("records"):
        found.setdefault(str(row["recording"]), {})[str(row["name"])] = row["flagged"] == "true"
    return found


def _of_channels(names: Sequence[str], leaking: Mapping[str, bool]) -> set[str]:
    """Names of responses in which there are leaking channels: ``A1``, and ``A1-A2`` of two."""
    return {
        name for name in names if any(leaking[channel] for channel in _channels_of(name, leaking))
    }


def _channels_of(name: str, known: Collection[str]) -> tuple[str, ...]:
    if name in known:
        return (name,)
    parts = name.split("-")
    pairs = [("-".join(parts[:n]), "-".join(parts[n:])) for n in range(1, len(parts))]
    return next((pair for pair in pairs if set(pair) <= set(known)), ())


def _left_out(course: Course, apart: Course) -> str:
    """Say which channels the sound leaks into, where there are any."""
    out = [name for name in course.names if name not in apart.names]
    if not out:
        return ""
    if not apart.names:
        return " Sound leaks into all channels, and high gamma may be the voice itself."
    named = ", ".join(out[:NAMED]) + (" …" if len(out) > NAMED else "")
    return f" Not asked, as sound leaks into them: {named}."


def _leak_row(recording: Recording, leak: Lag, reading: Reading) -> pd.DataFrame:
    row = {
        "recording": recording.name, "name": LEAK, "lag": leak.lag_s, "ci_low": leak.low_s,
        "ci_high": leak.high_s, "r": np.nan, "p": leak.p, "flagged": reading.flag,
    }  # fmt: skip
    return pd.DataFrame([row])


def _rows(
    recording: Recording, found: Synchrony, reading: Reading, names: Sequence[str]
) -> pd.DataFrame:
    lag, channels = found.lag, found.channels
    whole = {
        "recording": recording.name, "name": ALL, "lag": lag.lag_s, "ci_low": lag.low_s,
        "ci_high": lag.high_s, "r": float(found.profile.max()), "p": lag.p,
        "flagged": reading.flag and reading.source == "loudness",
    }  # fmt: skip
    each = pd.DataFrame(
        {
            "recording": recording.name,
            "name": list(names),
            "lag": channels.lag_s,
            "ci_low": np.nan,
            "ci_high": np.nan,
            "r": channels.r,
            "p": channels.p,
            "flagged": False,
        }
    )
    return pd.concat([pd.DataFrame([whole]), each], ignore_index=True)
