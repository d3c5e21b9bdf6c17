"""The baseline of every claim: envelope, mel spectrogram, words, phones and what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import ShortTimeFFT, get_window

from bids_brainalign.config.schema import Features
from bids_brainalign.features.audio import SAMPLE_RATE_HZ

HOP_S = 0.01
WINDOW_S = 0.025
ENVELOPE_POWER = 0.6
"""Compression of the amplitude envelope (Biesmans et al. 2017, IEEE TNSRE 25:402)."""
MEL_FLOOR_DB = -80.0
"""Below the loudest frame: keeps digital silence finite."""


def mel_filters(n_mels: int, *, n_fft: int) -> NDArray[np.float64]:
    """Triangular mel filters from 60 Hz to 7.6 kHz.

    Returns
    -------
    ndarray of shape (n_fft // 2 + 1, n_mels)
    """
    from transformers.audio_utils import mel_filter_bank

    filters = mel_filter_bank(
        num_frequency_bins=n_fft // 2 + 1,
        num_mel_filters=n_mels,
        min_frequency=60.0,
        max_frequency=7600.0,
        sampling_rate=SAMPLE_RATE_HZ,
        norm="slaney",
        mel_scale="slaney",
    )
    return np.asarray(filters, dtype=np.float64)


def envelope_and_mel(
    wave: NDArray[np.float32], *, n_mels: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Amplitude envelope and log-mel spectrogram every 10 ms.

    Parameters
    ----------
    wave : ndarray of shape (n_samples,), float32
        16 kHz.
    n_mels : int
        Number of mel bands.

    Returns
    -------
    envelope : ndarray of shape (n_frames, 1), float32
        RMS of 25 ms around each frame, to the power 0.6.
    mel : ndarray of shape (n_frames, n_mels), float32
        dB below the loudest value; frame i is centred at 0.01·i s.
    """
    length = round(WINDOW_S * SAMPLE_RATE_HZ)
    hop = round(HOP_S * SAMPLE_RATE_HZ)
    window = get_window("hann", length)
    transform = ShortTimeFFT(window, hop, SAMPLE_RATE_HZ, mfft=512, scale_to=None)
    power = np.abs(transform.stft(wave, p0=0, p1=1 + (len(wave) - 1) // hop)).T ** 2
    # Parseval over the one-sided spectrum, divided by the window's energy: mean square.
    sides = np.full(power.shape[1], 2.0)
    sides[[0, -1]] = 1.0
    rms = np.sqrt((power @ sides) / (transform.mfft * np.sum(window**2)))
    mel = power @ mel_filters(n_mels, n_fft=transform.mfft)
    peak = max(float(mel.max(initial=0.0)), 1e-12)
    decibel = 10 * np.log10(np.maximum(mel / peak, 10 ** (MEL_FLOOR_DB / 10)))
    return (rms**ENVELOPE_POWER)[:, None].astype(np.float32), decibel.astype(np.float32)


@dataclass(frozen=True)
class Marks:
    """Further columns that stand at the onsets of phones."""

    columns: tuple[str, ...]
    members: NDArray[np.float32]
    """(n_phones, n_columns): what each phone adds to each column."""


def onset_train(
    onsets_s: NDArray[np.float64], *, n_frames: int, rate_hz: float
) -> NDArray[np.float32]:
    """Count onsets per frame: an impulse at the frame nearest to each onset.

    Returns
    -------
    ndarray of shape (n_frames, 1), float32
    """
    frames = np.round(onsets_s * rate_hz).astype(int)
    inside = (frames >= 0) & (frames < n_frames)
    return np.bincount(frames[inside], minlength=n_frames)[:, None].astype(np.float32)


def marked_train(
    onsets_s: NDArray[np.float64],
    members: NDArray[np.float32],
    *,
    n_frames: int,
    rate_hz: float,
) -> NDArray[np.float32]:
    """Sum, per frame, what those that begin there are; frames as in :func:`onset_train`.

    Parameters
    ----------
    onsets_s : ndarray of shape (n_onsets,)
    members : ndarray of shape (n_onsets, n_columns)
    n_frames : int
    rate_hz : float

    Returns
    -------
    ndarray of shape (n_frames, n_columns), float32
    """
    frames = np.round(onsets_s * rate_hz).astype(int)
    inside = (frames >= 0) & (frames < n_frames)
    out = np.zeros((n_frames, members.shape[1]), dtype=np.float32)
    np.add.at(out, frames[inside], members[inside])
    return out


def reduce_rate(frames: NDArray[np.float32], *, factor: int) -> NDArray[np.float32]:
    """Keep every ``factor``-th frame after a zero-phase triangular low-pass.

    Parameters
    ----------
    frames : ndarray of shape (n_frames, n_dims)
    factor : int

    Returns
    -------
    ndarray of shape (ceil(n_frames / factor), n_dims)
        Frame i stays centred at the time of input frame ``i * factor``.
    """
    if factor == 1:
        return frames
    kernel = np.convolve(np.ones(factor), np.ones(factor)) / factor**2
    padded = np.pad(frames, ((factor - 1, factor - 1), (0, 0)), mode="edge")
    smooth = np.stack([np.convolve(column, kernel, mode="valid") for column in padded.T], axis=1)
    return np.ascontiguousarray(smooth[::factor], dtype=np.float32)


def lowlevel_features(
    wave: NDArray[np.float32],
    words: pd.DataFrame | None,
    phones: pd.DataFrame | None = None,
    *,
    rate_hz: float,
    n_mels: int,
    parts: Sequence[str] = Features.lowlevel,
    marks: Marks | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float64], tuple[str, ...]]:
    """Envelope, mel spectrogram, and onsets of words and phones where they are known.

    Parameters
    ----------
    wave : ndarray of shape (n_samples,), float32
        16 kHz.
    words, phones : DataFrame, optional
        Column ``onset`` in s. Without them their column is 0 throughout: stimuli with and without
        annotations can be pooled in one fit.
    rate_hz : float
        Frames per second; must divide 100.
    n_mels : int
        Bands of the mel spectrogram.
    parts : sequence of str
        Some of ``envelope``, ``mel``, ``words`` and ``phones``; others are in `marks`. Counted at
        onsets, words and phones are rates once they are low-passed to a TR.
    marks : Marks, optional
        What the phones are; 0 throughout without `phones`.

    Returns
    -------
    frames : ndarray of shape (n_frames, n_columns), float32
    times : ndarray of shape (n_frames,)
        s on the stimulus clock.
    columns : tuple of str
        What each column is.
    """
    envelope, mel = envelope_and_mel(wave, n_mels=n_mels)
    factor = round(1 / (HOP_S * rate_hz))
    sound = reduce_rate(np.hstack([envelope, mel]), factor=factor)
    n_frames = len(sound)
    columns = ["envelope", *(f"mel-{band:02d}" for band in range(n_mels))]
    kept = [name for name in columns if name.partition("-")[0] in parts]
    blocks = [sound[:, [columns.index(name) for name in kept]]]
    for part, name, table in (("words", "word onset", words), ("phones", "phone onset", phones)):
        if part in parts:
            blocks.append(onset_train(_onsets(table), n_frames=n_frames, rate_hz=rate_hz))
            kept.append(name)
    if marks is not None:
        members = marks.members if phones is not None else marks.members[:0]
        blocks.append(marked_train(_onsets(phones), members, n_frames=n_frames, rate_hz=rate_hz))
        kept += marks.columns
    frames = np.hstack(blocks)
    return frames, np.arange(len(frames)) / rate_hz, tuple(kept)


def _onsets(table: pd.DataFrame | None) -> NDArray[np.float64]:
    return np.empty(0) if table is None else table["onset"].to_numpy(dtype=np.float64)
