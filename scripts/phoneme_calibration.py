"""How often coherence and clusters are found where there are none, and where there are some.

``python -m scripts.phoneme_calibration --figure docs/phoneme_calibration.svg`` simulates responses
to phones on arrays: electrodes on a grid share voltage with their neighbours, and follow nothing
(``none``), one phone class each at random places (``scattered``), or one per quarter of the grid
(``grouped``).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.distance import cdist
from scipy.stats import binom

from bids_brainalign.phonemes.clusters import cluster
from bids_brainalign.phonemes.coherence import coherence
from bids_brainalign.phonemes.selectivity import Tokens, rank_sums, shifted_rank_sums

N_PHONES = 24
N_CLASSES = 4
SPACING_MM = 4.0
SPREAD_MM = 4.0
"""Width of what an electrode shares with its neighbours."""
SIZES = (20, 60, 200)
KINDS = ("none", "scattered", "grouped")


@dataclass(frozen=True)
class Simulated:
    """Tokens of electrodes on a grid."""

    tokens: Tokens
    positions_mm: NDArray[np.float64]
    tuning: NDArray[np.int64]
    quarter: NDArray[np.str_]


def simulate(
    kind: str, n_electrodes: int, *, n_tokens: int, gain: float, rng: np.random.Generator
) -> Simulated:
    """Draw responses to a Markov sequence of phones.

    Parameters
    ----------
    kind : str
        ``none``, ``scattered`` or ``grouped``.
    n_electrodes, n_tokens : int
    gain : float
        Response to the preferred class, in SD of the noise.
    rng : Generator
    """
    width = int(np.ceil(np.sqrt(n_electrodes)))
    rows, columns = np.divmod(np.arange(n_electrodes), width)
    positions = SPACING_MM * np.stack([rows, columns, np.zeros(n_electrodes)], axis=1)
    half = (rows >= rows.max() / 2).astype(int) * 2 + (columns >= width / 2)
    tuning = half if kind != "scattered" else rng.permutation(half)
    # Phones depend on the one before, as in words.
    step = rng.integers(0, 3, n_tokens)
    phone = np.cumsum(np.where(step == 0, rng.integers(0, N_PHONES, n_tokens), step)) % N_PHONES
    noise = gaussian_filter1d(rng.standard_normal((n_tokens, n_electrodes)), 1.0, axis=0)
    source = noise / noise.std()
    if kind != "none":
        source += gain * (phone[:, None] % N_CLASSES == tuning[None, :])
    mixing = np.exp(-0.5 * (cdist(positions, positions) / SPREAD_MM) ** 2)
    tokens = Tokens(
        responses=source @ mixing,
        phone=phone.astype(np.int64),
        names=tuple(str(i) for i in range(N_PHONES)),
        run=np.zeros(n_tokens, dtype=np.int64),
        block=np.arange(n_tokens) // 500,
    )
    return Simulated(tokens, positions, tuning, np.array([f"q{q}" for q in half]))


def one_run(
    kind: str,
    n_electrodes: int,
    seed: int,
    *,
    n_tokens: int = 1500,
    gain: float = 0.5,
    n_draws: int = 99,
) -> dict[str, object]:
    """Simulate and test once."""  # fmt: skip
    rng = np.random.default_rng([seed, n_electrodes, KINDS.index(kind)])
    data = simulate(kind, n_electrodes, n_tokens=n_tokens, gain=gain, rng=rng)
    members = np.zeros((0, N_PHONES), dtype=bool)
    profiles = rank_sums(data.tokens, members).z.T
    null = np.swapaxes(shifted_rank_sums(data.tokens, members, n_draws=n_draws, rng=rng).z, 1, 2)
    groups = cluster(profiles, null)
    found = coherence(
        profiles, null, positions_mm=data.positions_mm, labels=groups.labels,
        regions=data.quarter, rng=rng, n_draws=n_draws,
    )  # fmt: skip
    from sklearn.metrics import adjusted_rand_score

    return {
        "kind": kind,
        "n_electrodes": n_electrodes,
        "p_clusters": groups.p,
        "k": groups.k,
        "ari": adjusted_rand_score(data.tuning, groups.labels),
        "p_similarity": found.p_similarity,
        "p_agreement": found.p_agreement,
        "p_ami": found.p_ami,
    }


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Share of p < .05 of each test, by kind and number of electrodes."""
    tests = ["p_clusters", "p_similarity", "p_agreement", "p_ami"]
    shares = runs.assign(**{t: np.where(runs[t].isna(), np.nan, runs[t] < 0.05) for t in tests})
    keys = ["kind", "n_electrodes"]
    return shares.groupby(keys, sort=False)[[*tests, "ari", "k"]].mean().reset_index()


def draw(table: pd.DataFrame, n_runs: int, path: Path) -> None:
    """Draw shares with the binomial interval around 5 %."""
    from bids_brainalign.reports.figures import canvas

    figure = canvas.paper(9.6, 3.0)
    low, high = binom.ppf([0.025, 0.975], n_runs, 0.05) / n_runs
    names = {"p_similarity": "neighbour similarity", "p_agreement": "neighbour agreement",
             "p_ami": "clusters and regions", "p_clusters": "clusters"}  # fmt: skip
    colours = ("#0072b2", "#d55e00", "#009e73", "#8a97a3")
    for axes, kind in zip(figure.subplots(1, len(KINDS), sharey=True), KINDS, strict=True):
        rows = table[table["kind"] == kind]
        canvas.tidy(axes, title=f"tuning: {kind}", xlabel="electrodes")
        axes.axhspan(low, high, color=canvas.GRID, lw=0)
        for (column, label), colour in zip(names.items(), colours, strict=True):
            axes.plot(range(len(rows)), rows[column], "o-", color=colour, label=label)
        axes.set_xticks(range(len(rows)), rows["n_electrodes"].astype(str))
        axes.set_ylim(-0.03, 1.05)
    figure.axes[0].set_ylabel(f"share of {n_runs} runs with p < .05", fontsize=canvas.SIZE_PT)
    figure.axes[1].legend(frameon=False, fontsize=canvas.SIZE_PT - 1)
    path.write_text(canvas.svg(figure), encoding="utf-8")


def main() -> None:
    """Run, print the shares, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="of each null")
    parser.add_argument("--runs-grouped", type=int, default=20, help="power needs fewer")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    runs = pd.DataFrame(
        [
            one_run(kind, size, seed)
            for size in arguments.sizes
            for kind in KINDS
            for seed in range(arguments.runs_grouped if kind == "grouped" else arguments.runs)
        ]
    )
    table = summarise(runs)
    print(table.round(3).to_string(index=False))
    if arguments.figure is not None:
        draw(table, arguments.runs, arguments.figure)


if __name__ == "__main__":
    main()
