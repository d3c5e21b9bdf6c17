"""Transcription is refused where no model can write; its sums are over words, not windows."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.config.schema import Config, Decoding, Paths
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.whisper_text import WhisperText
from bids_brainalign.workflow.assemble import assemble
from bids_brainalign.workflow.spaces import Space
from bids_brainalign.workflow.transcription import (
    COLUMNS,
    STATES,
    _errors_of_others,
    _sampled_states,
    _with_sums,
    require_writer,
    transcription_steps,
)
from tests.small_whisper import write_small_whisper, write_tokenizer
from tests.workflow.planted import make_fit


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


def test_controls_are_as_long_and_of_other_places():
    def window(name, start, stop):
        presentation = SimpleNamespace(stimulus=SimpleNamespace(name=name))
        return SimpleNamespace(presentation=presentation, part=slice(start, stop))

    windows = [
        window("a", 0, 1500), window("a", 1500, 3000), window("a", 3000, 3600),
        window("a", 100, 1600), window("b", 0, 1450),
    ]  # fmt: skip
    read = [["x"], "one two three".split(), ["y"] * 50, "one two".split(), "one".split()]
    said = "one two three".split()
    # Of the second, fourth and fifth window: the fourth is the same place, heard again.
    assert _errors_of_others(windows, 0, said, read) == pytest.approx((0 + 2) / 2)
    assert np.isnan(_errors_of_others(windows, 2, said, read))


def test_sums_are_over_windows_with_a_control():
    rows = [
        {"states": kind, "fold": "1", "stimulus": "a", "onset": onset, "n_words": 10,
         "n_errors": np.nan if kind == "shuffled" and onset else 5.0 + onset}
        for kind in STATES
        for onset in (0.0, 30.0)
    ]  # fmt: skip
    sums = _with_sums(pd.DataFrame(rows, columns=list(COLUMNS)))
    sums = sums[sums["fold"] == "all"].set_index("states")
    assert (sums["n_words"] == 10).all()
    assert (sums["n_errors"] == 5).all()


@pytest.fixture(scope="module")
def transcribed(tmp_path_factory):
    """Electrodes that follow a small Whisper's last states; a story heard twice, one once."""
    folder = tmp_path_factory.mktemp("transcribed")
    model = write_small_whisper(folder / "small", seed=1)
    write_tokenizer(model)
    planted = make_fit(folder / "data", "ieeg", seconds=(75.0, 75.0, 75.0), n_targets=8)
    config = replace(planted.config, decoding=Decoding(("ridge",), transcribe=True))
    space = Space("small", "model", model, "", is_whisper=True)
    steps = list(transcription_steps(config, planted.fit, space, planted.spaces))
    assert len(steps) == 1
    path = steps[0].work()[0]
    return path, pd.read_csv(path, sep="\t", na_values="n/a", dtype={"fold": str})


def test_every_window_is_written_down_in_every_kind(transcribed):
    _, table = transcribed
    windows = table[table["fold"] != "all"]
    assert set(windows["states"]) == set(STATES)
    counts = windows.groupby(["fold", "stimulus", "onset"])["states"].nunique()
    assert (counts == len(STATES)).all()
    length = windows["offset"] - windows["onset"]
    assert length.max() <= 30.0 + 1e-6
    assert length.min() >= 10.0
    first = windows.groupby("stimulus")["onset"].min()
    assert (first < 1.0).all()  # begins where held-out data begin
    true = windows[windows["states"] == "true"]["written"]
    assert true.notna().any()


def test_states_are_those_of_the_encoder_at_their_seconds(tmp_path):
    from bids_brainalign.features.audio import load_audio

    model = write_small_whisper(tmp_path / "small", seed=1)
    write_tokenizer(model)
    planted = make_fit(tmp_path / "data", "ieeg", seconds=(40.0, 40.0), n_targets=4)
    assembly = assemble(planted.config, planted.fit, planted.spaces)
    writer = WhisperText(model)
    waves = {p.stimulus.name: load_audio(p.stimulus.path) for p in planted.fit.presentations}
    states, place = _sampled_states(assembly, writer, waves)
    samples = assembly.samples
    names = sorted(waves)
    for row in (10, len(place) // 3, len(place) - 5):
        second = samples.stimulus_s[row]
        start = 30.0 * (second // 30)
        part = waves[names[samples.stimulus[row]]][int(start * 16000) : int((start + 30) * 16000)]
        at = (second - start) / 0.02
        frames = writer.states([part])[0]
        low = int(at)
        expected = frames[low] + (at - low) * (frames[min(low + 1, 1499)] - frames[low])
        np.testing.assert_allclose(states[row], expected, atol=2e-3)
        assert place[row] == round(at)


def test_a_language_that_the_model_lacks_is_left_out_by_name(transcribed, tmp_path):
    model = write_small_whisper(tmp_path / "small", seed=1)
    write_tokenizer(model)
    settings = json.loads((model / "generation_config.json").read_text()) if (
        model / "generation_config.json"
    ).is_file() else {}  # fmt: skip
    settings["lang_to_id"] = {"<|en|>": 5}
    (model / "generation_config.json").write_text(json.dumps(settings))
    writer = WhisperText(model)
    assert writer.can_write_in("en-GB")
    assert not writer.can_write_in("nl")
