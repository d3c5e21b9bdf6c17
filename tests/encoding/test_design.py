import numpy as np
from sklearn.decomposition import PCA

from bids_brainalign.encoding.design import DesignMaker, RunLayout, standardised_responses


def two_runs(rng, dims=6):
    runs = [5 + 3 * rng.standard_normal((n, dims)).astype(np.float32) for n in (80, 120)]
    playing = tuple(np.arange(len(r)) >= 10 for r in runs)
    used = tuple(np.arange(len(r)) >= 20 for r in runs)
    return runs, playing, used


def test_delays_never_cross_runs_and_silence_is_zero():
    rng = np.random.default_rng(0)
    runs, playing, used = two_runs(rng)
    layout = RunLayout(playing, used, whole_runs=True)
    maker = DesignMaker(runs, layout, delays=(0, 15), n_components=None)
    design = maker.design(np.arange(50))
    assert design.shape == (60 + 100, 12)
    # The first used sample of run 2 is sample 20: 15 samples earlier nothing played.
    np.testing.assert_array_equal(design[60, 6:], 0)
    z = (runs[1] - runs[1][10:].mean(0)) / runs[1][10:].std(0)
    np.testing.assert_allclose(design[60 + 30, 6:], z[20 + 30 - 15], atol=1e-5)


def test_cut_runs_are_standardised_by_training_rows_only():
    rng = np.random.default_rng(1)
    runs, playing, used = two_runs(rng)
    train = np.arange(0, 70)
    layout = RunLayout(playing, used, whole_runs=False)
    design = DesignMaker(runs, layout, delays=(0,), n_components=None).design(train)
    rows = np.concatenate([r[u] for r, u in zip(runs, used, strict=True)])
    expected = (rows - rows[train].mean(0)) / rows[train].std(0)
    np.testing.assert_allclose(design, expected, atol=1e-4)
    changed = [runs[0], runs[1].copy()]
    changed[1][-20:] += 100  # test rows
    again = DesignMaker(changed, layout, delays=(0,), n_components=None).design(train)
    np.testing.assert_array_equal(design[train], again[train])


def test_pca_is_fitted_on_training_rows_only():
    rng = np.random.default_rng(2)
    runs, playing, used = two_runs(rng)
    layout = RunLayout(playing, used, whole_runs=True)
    train = np.arange(0, 60)
    design = DesignMaker(runs, layout, delays=(0,), n_components=2).design(train)
    z = np.concatenate(
        [
            ((r - r[p].mean(0)) / r[p].std(0))[u]
            for r, p, u in zip(runs, playing, used, strict=True)
        ]
    )
    expected = PCA(2).fit(z[train]).components_
    ours = np.linalg.lstsq(z, design, rcond=None)[0].T
    np.testing.assert_allclose(np.abs(ours @ expected.T), np.eye(2), atol=1e-3)


def test_constant_columns_become_zero():
    runs = [np.full((50, 2), 7.0, dtype=np.float32)]
    every = (np.ones(50, bool),)
    design = DesignMaker(
        runs, RunLayout(every, every, True), delays=(0,), n_components=None
    ).design(np.arange(30))
    assert not design.any()
    responses = standardised_responses(runs, RunLayout(every, every, True), np.arange(30))
    assert np.isfinite(responses).all()
