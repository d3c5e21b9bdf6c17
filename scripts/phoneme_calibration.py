"""How often coherence and clusters are found where there are none, and where there are some.

``python -m scripts.phoneme_calibration --out docs/phoneme_calibration`` simulates responses to
phones on arrays. Electrodes on a grid share voltage with their neighbours. They follow nothing
(``untuned``), one phone class each at random places (``scattered``: little is shared and clusters
are found; ``blurred``: so much is shared that clusters mix; ``noisy``: beside that, each has as
much noise of its own), or one class per quarter of the grid (``grouped``). The tests are those of
the product, with as many shifts and surrogates.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.distance import cdist
from scipy.stats import binom, binomtest

from bids_brainalign.phonemes.clusters import cluster
from bids_brainalign.phonemes.coherence import N_SURROGATES, Coherence, coherence
from bids_brainalign.phonemes.organisation import N_CLUSTER_NULL
from bids_brainalign.phonemes.selectivity import Tokens, rank_sums, shifted_rank_sums

N_PHONES = 24
N_CLASSES = 4
N_TOKENS = 1500
SPACING_MM = 4.0
SIZES = (20, 60, 200)
ALPHA = 0.05
N_FIRST = 199
FIRST_SEED = 500_000
"""Of the committed table; lower ones served to choose the method."""


@dataclass(frozen=True)
class Kind:
    """A way to plant tuning."""

    arrangement: str
    """``none``, ``scattered`` or ``grouped``."""
    spread_mm: float
    """Width of what an electrode shares with its neighbours."""
    gain: float
    """Response to the preferred class, in SD of the noise."""
    own_noise: float = 0.0
    """Of each electrode alone, in SD of what it shares."""


KINDS = {
    "untuned": Kind("none", 4.0, 0.0),
    "scattered": Kind("scattered", 2.5, 1.0),
    "blurred": Kind("scattered", 4.0, 0.5),
    "noisy": Kind("scattered", 4.0, 1.0, 1.0),
    "grouped": Kind("grouped", 4.0, 0.5),
}
NULLS = ("untuned", "scattered", "blurred", "noisy")
TESTS = {
    "p_similarity": "neighbour similarity",
    "p_agreement": "neighbour agreement",
    "p_ami": "clusters and regions",
    "p_clusters": "clusters",
}
COHERENCE_TESTS = ("p_similarity", "p_agreement", "p_ami")
CONDITIONAL = ("p_agreement", "p_ami")
"""Tested only in runs whose clusters were found (p < .05)."""


@dataclass(frozen=True)
class Simulated:
    """Tokens of electrodes on a grid."""

    tokens: Tokens
    positions_mm: NDArray[np.float64]
    tuning: NDArray[np.int64]
    quarter: NDArray[np.str_]


def simulate(kind: Kind, n_electrodes: int, *, rng: np.random.Generator) -> Simulated:
    """Draw responses to a Markov sequence of phones."""
    width = int(np.ceil(np.sqrt(n_electrodes)))
    rows, columns = np.divmod(np.arange(n_electrodes), width)
    positions = SPACING_MM * np.stack([rows, columns, np.zeros(n_electrodes)], axis=1)
    half = (rows >= rows.max() / 2).astype(int) * 2 + (columns >= width / 2)
    tuning = half if kind.arrangement != "scattered" else rng.permutation(half)
    # Phones depend on the one before, as in words.
    step = rng.integers(0, 3, N_TOKENS)
    phone = np.cumsum(np.where(step == 0, rng.integers(0, N_PHONES, N_TOKENS), step)) % N_PHONES
    noise = gaussian_filter1d(rng.standard_normal((N_TOKENS, n_electrodes)), 1.0, axis=0)
    source = noise / noise.std()
    if kind.arrangement != "none":
        source += kind.gain * (phone[:, None] % N_CLASSES == tuning[None, :])
    mixing = np.exp(-0.5 * (cdist(positions, positions) / kind.spread_mm) ** 2)
    shared = source @ mixing
    if kind.own_noise > 0:
        shared += kind.own_noise * shared.std(axis=0) * rng.standard_normal(shared.shape)
    tokens = Tokens(
        responses=shared,
        phone=phone.astype(np.int64),
        names=tuple(str(i) for i in range(N_PHONES)),
        run=np.zeros(N_TOKENS, dtype=np.int64),
        block=np.arange(N_TOKENS) // 500,
    )
    return Simulated(tokens, positions, tuning, np.array([f"q{q}" for q in half]))


def profiles_of(
    data: Simulated, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Profiles (n_electrodes, n_phones), and those of shifted labels with a leading axis."""
    members = np.zeros((0, N_PHONES), dtype=bool)
    return rank_sums(data.tokens, members).z.T, _shifted(data.tokens, rng)


def noise_of(data: Simulated, rng: np.random.Generator) -> NDArray[np.float64]:
    """Profiles (n_draws, n_electrodes, n_phones) of shifted labels without any tuning."""
    return _shifted(data.tokens.untuned(), rng)


def _shifted(tokens: Tokens, rng: np.random.Generator) -> NDArray[np.float64]:
    members = np.zeros((0, N_PHONES), dtype=bool)
    null = shifted_rank_sums(tokens, members, n_draws=N_CLUSTER_NULL, rng=rng).z
    return np.swapaxes(null, 1, 2)


def one_run(name: str, n_electrodes: int, seed: int) -> dict[str, object]:
    """Simulate and test once."""
    from sklearn.metrics import adjusted_rand_score

    rng = np.random.default_rng([seed, n_electrodes, list(KINDS).index(name)])
    data = simulate(KINDS[name], n_electrodes, rng=rng)
    profiles, null = profiles_of(data, rng)
    groups = cluster(profiles, null)
    found = tested(profiles, noise_of(data, rng), data, groups.labels, rng)
    return {
        "kind": name,
        "n_electrodes": n_electrodes,
        "seed": seed,
        "p_clusters": groups.p,
        "k": groups.k,
        "ari": adjusted_rand_score(data.tuning, groups.labels),
        "p_similarity": found.p_similarity,
        "p_agreement": found.p_agreement,
        "p_ami": found.p_ami,
    }


def tested(
    profiles: NDArray[np.float64],
    noise: NDArray[np.float64],
    data: Simulated,
    labels: NDArray[np.int64],
    rng: np.random.Generator,
) -> Coherence:
    """Test with the product's surrogates; fewer where the rest can't make a p < .05.

    The first surrogates are the same ones. Where the statistic is reached so often by them that
    p ≥ .05 whatever the others give, they are left out: p itself is then coarse, p < .05 is not.
    """

    def run(n_draws: int) -> Coherence:
        return coherence(
            profiles, noise, positions_mm=data.positions_mm, labels=labels,
            regions=data.quarter, rng=copy.deepcopy(rng), n_draws=n_draws,
        )  # fmt: skip

    first = run(N_FIRST)
    enough = ALPHA * (1 + N_SURROGATES) / (1 + N_FIRST)
    p = np.array([getattr(first, test) for test in COHERENCE_TESTS])
    return first if (np.isnan(p) | (p >= enough)).all() else run(N_SURROGATES)


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Share of p < .05 of each test, by kind and number of electrodes.

    Agreement and regions are tested only where clusters were found (``tested_in``): ``share``
    counts runs without as not significant, ``share_tested`` leaves them out. Where there are none
    to find, the latter is a share of false alarms, which need not be 5 %. Clopper–Pearson 95 %
    intervals.
    """
    rows = []
    for (kind, size), part in runs.groupby(["kind", "n_electrodes"], sort=False):
        for test, text in TESTS.items():
            tested = part[test].dropna()
            hits = int((tested < ALPHA).sum())
            rows.append(
                {"kind": kind, "n_electrodes": size, "test": text,
                 "tested_in": "runs with clusters" if test in CONDITIONAL else "all runs",
                 "n_runs": len(part), "n_tested": len(tested), "n_significant": hits,
                 **_share(hits, len(part), ""), **_share(hits, len(tested), "_tested"),
                 "ari_median": part["ari"].median(), "ari_min": part["ari"].min(),
                 "k_median": part["k"].median()}
            )  # fmt: skip
    return pd.DataFrame(rows)


def limit(n_runs: int) -> int:
    """Significant runs that a test at 5 % stays below with 97.5 %."""
    return int(binom.ppf(0.975, n_runs, ALPHA))


def _share(hits: int, n: int, suffix: str) -> dict[str, float]:
    if n == 0:
        return {f"{name}{suffix}": float("nan") for name in ("share", "low", "high")}
    interval = binomtest(hits, n).proportion_ci()
    return {
        f"share{suffix}": hits / n,
        f"low{suffix}": interval.low,
        f"high{suffix}": interval.high,
    }


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw shares of the tested runs with their intervals, and the binomial band around 5 %.

    The legend says of which tests the runs are only those whose clusters were found.
    """
    from bids_brainalign.reports.figures import canvas

    kinds = list(dict.fromkeys(table["kind"]))
    figure = canvas.paper(12.5, 3.2)
    colours = ("#0072b2", "#d55e00", "#009e73", "#8a97a3")
    for axes, kind in zip(np.atleast_1d(figure.subplots(1, len(kinds))), kinds, strict=True):
        part = table[table["kind"] == kind]
        n = int(part["n_runs"].max())
        canvas.tidy(axes, title=f"tuning: {kind} ({n} runs)", xlabel="electrodes")
        if kind in NULLS:
            band = binom.ppf([0.025, 0.975], n, ALPHA) / n
            axes.axhspan(*band, color=canvas.GRID, lw=0)
        for place, ((test, text), colour) in enumerate(zip(TESTS.items(), colours, strict=True)):
            if kind not in ("untuned", "grouped") and test == "p_clusters":
                continue  # there are clusters: finding them is no error
            rows = part[part["test"] == text]
            x = np.arange(len(rows)) + 0.12 * (place - 1.5)
            share = rows["share_tested"].to_numpy(float)
            bars = np.abs(rows[["low_tested", "high_tested"]].to_numpy(float).T - share)
            label = f"{text} (runs with clusters)" if test in CONDITIONAL else text
            axes.errorbar(x, share, bars, fmt="o", ms=4, lw=1.2, color=colour, label=label)
            for at, n_tested in zip(x + 0.06, rows["n_tested"], strict=True):
                if n_tested < n and test == CONDITIONAL[0]:  # both are tested in these runs
                    axes.annotate(f"{n_tested}", (at, 0), xytext=(0, -9), ha="center",
                                  textcoords="offset points", color=canvas.INK,
                                  fontsize=canvas.SIZE_PT - 2, annotation_clip=False)  # fmt: skip
        axes.set_xticks(range(len(sizes := part["n_electrodes"].unique())), sizes)
        axes.tick_params(axis="x", pad=11)
        axes.set_xlim(-0.5, len(sizes) - 0.5)
        axes.set_ylim(-0.003 if kind in NULLS else -0.03, 0.25 if kind in NULLS else 1.05)
    figure.axes[0].set_ylabel("share of tested runs with p < .05", fontsize=canvas.SIZE_PT)
    handles, labels = figure.axes[-1].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), frameon=False,
        fontsize=canvas.SIZE_PT - 1,
    )  # fmt: skip
    path.write_text(canvas.svg(figure), encoding="utf-8")


def simulate_all(
    names: Iterable[str], sizes: Iterable[int], seeds: range, *, grouped: int
) -> pd.DataFrame:
    """Simulate and test all runs; ``grouped`` of them where tuning is grouped."""
    return pd.DataFrame(
        [
            one_run(name, size, seed)
            for name in names
            for size in sizes
            for seed in (seeds if name in NULLS else seeds[:grouped])
        ]
    )


def main() -> None:
    """Run, print the shares, write the table and the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="of each null")
    parser.add_argument("--runs-grouped", type=int, default=40, help="power needs fewer")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--out", type=Path, help="writes OUT.tsv and OUT.svg")
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + given.runs)
    runs = simulate_all(given.kinds, given.sizes, seeds, grouped=given.runs_grouped)
    table = summarise(runs)
    print(table.round(3).to_string(index=False))
    if given.out is not None:
        table.round(4).to_csv(given.out.with_suffix(".tsv"), sep="\t", index=False, na_rep="n/a")
        draw(table, given.out.with_suffix(".svg"))


if __name__ == "__main__":
    main()
