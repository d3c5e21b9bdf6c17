"""Transcription is refused where no model can write; its sums are over words, not windows."""

import shutil

import pandas as pd
import pytest

from bids_brainalign.config.schema import Config, Decoding, Paths
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.workflow.spaces import Space
from bids_brainalign.workflow.transcription import COLUMNS, STATES, _with_sums, require_writer
from tests.small_whisper import write_small_whisper


def test_a_model_without_tokenizer_is_refused(tmp_path):
    folder = write_small_whisper(tmp_path / "small", seed=1)
    config = Config(
        "participant",
        Paths(tmp_path, tmp_path, tmp_path),
        decoding=Decoding(("ridge",), transcribe=True),
    )
    space = Space("small", "model", folder, "", is_whisper=True)
    with pytest.raises(BrainAlignError, match="needs a Whisper with its tokenizer") as caught:
        require_writer(config, [space])
    assert "models: small" in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE
    require_writer(Config("participant", config.paths), [space])  # not asked for
    (folder / "tokenizer.json").write_text("{}")
    require_writer(config, [space])
    causal = Space("small:causal", "model", folder, "", is_whisper=True, mode="causal")
    with pytest.raises(BrainAlignError, match="dense mode"):
        require_writer(config, [causal])
    shutil.rmtree(folder)


def test_rates_are_of_all_words():
    rows = [
        {"states": kind, "fold": "1", "stimulus": "a", "n_words": n, "n_errors": e, "wer": e / n}
        for kind in STATES
        for n, e in ((30, 3), (10, 9))
    ]
    sums = _with_sums(pd.DataFrame(rows, columns=list(COLUMNS)))
    sums = sums[sums["fold"] == "all"]
    assert list(sums["states"]) == list(STATES)
    assert (sums["n_words"] == 40).all()
    assert sums["wer"].to_numpy() == pytest.approx(12 / 40)


def test_nothing_found_has_no_rate():
    sums = _with_sums(pd.DataFrame(columns=list(COLUMNS)))
    assert len(sums) == len(STATES)
    assert sums["wer"].isna().all()
