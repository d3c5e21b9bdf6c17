"""Sentences about a fit."""

import pytest

from bids_brainalign.workflow.assemble import assemble
from bids_brainalign.workflow.narrative import assumptions, multiplicity_notes
from tests.workflow.planted import make_fit


def test_too_few_draws_for_one_target_alone_are_said():
    assert multiplicity_notes(64, 2000) == []
    (note,) = multiplicity_notes(95_000, 2000)
    assert "2000 null draws and 95000 targets" in note
    assert "10 or more" in note


@pytest.mark.parametrize(
    ("seconds", "said"),
    [((60.0,) * 3, "Folds hold out whole runs."), ((90.0,), "s around held-out blocks were left")],
)
def test_folds_are_told_as_they_are(tmp_path, seconds, said):
    planted = make_fit(tmp_path, "ieeg", seconds=seconds, n_targets=2)
    text = " ".join(assumptions(assemble(planted.config, planted.fit, planted.spaces)))
    assert said in text
    assert ("Folds cut runs" in text) == (len(seconds) == 1)
