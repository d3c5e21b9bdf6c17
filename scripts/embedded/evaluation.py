"""The table of the model card: phones read off the model, its untrained twin and the mel input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.features.whisper import WhisperLayers
from scripts.embedded.human import GUIDES, HumanSpeech, read_librivox
from scripts.embedded.phones import CLASSES, class_of
from scripts.embedded.probes import (
    Frames,
    Probe,
    accuracies,
    choose,
    edits,
    fit_probes,
    layer_frames,
    mel_frames,
    spoken,
    targets,
)
from scripts.embedded.speech import WINDOWS_PER_READING, Clips, make_clips

READINGS = {"train": 8, "validation": 3, "test": 10}
SEED_SHIFT = 1000
"""The probes' speech is not the model's."""
MEL_CONTEXTS = (0, 5, 10)
"""Steps of 10 ms on both sides of the frame."""
UNTRAINED_SEED = 0
N_BOOTSTRAP = 2000


@dataclass(frozen=True)
class System:
    """Features and the probe chosen for them."""

    name: str
    probe: Probe
    features: Callable[[Clips], Frames]

    def guess(self, clips: Clips) -> list[NDArray[np.int64]]:
        """Name the class of every frame."""
        return self.probe.guess(self.features(clips))


def fit_systems(
    encoders: Mapping[str, Any], train: Clips, validation: Clips, *, contexts: Sequence[int]
) -> list[System]:
    """Fit a probe on every layer of every encoder and on the mel input."""
    wanted = targets(train)
    systems = []
    for name, encoder in encoders.items():
        heard = {id(clips): layer_frames(encoder, clips) for clips in (train, validation)}

        def layer_of(clips: Clips, layer: int, encoder: Any = encoder, heard: Any = heard) -> Frames:
            known = heard.get(id(clips))
            return (known or layer_frames(encoder, clips))[layer]

        for layer in range(len(heard[id(train)])):
            features = partial(layer_of, layer=layer)
            probes = fit_probes(features(train), wanted)
            probe, _ = choose([(probe, features) for probe in probes], validation)
            systems.append(System(f"{name}, layer {layer}", probe, features))
    candidates = [
        (probe, partial(mel_frames, context=context))
        for context in contexts
        for probe in fit_probes(mel_frames(train, context=context), wanted)
    ]
    probe, chosen = choose(candidates, validation)
    span_ms = 20 * chosen.keywords["context"]  # type: ignore[attr-defined]
    systems.append(System(f"mel, {span_ms} ms of context", probe, chosen))
    return systems


def evaluate(
    folder: Path, *, words: Mapping[str, Sequence[str]], librivox: Path | None, seed: int
) -> dict[str, Any]:
    """Measure the model in ``folder``.

    Returns
    -------
    dict
        JSON: per test set and system the share of speech frames named right with its 95 %
        interval over clips, the trained model's advantage, and phone error rates.
    """
    made = {
        split: make_clips(split, n, words=words[split], seed=seed + SEED_SHIFT)
        for split, n in READINGS.items()
    }
    encoders = {
        "trained": WhisperLayers(folder).encoder,
        "untrained twin": WhisperLayers(folder, untrained_seed=UNTRAINED_SEED).encoder,
    }
    systems = fit_systems(encoders, made["train"], made["validation"], contexts=MEL_CONTEXTS)
    results: dict[str, Any] = {
        "seed": seed,
        "n_classes": len(CLASSES),
        "encoder_parameters": sum(p.numel() for p in encoders["trained"].parameters()),
        "test_sets": {},
    }
    sets: list[tuple[str, Clips, HumanSpeech | None]] = [("espeak", made["test"], None)]
    if librivox is not None:
        human = read_librivox(librivox)
        sets.append(("librivox", human.clips, human))
        results["alignment_spread_s"] = round(human.spread_s, 4)
        results["alignment_guides"] = len(GUIDES)
    for name, clips, speech in sets:
        results["test_sets"][name] = test(systems, clips, speech, seed=seed)
    return results


def test(
    systems: Sequence[System], clips: Clips, human: HumanSpeech | None, *, seed: int
) -> dict[str, Any]:
    """Score all systems on one set of clips; readings of one voice are resampled together."""
    wanted = targets(clips)
    units = np.unique(np.array(clips.voices), return_inverse=True)[1]
    if human is None:
        units = np.arange(len(clips.mel)) // WINDOWS_PER_READING
    counts, rows = {}, []
    for system in systems:
        guesses = system.guess(clips)
        counts[system.name] = _per_unit(accuracies(guesses, wanted), units)
        row = {"features": system.name, **_interval(counts[system.name], seed=seed)}
        if human is not None:
            row |= _error_rate(guesses, human)
        rows.append(row)
    frames = np.concatenate(wanted)
    frames = frames[(frames > 0) & (frames < len(CLASSES))]
    best = next(r["features"] for r in reversed(rows) if r["features"].startswith("trained"))
    others = [name for name in counts if not name.startswith("trained")]
    return {
        "n_clips": len(clips.mel),
        "n_units": int(units.max()) + 1,
        "n_frames": len(frames),
        "most_frequent_class": round(float(np.bincount(frames).max() / len(frames)), 4),
        "systems": rows,
        "advantage_of_last_layer": [
            {"over": name, **_advantage(counts[best], counts[name], seed=seed)} for name in others
        ],
    }


def _per_unit(counts: NDArray[np.float64], units: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.stack([np.bincount(units, column) for column in counts.T], axis=1)


def _interval(counts: NDArray[np.float64], *, seed: int) -> dict[str, Any]:
    draws = _draws(len(counts), seed)
    right, total = counts[draws].sum(1).T
    low, high = np.quantile(right / total, [0.025, 0.975])
    share = counts[:, 0].sum() / counts[:, 1].sum()
    return {"accuracy": round(float(share), 4), "ci": [round(float(low), 4), round(float(high), 4)]}


def _advantage(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], *, seed: int
) -> dict[str, Any]:
    """Paired: both are scored on the same draws of clips."""
    draws = _draws(len(ours), seed)
    total = ours[draws, 1].sum(1)
    gains = (ours[draws, 0].sum(1) - theirs[draws, 0].sum(1)) / total
    low, high = np.quantile(gains, [0.025, 0.975])
    gain = (ours[:, 0].sum() - theirs[:, 0].sum()) / ours[:, 1].sum()
    return {
        "difference": round(float(gain), 4),
        "ci": [round(float(low), 4), round(float(high), 4)],
        "units_better": int((ours[:, 0] > theirs[:, 0]).sum()),
    }


def _draws(n_units: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(n_units, size=(N_BOOTSTRAP, n_units))


def _error_rate(guesses: Sequence[NDArray[np.int64]], human: HumanSpeech) -> dict[str, Any]:
    wrong = total = 0
    for guess, phones in zip(guesses, human.phones, strict=True):
        said = [class_of(phone) for phone in phones["phone"]]
        wrong += edits(spoken(guess), said)
        total += len(said)
    return {"phone_error_rate": round(wrong / total, 4)}


def only(clips: Clips, chosen: Sequence[int]) -> Clips:
    """Some of the clips."""
    index = list(chosen)
    return replace(
        clips,
        mel=clips.mel[index],
        labels=clips.labels[index],
        n_frames=clips.n_frames[index],
        voices=tuple(clips.voices[i] for i in index),
    )
