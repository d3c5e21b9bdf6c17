"""CPU seconds per second of audio: features in dense windows and in the published sliding ones.

Sliding windows all cost the same once they are full, so a few of them are timed and counted as
often as they occur in a second; dense windows are timed over the whole stimulus. The naive loop is
the published one: each window through the feature extractor and the model, and the last frame of
every layer kept. Without a folder it is the architecture of wav2vec2-base with random weights,
which cost what trained ones cost.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from tables import Row, show

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


def sliding(model: SpeechModel, window_s: float, n_windows: int) -> tuple[float, list[np.ndarray]]:
    """CPU seconds per full window, and the frames of every layer."""
    # Ends one window apart: every window is full.
    windows = EndingWindows(window_s, window_s, causal=False)
    wave = noise(window_s * n_windows)
    start = time.process_time()
    found = model.extract_ending(wave, windows)
    return (time.process_time() - start) / n_windows, [np.asarray(x) for x in found.layers]


def naive(folder: Path, window_s: float, n_windows: int) -> tuple[float, list[np.ndarray]]:
    """The same by transformers alone, one window at a time."""
    from transformers import AutoFeatureExtractor, AutoModel

    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
    wave, size = noise(window_s * n_windows), round(window_s * RATE)
    start = time.process_time()
    frames = []
    for index in range(n_windows):
        clip = wave[index * size : (index + 1) * size]
        inputs = extractor(clip, sampling_rate=RATE, return_tensors="pt").input_values
        with torch.no_grad():
            layers = model(inputs, output_hidden_states=True).hidden_states
        frames.append([layer[0, -1].numpy() for layer in layers])
    seconds = (time.process_time() - start) / n_windows
    return seconds, [np.stack(layer) for layer in zip(*frames, strict=True)]


def noise(seconds: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (0.1 * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="models; none: wav2vec2-base")
    parser.add_argument("--seconds", type=float, default=120.0, help="of audio, dense")
    parser.add_argument("--windows", type=int, default=4, help="sliding windows that are timed")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        for folder in options.folders or [wav2vec2_base(Path(name) / "wav2vec2-base")]:
            model = open_model(folder)
            model.extract(noise(5.0), rate_hz=10.0)  # warm
            dense = dense_cost(model, options.seconds)
            for scheme, (window_s, stride_s) in SCHEMES.items():
                ours, frames = sliding(model, window_s, options.windows)
                theirs, oracle = naive(folder, window_s, options.windows)
                worst = max(
                    float(np.abs(a - b).max()) for a, b in zip(frames, oracle, strict=True)
                )
                case = f"{folder.name}, 1 s of audio, {scheme}"
                told = f"frames differ by {worst:.0e} at most"
                rows += [
                    Row(case, "bids_brainalign sliding", ours / stride_s, 1.0, None, ""),
                    Row(case, "naive loop", theirs / stride_s, theirs / ours, None, told),
                    Row(case, "bids_brainalign dense", dense, dense * stride_s / ours, None,
                        "other windows, other values"),
                ]  # fmt: skip
    show(rows, threads=options.threads, as_json=options.json)


if __name__ == "__main__":
    main()
