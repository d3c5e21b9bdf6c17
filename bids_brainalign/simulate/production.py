"""A simulated dataset of people who read words aloud: high gamma follows word vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bids_brainalign import __version__
from bids_brainalign.simulate.bids_tree import start_dataset
from bids_brainalign.simulate.dataset import BIDS_FOLDER, TRUTH_FILE
from bids_brainalign.simulate.production_files import (
    channel_names,
    write_production_dataset,
    write_session,
)
from bids_brainalign.simulate.production_plan import N_FEW, ProductionPlan
from bids_brainalign.simulate.production_session import (
    hold_session,
    recorded_sound,
)
from bids_brainalign.simulate.production_signal import (
    WORD_SD,
    Channels,
    draw_channels,
    record,
    word_amplitudes,
)
from bids_brainalign.simulate.production_truth import (
    PlantedChannel,
    PlantedSpeaker,
    ProductionTruth,
)
from bids_brainalign.simulate.random_streams import stream
from bids_brainalign.simulate.word_list import choose_words, speak_words, vocabulary, voice_of
from bids_brainalign.simulate.word_vectors import WordVectors, draw_vectors, planted_scores

VECTORS_FILE, UNRELATED_FILE = "vectors.txt", "vectors_unrelated.txt"

Array64 = NDArray[np.float64]


def simulate_production(out_dir: Path, plan: ProductionPlan) -> ProductionTruth:
    """Write a BIDS dataset of people who read words aloud, and what was planted in it.

    The amplitude of high gamma in the second from speech onset on is, for each word, a linear map
    of five dimensions of its vector and noise; each channel has a scale and a slow drift of its
    own, and rises with the voice.

    Parameters
    ----------
    out_dir : Path
        Gets ``bids/`` (must be new or empty), ``vectors.txt``, ``vectors_unrelated.txt`` and,
        written last, ``ground_truth.json``.
    plan : ProductionPlan

    Returns
    -------
    ProductionTruth
    """
    bids_dir = out_dir / BIDS_FOLDER
    start_dataset(bids_dir)
    known = vocabulary(plan.language)
    vectors = draw_vectors(known, seed=plan.seed, related=True)
    words = choose_words(plan.n_words, language=plan.language, seed=plan.seed)
    labels = [f"{number:02d}" for number in range(1, plan.n_participants + 1)]
    speakers = tuple(
        _speaker(bids_dir, index, label, words, vectors, plan)
        for index, label in enumerate(labels)
    )
    write_production_dataset(bids_dir, labels, share=plan.share, file_format=plan.file_format)
    vectors.write(out_dir / VECTORS_FILE)
    draw_vectors(known, seed=plan.seed, related=False).write(out_dir / UNRELATED_FILE)
    truth = ProductionTruth(
        seed=plan.seed,
        made_by=__version__,
        language=plan.language,
        file_format=plan.file_format,
        share=plan.share,
        null=plan.share == 0,
        word_sd=WORD_SD,
        vectors=VECTORS_FILE,
        informative=vectors.informative,
        vectors_unrelated=UNRELATED_FILE,
        audio_lag_s=plan.audio_lag_s,
        speakers=speakers,
        notes=_notes(speakers, plan),
    )
    truth.write(out_dir / TRUTH_FILE)
    return truth


def _speaker(
    bids_dir: Path,
    index: int,
    label: str,
    words: tuple[str, ...],
    vectors: WordVectors,
    plan: ProductionPlan,
) -> PlantedSpeaker:
    """Record and write one participant."""
    if index >= plan.n_participants - plan.n_few:
        words = words[:N_FEW]
    voice, speed = voice_of(index, plan.language)
    session = hold_session(
        words,
        speak_words(words, voice=voice, speed=speed),
        n_repeats=plan.n_repeats,
        rng=stream(plan.seed, "production", label, "session"),
    )
    content = np.array([words.index(trial.word) for trial in session.trials])
    scores, weights = planted_scores(
        vectors.of(words),
        content,
        plan.n_channels,
        share=plan.share,
        rng=stream(plan.seed, "production", label, "scores"),
    )
    amplitudes = word_amplitudes(scores)
    channels = draw_channels(
        plan.n_channels,
        n_leaking=plan.n_leaking,
        leak_uv=plan.leak_uv,
        n_flat=plan.n_flat,
        seed=plan.seed,
        label=label,
    )
    counts, reliability = record(session, amplitudes, channels, seed=plan.seed, label=label)
    sound = None
    if plan.with_audio:
        room = stream(plan.seed, "production", label, "room")
        sound = recorded_sound(session, lag_s=plan.audio_lag_s, rng=room)
    write_session(
        bids_dir / f"sub-{label}" / "ieeg",
        label,
        session,
        counts,
        sound,
        file_format=plan.file_format,
        space=plan.space,
    )
    return PlantedSpeaker(
        participant=label,
        voice=voice,
        words=session.trials,
        channels=_planted_channels(channels, amplitudes, weights, reliability, share=plan.share),
    )


def _planted_channels(
    channels: Channels,
    amplitudes: Array64,
    weights: Array64,
    reliability: Array64,
    *,
    share: float,
) -> tuple[PlantedChannel, ...]:
    names = channel_names(len(reliability))
    return tuple(
        PlantedChannel(
            name=name,
            scale=round(float(channels.scale[i]), 5),
            rise=round(float(channels.rise[i]), 5),
            flat=bool(channels.flat[i]),
            leak_uv=round(float(channels.leak_uv[i]), 4),
            reliability=None if channels.flat[i] else round(float(reliability[i]), 4),
            share_left=None if channels.flat[i] else round(float(share * reliability[i]), 4),
            weights=tuple(np.round(weights[:, i], 5).tolist()),
            amplitudes=tuple(np.round(amplitudes[:, i], 4).tolist()),
        )
        for i, name in enumerate(names)
    )


def _notes(speakers: tuple[PlantedSpeaker, ...], plan: ProductionPlan) -> tuple[str, ...]:
    left = [c.reliability for s in speakers for c in s.channels if c.reliability is not None]
    notes = [
        "Simulated; no brain was recorded.",
        f"{np.median(left):.0%} of the variance between trials of mean high gamma is what was "
        "planted (median over channels); the rest is estimation noise, drift and the rise with "
        "the voice.",
    ]
    if plan.n_leaking:
        notes.append(f"The voice leaks into {plan.n_leaking} channels of each participant.")
    if plan.audio_lag_s:
        notes.append(f"The recorded sound is {1000 * plan.audio_lag_s:g} ms late.")
    if plan.n_few:
        notes.append(f"The last {plan.n_few} participants saw {N_FEW} words only.")
    return tuple(notes)
