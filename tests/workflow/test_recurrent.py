"""From stored responses to tables about networks; what is done is not done again."""

import json
import weakref
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.config.schema import Recurrent, Timescale
from bids_brainalign.workflow import recurrent
from bids_brainalign.workflow.analyses import _network_steps
from bids_brainalign.workflow.assemble import assemble
from bids_brainalign.workflow.encoding import encoding_step
from bids_brainalign.workflow.kept_networks import Wanted
from bids_brainalign.workflow.recurrent import recurrent_steps
from bids_brainalign.workflow.recurrent_attention import attention_steps
from bids_brainalign.workflow.recurrent_fits import Study, too_short
from bids_brainalign.workflow.recurrent_tables import EVERY_TARGET
from bids_brainalign.workflow.timescale import timescale_step
from tests.workflow.planted import PLANTED_LAYER, make_fit


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    planted = make_fit(tmp_path_factory.mktemp("recurrent"), "ieeg", n_targets=6)
    config = replace(
        planted.config,
        encoders=("ridge", "attention", "mlp"),
        recurrent=Recurrent(
            seeds=2, hidden=16, epochs=6, rows_per_epoch=4096, null_fits=2, block_s=15,
            n_bootstrap=200,
        ),
        timescale=Timescale((0.02, 0.2)),
    )  # fmt: skip
    own = next(s for s in planted.spaces if s.name == "own")
    steps = [
        encoding_step(config, planted.fit, own, None, planted.spaces),
        timescale_step(config, planted.fit, own, planted.spaces),
        *recurrent_steps(config, planted.fit, own, planted.spaces),
        *attention_steps(config, planted.fit, own, planted.spaces),
    ]
    paths = [path for step in steps for path in step.work()]
    return planted, config, {p.name.partition("_desc-")[2]: p for p in paths}


def read(path):
    return pd.read_csv(path, sep="\t", na_values="n/a", dtype={"layer": str, "fold": str})


def test_scores_are_means_over_seeds_beside_ridge(written):
    table = read(written[2]["ownMlp_scores.tsv"])
    chosen = table[table.fold == "all"].set_index("target")
    assert (chosen.encoder == "mlp").all()
    assert (chosen.layer_mode == PLANTED_LAYER).all()
    assert chosen.loc[["E00", "E01", "E02"], "p"].max() < 0.01
    assert np.allclose(chosen.r - chosen.r_ridge, chosen.delta_r_ridge, atol=1e-5)
    # The planted response is linear: nothing is to be gained.
    assert chosen.delta_r_ridge.abs().max() < 0.03
    assert set(table.fold) == {"all", "1", "2", "3", "4"}


def test_the_columns_that_ridge_fills_are_filled(written):
    mine, ridge = read(written[2]["ownMlp_scores.tsv"]), read(written[2]["own_scores.tsv"])
    mine = mine[mine.fold == "all"].set_index("target")
    ridge = ridge[(ridge.fold == "all") & (ridge.layer == "selected")].set_index("target")
    assert ridge.r_lowlevel.notna().all()
    assert np.allclose(mine.r_lowlevel, ridge.r_lowlevel.reindex(mine.index))
    for column in ("context_past_s", "context_future_s"):
        # n/a for the user's own features: nobody knows what they heard.
        assert mine[column].equals(ridge[column].reindex(mine.index))


def test_encoding_keeps_the_inner_scores_that_networks_would_compute(written, monkeypatch):
    planted, config, _ = written
    own = next(s for s in planted.spaces if s.name == "own")
    study = Study(config, planted.fit, own, planted.spaces)
    computed = [
        [np.nanmean(study.window(layer, k).linear.inner_score) for k in range(study.n_folds)]
        for layer in range(len(study.features.layers))
    ]
    monkeypatch.setattr(Study, "window", None)
    fresh = Study(config, planted.fit, own, planted.spaces)
    assert np.allclose(fresh.inner_scores, computed, atol=1e-6)


def test_the_ridge_of_networks_chooses_by_what_ridge_chooses_by(written, tmp_path):
    planted, config, _ = written
    own = next(s for s in planted.spaces if s.name == "own")
    elsewhere = replace(config.paths, output_dir=tmp_path)  # others read the tables of `written`
    by_r2 = replace(config, ridge=replace(config.ridge, choose_by="r2"), paths=elsewhere)
    encoding_step(by_r2, planted.fit, own, None, planted.spaces).work()
    kept = Study(by_r2, planted.fit, own, planted.spaces)
    layer = len(kept.features.layers) - 1
    window = kept.window(layer, 0)
    assert kept.inner_scores[layer, 0] == pytest.approx(np.nanmean(window.linear.inner_score))
    by_r = Study(config, planted.fit, own, planted.spaces).window(layer, 0).linear
    # R² punishes predictions that are too large, correlation does not.
    assert (window.linear.alpha > by_r.alpha).any()


def test_networks_are_the_same_however_many_train_at_once(written, tmp_path):
    planted, config, _ = written
    own = next(s for s in planted.spaces if s.name == "own")
    predictions = []
    for threads in (1, 3):
        mine = replace(config, resources=replace(config.resources, omp_nthreads=threads))
        study = Study(mine, planted.fit, own, planted.spaces)
        study._folder = tmp_path / str(threads)
        wanted = [Wanted("attention", 1, k, seed, True) for k in (0, 1) for seed in (0, 1)]
        predictions.append([kept.prediction for kept in study.fits(wanted)])
    for one, other in zip(*predictions, strict=True):
        assert np.array_equal(one, other)
    assert not np.array_equal(predictions[0][0], predictions[0][1])


def test_differences_have_intervals_around_them(written):
    table = read(written[2]["own_encoders.tsv"])
    assert set(zip(table.encoder, table.reference, strict=True)) == {
        ("attention", "ridge"), ("mlp", "ridge"),
    }  # fmt: skip
    mean = table[table.target == EVERY_TARGET]
    assert ((mean.ci95_low <= mean.ci90_low) & (mean.ci90_low <= mean.delta_r + 1e-9)).all()
    assert ((mean.ci95_high >= mean.ci90_high) & (mean.ci90_high >= mean.delta_r - 1e-9)).all()


def test_predictions_of_one_encoder_are_gone_before_the_next(written, monkeypatch):
    planted, config, _ = written
    own = next(s for s in planted.spaces if s.name == "own")
    encode, seen = recurrent.encode_network, []

    def watched(*args):
        assert all(one() is None for one in seen)
        encoded = encode(*args)
        seen.append(weakref.ref(encoded))
        return encoded

    monkeypatch.setattr(recurrent, "encode_network", watched)
    before = written[2]["own_encoders.tsv"].read_bytes()
    (step,) = (
        s
        for s in recurrent_steps(config, planted.fit, own, planted.spaces)
        if s.name.startswith("encoders")
    )
    step.work()
    assert len(seen) == 2
    assert written[2]["own_encoders.tsv"].read_bytes() == before


def test_planted_lag_and_injected_delays_are_found(written):
    lags = read(written[2]["ownAttention_peaks.tsv"]).set_index("target")
    assert (lags.loc[["E00", "E01", "E02"], "p_occlusion"] < 0.05).all()
    assert np.allclose(lags.loc[["E00", "E01", "E02"], "occlusion_lag_s"], 0.2, atol=0.041)
    checks = read(written[2]["ownAttention_checks.tsv"])
    injected = checks[checks.check.str.startswith("injected")]
    assert len(injected) == 3
    assert (injected.value - injected.reference).abs().max() <= 0.02
    profile = read(written[2]["ownAttention_attention.tsv"])
    assert np.allclose(profile.groupby("target").attention.sum(), 1, atol=1e-4)


def test_slow_modulation_and_small_jitter_carry_the_prediction(written):
    table = read(written[2]["own_timescale.tsv"])
    mean = table[table.target == "E00"].set_index(["kind", "value"]).r
    assert mean["band", 1.0] > mean["band", 8.0]
    assert mean["jitter", 0.02] > mean["jitter", 0.2]


def networks(config):
    """Files of networks; ridges are kept beside them, also those of layers that nobody chose."""
    kept = sorted((config.paths.work_dir / "recurrent").glob("*.npz"))
    return [path for path in kept if any(n.startswith("w:") for n in np.load(path).files)]


def test_a_run_that_stopped_among_networks_gives_the_same(written):
    """Some networks are kept, one file is cut off, the rest are lost: as after a kill."""
    planted, config, paths = written
    own = next(s for s in planted.spaces if s.name == "own")
    kept = networks(config)
    before = paths["ownMlp_scores.tsv"].read_bytes(), {p.name for p in kept}
    for path in kept[::3]:
        path.unlink()
    kept[1].write_bytes(kept[1].read_bytes()[:100])
    steps = [make(config, planted.fit, own, planted.spaces)
             for make in (recurrent_steps, attention_steps)]  # fmt: skip
    for step in (step for some in steps for step in some):
        step.work()
    after = {p.name for p in networks(config)}
    assert (paths["ownMlp_scores.tsv"].read_bytes(), after) == before


def test_kept_networks_are_read_not_trained_again(written, monkeypatch):
    planted, config, _ = written
    own = next(s for s in planted.spaces if s.name == "own")
    from bids_brainalign.encoding.recurrent import seed_fit

    def never(*_, **__):
        raise AssertionError("a kept network was trained again")

    monkeypatch.setattr(seed_fit, "fit_seed", never)
    before = written[2]["ownMlp_scores.tsv"].read_bytes()
    for step in recurrent_steps(config, planted.fit, own, planted.spaces):
        step.work()
    assert written[2]["ownMlp_scores.tsv"].read_bytes() == before
    # Lost ones are trained again.
    for path in (config.paths.work_dir / "recurrent").glob("*.npz"):
        path.unlink()
    step = next(iter(recurrent_steps(config, planted.fit, own, planted.spaces)))
    with pytest.raises(AssertionError, match="trained again"):
        step.work()


def test_too_short_recordings_are_said_not_failed(tmp_path):
    short = make_fit(tmp_path, "ieeg", seconds=(40.0,), n_targets=4)
    config = replace(short.config, encoders=("ridge", "gru"), recurrent=Recurrent(batch_rows=2000))
    own = next(s for s in short.spaces if s.name == "own")
    reason = too_short(config, assemble(config, short.fit, short.spaces))
    assert reason is not None
    steps = list(_network_steps(config, short.fit, own, short.spaces))
    assert len(steps) == 1
    path = steps[0].work()[0]
    assert read(path).empty
    skipped = json.loads(path.with_suffix(".json").read_text())["Skipped"]
    assert skipped == [f"Networks were not trained: {reason}."]


def test_rows_left_by_the_validation_block_are_counted(written):
    planted, config, _ = written
    assembly = assemble(config, planted.fit, planted.spaces)
    assert too_short(config, assembly) is None
    wide = replace(config, recurrent=replace(config.recurrent, validation_share=0.98))
    assert "are left to learn from" in too_short(wide, assembly)


def test_sidecars_say_when_training_stopped(written):
    paths = written[2]
    sidecar = json.loads(paths["ownMlp_scores.tsv"].with_suffix(".json").read_text())
    epochs = np.array(sidecar["BestEpochs"])
    assert epochs.shape == (2, 4)
    checks = read(paths["ownAttention_checks.tsv"]).set_index("check")
    assert checks.loc["seeds that learnt", "value"] <= 2
    assert checks.loc["seeds that learnt", "reference"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("gated", [False, True])
def test_what_is_planted_comes_out_of_the_product(tmp_path, gated):
    """Linear: 90 % interval of the mean difference inside .02; gated: lower 95 % bound > 0."""
    planted = make_fit(tmp_path, "ieeg", seconds=(150.0,) * 4, n_targets=6, gated=gated)
    config = replace(
        planted.config,
        encoders=("ridge", "gru"),
        recurrent=Recurrent(seeds=3, hidden=32, epochs=20, null_fits=0, n_bootstrap=1000),
    )
    own = next(s for s in planted.spaces if s.name == "own")
    encoding_step(config, planted.fit, own, None, planted.spaces).work()
    *_, comparison = list(recurrent_steps(config, planted.fit, own, planted.spaces))
    table = read(comparison.work()[0])
    table = table[(table.encoder == "gru") & (table.reference == "ridge")].set_index("target")
    if not gated:
        row = table.loc[EVERY_TARGET]
        assert -0.02 < row.ci90_low <= row.ci90_high < 0.02
        return
    assert (table.loc[["E00", "E01", "E02"], "ci95_low"] > 0).all()  # the others follow nothing
