#!/usr/bin/env python3
"""Rebuild simulated responses with 0, 20 and 50 % of signal many times over, and count verdicts.

    python scripts/production_series.py --nulls 100 --planted 20 > docs/production_series.tsv

Responses of 100 words in 127 channels, as in real recordings: channel means log-normal with an SD
of 1, words with an SD of .3 of the mean, a slow drift; embeddings of 50 dimensions, of which five
carry what is planted. All nulls and plain predictors, with the settings of the recipe.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from bids_brainalign.config.production import Production
from bids_brainalign.production.inputs import Preparation
from bids_brainalign.workflow.production import tables
from bids_brainalign.workflow.production.material import Material
from bids_brainalign.workflow.production.rebuilding import rebuild

N_WORDS, N_CHANNELS, N_DIMS, N_INFORMATIVE = 100, 127, 50, 5
ABOUT = {"embedding": "planted", "layer": "0", "mapping": "ridge"}


def main() -> None:
    """Write one row per dataset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nulls", type=int, default=100, help="datasets without any signal")
    parser.add_argument("--planted", type=int, default=20, help="datasets of each planted share")
    given = parser.parse_args()
    rows = []
    with threadpool_limits(1):
        for share, count in ((0.0, given.nulls), (0.2, given.planted), (0.5, given.planted)):
            for seed in range(count):
                rows.append(_one(share, seed))
                print(rows[-1], file=sys.stderr, flush=True)
    pd.DataFrame(rows).to_csv(sys.stdout, sep="\t", index=False, float_format="%.4g")


def _one(share: float, seed: int) -> dict[str, object]:
    material, embedding = _planted(share, seed)
    settings = Production(mappings=("ridge",), folds=("k-fold",))
    found = rebuild(settings, material, embedding, "ridge", preparation=Preparation(), seed=seed)
    table = tables.score_table(ABOUT, found, material, window=tables.RESPONSE)
    values = table[table["window"] == tables.RESPONSE].set_index("score")
    assert found.verdict is not None  # noqa: S101 - ridge has one
    return {
        "share": share,
        "seed": seed,
        "pcc": values.loc["pcc", "value"],
        "pcc_train_mean": values.loc["pcc", "train_mean"],
        "r2": values.loc["r2", "value"],
        "r2_train_mean": values.loc["r2", "train_mean"],
        "pattern_r": values.loc["pattern_r", "value"],
        "skill": values.loc["skill", "value"],
        "two_vs_two": values.loc["two_vs_two", "value"],
        "p_shuffled": values.loc["pattern_r", "p_shuffled"],
        "answer": found.verdict.answer,
    }


def _planted(share: float, seed: int) -> tuple[Material, np.ndarray]:
    rng = np.random.default_rng([seed, round(100 * share)])
    embedding = rng.standard_normal((N_WORDS, N_DIMS))
    weights = rng.standard_normal((N_INFORMATIVE, N_CHANNELS)) / np.sqrt(N_INFORMATIVE)
    signal = embedding[:, :N_INFORMATIVE] @ weights
    noise = rng.standard_normal(signal.shape)
    scale = np.exp(rng.standard_normal(N_CHANNELS))
    drift = 0.3 * np.linspace(-1, 1, N_WORDS)[:, None] * rng.standard_normal(N_CHANNELS)
    words_part = np.sqrt(share) * signal + np.sqrt(1 - share) * noise
    response = scale * (1 + 0.3 * (words_part + drift))
    baseline = scale * (1 + 0.3 * (rng.standard_normal(signal.shape) + drift))
    onset = 3.0 * np.arange(N_WORDS) + rng.uniform(0.4, 0.9, N_WORDS)
    words = pd.DataFrame(
        {
            "recording": "sub-01",
            "word": [f"word{i}" for i in range(N_WORDS)],
            "content_group": "",
            "onset": onset,
            "run": 0,
            "duration": rng.uniform(0.3, 0.7, N_WORDS),
            "loudness": rng.uniform(-30, -20, N_WORDS),
            "n_letters": rng.integers(3, 10, N_WORDS),
            "latency": onset - 3.0 * np.arange(N_WORDS),
        }
    )
    names = [f"A{i}" for i in range(N_CHANNELS)]
    targets = pd.DataFrame({"name": names, "type": "SEEG", "hemisphere": "L", "region": "n/a"})
    bins = np.zeros((N_WORDS, 0, N_CHANNELS))
    material = Material(words, response, baseline, bins, np.zeros(0), targets, 0.1, (0.0, 1.0), ())
    return material, embedding


if __name__ == "__main__":
    main()
