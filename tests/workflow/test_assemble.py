"""Features of runs in which many stimuli play, some of them several times."""

from dataclasses import replace

import numpy as np
import pytest
from nilearn.glm.first_level import compute_regressor

from bids_brainalign.alignment.clock import onto_response_clock
from bids_brainalign.workflow import assemble as assemble_module
from bids_brainalign.workflow.assemble import assemble, feature_space, placements
from bids_brainalign.workflow.narrative import methods
from tests.workflow.planted import make_fit


@pytest.fixture(params=["ieeg", "fmri"])
def repeated(request, tmp_path):
    """Each of two recordings: its story, then parts of both stories."""
    planted = make_fit(tmp_path, request.param, seconds=(60, 60), n_targets=4)
    one, two = planted.fit.presentations
    presentations = []
    for p in (one, two):
        presentations.append(replace(p, segments=((0.0, 20.0),)))
        presentations.append(replace(p, segments=((25.0, 30.0),)))
        for other in (one, two):
            late = replace(p, stimulus=other.stimulus, onset_s=p.onset_s + 33.0)
            presentations.append(replace(late, segments=((0.0, 10.0),)))
    return planted, replace(planted.fit, presentations=tuple(presentations))


def counted(monkeypatch, reads):
    opened = assemble_module.stored_features

    def stored_features(*args):
        stored = opened(*args)
        name = args[2].name
        return replace(stored, read=lambda layer: reads.append(name) or stored.read(layer))

    monkeypatch.setattr(assemble_module, "stored_features", stored_features)


@pytest.mark.parametrize("kept_bytes", [1 << 28, 0])
def test_runs_are_sums_over_presentations(repeated, monkeypatch, kept_bytes):
    planted, fit = repeated
    own = next(s for s in planted.spaces if s.name == "own")
    assembly = replace(assemble(planted.config, planted.fit, planted.spaces), fit=fit)
    reads = []
    counted(monkeypatch, reads)
    monkeypatch.setattr(assemble_module, "KEPT_FRAMES_BYTES", kept_bytes)
    runs = feature_space(planted.config, assembly, own).read(1)
    assert len(reads) == (2 if kept_bytes else 8)

    for recording, response, run in zip(fit.recordings, assembly.responses, runs, strict=True):
        mine = fit.of(recording)
        assert len(mine) == 4
        parts = []
        for p, placement in zip(mine, placements(mine), strict=True):
            source = assemble_module.stored_features(planted.config, own, p.stimulus, fit.modality)
            slow = fit.modality == "fmri"
            parts.append(
                onto_response_clock(
                    source.read(1), source.times, response.times, placement, slow=slow
                )
            )
        np.testing.assert_allclose(run, sum(parts), atol=1e-5)
        assert np.abs(run).max() > 0.5


def test_a_canonical_response_takes_the_place_of_delays(tmp_path):
    """Features of fMRI go through it, folds keep its length apart, and the report says so."""
    planted = make_fit(tmp_path, "fmri", seconds=(400,), n_targets=4)
    glover = replace(planted.config, fmri=replace(planted.config.fmri, hrf="glover"))
    own = next(s for s in planted.spaces if s.name == "own")
    usual, through = (assemble(c, planted.fit, planted.spaces) for c in (planted.config, glover))
    assert through.delays == (0,)
    assert len(usual.delays) > 1
    span_s = (usual.delays[-1] - usual.delays[0]) * usual.interval_s
    assert through.plan.hard_gap_s - usual.plan.hard_gap_s == pytest.approx(32.0 - span_s)
    (run,) = feature_space(glover, through, own).read(1)
    (presentation,) = planted.fit.presentations
    source = assemble_module.stored_features(glover, own, presentation.stimulus, "fmri")
    times = through.responses[0].times
    events = (
        source.times + presentation.onset_s - 0.05, np.full(len(source.times), 0.1),
        source.read(1)[:, 0],
    )  # fmt: skip
    expected, _ = compute_regressor(events, "glover", times, oversampling=100, min_onset=-4)
    assert np.corrcoef(run[:, 0], expected[:, 0])[0, 1] > 0.999
    assert "canonical haemodynamic response 'glover'" in methods(glover, through, own)
    assert "at delays from 1.5 to 9 s" in methods(planted.config, usual, own)


def test_electrodes_have_no_haemodynamic_response(tmp_path):
    planted = make_fit(tmp_path, "ieeg", seconds=(60, 60, 60), n_targets=4)
    glover = replace(planted.config, fmri=replace(planted.config.fmri, hrf="glover"))
    own = next(s for s in planted.spaces if s.name == "own")
    one, two = (assemble(c, planted.fit, planted.spaces) for c in (planted.config, glover))
    assert one.delays == two.delays
    a, b = (feature_space(c, one, own).read(1)[0] for c in (planted.config, glover))
    np.testing.assert_array_equal(a, b)
