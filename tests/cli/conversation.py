"""A recorded conversation: turns of two people, words that follow each other and come again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy.signal import butter, sosfiltfilt

from bids_brainalign.simulate.brainvision_file import BrainVisionChannel, write_brainvision

SFREQ_HZ, N_CHANNELS, N_KNOWN, N_DIMS = 512.0, 8, 90, 10
STEM = "sub-01_task-talk"


def write_conversation(folder: Path, *, n_words: int = 400, seed: int = 0) -> Path:
    """Write ``bids/``, ``vectors.txt`` and ``unrelated.txt`` below a folder.

    High gamma follows vectors of the words that the participant speaks, half of its variance, from
    100 to 500 ms after their onset; words that are heard leave no trace.
    """
    rng = np.random.default_rng(seed)
    vocabulary = [f"{a}o{b}a{c}" for a in "bdfgk" for b in "lmnrst" for c in "nst"][:N_KNOWN]
    chances = 1 / (4 + np.arange(N_KNOWN))
    vectors = rng.standard_normal((N_KNOWN, N_DIMS))
    weights = rng.standard_normal((5, N_CHANNELS)) / np.sqrt(5)
    rows, onset, amplitude = [], 3.0, np.ones((0, N_CHANNELS))
    drawn, speaking = [], True
    while len(rows) < n_words:
        for _ in range(rng.integers(10, 25)):
            word = int(rng.choice(N_KNOWN, p=chances / chances.sum()))
            lasts = float(rng.uniform(0.2, 0.5))
            role = "speak" if speaking else "listen"
            rows.append((onset, lasts, vocabulary[word], role))
            drawn.append((onset, word, speaking))
            onset += lasts + 0.05
        onset += float(rng.uniform(0.3, 1.0))
        speaking = not speaking
    n_times = round((onset + 3) * SFREQ_HZ)
    amplitude = np.ones((n_times, N_CHANNELS))
    for at, word, own in drawn:
        some = slice(round((at + 0.1) * SFREQ_HZ), round((at + 0.5) * SFREQ_HZ))
        planted = vectors[word, :5] @ weights if own else rng.standard_normal(N_CHANNELS)
        amplitude[some] += 0.3 * (planted + rng.standard_normal(N_CHANNELS)) / np.sqrt(2)
    band = butter(4, [70, 170], "bandpass", fs=SFREQ_HZ, output="sos")
    carrier = sosfiltfilt(band, rng.standard_normal(amplitude.shape), axis=0)
    slow = np.cumsum(rng.standard_normal(amplitude.shape), axis=0) / 20
    scale = np.exp(0.7 * rng.standard_normal(N_CHANNELS))
    voltages = scale * (20 * np.maximum(amplitude, 0.05) * carrier + slow)
    ieeg = folder / "bids" / "sub-01" / "ieeg"
    write_brainvision(
        ieeg / f"{STEM}_ieeg.vhdr",
        np.clip(np.round(voltages / 0.05), -32000, 32000).astype(np.int16),
        [BrainVisionChannel(f"A{i}", 0.05) for i in range(N_CHANNELS)],
        sfreq_hz=SFREQ_HZ,
    )
    about = {"TaskName": "talk", "SamplingFrequency": SFREQ_HZ, "PowerLineFrequency": 50}
    (ieeg / f"{STEM}_ieeg.json").write_text(json.dumps(about))
    channels = [f"A{i}\tSEEG\tuV\tgood" for i in range(N_CHANNELS)]
    _table(ieeg / f"{STEM}_channels.tsv", "name\ttype\tunits\tstatus", channels)
    events = [f"{at:.3f}\t{lasts:.3f}\t{word}\t{role}" for at, lasts, word, role in rows]
    _table(ieeg / f"{STEM}_events.tsv", "onset\tduration\tword\trole", events)
    described = {"Name": "Conversation", "BIDSVersion": "1.10.0"}
    (folder / "bids" / "dataset_description.json").write_text(json.dumps(described))
    for name, values in (
        ("vectors", vectors),
        ("unrelated", rng.standard_normal((N_KNOWN, N_DIMS))),
    ):
        lines = [
            " ".join([word, *(f"{v:.5f}" for v in row)])
            for word, row in zip(vocabulary, values, strict=True)
        ]
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return folder


def _table(path: Path, header: str, rows: list[str]) -> None:
    path.write_text("\n".join([header, *rows]) + "\n")
