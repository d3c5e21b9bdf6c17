"""The table of the model card: phones read off the model, its untrained twin and the mel input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    edits,
    fit_probes,
    layer_frames,
    mel_frames,
    share_right,
    spoken,
    targets,
)
from scripts.embedded.speech import WINDOWS_PER_READING, Clips, join, make_clips

READINGS = {
    "train": {"espeak": 5, "flite": 5},
    "validation": {"espeak": 2, "flite": 2},
    "test": {"espeak": 10},
}
SEED_SHIFT = 1000
"""The probes' speech is not the model's."""
MEL_CONTEXTS = (0, 5, 10)
"""Steps of 10 ms on both sides of the frame."""
UNTRAINED_SEED = 0
N_BOOTSTRAP = 2000


def all_features(
    encoders: Mapping[str, Any], clips: Clips, *, contexts: Sequence[int]
) -> dict[str, Frames]:
    """Every layer of every encoder, and the mel input with its contexts, by name."""
    features = {
        f"{name}, layer {number}": layer
        for name, encoder in encoders.items()
        for number, layer in enumerate(layer_frames(encoder, clips))
    }
    mels = {mel_name(context): mel_frames(clips, context=context) for context in contexts}
    return features | mels


def mel_name(context: int) -> str:
    """Name of the baseline with ``context`` steps of 10 ms on both sides."""
    return f"mel, ±{10 * context} ms"


def fit_systems(
    encoders: Mapping[str, Any], train: Clips, validation: Clips, *, contexts: Sequence[int]
) -> dict[str, Probe]:
    """Fit probes on all features; the validation chooses penalties and the mel's context."""
    wanted, checked = targets(train), targets(validation)
    learnt = all_features(encoders, train, contexts=contexts)
    held = all_features(encoders, validation, contexts=contexts)
    probes: dict[str, tuple[float, Probe]] = {}
    for name in learnt:
        fitted = fit_probes(learnt[name], wanted)
        scored = [(share_right(probe, held[name], checked), probe) for probe in fitted]
        probes[name] = max(scored, key=lambda pair: pair[0])
    best_mel = max(map(mel_name, contexts), key=lambda name: probes[name][0])
    worse = {mel_name(context) for context in contexts} - {best_mel}
    return {name: probe for name, (_, probe) in probes.items() if name not in worse}


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
        split: join(
            [
                make_clips(split, n, engine=engine, words=words[split], seed=seed + SEED_SHIFT)
                for engine, n in engines.items()
            ]
        )
        for split, engines in READINGS.items()
    }
    encoders = {
        "trained": WhisperLayers(folder).encoder,
        "untrained twin": WhisperLayers(folder, untrained_seed=UNTRAINED_SEED).encoder,
    }
    probes = fit_systems(encoders, made["train"], made["validation"], contexts=MEL_CONTEXTS)
    results: dict[str, Any] = {
        "seed": seed,
        "n_classes": len(CLASSES),
        "encoder_parameters": sum(p.numel() for p in encoders["trained"].parameters()),
        "penalties": {name: probe.penalty for name, probe in probes.items()},
        "test_sets": {},
    }
    sets: list[tuple[str, Clips, HumanSpeech | None]] = [("espeak", made["test"], None)]
    if librivox is not None:
        human = read_librivox(librivox)
        sets.append(("librivox", human.clips, human))
        alone = read_librivox(librivox, joined=False)
        sets.append(("librivox_alone", alone.clips, alone))
        results["alignment_spread_s"] = round(human.spread_s, 4)
        results["alignment_guides"] = len(GUIDES)
    for title, clips, speech in sets:
        features = all_features(encoders, clips, contexts=MEL_CONTEXTS)
        guesses = {name: probe.guess(features[name]) for name, probe in probes.items()}
        results["test_sets"][title] = score(guesses, clips, speech, seed=seed)
    return results


def score(
    guesses: Mapping[str, Sequence[NDArray[np.int64]]],
    clips: Clips,
    human: HumanSpeech | None,
    *,
    seed: int,
) -> dict[str, Any]:
    """Score all systems' guesses on one set of clips; windows of a reading stay together."""
    wanted = targets(clips)
    units = np.arange(len(wanted)) // WINDOWS_PER_READING
    if human is not None:
        wanted = human.cut(wanted)
        units = np.arange(len(wanted))
    counts, rows = {}, []
    for name, per_window in guesses.items():
        guessed = per_window if human is None else human.cut(per_window)
        counts[name] = _per_unit(accuracies(guessed, wanted), units)
        row = {"features": name, **_interval(counts[name], seed=seed)}
        if human is not None:
            row |= _error_rate(guessed, human)
        rows.append(row)
    frames = np.concatenate(wanted)
    frames = frames[(frames > 0) & (frames < len(CLASSES))]
    last = [name for name in counts if name.startswith("trained")][-1]
    others = [name for name in counts if not name.startswith("trained")]
    return {
        "n_windows": len(clips.mel),
        "n_units": int(units.max()) + 1,
        "n_frames": len(frames),
        "most_frequent_class": round(float(np.bincount(frames).max() / len(frames)), 4),
        "systems": rows,
        "advantage_of_last_layer": [
            {"over": name, **_advantage(counts[last], counts[name], seed=seed)} for name in others
        ],
    }


def _per_unit(counts: NDArray[np.float64], units: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.stack([np.bincount(units, column) for column in counts.T], axis=1)


def _interval(counts: NDArray[np.float64], *, seed: int) -> dict[str, Any]:
    draws = _draws(len(counts), seed)
    right, total = counts[draws].sum(1).T
    low, high = np.quantile(right / total, [0.025, 0.975])
    share = counts[:, 0].sum() / counts[:, 1].sum()
    return {
        "accuracy": round(float(share), 4),
        "ci": [round(float(low), 4), round(float(high), 4)],
    }


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
