"""CPU seconds, memory and agreement of ridge on voxels, beside himalaya.

Each tool chooses a penalty per target among 20 on the same five contiguous folds by correlation,
refits on all training rows, gives weights and predicts held-out rows. It runs in a process of its
own, on a few targets and on ``--many``; seconds grow linearly with targets from there, and are
extrapolated to ``--targets``. Ratios are of CPU seconds of the same run. What does not depend on
the number of targets (decompositions) is done in both, and is most of what himalaya does there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from tables import Row, show
from threadpoolctl import threadpool_limits

Array32 = NDArray[np.float32]
ALPHAS = np.logspace(1, 6, 20)
N_TEST = 300
FEW = {
    "bids_brainalign": 1536,
    "bids_brainalign, bf16 scoring": 1536,
    "himalaya RidgeCV": 512,
    "himalaya KernelRidgeCV": 512,
}
"""Targets of each tool's first run: ours goes another way with up to 1,024, where it tries every
penalty."""
TOOLS = tuple(FEW)
Found = tuple[NDArray[np.float64], Array32, Array32]
"""Penalties (n_targets,), weights (n_features, n_targets), held-out predictions."""


def make_data(n_train: int, n_features: int, n_targets: int) -> tuple[Array32, Array32]:
    """Make features at four delays, targets with and without signal, autocorrelated noise."""
    rng = np.random.default_rng(0)
    n, dims = n_train + N_TEST, n_features // 4
    steps = rng.standard_normal((n + 4, dims), dtype=np.float32)
    for t in range(1, len(steps)):
        steps[t] = 0.7 * steps[t - 1] + 0.7 * steps[t]
    steps /= np.sqrt(1 + np.arange(dims, dtype=np.float32) / 20)
    steps = steps @ (rng.standard_normal((dims, dims), dtype=np.float32) / np.float32(dims**0.5))
    x = np.concatenate([steps[4 - d : 4 - d + n] for d in (1, 2, 3, 4)], axis=1)
    x -= x[:n_train].mean(axis=0)
    x /= x[:n_train].std(axis=0)
    y = x @ rng.standard_normal((x.shape[1], n_targets), dtype=np.float32)
    strength = np.where(np.arange(n_targets) % 3 == 0, 0, rng.uniform(0.05, 0.7, n_targets))
    y *= (strength / y.std(axis=0)).astype(np.float32)
    noise = rng.standard_normal((n, n_targets), dtype=np.float32)
    for t in range(1, n):
        noise[t] = 0.5 * noise[t - 1] + 0.87 * noise[t]
    y += noise
    y -= y[:n_train].mean(axis=0)
    y /= y[:n_train].std(axis=0)
    if x.dtype != np.float32 or y.dtype != np.float32:
        raise TypeError(f"data in {x.dtype} and {y.dtype} would not be compared in float32")
    return x, y


def folds(n_train: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Five contiguous folds."""
    rows = np.arange(n_train)
    return [(np.setdiff1d(rows, test), test) for test in np.array_split(rows, 5)]


def ours(x: Array32, y: Array32, n_train: int, n_threads: int, scoring: str) -> Found:
    from bids_brainalign.encoding.many_targets import many_targets
    from bids_brainalign.statistics.folds import Split

    rows, held = np.arange(n_train), np.arange(n_train, len(x))
    splits = [Split(*pair) for pair in folds(n_train)]
    system = many_targets(x, y, n_train=n_train, n_threads=n_threads, scoring=scoring)
    alpha, predicted = np.empty(y.shape[1]), np.empty((len(held), y.shape[1]), np.float32)
    weights = np.empty((x.shape[1], y.shape[1]), dtype=np.float32)
    with threadpool_limits(1, user_api="blas"):  # as the program does: it has threads of its own
        for part in system.fit(rows, held, splits, ALPHAS, metric="correlation"):
            alpha[part.columns], predicted[:, part.columns] = part.alpha, part.prediction
        for some, found in system.weights(rows, alpha):
            weights[:, some] = found
    return alpha, weights, predicted


def himalaya(x: Array32, y: Array32, n_train: int, *, kernel: bool) -> Found:
    from himalaya.kernel_ridge import KernelRidgeCV
    from himalaya.ridge import RidgeCV
    from himalaya.scoring import correlation_score

    train, cv = slice(0, n_train), folds(n_train)
    options = {"score_func": correlation_score, "n_targets_batch": 2048}
    if kernel:
        model = KernelRidgeCV(ALPHAS.astype(np.float32), cv=cv, solver_params=options,
                              fit_intercept=True)  # fmt: skip
        model.fit(x[train], y[train])
        weights = model.get_primal_coef(x[train])
    else:
        model = RidgeCV(ALPHAS.astype(np.float32), cv=cv, solver_params=options,
                        fit_intercept=True)  # fmt: skip
        model.fit(x[train], y[train])
        weights = model.coef_
    return (
        np.asarray(model.best_alphas_),
        np.asarray(weights),
        np.asarray(model.predict(x[n_train:])),
    )


def worker(
    tool: str, n_train: int, n_features: int, n_targets: int, n_threads: int, out: Path
) -> None:
    """Run one tool; write its answers, CPU seconds and peak of anonymous memory."""
    x, y = make_data(n_train, n_features, n_targets)
    runs: dict[str, Callable[[], Found]] = {
        TOOLS[0]: lambda: ours(x, y, n_train, n_threads, "fp32"),
        TOOLS[1]: lambda: ours(x, y, n_train, n_threads, "bf16"),
        TOOLS[2]: lambda: himalaya(x, y, n_train, kernel=False),
        TOOLS[3]: lambda: himalaya(x, y, n_train, kernel=True),
    }
    before = _anonymous()
    peak, done = [before], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], _anonymous())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    start = time.process_time()
    alpha, weights, predicted = runs[tool]()
    seconds = time.process_time() - start
    done.set()
    true = y[n_train:]
    a, b = predicted - predicted.mean(axis=0), true - true.mean(axis=0)
    r = (a * b).sum(axis=0) / np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    np.savez(out, alpha=alpha, r=r, weights=weights[:, ::97], seconds=seconds,
             gigabytes=(peak[0] - before) / 1e9)  # fmt: skip


def _anonymous() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=3000)
    parser.add_argument("--features", type=int, default=3072)
    parser.add_argument("--targets", type=int, default=20_000, help="extrapolated to")
    parser.add_argument("--many", type=int, default=6144, help="targets of each second run")
    parser.add_argument("--tools", nargs="+", default=list(TOOLS), choices=TOOLS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        worker(
            given.worker, given.samples, given.features, given.targets, given.threads, given.out
        )
        return
    if given.many <= max(FEW.values()):
        parser.error(f"--many has to be more than {max(FEW.values()):,}")
    environment = (
        os.environ
        | {"OPENBLAS_THREAD_TIMEOUT": "4"}
        | {f"{name}_NUM_THREADS": str(given.threads) for name in ("OMP", "OPENBLAS", "MKL")}
    )
    case = (f"{given.samples:,} rows × {given.features:,} columns × {given.targets:,} voxels, "
            f"{len(ALPHAS)} penalties, 5 folds")  # fmt: skip
    rows: list[Row] = []
    with TemporaryDirectory() as folder:
        reference: dict[str, NDArray[np.float64]] = {}
        for tool in given.tools:
            start = time.monotonic()
            few, answer = (
                measured(tool, given, count, environment, folder)
                for count in (FEW[tool], given.many)
            )
            spent = f"{few['seconds']:.1f} and {answer['seconds']:.1f} CPU s"
            print(f"  {tool}: {spent}, {time.monotonic() - start:.0f} s", file=sys.stderr)
            per_target = float(answer["seconds"] - few["seconds"]) / (given.many - FEW[tool])
            if per_target <= 0:
                sys.exit(f"{tool}: {spent}, too little to extrapolate from")
            total = float(answer["seconds"]) + per_target * (given.targets - given.many)
            r = f"r {np.nanmean(answer['r']):.5f}"
            told = r if not reference else f"{r}; {compared(answer, reference)}"
            reference = reference or answer
            ratio = total / rows[0].cpu_s if rows else 1.0
            rows.append(Row(case, tool, total, ratio, float(answer["gigabytes"]), told))
    show(rows, threads=given.threads, as_json=given.json)


def measured(
    tool: str, given: argparse.Namespace, n_targets: int, environment: dict[str, str], folder: str
) -> dict[str, NDArray[np.float64]]:
    """Run a tool in a process of its own."""
    out = Path(folder) / "found.npz"
    subprocess.run(  # noqa: S603 - this file
        [sys.executable, __file__, "--worker", tool, "--out", str(out),
         "--samples", str(given.samples), "--features", str(given.features),
         "--targets", str(n_targets), "--threads", str(given.threads)],
        env=environment, check=True,
    )  # fmt: skip
    with np.load(out) as stored:
        return {name: stored[name] for name in stored.files}


def compared(
    answer: dict[str, NDArray[np.float64]], reference: dict[str, NDArray[np.float64]]
) -> str:
    """Tell how far two tools' penalties, weights and held-out r agree, the worst voxel too."""
    same = np.isclose(answer["alpha"], reference["alpha"], rtol=1e-3)
    weights = np.abs(answer["weights"] - reference["weights"])[:, same[::97]].max()
    worst = np.nanmax(np.abs(answer["r"] - reference["r"]))
    return f"same penalty {same.mean():.2%}, weights within {weights:.0e}, r within {worst:.0e}"


if __name__ == "__main__":
    main()
