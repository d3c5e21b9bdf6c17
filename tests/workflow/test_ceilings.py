"""Ceilings of stored responses: runs of one story, and means of presentations."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.config.schema import Ceiling
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.responses.types import ResponseSource
from bids_brainalign.workflow.assemble import assemble
from bids_brainalign.workflow.ceiling_step import ceiling_step, has_repeats
from bids_brainalign.workflow.encoding import encode, fit_inputs, write_result
from bids_brainalign.workflow.kept_ceilings import ceilings_of
from bids_brainalign.workflow.parcels import parcels_of
from bids_brainalign.workflow.responses import load_response, response_path, save_response
from tests.workflow.planted import make_fit


def tables(planted):
    """What the steps write, by ending."""
    own = next(s for s in planted.spaces if s.name == "own")
    written = list(ceiling_step(planted.config, planted.fit, planted.spaces).work())
    result = encode(planted.config, planted.fit, own, None, planted.spaces)
    written += write_result(planted.config, result, own)
    return {
        path.name.split("_desc-")[1]: pd.read_csv(
            path, sep="\t", na_values="n/a", dtype={"layer": str, "fold": str}
        )
        for path in written
        if path.suffix == ".tsv"
    }


def stored_ceilings(planted):
    assembly = assemble(planted.config, planted.fit, planted.spaces)
    parcels, names = parcels_of(assembly)
    inputs = fit_inputs(planted.config, planted.fit, planted.spaces)
    return assembly, ceilings_of(planted.config, inputs, assembly, parcels, names)[0]


def test_electrodes_of_a_repeated_story(tmp_path):
    planted = make_fit(tmp_path, "ieeg", n_repeats=3)
    found = tables(planted)
    rows = found["repeats_ceilings.tsv"].set_index("target")
    weights = np.random.default_rng(0).standard_normal((12, 12))
    weights[:, planted.n_planted :] = 0
    power = (weights**2).sum(axis=0) / 12  # of the signal; the noise has 1
    expected = np.sqrt(power / (1 + power))
    real = slice(0, planted.n_planted)
    np.testing.assert_allclose(rows["r_ceiling"][real], expected[real], atol=0.12)
    inside = (rows["ci_low"] - 0.05 <= expected) & (expected <= rows["ci_high"] + 0.05)
    assert inside[real].sum() >= planted.n_planted - 1
    assert (rows["q_fdr"][real] < 0.01).all()
    assert (rows["q_fdr"][planted.n_planted :] > 0.05).all()
    scores = found["own_scores.tsv"]
    answer = scores[(scores["fold"] == "all") & (scores["layer"] == "selected")]
    answer = answer.set_index("target")
    np.testing.assert_allclose(answer["r_ceiling"], rows["r_ceiling"], rtol=1e-4)
    np.testing.assert_allclose(
        answer["r_normalised"][real], (answer["r"] / answer["r_ceiling"])[real], rtol=1e-4
    )
    assert answer["r_normalised"][real].between(0.7, 1.1).all()  # the planted layer is there
    assert answer["r_normalised"][planted.n_planted :].isna().all()
    channels = found["own_channels.tsv"].set_index("name")
    np.testing.assert_allclose(channels["r_ceiling"], rows["r_ceiling"], rtol=1e-4)
    counts = found["repeats_histogram.tsv"]
    assert counts["n_targets"].sum() == 12
    assert counts["n_null"].sum() == pytest.approx(12, abs=0.01)


def with_presentations(planted, n_repeats):
    """Store the first story as a mean of presentations with noise of their own."""
    path = response_path(planted.config, planted.fit, planted.fit.recordings[0])
    mean = load_response(path)
    values = np.array(mean.data)
    noise = np.random.default_rng(1).standard_normal((n_repeats, *values.shape))
    repeats = (values + 2 * (noise - noise.mean(axis=0))).astype(np.float32)
    rows = slice(0, len(values))
    source = ResponseSource(
        blocks=lambda: iter([(rows, values)]), times=mean.times, targets=mean.targets,
        censored=mean.censored, support_s=mean.support_s, grid=mean.grid, n_repeats=n_repeats,
        repeat_blocks=lambda index: iter([(rows, repeats[index])]),
    )  # fmt: skip
    path.unlink()
    save_response(path, source)
    return repeats


def test_the_mean_of_presentations_has_a_ceiling_of_its_own(tmp_path):
    planted = make_fit(tmp_path, "fmri", seconds=(300, 300, 240, 300))
    repeats = with_presentations(planted, 4)
    assert has_repeats(planted.config, planted.fit)
    assembly, found = stored_ceilings(planted)
    assert found.kind == "mean_of_4"
    (fold,) = assembly.plan.folds  # it is the test story
    assert set(assembly.samples.run[fold.outer.test]) == {0}
    used = repeats[:, assembly.layout.used[0]].astype(np.float64)
    for voxel in (0, 11):
        matrix = np.cov(used[:, :, voxel])
        signal = matrix[~np.eye(4, dtype=bool)].mean()
        share = signal / used.mean(axis=0)[:, voxel].var(ddof=1)
        expected = np.sign(share) * np.sqrt(abs(share))
        assert found.targets.signed[voxel] == pytest.approx(expected, rel=1e-4)
    weight = np.array([[1] * 12, [1] * 6 + [0] * 6, [0] * 6 + [1] * 6]) / [[12], [6], [6]]
    np.testing.assert_allclose(found.parcels.signed, weight @ found.targets.signed, rtol=1e-6)


def test_what_was_kept_is_what_was_estimated(tmp_path):
    planted = make_fit(tmp_path, "fmri", seconds=(300, 300, 240, 300), n_repeats=3)
    first, again = stored_ceilings(planted)[1], stored_ceilings(planted)[1]
    for name in ("signed", "low", "high", "p", "q", "per_fold"):
        for part in ("targets", "parcels"):
            one, two = (getattr(getattr(x, part), name) for x in (first, again))
            np.testing.assert_array_equal(one, two)
    assert (first.kind, first.n_samples, first.n_null, first.pooled) == (
        again.kind, again.n_samples, again.n_null, again.pooled,
    )  # fmt: skip
    assert len(list((tmp_path / "work" / "ceilings").glob("*.npz"))) == 1


def test_selection_needs_repeats(tmp_path):
    planted = make_fit(tmp_path, "fmri", seconds=(300, 300, 240, 300))
    config = replace(planted.config, ceiling=Ceiling(select="published"))
    with pytest.raises(BrainAlignError, match="no held-out stimulus was presented more than once"):
        stored_ceilings(replace(planted, config=config))


def test_a_threshold_that_no_voxel_passes_is_named(tmp_path):
    planted = make_fit(tmp_path, "fmri", seconds=(300, 300, 240, 300), n_repeats=3)
    config = replace(planted.config, ceiling=Ceiling(select="halves", threshold=0.99))
    with pytest.raises(BrainAlignError, match=r"no voxel has a ceiling above 0\.99"):
        stored_ceilings(replace(planted, config=config))
