"""Language models and word vectors given by --models, through the run's own steps."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.dataset.types import Annotations
from bids_brainalign.errors import ExitCode
from bids_brainalign.features.language_model import LanguageModel
from bids_brainalign.features.transcript import Reading
from bids_brainalign.store.features import FeatureStore
from bids_brainalign.workflow.assemble import assemble, feature_space
from bids_brainalign.workflow.costs import announce
from bids_brainalign.workflow.extraction import feature_steps
from bids_brainalign.workflow.narrative import sidecar_fields
from bids_brainalign.workflow.spaces import (
    feature_key,
    list_spaces,
    rate_of,
    stored_features,
    unread,
    usable_spaces,
)
from bids_brainalign.workflow.text_features import language_warnings, no_words
from tests.features.test_language_model import STORY, write_gpt2
from tests.features.test_static_vectors import VECTORS
from tests.workflow.planted import make_fit


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    glove = folder / "cc.en.txt"
    lines = [f"{word} {' '.join(map(str, v))}\n" for word, v in VECTORS.items()]
    rng = np.random.default_rng(0)
    for word in STORY[4:]:
        lines.append(f"{word.lower().strip(',.')} {' '.join(map(str, rng.normal(size=3)))}\n")
    glove.write_text("".join(lines), encoding="utf-8")
    return (("gpt2", str(write_gpt2(folder / "gpt2"))), ("glove", str(glove)))


def with_models(planted, models, **features):
    own = replace(planted.config.features, models=models, **features)
    return replace(planted.config, features=own)


def with_story(planted):
    """Let each stimulus tell the story, over and over, two words a second."""
    presentations = []
    for p in planted.fit.presentations:
        n = int(2 * p.stimulus.duration_s)
        table = pd.DataFrame(
            {"onset": 0.5 * np.arange(n), "duration": 0.4, "label": np.resize(STORY, n)}
        )
        words = Annotations(table, p.stimulus.path.with_suffix(".tsv"))
        presentations.append(replace(p, stimulus=replace(p.stimulus, words=words)))
    return replace(planted.fit, presentations=tuple(presentations))


@pytest.fixture(params=["ieeg", "fmri"])
def told(request, tmp_path, models):
    planted = make_fit(tmp_path, request.param, seconds=(40, 40, 40), n_targets=2)
    config, fit = with_models(planted, models, text_context_words=8), with_story(planted)
    spaces = list_spaces(config)
    rate = rate_of(config, fit.modality)
    for space in spaces:
        for step in feature_steps(config, space, [(p.stimulus, rate) for p in fit.presentations]):
            step.work()
    return config, fit, spaces


def test_text_models_are_spaces_with_a_twin_but_for_tables(models, tmp_path):
    planted = make_fit(tmp_path, "ieeg", seconds=(40,), n_targets=2)
    spaces = list_spaces(with_models(planted, models, mode=("dense", "causal")))
    assert [(s.name, s.kind, s.mode) for s in spaces[1:-1]] == [
        ("gpt2", "model", "text"), ("gpt2:untrained", "untrained", "text"),
        ("glove", "static", "text"),
    ]  # fmt: skip
    assert all(s.reads_words and s.is_held and s.reads_text for s in spaces[1:-1])


def test_words_reach_the_response_clock(told):
    """iEEG: held from onset to end. fMRI: means over 0.1 s, then Lanczos: a constant stays one."""
    config, fit, spaces = told
    assembly = assemble(config, fit, spaces)
    model = LanguageModel(spaces[1].source)
    for space, layer in ((spaces[1], 2), (spaces[3], 0)):
        runs = feature_space(config, assembly, space).read(layer)
        p = fit.presentations[1]
        stored = stored_features(config, space, p.stimulus, fit.modality)
        if space.kind == "model":
            direct = model.extract(
                p.stimulus.words.table,
                duration_s=40.0,
                language="en",
                reading=Reading(8, 1, "last"),
            )
            np.testing.assert_allclose(stored.read(2), direct.layers[2], atol=0.01)
        times = assembly.responses[1].times
        if fit.modality == "ieeg":
            # 12.6 s into the stimulus: 0.1 s into its 26th word.
            row = np.searchsorted(times, p.onset_s + 12.6)
            at = np.searchsorted(stored.times, 12.6, side="right") - 1
            np.testing.assert_allclose(runs[1][row], stored.read(layer)[at], atol=1e-6)
            between = np.searchsorted(times, p.onset_s + 12.95)
            assert not runs[1][between].any()
        else:
            inside = (times > p.onset_s + 6) & (times < p.onset_s + 34)
            assert runs[1][inside].std(axis=0).min() > 0.01
            assert not runs[1][times < p.onset_s - 6].any()


def test_what_was_read_and_what_was_not_found_is_said(told):
    config, fit, spaces = told
    assembly = assemble(config, fit, spaces)
    sidecar = sidecar_fields(config, assembly, spaces[1])
    assert "Language model gpt2 (2 blocks, width 16" in sidecar["ModelDescription"]
    assert "the 8 words before it in the same stimulus" in sidecar["ModelDescription"]
    assert "its last token's" in sidecar["ModelDescription"]
    sidecar = sidecar_fields(config, assembly, spaces[3])
    assert "One vector per word from cc.en.txt" in sidecar["ModelDescription"]
    notes = [s for s in sidecar["Assumptions"] if s.startswith("glove, story1: ")]
    # The table lacks the story's first four words, but "a" comes again; the story begins thrice.
    assert notes == ["glove, story1: 9 of 80 words have no vector and are zeros: we, met, sailor."]
    # As results are written: with the model's own space, called untrained.
    twin = sidecar_fields(config, assembly, replace(spaces[1], kind="untrained"))
    assert "with random weights" in twin["ModelDescription"]


def test_reading_is_part_of_what_is_stored(models, tmp_path):
    planted = make_fit(tmp_path, "ieeg", seconds=(40,), n_targets=2)
    stimulus = with_story(planted).presentations[0].stimulus

    def keys(stimulus=stimulus, **features):
        config = with_models(planted, models, **features)
        return {s.name: feature_key(config, s, stimulus, 50.0) for s in list_spaces(config)}

    first = keys()
    for changed in (
        {"text_context_words": 3},
        {"text_words_per_pass": 4},
        {"text_pooling": "mean"},
    ):
        other = keys(**changed)
        assert {n for n in first if first[n] != other[n]} == {"gpt2", "gpt2:untrained"}
    fewer = replace(stimulus.words, table=stimulus.words.table.iloc[:-1].reset_index(drop=True))
    other = keys(replace(stimulus, words=fewer))
    assert first["gpt2"] != other["gpt2"]
    assert first["glove"] != other["glove"]


def test_no_words_is_an_error_that_says_how_to_mend_it(models, tmp_path):
    planted = make_fit(tmp_path, "ieeg", seconds=(40,), n_targets=2)
    spaces = list_spaces(with_models(planted, models))
    stimulus = planted.fit.presentations[0].stimulus
    silent = replace(stimulus, words=None)
    assert [s.name for s in usable_spaces(spaces, [stimulus, silent])] == ["lowlevel", "own"]
    assert unread(spaces[1], silent)
    error = no_words(spaces[1], [stimulus, silent])
    assert error is not None
    assert error.exit_code == ExitCode.MISSING_INPUT
    assert "story0_words.tsv" in str(error)
    assert no_words(spaces[1], [stimulus]) is None
    assert no_words(spaces[0], [silent]) is None


def test_a_language_the_model_does_not_state_is_warned_of(models, tmp_path):
    planted = make_fit(tmp_path, "ieeg", seconds=(40,), n_targets=2)
    spaces = list_spaces(with_models(planted, models))
    english = planted.fit.presentations[0].stimulus
    dutch = replace(english, language="nl-BE")
    (sentence,) = language_warnings(spaces[3], [english, dutch])
    assert sentence.startswith("Warning: glove knows en, but story0 is in 'nl-BE'")
    assert language_warnings(spaces[1], [dutch]) == []  # no card: nothing is stated
    assert language_warnings(spaces[0], [dutch]) == []


def test_the_time_of_reading_is_told_and_stored_stories_are_not_counted(told):
    config, fit, spaces = told
    stimuli = [(p.stimulus, rate_of(config, fit.modality)) for p in fit.presentations]
    assert announce(config, spaces, stimuli) == []
    store = FeatureStore(config.paths.work_dir / "features")
    store.path_for(feature_key(config, spaces[1], *stimuli[0])).unlink()
    (line,) = announce(config, spaces, stimuli)
    assert line.startswith("gpt2: 3 layers of 16 numbers for 80 words over 0.7 min of audio")
    assert "windows" not in line
