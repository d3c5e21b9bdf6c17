"""The group level's step about phones."""

import logging

from bids_brainalign.workflow.group_phonemes import group_phoneme_steps
from tests.outputs.test_phonemes import write
from tests.workflow.planted import make_fit


def test_tables_that_the_scores_left_behind_are_named(tmp_path, caplog):
    config = make_fit(tmp_path, "ieeg", seconds=(30.0, 30.0), n_targets=2).config
    write(config.paths.output_dir, "own_scores", "new")
    stale = write(config.paths.output_dir, "phones_phonemes", "old")
    with caplog.at_level(logging.WARNING):
        assert group_phoneme_steps(config) == []
    assert f"{stale.name} is left out" in caplog.text
