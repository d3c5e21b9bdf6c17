"""Responses to words with a planted share of signal, as the workflow keeps them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.config.production import Production
from bids_brainalign.config.schema import Config, Paths
from bids_brainalign.features.word_embeddings import WordEmbeddings
from bids_brainalign.workflow.production.material import Material

SETTINGS = Production(
    mappings=("ridge",), ridge_draws=99, random_draws=39, multi_task_draws=19, penalties=True
)
N_DIMS = 20


def config(folder: Path, **production: object) -> Config:
    """Settings of a run that writes below `folder`."""
    return Config(
        "participant",
        Paths(folder / "bids", folder / "out", folder / "work"),
        production=dataclasses.replace(SETTINGS, run=True, **production),  # type: ignore[arg-type]
    )


def planted(
    share: float, *, n_words: int = 80, n_channels: int = 16, seed: int = 0, step_s: float = 3.0
) -> tuple[Material, np.ndarray]:
    """Responses of which `share` of the variance between words comes from five dimensions.

    Channel means differ by e in SD, as in real recordings; words by a third of the mean.

    Returns
    -------
    material : Material
    embedding : ndarray of shape (n_words, 20)
    """
    rng = np.random.default_rng(seed)
    embedding = rng.standard_normal((n_words, N_DIMS))
    signal = embedding[:, :5] @ rng.standard_normal((5, n_channels)) / np.sqrt(5)
    noise = rng.standard_normal(signal.shape)
    scale = np.exp(rng.standard_normal(n_channels))
    response = scale * (1 + 0.3 * (np.sqrt(share) * signal + np.sqrt(1 - share) * noise))
    baseline = scale * (1 + 0.3 * rng.standard_normal(signal.shape))
    onset = 2.0 + step_s * np.arange(n_words)
    words = pd.DataFrame(
        {
            "recording": "sub-01_task-words",
            "word": [f"word{i:03d}" for i in range(n_words)],
            "role": "speak",
            "content_group": "",
            "cue": onset - 0.6,
            "onset": onset,
            "offset": onset + rng.uniform(0.3, 0.6, n_words),
            "latency": rng.uniform(0.5, 0.7, n_words),
            "duration": rng.uniform(0.3, 0.6, n_words),
            "loudness": rng.uniform(-30, -20, n_words),
            "n_letters": rng.integers(3, 9, n_words),
            "n_phones": np.nan,
            "used": True,
            "reason": "",
            "run": 0,
            "row": np.arange(n_words),
        }
    )
    targets = pd.DataFrame(
        {
            "name": [f"A{i}" for i in range(n_channels)],
            "type": "SEEG",
            "hemisphere": "L",
            "region": [f"region{i % 4}" for i in range(n_channels)],
            "x": 0.0,
            "y": 0.0,
            "z": 0.0,
            "device": "A",
        }
    )
    bin_s = np.arange(-0.5, 1.5, 0.25) + 0.125
    bins = np.repeat(baseline[:, np.newaxis], len(bin_s), axis=1)
    bins[:, (bin_s > 0) & (bin_s < 1)] = response[:, np.newaxis]
    material = Material(
        words=words,
        response=response,
        baseline=baseline,
        bins=bins,
        bin_s=bin_s,
        targets=targets,
        support_s=0.1,
        window_s=(0.0, 1.0),
        notes=("said",),
    )
    return material, embedding


def vectors(values: np.ndarray, **about: object) -> WordEmbeddings:
    """One layer of vectors that all words have."""
    return WordEmbeddings(
        layers=("0",),
        values=(values.astype(np.float32),),
        known=np.ones(len(values), dtype=bool),
        notes=(),
        description="Made for a test.",
        **about,  # type: ignore[arg-type]
    )
