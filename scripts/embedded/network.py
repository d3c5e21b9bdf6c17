"""The embedded model's architecture and its training."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from bids_brainalign.features.embedded import NOTE
from bids_brainalign.features.folders import NOTE_KEY
from scripts.embedded.phones import CLASSES, NO_CLASS
from scripts.embedded.speech import N_FRAMES, WINDOWS_PER_READING, Clips

N_DIMS = 128
N_LAYERS = 6
MAX_PARAMETERS = 2_000_000
WEIGHT_DECAY = 0.02
WARM_UP_SHARE = 0.06
MAX_GRADIENT = 1.0
REPORT_EVERY = 25


@dataclass(frozen=True)
class Phase:
    """A stretch of training on windows of one length."""

    n_steps: int
    window: int
    """Frames of 20 ms."""
    batch_size: int


PHASES = (Phase(1500, 300, 10), Phase(120, N_FRAMES, 3))
"""Mostly windows of 6 s at random positions: attention costs the square of the length. Then whole
windows of 30 s, as the package uses the model."""
LEARNING_RATE = 2e-3


def build_model(*, seed: int) -> Any:
    """Make a randomly initialised WhisperModel: our encoder and the smallest of decoders."""
    from transformers import WhisperConfig, WhisperModel

    config = WhisperConfig(
        vocab_size=8,
        num_mel_bins=80,
        d_model=N_DIMS,
        encoder_layers=N_LAYERS,
        encoder_attention_heads=4,
        encoder_ffn_dim=4 * N_DIMS,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=32,
        max_source_positions=N_FRAMES,
        max_target_positions=8,
        init_std=0.05,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        suppress_tokens=None,
        begin_suppress_tokens=None,
        architectures=["WhisperModel"],
    )
    torch.manual_seed(seed)
    model = WhisperModel(config)
    if encoder_size(model) > MAX_PARAMETERS:
        raise ValueError(f"{encoder_size(model)} encoder parameters, {MAX_PARAMETERS} allowed")
    return model


def encoder_size(model: Any) -> int:
    """Count the encoder's parameters, positions included."""
    return sum(parameter.numel() for parameter in model.encoder.parameters())


def encode(encoder: Any, mel: torch.Tensor, *, offset: int) -> torch.Tensor:
    """Run the encoder on a window that begins at frame ``offset`` of the 30 s.

    The encoder's own ``forward`` takes 30 s only; the same modules in the same order, so that
    ``offset=0`` and 30 s give its last hidden state.
    """
    hidden = functional.gelu(encoder.conv1(mel))
    hidden = functional.gelu(encoder.conv2(hidden)).permute(0, 2, 1)
    hidden = hidden + encoder.embed_positions.weight[offset : offset + hidden.shape[1]]
    for block in encoder.layers:
        output = block(hidden, None)
        hidden = output[0] if isinstance(output, tuple) else output
    out: torch.Tensor = encoder.layer_norm(hidden)
    return out


def train(clips: Clips, validation: Clips, *, seed: int, n_threads: int) -> tuple[Any, list[str]]:
    """Teach an encoder to name the phone of every frame (cross-entropy, linear readout).

    Returns
    -------
    model : WhisperModel
        Trained, in eval mode; the readout is not part of it.
    log : list of str
    """
    torch.set_num_threads(n_threads)
    model = build_model(seed=seed)
    readout = torch.nn.Linear(N_DIMS, len(CLASSES))
    weights = [w for w in (*model.encoder.parameters(), *readout.parameters()) if w.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    n_steps = sum(phase.n_steps for phase in PHASES)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, n_steps))
    rng = np.random.default_rng(seed)
    log: list[str] = []
    started = time.monotonic()
    losses: list[float] = []
    model.train()
    for step, (mel, labels, offset) in enumerate(_batches(clips, rng), start=1):
        with torch.autocast("cpu", torch.bfloat16):
            logits = readout(encode(model.encoder, mel, offset=offset))
        loss = functional.cross_entropy(
            logits.float().flatten(0, 1), labels.flatten(), ignore_index=NO_CLASS
        )
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, MAX_GRADIENT)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if step % REPORT_EVERY == 0 or step == n_steps:
            line = f"step {step}/{n_steps} loss {np.mean(losses[-REPORT_EVERY:]):.3f}"
            if step % (8 * REPORT_EVERY) == 0 or step == n_steps:
                line += f" validation {_accuracy(model, readout, validation):.3f}"
            log.append(line)
            print(f"{line} after {time.monotonic() - started:.0f} s", flush=True)
    return model.eval(), log


def _rate(step: int, n_steps: int) -> float:
    warm_up = WARM_UP_SHARE * n_steps
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (n_steps - warm_up)))


def _batches(
    clips: Clips, rng: np.random.Generator
) -> Iterator[tuple[torch.Tensor, torch.Tensor, int]]:
    for phase in PHASES:
        for _ in range(phase.n_steps):
            # One place in the 30 s per batch: the positions are then added once.
            offset = int(rng.integers(N_FRAMES - phase.window + 1))
            chosen = rng.choice(len(clips.mel), phase.batch_size, replace=False)
            mels, labels = [], []
            for clip in chosen:
                # Short clips are cut mostly where there is speech.
                last = max(0, min(int(clips.n_frames[clip]), N_FRAMES) - phase.window)
                first = int(rng.integers(last + 1)) if phase.window < N_FRAMES else 0
                mel = clips.mel[clip, :, 2 * first : 2 * (first + phase.window)]
                mels.append(_mask(mel.astype(np.float32), rng))
                labels.append(clips.labels[clip, first : first + phase.window].astype(np.int64))
            yield torch.from_numpy(np.stack(mels)), torch.from_numpy(np.stack(labels)), offset


def _mask(mel: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Another throat, another microphone, and some bands and moments hidden (SpecAugment)."""
    n_bands, n_steps = mel.shape
    source = np.clip(np.arange(n_bands) * rng.uniform(0.88, 1.12), 0, n_bands - 1.001)
    low = source.astype(int)
    above = (source - low)[:, None]
    mel = mel[low] * (1 - above) + mel[low + 1] * above
    knots = np.linspace(0, n_bands - 1, 6)
    mel += np.interp(np.arange(n_bands), knots, rng.normal(0, 0.1, 6))[:, None]
    mel += rng.normal(0, 0.1)
    hidden = float(mel.mean())
    for _ in range(int(rng.integers(0, 3))):
        width = int(rng.integers(1, 11))
        start = int(rng.integers(n_bands - width))
        mel[start : start + width] = hidden
    for _ in range(n_steps // 300):
        width = int(rng.integers(1, 13))
        start = int(rng.integers(n_steps - width))
        mel[:, start : start + width] = hidden
    return mel.astype(np.float32)


def _accuracy(model: Any, readout: Any, clips: Clips) -> float:
    """Share of speech frames named right, on one window of every reading."""
    model.eval()
    right = total = 0
    with torch.inference_mode():
        windows = zip(clips.mel, clips.labels, clips.n_frames, strict=True)
        for mel, labels, n_frames in islice(windows, 0, None, WINDOWS_PER_READING):
            x = torch.from_numpy(mel[None].astype(np.float32))
            guess = readout(encode(model.encoder, x, offset=0))[0].argmax(-1).numpy()
            speech = (labels > 0) & (labels != NO_CLASS) & (np.arange(N_FRAMES) < n_frames)
            right += int((guess == labels)[speech].sum())
            total += int(speech.sum())
    model.train()
    return right / total


def write_folder(model: Any, folder: Path) -> None:
    """Save the model in float16 with its preprocessor, as ``from_pretrained`` wants them."""
    from safetensors.torch import save_file
    from transformers import WhisperFeatureExtractor

    folder.mkdir(parents=True, exist_ok=True)
    model.config.dtype = "float16"
    setattr(model.config, NOTE_KEY, NOTE)
    model.config.save_pretrained(folder)
    extractor: Any = WhisperFeatureExtractor(feature_size=80)
    extractor.save_pretrained(folder)
    weights = {name: w.detach().half().contiguous() for name, w in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
