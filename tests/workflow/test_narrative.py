"""Sentences about a fit."""

from bids_brainalign.workflow.narrative import multiplicity_notes


def test_too_few_draws_for_one_target_alone_are_said():
    assert multiplicity_notes(64, 2000) == []
    (note,) = multiplicity_notes(95_000, 2000)
    assert "2000 null draws and 95000 targets" in note
    assert "10 or more" in note
