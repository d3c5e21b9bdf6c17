"""Build ds005574 with one participant: its sidecars, timing and coordinates, signals of ours.

    python scripts/podcast_replica.py SIDECARS MODEL OUT [--participant 03] [--seconds N] [--null]

SIDECARS is a clone of ds005574 without its large files, MODEL a folder with Whisper. The
transcript is spoken by espeak-ng and warped so that every word stands at its true time. Electrodes
near a few places of the left hemisphere follow low-level features, two encoder layers, and classes
of phones; ``ground_truth.json`` and the phones' true times lie beside the dataset.
"""

from __future__ import annotations

import argparse
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.phonemes.classes import PhoneClasses
from bids_brainalign.simulate.bids_tree import write_stimuli
from bids_brainalign.simulate.ecog_files import write_edf
from bids_brainalign.simulate.ecog_signal import record
from bids_brainalign.simulate.noise import pink_noise
from bids_brainalign.simulate.planted import (
    apply_lag,
    mix,
    phase_randomise,
    standardise_together,
)
from bids_brainalign.simulate.random_streams import stream
from bids_brainalign.simulate.sources import source_signals, story_features
from bids_brainalign.simulate.speech import SAMPLE_RATE_HZ, on_pcm16_grid, synthesise
from bids_brainalign.simulate.stories import Story

VOICE = "en-us"
PAUSE_S = 0.25
"""A longer silence between words begins a new phrase."""
MAX_WORDS = 12
FRAME_S, HOP_S, SEARCH_S = 0.032, 0.008, 0.006
RATE_HZ = 50.0
SHARE = 0.3
SEED = 5
CHUNK = 40
"""Channels made at once; bounds memory."""
GROUPS = {
    # name: (mm in MNI space, electrodes, what they follow, lag in s)
    "acoustic": ((-62, -20, 5), 20, "lowlevel", 0.08),
    "speech": ((-60, -5, 0), 20, 4, 0.12),
    "language": ((-52, 25, 10), 15, 6, 0.22),
}
PHONE_GROUPS = {
    # class: mm in MNI space; eight electrodes each, 130 ms after the phone's onset
    "plosive": (-62, -38, 14),
    "fricative": (-64, -30, 2),
    "nasal": (-58, -46, 22),
    "vowel": (-64, -24, 18),
}
PHONE_ELECTRODES, PHONE_LAG_S = 8, 0.13


def read_transcript(sidecars: Path, seconds: float) -> pd.DataFrame:
    """Words with their times, in order, none overlapping the next."""
    table = pd.read_csv(sidecars / "stimuli" / "spectral" / "transcript.tsv", sep="\t")
    table = table.sort_values("start", kind="stable").reset_index(drop=True)
    table = table[table["end"] < seconds - 1]
    following = table["start"].shift(-1).fillna(np.inf)
    table["end"] = np.minimum(table["end"], following)
    return table[table["end"] - table["start"] > 0.015].reset_index(drop=True)


def phrases(words: pd.DataFrame) -> list[pd.DataFrame]:
    """Stretches without a pause, of a dozen words at most."""
    gap = words["start"] - words["end"].shift(1)
    number = (gap > PAUSE_S).cumsum()
    within = words.groupby(number).cumcount() // MAX_WORDS
    return [part for _, part in words.groupby([number, within])]


def speak(phrase: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Speak a phrase as fast as it was spoken, and put every word at its time.

    Returns
    -------
    wave : ndarray of shape (n_samples,)
        From the phrase's first onset to its last end.
    phones : DataFrame
        ``onset`` (s from the phrase's start), ``duration``, ``phone``.
    """
    tokens = [str(w).encode("ascii", "ignore").decode().strip("\"'-") for w in phrase["word"]]
    text = " ".join(token or "uh" for token in tokens)
    start, end = float(phrase["start"].iloc[0]), float(phrase["end"].iloc[-1])
    per_minute = int(np.clip(60 * len(tokens) / (end - start), 120, 320))
    spoken = synthesise(text, voice=VOICE, speed=per_minute)
    heard = spoken.words
    last = float((spoken.phones["onset"] + spoken.phones["duration"]).max())
    source, target = [0.0, last], [0.0, end - start]
    if len(heard) == len(phrase):
        inner_source = heard["onset"].to_numpy()[1:]
        inner_target = phrase["start"].to_numpy()[1:] - start
        rises = (np.diff(inner_source, prepend=0) > 0) & (np.diff(inner_target, prepend=0) > 0)
        source = [0.0, *inner_source[rises], last]
        target = [0.0, *inner_target[rises], end - start]
    wave = stretch(spoken.wave, np.array(source), np.array(target))
    phones = spoken.phones.copy()
    ends = np.interp(phones["onset"] + phones["duration"], source, target)
    phones["onset"] = np.interp(phones["onset"], source, target)
    phones["duration"] = ends - phones["onset"]
    return wave, phones[phones["duration"] > 0.005]


def stretch(wave: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Change the time of speech, not its pitch (WSOLA; Verhelst & Roelands 1993).

    Parameters
    ----------
    wave : ndarray of shape (n_samples,)
    source, target : ndarray of shape (n_anchors,)
        Seconds in `wave`, and where they go.
    """
    size, hop, reach = (round(x * SAMPLE_RATE_HZ) for x in (FRAME_S, HOP_S, SEARCH_S))
    n_out = round(target[-1] * SAMPLE_RATE_HZ)
    padded = np.pad(wave.astype(np.float64), (size + reach, 2 * size + reach))
    window = np.hanning(size)
    out, weight = np.zeros(n_out + size), np.full(n_out + size, 1e-9)
    expected = None
    for begin in range(0, n_out, hop):
        at = np.interp(begin / SAMPLE_RATE_HZ, target, source) * SAMPLE_RATE_HZ
        first = min(round(at) + size + reach, len(padded) - 2 * size - reach)
        if expected is not None:
            area = padded[first - reach : first + reach + size]
            first += int(np.argmax(np.correlate(area, expected, "valid"))) - reach
        out[begin : begin + size] += window * padded[first : first + size]
        weight[begin : begin + size] += window
        expected = padded[first + hop : first + hop + size]
    return (out / weight)[:n_out]


def tell(sidecars: Path, seconds: float) -> tuple[Story, pd.DataFrame]:
    """Speak the whole podcast; give back the phones it has."""
    words = read_transcript(sidecars, seconds)
    parts = phrases(words)
    wave = np.zeros(round(seconds * SAMPLE_RATE_HZ))
    tables = []
    with ThreadPoolExecutor(2) as pool:  # espeak-ng runs in processes of its own
        for part, (spoken, phones) in zip(parts, pool.map(speak, parts), strict=True):
            start = float(part["start"].iloc[0])
            first = round(start * SAMPLE_RATE_HZ)
            wave[first : first + len(spoken)] += spoken[: len(wave) - first]
            tables.append(phones.assign(onset=phones["onset"] + start))
    phones = pd.concat(tables, ignore_index=True).sort_values("onset", ignore_index=True)
    table = pd.DataFrame(
        {
            "onset": words["start"],
            "duration": words["end"] - words["start"],
            "word": words["word"],
        }
    )
    wave = on_pcm16_grid(0.5 * wave / np.abs(wave).max())
    return Story("podcast", wave, table, "transcript of ds005574, spoken by espeak-ng"), phones


def near(electrodes: pd.DataFrame, mm: tuple[int, ...], count: int, taken: set[str]) -> list[str]:
    """Names of the electrodes nearest to a place."""
    free = electrodes[~electrodes["name"].isin(taken)]
    distance = np.linalg.norm(free[["x", "y", "z"]].to_numpy(float) - np.array(mm), axis=1)
    names = [str(name) for name in free["name"].to_numpy()[np.argsort(distance)[:count]]]
    taken.update(names)
    return names


def plant(
    story: Story, phones: pd.DataFrame, model: Path, electrodes: pd.DataFrame, *, null: bool
) -> tuple[dict[str, np.ndarray], list[dict[str, object]]]:
    """Signals at 50 Hz by electrode, SD 1, and what they are."""
    features = story_features([story], model, rate_hz=RATE_HZ)
    n_frames = round(story.duration_s * RATE_HZ)
    taken: set[str] = set()
    signals: dict[str, np.ndarray] = {}
    truth: list[dict[str, object]] = []

    def add(name: str, targets: list[str], signal: np.ndarray, **facts: object) -> None:
        late = apply_lag(signal, lag_s=float(str(facts["lag_s"])), rate_hz=RATE_HZ)[:n_frames]
        full = np.zeros((n_frames, len(targets)))
        full[: len(late)] = late
        full = standardise_together([full])[0]
        if null:
            full = phase_randomise(full, rng=stream(SEED, name, "phases"))
        signals.update(zip(targets, full.T, strict=True))
        truth.append({"group": name, "targets": targets, "null": null, **facts})

    for kind, mm in PHONE_GROUPS.items():
        names = near(electrodes, mm, PHONE_ELECTRODES, taken)
        add(f"phones {kind}", names, phone_signal(phones, kind, n_frames, len(names)),
            phone_class=kind, lag_s=PHONE_LAG_S)  # fmt: skip
    for name, (mm, count, source, lag_s) in GROUPS.items():
        names = near(electrodes, mm, count, taken)
        rng = stream(SEED, name, "weights")
        (signal,) = source_signals(features, source, n_targets=count, rng=rng)
        add(name, names, signal, source=source, lag_s=lag_s)
    return signals, truth


def phone_signal(phones: pd.DataFrame, kind: str, n_frames: int, n_targets: int) -> np.ndarray:
    """Bumps at the onsets of a class of phones, each electrode with gains of its own."""
    classes = PhoneClasses()
    rng = stream(SEED, kind, "gains")
    signal = np.zeros((n_frames, n_targets))
    for onset, phone in zip(phones["onset"], phones["phone"], strict=True):
        if kind in classes.of(str(phone), arpabet=False):
            signal[min(int(onset * RATE_HZ), n_frames - 1)] += 1 + 0.2 * rng.standard_normal(
                n_targets
            )
    return signal - signal.mean(axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("sidecars", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--participant", default="03")
    parser.add_argument("--seconds", type=int, default=1800)
    parser.add_argument("--null", action="store_true")
    given = parser.parse_args()
    root, label = given.out / "bids", f"sub-{given.participant}"
    root.mkdir(parents=True)
    for name in ("dataset_description.json", "participants.tsv", "participants.json", "README"):
        shutil.copy(given.sidecars / name, root)
    shutil.copytree(given.sidecars / label, root / label)
    for path in (root / label).rglob("*"):
        path.chmod(path.stat().st_mode | 0o200)  # a clone's files may be read-only
    story, phones = tell(given.sidecars, given.seconds)
    phones.to_csv(given.out / "phones.tsv", sep="\t", index=False)
    # The dataset itself gives no times of phones.
    write_stimuli(root, [story])
    folder = root / label / "ieeg"
    (table,) = folder.glob("*_channels.tsv")
    channels = pd.read_csv(table, sep="\t", encoding="utf-8-sig")
    names = [str(name) for name in channels["name"] if name != "EDF Annotations"]
    good = set(channels["name"][(channels["type"] == "ECOG") & (channels["status"] == "good")])
    (where,) = folder.glob("*_space-MNI152NLin2009aSym_electrodes.tsv")
    electrodes = pd.read_csv(where, sep="\t", encoding="utf-8-sig")
    electrodes = electrodes[electrodes["name"].isin(good)]
    signals, truth = plant(story, phones, given.model, electrodes, null=given.null)
    uv = measure(signals, names, given.seconds)
    write_edf(folder / table.name.replace("_channels.tsv", "_ieeg.edf"), uv, names)
    (given.out / "ground_truth.json").write_text(json.dumps(truth, indent=1))


def measure(signals: dict[str, np.ndarray], names: list[str], seconds: int) -> np.ndarray:
    """(n_samples, n_channels) in µV."""
    n_frames = seconds * round(RATE_HZ)
    times = np.arange(n_frames) / RATE_HZ
    chunks = []
    for first in range(0, len(names), CHUNK):
        part = names[first : first + CHUNK]
        key = ("podcast", str(first))
        noise = pink_noise(n_frames, len(part), rng=stream(SEED, *key, "noise"), rate_hz=RATE_HZ)
        planted = np.stack([signals.get(name, np.zeros(n_frames)) for name in part], axis=1)
        share = np.array([SHARE if name in signals else 0.0 for name in part])
        modulator = mix(planted, noise, signal_share=share)
        uv = record(modulator, times, duration_s=seconds, seed=SEED, key=key)
        chunks.append(uv.astype(np.float32))
    return np.concatenate(chunks, axis=1)


if __name__ == "__main__":
    main()
