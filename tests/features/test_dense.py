"""Windows blended while they finish equal the sum over whole layers, in memory and on disk."""

import tempfile

import numpy as np
import pytest

from bids_brainalign.features import layer_rows
from bids_brainalign.features.dense import FrameGrid, Windowing, run_windows
from bids_brainalign.features.ending import EndingWindows, run_ending_windows
from bids_brainalign.features.layer_rows import LazyLayers
from bids_brainalign.features.windows import blend_weights, window_starts

RATE, STRIDE = 1000, 10
WINDOWING = Windowing(window_s=3.0, hop_s=1.7, margin_s=0.5, blend_s=0.2)
WIDTHS = (3, 5, 1)


def forward(clips):
    """Layers of different widths that depend on what was heard and on the place in the window."""
    states = []
    for layer, width in enumerate(WIDTHS):
        heard = np.stack([c[: 300 * STRIDE].reshape(-1, STRIDE) for c in map(padded, clips)])
        place = np.arange(heard.shape[1], dtype=np.float32)[None, :, None]
        columns = np.arange(1, width + 1, dtype=np.float32)
        states.append(np.sin(heard.sum(2)[..., None] * columns + place * (layer + 1)))
    return states


def padded(clip):
    return np.pad(clip, (0, max(0, 300 * STRIDE - len(clip))))


def noise(n_samples):
    return np.random.default_rng(0).standard_normal(n_samples).astype(np.float32)


def whole_layers(wave, n_frames, factor):
    """The definition: all windows added up in arrays of the stimulus' length, then averaged."""
    starts = window_starts(n_frames, window=300, hop=170)
    weights = blend_weights(starts, n_frames=n_frames, window=300, margin=50, blend=20)
    sums = [np.zeros((n_frames, width), np.float32) for width in WIDTHS]
    for start, share in zip(starts, weights, strict=True):
        stop = min(start + 300, n_frames)
        for total, state in zip(sums, forward([wave[start * STRIDE :]]), strict=True):
            total[start:stop] += state[0, : stop - start] * share[: stop - start, None]
    edges = np.arange(0, n_frames, factor)
    counts = np.diff(np.append(edges, n_frames))[:, None]
    if factor == 1:
        return sums
    return [(np.add.reduceat(s, edges, axis=0) / counts).astype(np.float32) for s in sums]


def run(wave, *, factor, batch_size, scratch):
    return run_windows(
        wave, forward, grid=FrameGrid(STRIDE, STRIDE, 0.0), n_frames=len(wave) // STRIDE,
        windowing=WINDOWING, sample_rate_hz=RATE, rate_hz=RATE / STRIDE / factor,
        batch_size=batch_size, scratch=scratch,
    )  # fmt: skip


@pytest.mark.parametrize("n_frames", [7, 299, 300, 301, 640, 1733])
@pytest.mark.parametrize("factor", [1, 4, 10])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_layers_are_the_same_to_the_last_bit(monkeypatch, tmp_path, n_frames, factor, batch_size):
    wave = noise(n_frames * STRIDE)
    expected = whole_layers(wave, n_frames, factor)
    for limit in (layer_rows.IN_MEMORY_BYTES, 0):
        monkeypatch.setattr(layer_rows, "IN_MEMORY_BYTES", limit)
        with tempfile.TemporaryFile(dir=tmp_path) as scratch:
            found = run(wave, factor=factor, batch_size=batch_size, scratch=scratch)
            assert isinstance(found.layers, LazyLayers) == (limit == 0)
            assert len(found.layers) == len(WIDTHS)
            for ours, theirs in zip(found.layers, expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)
    middles = [np.mean(np.arange(n_frames)[a : a + factor]) for a in range(0, n_frames, factor)]
    np.testing.assert_allclose(found.times, np.array(middles) * STRIDE / RATE)


def test_no_more_is_open_than_a_window_and_a_row(monkeypatch):
    """What is held besides finished rows does not grow with the stimulus."""
    made = []
    zeros = np.zeros

    def watched(shape, *args, **kwargs):
        made.append(shape)
        return zeros(shape, *args, **kwargs)

    with tempfile.TemporaryFile() as scratch:
        monkeypatch.setattr(layer_rows, "IN_MEMORY_BYTES", 0)
        monkeypatch.setattr(np, "zeros", watched)
        run(noise(5000 * STRIDE), factor=4, batch_size=1, scratch=scratch)
    rows = [shape[0] for shape in made if isinstance(shape, tuple) and len(shape) == 2]
    assert len(rows) == len(WIDTHS)
    assert max(rows) == 300 + 4


def test_ending_windows_are_the_same_on_disk(monkeypatch, tmp_path):
    def run_ending(scratch):
        return run_ending_windows(
            noise(9000), forward, last_frame=lambda n: n // STRIDE - 1, shortest=STRIDE,
            windows=EndingWindows(3.0, 0.7, causal=True), sample_rate_hz=RATE, batch_size=4,
            lead_in=True, scratch=scratch,
        )  # fmt: skip

    expected = run_ending(None)
    monkeypatch.setattr(layer_rows, "IN_MEMORY_BYTES", 0)
    with tempfile.TemporaryFile(dir=tmp_path) as scratch:
        found = run_ending(scratch)
        assert isinstance(found.layers, LazyLayers)
        for ours, theirs in zip(found.layers, expected.layers, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    ends = np.round(np.arange(13) * 0.7 * RATE).astype(int)
    heard = np.concatenate([np.zeros(3000, np.float32), noise(9000)])
    last = [forward([heard[end : end + 3000]])[1][0, -1] for end in ends]
    np.testing.assert_array_equal(expected.layers[1], last)
