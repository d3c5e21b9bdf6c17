"""CPU seconds per second of audio: features in dense windows and in the published sliding ones.

Sliding windows all cost the same once they are full, so a few of them are timed and counted as
often as they occur in a second; dense windows are timed over the whole stimulus. Without a folder
it is the architecture of wav2vec2-base with random weights, which cost what trained ones cost.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from bids_brainalign.features.ending import EndingWindows
from bids_brainalign.features.models import SpeechModel, open_model

RATE = 16_000
SCHEMES = {"16.1 s every 0.1 s": (16.1, 0.1), "4 s every 0.25 s": (4.0, 0.25)}


def wav2vec2_base(folder: Path) -> Path:
    """Write the architecture of wav2vec2-base with random weights."""
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    torch.manual_seed(0)
    Wav2Vec2Model(Wav2Vec2Config()).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def dense_cost(model: SpeechModel, seconds: float) -> float:
    """CPU seconds per second of audio."""
    wave = noise(seconds)
    start = time.process_time()
    model.extract(wave, rate_hz=10.0)
    return (time.process_time() - start) / seconds


def sliding_cost(model: SpeechModel, window_s: float, stride_s: float, n_windows: int) -> float:
    """CPU seconds per second of audio, from `n_windows` full windows."""
    # Ends one window apart: every window is full.
    windows = EndingWindows(window_s, window_s, causal=False)
    wave = noise(window_s * n_windows)
    start = time.process_time()
    model.extract_ending(wave, windows)
    return (time.process_time() - start) / n_windows / stride_s


def noise(seconds: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (0.1 * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="models; none: wav2vec2-base")
    parser.add_argument("--seconds", type=float, default=120.0, help="of audio, dense")
    parser.add_argument("--windows", type=int, default=4, help="sliding windows that are timed")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as name:
        for folder in options.folders or [wav2vec2_base(Path(name) / "wav2vec2-base")]:
            model = open_model(folder)
            model.extract(noise(5.0), rate_hz=10.0)  # warm
            dense = dense_cost(model, options.seconds)
            print(f"{folder.name}: dense {dense:.3f} CPU s per s of audio")
            for scheme, (window_s, stride_s) in SCHEMES.items():
                sliding = sliding_cost(model, window_s, stride_s, options.windows)
                print(f"  {scheme}: {sliding:.2f}, {sliding / dense:.0f} times as much")


if __name__ == "__main__":
    main()
