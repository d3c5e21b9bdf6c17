"""Seconds that networks take, beside ridge on the same design.

``python benchmarks/recurrent.py`` is small; for 30 min of 235 electrodes:
``python benchmarks/recurrent.py --minutes 30 --electrodes 235 --encoders gru attention mlp``
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from threadpoolctl import threadpool_limits

from bids_brainalign.alignment.delays import delayed
from bids_brainalign.config.schema import Ieeg, Recurrent, Ridge
from bids_brainalign.encoding.nested import fit_fold
from bids_brainalign.encoding.recurrent.architecture import KINDS
from bids_brainalign.encoding.recurrent.linear_path import LinearPath, linear_path
from bids_brainalign.encoding.recurrent.seed_fit import Options, fit_seed
from bids_brainalign.encoding.recurrent.side_by_side import side_by_side
from bids_brainalign.encoding.recurrent.training import Recipe
from bids_brainalign.statistics.folds import Fold, Samples, Split

RATE_HZ = 50
GAP = 75
N_FOLDS = 5


@dataclass(frozen=True)
class Data:
    """One layer's windows and what follows them."""

    windows: NDArray[np.float32]
    responses: NDArray[np.float32]
    fold: Fold
    samples: Samples


def make_data(minutes: float, electrodes: int, dims: int) -> Data:
    """Autoregressive features of falling variance; responses follow them at one lag each."""
    rng = np.random.default_rng(0)
    n = round(minutes * 60 * RATE_HZ)
    drive = rng.standard_normal((n, dims)) / np.sqrt(1 + np.arange(dims))
    features = lfilter([1], [1, -0.8], drive, axis=0).astype(np.float32)
    settings = Ieeg()
    lags = np.arange(settings.lag_min_s, settings.lag_max_s + 1e-9, settings.lag_step_s)
    delays = [round(lag * RATE_HZ) for lag in lags]
    windows = delayed(features, delays).reshape(n, len(delays), dims)
    signal = features @ rng.standard_normal((dims, electrodes))
    signal = np.stack(
        [np.roll(s, rng.integers(2, 20)) for s in (signal / signal.std(axis=0)).T], axis=1
    )
    noise = lfilter([1], [1, -0.9], rng.standard_normal((n, electrodes)), axis=0)
    responses = 0.5 * signal + noise / noise.std(axis=0)
    responses = ((responses - responses.mean(axis=0)) / responses.std(axis=0)).astype(np.float32)
    test = np.arange(n // N_FOLDS)
    train = np.arange(n // N_FOLDS + GAP, n)
    inner = [
        Split(train[(train < part[0] - GAP) | (train > part[-1] + GAP)], part)
        for part in np.array_split(train, 3)
    ]
    seconds, zero = np.arange(n) / RATE_HZ, np.zeros(n, dtype=np.int64)
    samples = Samples(zero, zero, seconds, zero, seconds, 1 / RATE_HZ)
    return Data(windows, responses, Fold("1", Split(train, test), tuple(inner)), samples)


def default_options() -> Options:
    """As a run without options trains."""
    r = Recurrent()
    recipe = Recipe(
        r.epochs, r.rows_per_epoch, r.batch_rows, r.learning_rate, r.weight_decay, r.patience
    )
    return Options(r.hidden, r.queries, r.dropout, recipe, r.validation_share, GAP / RATE_HZ)


def measure(
    data: Data, encoder: str, linear: LinearPath, *, seeds: int, threads: int
) -> tuple[float, float]:
    """CPU and wall seconds of one network, mean over seeds that train side by side."""
    kind = next(kind for kind in KINDS if kind == encoder)

    def one(seed: int) -> None:
        fitted = fit_seed(
            kind, data.windows, data.responses, data.fold, data.samples,
            options=default_options(), seed=seed, position=(seed + 0.5) / seeds, linear=linear,
        )  # fmt: skip
        print(f"  seed {seed + 1}: best epoch {fitted.best_epoch} of "
              f"{len(fitted.validation_mse) - 1}")  # fmt: skip

    cpu, wall = time.process_time(), time.perf_counter()
    side_by_side([partial(one, seed) for seed in range(seeds)], n_threads=threads)
    return (time.process_time() - cpu) / seeds, (time.perf_counter() - wall) / seeds


def main() -> None:
    """Print what one network and one layer cost."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--electrodes", type=int, default=50)
    parser.add_argument("--dims", type=int, default=Ieeg().n_components or 64)
    parser.add_argument("--encoders", nargs="+", choices=KINDS, default=["gru"])
    parser.add_argument("--seeds", type=int, default=Recurrent().seeds)
    parser.add_argument("--threads", type=int, default=1, help="networks at once")
    asked = parser.parse_args()
    data = make_data(asked.minutes, asked.electrodes, asked.dims)
    print(f"{len(data.fold.outer.train)} training rows, windows of {data.windows.shape[1]} "
          f"lags × {asked.dims} dimensions, {asked.electrodes} electrodes; a layer is {N_FOLDS} "
          "folds")  # fmt: skip
    design = data.windows.reshape(len(data.windows), -1)
    settings = Ridge()
    with threadpool_limits(1):
        start = time.process_time()
        fit_fold(
            [design], data.responses, data.fold,
            alphas=settings.alphas, fixed_alpha=settings.fixed_alpha,
        )  # fmt: skip
        ridge = time.process_time() - start
        start = time.process_time()
        linear = linear_path(
            design, data.responses, data.fold,
            alphas=settings.alphas, fixed_alpha=settings.fixed_alpha,
        )  # fmt: skip
        path = time.process_time() - start
    print(f"ridge: {ridge:.1f} CPU s a fold, {N_FOLDS * ridge:.0f} a layer; with the cross-fitted "
          f"residuals for networks {path:.1f} a fold")  # fmt: skip
    for encoder in asked.encoders:
        cpu, wall = measure(data, encoder, linear, seeds=asked.seeds, threads=asked.threads)
        layer = N_FOLDS * (asked.seeds * cpu + path)
        print(f"{encoder}: {cpu:.1f} CPU s a network ({wall:.1f} s by the clock), "
              f"{layer:.0f} CPU s a layer of {asked.seeds} seeds: "
              f"{layer / (N_FOLDS * ridge):.1f} × ridge")  # fmt: skip


if __name__ == "__main__":
    main()
