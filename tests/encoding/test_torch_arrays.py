"""Ridge of many targets in torch gives what it gives in numpy; on a GPU where there is one."""

import tracemalloc
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from bids_brainalign.encoding import (
    arrays,
    many_targets,
    penalty_search,
    target_batches,
    voxelwise,
)
from bids_brainalign.encoding.arrays import Arrays, HostArrays
from bids_brainalign.encoding.many_targets import OwnTargets
from bids_brainalign.encoding.spectra import Dual, Primal
from bids_brainalign.encoding.torch_arrays import FEWEST_TARGETS, MOST_TARGETS, TorchArrays
from bids_brainalign.encoding.voxelwise import Voxelwise
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.statistics.folds import Split
from tests.encoding.test_voxelwise import N_TARGETS, make, some_of

NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
DEVICES = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NEEDS_CUDA)])
FORMS = pytest.mark.parametrize("form", [Primal, Dual])
ALPHAS = np.logspace(1, 5, 14)
TRAIN, TEST = np.r_[0:170, 190:360], np.arange(365, 420)
INNER = tuple(Split(np.setdiff1d(TRAIN, part), part) for part in np.array_split(TRAIN, 4))


@pytest.fixture(params=["every penalty", "combinations"])
def search(request, monkeypatch):
    """Make the search take its way for few targets, or for many."""
    if request.param == "combinations":
        monkeypatch.setattr(penalty_search, "FEW_TARGETS", 2)


def make_data(form, n_targets=60):
    """Features as each form is for; targets with much, little and no signal."""
    rng = np.random.default_rng(7)
    n_features = 110 if form is Primal else 600
    x = rng.standard_normal((420, n_features)) @ rng.standard_normal((n_features,) * 2) + 1.0
    x /= x.std(axis=0)
    signal = x @ rng.standard_normal((n_features, n_targets))
    signal *= rng.uniform(0, 1, n_targets) * (np.arange(n_targets) % 3 > 0) / signal.std(axis=0)
    y = signal + rng.standard_normal(signal.shape) + 0.5
    return x.astype(np.float32), y.astype(np.float32)


def results(system, metric="correlation"):
    """Scores, penalties, predictions, and weights and predictions of two thirds of the targets."""
    n = system.responses.shape[1]
    score, chosen = np.full((2, n), np.nan)
    prediction, again = np.full((2, len(TEST), n), np.nan, dtype=np.float32)
    weights = np.full((system.form.x.shape[1], n), np.nan, dtype=np.float32)
    for part in system.fit(TRAIN, TEST, INNER, ALPHAS, metric=metric):
        score[part.columns], chosen[part.columns] = part.score, part.alpha
        prediction[:, part.columns] = part.prediction
    wanted = np.where(np.arange(n) % 3 == 1, np.nan, chosen)
    for some, part in system.weights(TRAIN, wanted):
        weights[:, some] = part
    for some, part in system.predict(TRAIN, TEST, wanted):
        again[:, some] = part
    return score, chosen, prediction, weights, again


def assert_same(found, expected):
    np.testing.assert_array_equal(found[1], expected[1])
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


@DEVICES
@FORMS
@pytest.mark.usefixtures("search")
@pytest.mark.parametrize("metric", ["correlation", "r2"])
def test_penalties_predictions_and_weights_are_those_of_numpy(device, form, metric):
    x, y = make_data(form)
    expected = results(OwnTargets(form(x), y), metric)
    assert len(np.unique(expected[1])) > 4
    assert_same(results(OwnTargets(form(x, TorchArrays(device)), y), metric), expected)


@DEVICES
@FORMS
@pytest.mark.usefixtures("search")
def test_batches_and_responses_in_a_file_change_nothing(device, form, monkeypatch, tmp_path):
    x, y = make_data(form)
    expected = results(OwnTargets(form(x), y))
    np.save(tmp_path / "y.npy", y)
    made = TorchArrays(device)
    for size in (7, 60):
        monkeypatch.setattr(made, "batch_size", lambda *_, size=size, **__: size)
        mapped = np.load(tmp_path / "y.npy", mmap_mode="r")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = results(OwnTargets(form(x, made), mapped))
        assert_same(found, expected)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), y)


@pytest.fixture
def in_torch(monkeypatch):
    """Let voxels' ridge be made in torch, on whatever device."""
    made = []

    def chosen(device):
        made.append(TorchArrays(device))
        return made[-1]

    monkeypatch.setattr(voxelwise, "BLOCK_TARGETS", 13)
    monkeypatch.setattr(target_batches, "BATCH", 8)

    def switch(device):
        monkeypatch.setattr(many_targets, "arrays_on", lambda _: chosen(device))
        return made

    return switch


@DEVICES
@pytest.mark.parametrize(
    ("dims", "whole_runs"),
    [(20, True), (20, False), (200, True), pytest.param(200, False, marks=pytest.mark.slow)],
)
def test_layers_nulls_bands_and_weights_of_voxels_are_those_of_numpy(
    device, dims, whole_runs, in_torch, tmp_path
):
    problem, space, baseline = make(whole_runs=whole_runs, dims=dims)
    # Penalties far below the few low-level features' eigenvalues would give the same scores.
    problem = replace(problem, alphas=tuple(np.logspace(2, 5, 7)))

    def everything():
        voxels = Voxelwise(some_of(problem), N_TARGETS, tmp_path)
        fit, alone = voxels.encode(space), voxels.encode(baseline)
        joint = voxels.encode_jointly(space, fit, baseline, alone)
        _, held_out = voxels.held_out(slice(0, 13))
        selected = fit.block(slice(0, 13), held_out, parcel_null=True).null_selected
        return fit, joint, voxels.weights(space, fit), selected, voxels.ridge(space, 1, 0)

    here = everything()
    made = in_torch(device)
    there = everything()
    assert len(made) > N_TARGETS // 13
    for name in ("chosen", "alpha"):
        np.testing.assert_array_equal(getattr(there[0], name), getattr(here[0], name))
    for name in ("r_fold", "r", "r2", "best", "inner", "null_max", "null_min", "parcel_null"):
        one, other = getattr(there[0], name), getattr(here[0], name)
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5, err_msg=name)
    for one, other in zip(there[1], here[1], strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
    np.testing.assert_allclose(there[2].weights, here[2].weights, rtol=0, atol=1e-5)
    np.testing.assert_allclose(there[3], here[3], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(there[4].alpha, here[4].alpha)
    np.testing.assert_allclose(there[4].prediction, here[4].prediction, rtol=0, atol=1e-5)


def test_the_cpu_is_numpys_and_other_devices_are_torchs():
    assert isinstance(arrays.arrays_on("cpu"), HostArrays)
    found = arrays.arrays_on("cuda:1")
    assert isinstance(found, TorchArrays)
    assert found.device == torch.device("cuda", 1)


def test_coarser_products_are_switched_off():
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        TorchArrays("cpu")
        assert torch.get_float32_matmul_precision() == "highest"
    finally:
        torch.set_float32_matmul_precision(before)


def test_batches_fit_into_what_is_free(monkeypatch):
    free, unused = 8 * 2**30, 2**30
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 80 * 2**30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 3 * unused)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 2 * unused)
    made = TorchArrays("cuda")
    n = made.batch_size(250_000.0, reserved=1e8)
    # Two batches of so many, and what is reserved, take seven tenths of what is free.
    taken = 2 * n * 250_000 * 4 + 4e8
    assert 0.69 < taken / (free + unused) <= 0.7
    assert made.batch_size(10.0) == MOST_TARGETS
    assert made.batch_size(1e9) == FEWEST_TARGETS


class Measured(HostArrays):
    """What a batch takes at the most, beside what was said."""

    def batch_size(self, floats_per_target, *, reserved=0.0):
        self.said = floats_per_target
        self.reserved = reserved
        tracemalloc.reset_peak()
        self.before = tracemalloc.get_traced_memory()[0]
        return 10**6

    def taken(self):
        """Floats since then."""
        return (tracemalloc.get_traced_memory()[1] - self.before) / 4


@FORMS
@pytest.mark.usefixtures("search")
@pytest.mark.parametrize("metric", ["correlation", "r2"])
def test_a_batch_takes_no_more_than_is_said_and_not_much_less(form, metric):
    """numpy's arrays are counted: what is made is the same in torch."""
    n_targets = 1000
    x, y = make_data(form, n_targets)
    measured = Measured()
    system = OwnTargets(form(x, measured), y)
    chosen = np.full(n_targets, ALPHAS[3])
    tracemalloc.start()
    try:
        (_,) = system.fit(TRAIN, TEST, INNER, ALPHAS, metric=metric)
        share = (measured.taken() - measured.reserved) / (n_targets * measured.said)
        assert 0.4 < share < 1
        for found in (system.weights(TRAIN, chosen), system.predict(TRAIN, TEST, chosen)):
            (_,) = found
            assert 0.3 < measured.taken() / (n_targets * measured.said) < 1
    finally:
        tracemalloc.stop()


class Full(TorchArrays):
    """A device without memory for some operation."""

    def __init__(self, operation: str) -> None:
        super().__init__("cpu")
        setattr(self, operation, self.fail)

    def fail(self, *_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore.")


@pytest.mark.parametrize("operation", ["put", "decomposed", "combined", "get"])
def test_a_full_device_gives_advice_and_75(operation, monkeypatch):
    monkeypatch.setattr(penalty_search, "FEW_TARGETS", 2)
    monkeypatch.setattr(many_targets, "arrays_on", lambda device: Full(operation))
    x, y = make_data(Dual)
    with pytest.raises(BrainAlignError, match="ran out of memory in ridge of voxels") as caught:
        results(many_targets.many_targets(x, y, n_train=len(TRAIN), device="cuda"))
    assert caught.value.exit_code == ExitCode.TEMPORARY == 75
    for advice in ("--device cpu", "--nprocs 1", "Tried to allocate 2 GiB"):
        assert advice in str(caught.value)


@pytest.mark.parametrize("asked", ["weights", "predict"])
def test_a_device_that_is_full_later_gives_advice_too(asked, monkeypatch):
    made = TorchArrays("cpu")
    x, y = make_data(Primal)
    system = OwnTargets(Primal(x, made), y)
    tuple(system.fit(TRAIN, TEST, INNER, ALPHAS, metric="correlation"))
    monkeypatch.setattr(made, "get", Full("put").fail)
    rows = (TRAIN,) if asked == "weights" else (TRAIN, TEST)
    with pytest.raises(BrainAlignError, match="ran out of memory in ridge of voxels"):
        tuple(getattr(system, asked)(*rows, np.full(60, 10.0)))


@NEEDS_CUDA
@FORMS
def test_the_devices_memory_stays_within_what_is_said(form, monkeypatch):
    n_targets = 20_000
    x, y = make_data(form, n_targets)
    made, said = TorchArrays("cuda"), []
    real = made.batch_size

    def batch_size(floats: float, *, reserved: float = 0.0) -> int:
        torch.cuda.reset_peak_memory_stats()
        said.append((torch.cuda.memory_allocated(), floats, reserved, real(floats)))
        return said[-1][-1]

    monkeypatch.setattr(made, "batch_size", batch_size)
    tuple(OwnTargets(form(x, made), y).fit(TRAIN, TEST, INNER, ALPHAS, metric="correlation"))
    before, floats, reserved, size = said[0]
    assert torch.cuda.max_memory_allocated() <= before + 4 * (2 * size * floats + reserved) * 1.05


@NEEDS_CUDA
def test_products_on_the_device_keep_float32s_digits():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 1024, 1024)).astype(np.float32)
    made = TorchArrays("cuda")
    found = made.get(made.put(a) @ made.put(b))
    exact = a.astype(np.float64) @ b.astype(np.float64)
    # Float32 is off by some 1e-7 per product here, TensorFloat-32 by 1e-3.
    assert np.abs(found - exact).max() < 1e-5 * np.abs(exact).max()


@pytest.mark.parametrize("made", [HostArrays(), TorchArrays("cpu")], ids=["numpy", "torch"])
def test_both_do_what_they_are_named_for(made: Arrays):
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((2, 90, 6)).astype(np.float32)
    exact = a.astype(np.float64)
    near = {"rtol": 0, "atol": 1e-5}
    ours, theirs = made.put(a), made.put(b)
    rows, some = np.r_[3:20, 40:60], np.array([4, 0, 5])
    np.testing.assert_array_equal(made.get(ours), a)
    np.testing.assert_array_equal(made.get(made.rows(ours, rows)), a[rows])
    np.testing.assert_array_equal(made.get(made.rows(ours, rows[::2])), a[rows[::2]])
    np.testing.assert_array_equal(made.get(made.columns(ours, some)), a[:, some])
    np.testing.assert_array_equal(made.get(made.columns(ours[0], some)), a[0, some])
    np.testing.assert_array_equal(made.get(made.joined([ours, theirs], 1)), np.hstack([a, b]))
    np.testing.assert_allclose(made.get(made.sums(ours)), exact.sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(made.get(made.mean(ours)), exact.mean(axis=0), **near)
    np.testing.assert_allclose(made.get(made.mean(ours, rows)), exact[rows].mean(axis=0), **near)
    np.testing.assert_allclose(made.get(made.mean64(ours, rows)), exact[rows].mean(0), rtol=1e-12)
    np.testing.assert_allclose(made.get(made.dots(ours, theirs)), (a * b).sum(axis=0), **near)
    weights = rng.standard_normal((4, 90))
    combined = made.combined(weights, [ours[i] for i in range(90)])
    np.testing.assert_allclose(combined, weights @ exact, rtol=1e-12)
    assert [made.get(part(ours)).dtype for part in (made.single, made.double, made.mean)] == [
        np.float32, np.float64, np.float32
    ]  # fmt: skip
    gram = exact.T @ exact
    values, vectors = map(made.get, made.decomposed(made.put(gram)))
    assert values.dtype == vectors.dtype == np.float32
    np.testing.assert_allclose(values, np.linalg.eigvalsh(gram), rtol=1e-6)
    np.testing.assert_allclose(vectors * values @ vectors.T, gram, rtol=1e-4, atol=1e-3)
    shrunk = made.put(gram - 90 * np.eye(6))
    assert made.get(made.decomposed(shrunk)[0]).min() == 0
