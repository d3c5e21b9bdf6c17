"""Ridge on jittered features: as if every fold were fitted by itself, but each layer read once."""

from dataclasses import replace

import numpy as np

from bids_brainalign.encoding.design import DesignMaker
from bids_brainalign.encoding.nested import fit_fold
from bids_brainalign.encoding.timescale import jittered
from bids_brainalign.workflow.assemble import assemble, feature_space
from bids_brainalign.workflow.recurrent_fits import problem_of
from bids_brainalign.workflow.spaces import seed_of
from bids_brainalign.workflow.timescale import _jittered_r
from tests.workflow.planted import make_fit


def test_folds_and_jitters_share_what_is_read(tmp_path):
    planted = make_fit(tmp_path, "ieeg", n_targets=4)
    config, own = planted.config, next(s for s in planted.spaces if s.name == "own")
    assembly = assemble(config, planted.fit, planted.spaces)
    features = feature_space(config, assembly, own)
    reads = []
    counted = replace(features, read=lambda layer: reads.append(layer) or features.read(layer))
    layers, jitters = [1, 0, 1, 1], (0.0, 0.1)
    found = _jittered_r(config, assembly, counted, layers, jitters)
    assert reads == [0, 1]

    problem = problem_of(config, assembly)
    held_out = problem.held_out()
    for jitter_s, r in zip(jitters, found, strict=True):
        predictions = []
        for k, fold in enumerate(assembly.plan.folds):
            runs = list(features.read(layers[k]))
            if jitter_s:
                rng = np.random.default_rng(seed_of(config, "jitter", "0.1", str(layers[k])))
                runs = [jittered(x, jitter_s=0.1, rate_hz=50.0, rng=rng) for x in runs]
            maker = DesignMaker(
                runs, assembly.layout, delays=assembly.delays, n_components=features.n_components
            )
            fit = fit_fold(
                [maker.design(fold.outer.train)], problem.fold_responses(k), fold,
                alphas=problem.alphas, fixed_alpha=problem.fixed_alpha,
            )  # fmt: skip
            predictions.append(fit.prediction)
        np.testing.assert_allclose(r, held_out.score(predictions).r, atol=1e-5)
