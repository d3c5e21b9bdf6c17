"""What extracting a model's layers will take, told before the work."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from bids_brainalign.config.schema import WHISPER_WINDOW_S
from bids_brainalign.features.decoder_folder import DecoderFacts
from bids_brainalign.features.dense import Windowing
from bids_brainalign.features.ending import EndingWindows
from bids_brainalign.features.folders import ModelFacts

FRAMES_PER_SECOND = 50
_BYTES = 2  # float16 wherever that changes nothing of weight
_PROBE = 1024
_FRONT_END = 1.4
"""Convolutions over the waveform come to about 0.4 of the transformer's work in wav2vec2-base."""


@dataclass(frozen=True)
class Estimate:
    """Cost of one model over some audio."""

    n_bytes: int
    """On disk."""
    operations: float
    """Floating point operations."""


def estimate(
    facts: ModelFacts,
    windowing: Windowing | EndingWindows,
    *,
    durations_s: list[float],
    rate_hz: float,
) -> Estimate:
    """Estimate disk space and work of extracting all layers.

    Parameters
    ----------
    facts : ModelFacts
    windowing : Windowing or EndingWindows
    durations_s : list of float
        Of the stimuli.
    rate_hz : float
        Rate at which frames are kept in dense mode; ending windows give one frame each.
    """
    ending = isinstance(windowing, EndingWindows)
    kept = sum(windowing.count(d) if ending else math.ceil(d * rate_hz) for d in durations_s)
    window_s = windowing.window_s
    if facts.is_whisper and isinstance(windowing, EndingWindows) and not windowing.causal:
        window_s = WHISPER_WINDOW_S  # padded after its end
    window_frames = window_s * FRAMES_PER_SECOND
    per_window = window_frames * (
        2 * facts.n_parameters + 4 * (facts.n_layers - 1) * window_frames * facts.n_dims
    )
    windows = sum(windowing.count(d) for d in durations_s)
    operations = windows * per_window * (1.0 if facts.is_whisper else _FRONT_END)
    return Estimate(kept * facts.n_layers * facts.n_dims * _BYTES, operations)


def estimate_decoder(
    facts: ModelFacts,
    decoder: DecoderFacts,
    windowing: Windowing,
    *,
    told: list[tuple[float, int]],
) -> Estimate:
    """Estimate disk space and work of a decoder's layers per word, with the encoder they need.

    Parameters
    ----------
    facts : ModelFacts
    decoder : DecoderFacts
    windowing : Windowing
    told : list of (float, int)
        Duration in s and number of words of every stimulus.
    """
    heard = estimate(facts, windowing, durations_s=[seconds for seconds, _ in told], rate_hz=1.0)
    # A word and the silence after it; every window may fill the decoder's positions.
    n_bytes = 2 * sum(n for _, n in told) * decoder.n_layers * decoder.n_dims * _BYTES
    windows = sum(windowing.count(seconds) for seconds, _ in told)
    d, frames = decoder.n_dims, WHISPER_WINDOW_S * FRAMES_PER_SECOND
    # Attention to words and to the audio (queries and outputs), MLP; keys and values of the audio.
    per_token = 6 * d**2 + 2 * d * decoder.n_hidden + 2 * d * (decoder.max_tokens + frames)
    per_window = 2 * (decoder.n_layers - 1) * (decoder.max_tokens * per_token + frames * 2 * d**2)
    return Estimate(n_bytes, heard.operations + windows * per_window)


def operations_per_second(device: str) -> float:
    """Measure how fast this device multiplies matrices (some 50 ms of work)."""
    import torch

    matrix = torch.rand(_PROBE, _PROBE, device=device)
    times = []
    for _ in range(4):
        start = time.perf_counter()
        (matrix @ matrix)[0, 0].item()  # .item() waits for the device
        times.append(time.perf_counter() - start)
    return 2 * _PROBE**3 / min(times)


def in_words(n_bytes: float, seconds: float) -> str:
    """Say a size and a time as a person would: ``1.2 GB, about 3 min``."""
    size = f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{max(n_bytes / 1e6, 0.1):.1f} MB"
    if seconds < 90:
        duration = f"{max(1, round(seconds))} s"
    elif seconds < 5400:
        duration = f"{round(seconds / 60)} min"
    else:
        duration = f"{seconds / 3600:.1f} h"
    return f"{size}, about {duration}"
