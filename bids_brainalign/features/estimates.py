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
from bids_brainalign.features.layer_rows import IN_MEMORY_BYTES
from bids_brainalign.features.text_folder import TextFacts

FRAMES_PER_SECOND = 50
_BYTES = 2  # float16 wherever that changes nothing of weight
_WHOLE_BYTES = 4  # float32: weights, layers under way, and what is stored of causal ones
_PROGRAM_BYTES = 800_000_000
"""The interpreter with its libraries, the audio and blocks of layers on their way to the disk."""
_TOKENS_PER_WORD = 1.3
"""English in the vocabulary of GPT-2."""
_TOKENS_PER_CALL = 512
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
    memory_bytes: int
    """Of RAM, at most, while the longest stimulus is extracted."""
    scratch_bytes: int
    """On disk, at most, while features are made."""


def estimate(
    facts: ModelFacts,
    windowing: Windowing | EndingWindows,
    *,
    durations_s: list[float],
    rate_hz: float,
    batch_size: int = 1,
) -> Estimate:
    """Estimate disk space, memory and work of extracting all layers.

    Parameters
    ----------
    facts : ModelFacts
    windowing : Windowing or EndingWindows
    durations_s : list of float
        Of the stimuli.
    rate_hz : float
        Rate at which frames are kept in dense mode; ending windows give one frame each.
    batch_size : int
        Windows per forward pass.
    """
    ending = isinstance(windowing, EndingWindows)
    kept = [windowing.count(d) if ending else math.ceil(d * rate_hz) for d in durations_s]
    window_s = windowing.window_s
    if facts.is_whisper and isinstance(windowing, EndingWindows) and not windowing.causal:
        window_s = WHISPER_WINDOW_S  # padded after its end
    window_frames = window_s * FRAMES_PER_SECOND
    per_window = window_frames * (
        2 * facts.n_parameters + 4 * (facts.n_layers - 1) * window_frames * facts.n_dims
    )
    windows = sum(windowing.count(d) for d in durations_s)
    operations = windows * per_window * (1.0 if facts.is_whisper else _FRONT_END)
    per_frame = facts.n_layers * facts.n_dims
    stored = _WHOLE_BYTES if isinstance(windowing, EndingWindows) and windowing.causal else _BYTES
    # States of a batch, and sums over windows that a later one still adds to.
    under_way = (batch_size + 1) * round(window_frames) * per_frame * _WHOLE_BYTES
    rows = max(kept, default=0) * per_frame * _WHOLE_BYTES
    return Estimate(
        sum(kept) * per_frame * stored,
        operations,
        _memory(facts, facts.n_parameters, under_way + _held(rows, facts.n_layers)),
        _scratch(rows),
    )


def estimate_decoder(
    facts: ModelFacts,
    decoder: DecoderFacts,
    windowing: Windowing,
    *,
    told: list[tuple[float, int]],
) -> Estimate:
    """Estimate what a decoder's layers per word take, with the encoder they need.

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
    rows = max(n for _, n in told) * decoder.n_layers * d * _WHOLE_BYTES
    under_way = 2 * decoder.max_tokens * decoder.n_layers * d * _WHOLE_BYTES
    return Estimate(
        n_bytes,
        heard.operations + windows * per_window,
        _memory(facts, facts.n_loaded, under_way + _held(rows, decoder.n_layers)),
        _scratch(rows),
    )


def estimate_text(
    facts: TextFacts, *, n_words: int, context_words: int, words_per_pass: int
) -> Estimate:
    """Estimate what a language model's layers per word take.

    Parameters
    ----------
    facts : TextFacts
    n_words : int
        Of the stimulus.
    context_words : int
        Read before each word.
    words_per_pass : int
        Whose states are taken from one pass.
    """
    tokens = _TOKENS_PER_WORD * (context_words + words_per_pass)
    tokens = min(tokens, facts.max_tokens) if facts.max_tokens else tokens
    working = max(0, facts.n_parameters - facts.n_vocabulary * facts.n_dims)
    per_frame = facts.n_layers * facts.n_dims
    rows = n_words * per_frame * _WHOLE_BYTES
    held = _held(rows, facts.n_layers) + _TOKENS_PER_CALL * per_frame * _WHOLE_BYTES
    return Estimate(
        2 * n_words * per_frame * _BYTES,  # a word and the silence after it
        math.ceil(n_words / words_per_pass)
        * tokens
        * (2 * working + 4 * (facts.n_layers - 1) * tokens * facts.n_dims),
        _PROGRAM_BYTES + facts.n_parameters * _WHOLE_BYTES + held,
        _scratch(rows),
    )


def _memory(facts: ModelFacts, n_kept: int, working_bytes: int) -> int:
    """RAM of a model: when it is loaded, or with what is made while it runs."""
    loaded = facts.n_loaded * _WHOLE_BYTES
    return _PROGRAM_BYTES + max(loaded, n_kept * _WHOLE_BYTES + working_bytes)


def _held(rows_bytes: int, n_layers: int) -> int:
    """RAM of all layers of a stimulus: one at a time once they are in the scratch file."""
    return rows_bytes if rows_bytes <= IN_MEMORY_BYTES else rows_bytes // n_layers


def _scratch(rows_bytes: int) -> int:
    return rows_bytes if rows_bytes > IN_MEMORY_BYTES else 0


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
    return f"{size}, about {duration_in_words(seconds)}"


def duration_in_words(seconds: float) -> str:
    """Say a time as a person would: ``3 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
