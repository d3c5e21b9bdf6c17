"""CPU seconds of nested ridge on one layer of lagged features, beside himalaya and scikit-learn.

All choose a penalty per target on the same inner folds of the same outer training rows, and
predict the same held-out rows; scikit-learn's RidgeCV chooses by leave-one-out instead, which is
no valid choice for recordings but what it offers. Ratios are of CPU seconds in the same run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from himalaya.ridge import RidgeCV
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV as LeaveOneOut
from tables import Row, show
from threadpoolctl import threadpool_limits

from bids_brainalign.alignment.delays import delayed
from bids_brainalign.encoding.lag_gram import structure_of
from bids_brainalign.encoding.nested import fit_fold
from bids_brainalign.statistics.folds import Fold, Split

Array32 = NDArray[np.float32]
DELAYS = tuple(range(-5, 31, 2))
GAP = 75
ALPHAS = tuple(np.logspace(2, 9, 15))


def make_data(minutes: float, targets: int, dims: int) -> tuple[Array32, Array32, Fold]:
    """Lagged features at 50 Hz, responses with signal at one lag, the first of five folds."""
    rng = np.random.default_rng(0)
    n = round(minutes * 60 * 50)
    features = rng.standard_normal((n, dims)).astype(np.float32)
    features *= (1 / np.sqrt(1 + np.arange(dims))).astype(np.float32)
    design = delayed(features, DELAYS)
    signal = np.roll(features, 9, axis=0) @ rng.standard_normal((dims, targets))
    responses = 0.3 * signal / signal.std(axis=0) + rng.standard_normal((n, targets))
    edge = n // 5
    train = np.arange(edge + GAP, n)
    inner = []
    for test in np.array_split(train, 3):
        near = (train >= test[0] - GAP) & (train <= test[-1] + GAP)
        inner.append(Split(train[~near], test))
    return (
        design,
        responses.astype(np.float32),
        Fold("1", Split(train, np.arange(edge)), tuple(inner)),
    )


def timed(work: Callable[[], Array32]) -> tuple[float, Array32]:
    """CPU seconds, the lesser of two runs: the first may load libraries and claim memory."""
    seconds = []
    for _ in range(2):
        start = time.process_time()
        prediction = work()
        seconds.append(time.process_time() - start)
    return min(seconds), prediction


def mean_r(responses: Array32, prediction: Array32) -> float:
    a, b = responses - responses.mean(axis=0), prediction - prediction.mean(axis=0)
    return float(np.mean((a * b).sum(axis=0) / np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--dims", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    design, responses, fold = make_data(options.minutes, options.targets, options.dims)
    train, test = fold.outer.train, fold.outer.test
    place = np.full(len(design), -1)
    place[train] = np.arange(len(train))
    splits = [(place[s.train], place[s.test]) for s in fold.inner]
    lags = structure_of(DELAYS, [np.ones(len(design), dtype=bool)])

    def ours(structure: bool) -> Array32:
        return fit_fold(
            [design], responses, fold, alphas=ALPHAS, fixed_alpha=1.0,
            lags=lags if structure else None,
        ).prediction  # fmt: skip

    def himalaya() -> Array32:
        model = RidgeCV(alphas=np.array(ALPHAS, dtype=np.float32), cv=splits, fit_intercept=True)
        return np.asarray(model.fit(design[train], responses[train]).predict(design[test]))

    def sklearn() -> Array32:
        model = LeaveOneOut(alphas=ALPHAS, alpha_per_target=True)
        return np.asarray(model.fit(design[train], responses[train]).predict(design[test]))

    case = (f"{design.shape[0]} samples × {design.shape[1]} lagged columns × {options.targets} "
            f"electrodes, {len(ALPHAS)} penalties, {len(splits)} inner folds")  # fmt: skip
    rows: list[Row] = []
    with threadpool_limits(options.threads):
        for name, work in (
            ("bids_brainalign", lambda: ours(True)),
            ("bids_brainalign, lags unknown", lambda: ours(False)),
            ("himalaya RidgeCV", himalaya),
            ("scikit-learn RidgeCV (leave-one-out)", sklearn),
        ):
            try:
                seconds, prediction = timed(work)
            except MemoryError as error:
                rows.append(Row(case, name, None, None, None, f"does not fit: {error}"))
                continue
            first = rows[0].cpu_s if rows else seconds
            ratio = seconds / first if first else None
            told = f"held-out r {mean_r(responses[test], prediction):.4f}"
            rows.append(Row(case, name, seconds, ratio, None, told))
    show(rows, threads=options.threads, as_json=options.json)


if __name__ == "__main__":
    main()
