"""Tuning a small wav2vec2 on responses that were made by a changed copy of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from bids_brainalign.config.schema import Probes
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.audio import load_audio
from bids_brainalign.features.models import open_model
from bids_brainalign.probes.splits import PARTS
from bids_brainalign.responses.types import Response
from bids_brainalign.statistics.folds import Samples
from bids_brainalign.store.steps import StepCache
from bids_brainalign.workflow.across import run_fits
from bids_brainalign.workflow.assemble import assemble
from bids_brainalign.workflow.extraction import feature_steps, stimuli_of
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.probe_material import own_material
from bids_brainalign.workflow.probing import probe_models
from bids_brainalign.workflow.responses import load_response, response_path, save_response
from bids_brainalign.workflow.spaces import list_spaces
from bids_brainalign.workflow.story_ridge import StoryRidge
from bids_brainalign.workflow.story_roles import roles, rows_of
from bids_brainalign.workflow.tuning_data import (
    feature_targets,
    training_stories,
    tuned_targets,
    waves_of,
)
from bids_brainalign.workflow.tuning_steps import require_tunable, tuned_space, tuning_steps
from tests.workflow.people import N_PLANTED, N_TARGETS, SETTINGS, make_people

LORA = {"adaptation": "lora", "lora_rank": 4, "lora_alpha": 4.0, "lora_dropout": 0.0}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A fit of six stories; its responses follow the changed model."""
    config, (fit,), spaces = make_people(tmp_path_factory.mktemp("tuning"), follows={"01": 1})
    return config, fit, spaces


def run(config, fit, spaces):
    """Do the steps as a run does; names with what became of them."""
    cache = StepCache(
        config.paths.work_dir, roots=(config.paths.output_dir, config.paths.work_dir)
    )
    config.paths.output_dir.mkdir(exist_ok=True)
    done: dict[str, str] = {}
    for step in tuning_steps(config, fit, spaces, done):
        done[step.name] = cache.run(step)[0]
    return done


@pytest.fixture(scope="module")
def tuned(made):
    config, fit, spaces = made
    return run(config, fit, spaces), config, fit, spaces


def table(config, fit):
    path = config.paths.output_dir / fit.name.file("tuning.tsv", analysis="w2vTuned")
    return pd.read_csv(path, sep="\t", na_values="n/a")


def test_a_planted_change_is_learnt_and_permuted_responses_are_not(tuned):
    _, config, fit, _ = tuned
    found = table(config, fit)
    for reference in ("w2v", "w2v:permuted"):
        rows = found[found["reference"] == reference]
        planted, empty = rows[:N_PLANTED], rows[N_PLANTED:]
        # The changed model itself is better by .04 (.835 and .795).
        assert planted["delta_r"].mean() > 0.01
        assert empty["delta_r"].abs().max() < 0.05
        np.testing.assert_allclose(rows["r"] - rows["r_reference"], rows["delta_r"], atol=1e-6)


def test_a_second_run_has_nothing_to_do(tuned):
    first, config, fit, spaces = tuned
    assert set(first.values()) == {"done"}
    assert set(run(config, fit, spaces).values()) == {"reused"}
    assert not list((config.paths.work_dir / "tuning").iterdir())


def test_tuned_models_open_like_others(tuned):
    _, config, fit, _ = tuned
    folder = config.paths.output_dir / "sub-01/models" / f"{fit.name.stem}_desc-w2vTuned_ieeg"
    model = open_model(folder)
    assert model.n_layers == 3
    epochs = pd.read_csv(folder / "epochs.tsv", sep="\t")
    assert len(epochs) == SETTINGS.epochs + 1
    best = epochs.loc[epochs["r_validation"].idxmax()]
    assert best["chosen"]
    assert best["epoch"] > 0
    assert epochs["chosen"].sum() == 1
    card = (folder / "README.md").read_text()
    assert "sub-01" in card
    assert f"epoch {best['epoch']} of {SETTINGS.epochs}" in card
    assert str(folder.parent) not in card
    assert (folder / "training_log.tsv").is_file()


def test_tuned_models_are_probed_beside_their_original(tuned):
    """On the test story of the tuning, which no training has heard."""
    _, config, fit, spaces = tuned
    probed = replace(
        config, probes=Probes(kinds=("mfcc",), n_null=20, n_bootstrap=50),
        control=replace(config.control, steps=("features",)),
    )  # fmt: skip
    material = own_material(probed, [fit])
    role = roles(probed, fit, (0,) * len(fit.recordings))
    assert [PARTS[part] for part in material.parts.part] == [role[c.name] for c in material.clips]
    assert "those of the tuning" in material.rule
    units = probe_models(probed, [fit], spaces, "run")
    assert {unit.status for unit in units} <= {"done", "reused"}
    folder = config.paths.output_dir / "group"
    after = read_probes(folder / "desc-w2vTunedSub01_probes.tsv")
    before = read_probes(folder / "desc-w2v_probes.tsv")
    changes = pd.read_csv(folder / "desc-w2vTunedSub01AndW2v_changes.tsv", sep="\t")
    mine = changes[(changes["probe"] == "mfcc") & (changes["metric"] == "r")]
    np.testing.assert_allclose(mine["after"], after, atol=1e-6)
    np.testing.assert_allclose(mine["before"], before, atol=1e-6)
    assert mine["change"].abs().min() > 1e-5


def read_probes(path):
    found = pd.read_csv(path, sep="\t", na_values="n/a")
    return found.loc[found["metric"] == "r", "score"].to_numpy()


def test_epochs_are_chosen_without_the_test_story(made):
    config, fit, spaces = made
    plan = assemble(config, fit, spaces).plan
    (fold,) = plan.folds
    (choice,) = fold.inner
    samples = assemble(config, fit, spaces).samples
    heard = [set(samples.stimulus[rows]) for rows in (choice.train, choice.test, fold.outer.test)]
    assert np.array_equal(fold.outer.train, choice.train)
    assert not heard[0] & heard[1]
    assert not heard[0] & heard[2]
    assert not heard[1] & heard[2]
    assert [len(h) for h in heard] == [4, 1, 1]


def test_test_responses_change_nothing_of_the_model(made, tmp_path):
    """Other responses of the test story: same weights, same epoch."""
    config, fit, spaces = made
    short = replace(config, tuning=replace(SETTINGS, variants=("tuned",), epochs=1, **LORA))
    digests = []
    for name, scale in (("as-is", 1.0), ("other", -3.0)):
        here = replace(
            short,
            paths=replace(short.paths, output_dir=tmp_path / name, work_dir=config.paths.work_dir),
        )
        assembly = assemble(here, fit, spaces)
        test_runs = np.unique(assembly.samples.run[assembly.plan.folds[0].outer.test])
        (run_index,) = test_runs
        path = response_path(here, fit, fit.recordings[run_index])
        before = load_response(path)
        changed: Response = replace(before, data=np.asarray(before.data) * np.float32(scale) + 1)
        save_response(path, changed)
        try:
            run(here, fit, spaces)
        finally:
            save_response(path, before)
        folder = here.paths.output_dir / "sub-01/models" / f"{fit.name.stem}_desc-w2vTuned_ieeg"
        digests.append(load_file(folder / "model.safetensors"))
        assert {p.name for p in (folder / "adapters").iterdir()} == {
            "adapter_config.json", "adapter_model.safetensors"
        }  # fmt: skip
    assert all(torch.equal(digests[0][name], digests[1][name]) for name in digests[0])


def test_controls_and_compared_settings_stand_beside_the_tuned_model(made, tmp_path):
    """Another layer, another seed, features of a larger model: every one with its own table."""
    config, fit, spaces = made
    original = Path(config.features.models[0][1])
    here = replace(
        config,
        paths=replace(config.paths, output_dir=tmp_path / "out"),
        features=replace(
            config.features,
            models=(*config.features.models,
                    ("larger", str(original.parent / "changed1"))),
        ),
        tuning=replace(
            SETTINGS, model="w2v", variants=("tuned", "features=larger", "stimulus"), epochs=2,
            compare=("readout-layer=1,last", "seed=0,1"),
        ),
    )  # fmt: skip
    spaces = list_spaces(here)
    for space in spaces:
        for step in feature_steps(here, space, stimuli_of(here, [fit])):
            step.work()
    assert set(run(here, fit, spaces).values()) == {"done"}
    folder = here.paths.output_dir / fit.name.folder
    found = table(here, fit)
    assert list(dict.fromkeys(found["reference"])) == [
        "w2v", "w2v:features=larger", "w2v:stimulus", "w2v:tuned:readout-layer=1",
        "w2v:tuned:readout-layer=1:seed=1", "w2v:tuned:seed=1",
    ]  # fmt: skip
    for label in ("TunedReadoutLayer1", "TunedReadoutLayer1Seed1", "TunedSeed1"):
        own = pd.read_csv(folder / f"{fit.name.stem}_desc-w2v{label}_tuning.tsv", sep="\t")
        assert set(own["reference"]) == {"w2v"}
        np.testing.assert_allclose(
            own["r"], found.loc[found["reference"] == own["model"][0], "r_reference"], atol=1e-6
        )
    stability = pd.read_csv(
        folder / f"{fit.name.stem}_desc-w2vTuned_stability.tsv", sep="\t", na_values="n/a"
    )
    assert len(stability) == 2 * N_TARGETS
    assert set(stability["settings"].dropna()) == {"readout_layer=1"}
    second = pd.read_csv(folder / f"{fit.name.stem}_desc-w2vTunedSeed1_tuning.tsv", sep="\t")
    both = np.stack([found.loc[found["reference"] == "w2v", "r"], second["r"]])
    mine = stability[stability["settings"].isna()]
    np.testing.assert_allclose(mine["r_sd"], both.std(axis=0, ddof=1), atol=1e-5)
    np.testing.assert_allclose(mine["r"], both.mean(axis=0), atol=1e-5)
    models = here.paths.output_dir / "sub-01/models"
    weights = {path.name: load_file(path / "model.safetensors") for path in models.iterdir()}
    assert len(weights) == 6
    cards = [(path / "README.md").read_text() for path in models.iterdir()]
    assert sum("features of larger" in card for card in cards) == 1
    # The second block is not trained where the first one is read.
    first = weights[f"{fit.name.stem}_desc-w2vTunedReadoutLayer1_ieeg"]
    for name, weight in load_file(original / "model.safetensors").items():
        if ".layers.1." in name:
            assert torch.equal(first[name], weight)


def test_features_of_another_model_are_standardised_over_training_rows(made):
    config, fit, spaces = made
    assembly = assemble(config, fit, spaces)
    ridge = StoryRidge(config, assembly)
    space = tuned_space(config, spaces)
    found = feature_targets(config, assembly, space, ridge.train)
    assert found.shape == (len(assembly.samples.time_s), 32)
    np.testing.assert_allclose(found[ridge.train].mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(found[ridge.train].std(axis=0), 1, atol=1e-3)
    deep = replace(config, tuning=replace(SETTINGS, feature_layer=3))
    with pytest.raises(BrainAlignError, match="layers 0 to 2"):
        feature_targets(deep, assembly, space, ridge.train)


def test_a_control_that_needs_words_says_which_story_has_none(made, tmp_path):
    """By the steps of a run: they go on without it."""
    config, fit, _ = made
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("word 1 0\n")
    here = replace(
        config,
        paths=replace(config.paths, output_dir=tmp_path / "out"),
        features=replace(config.features,
                         models=(*config.features.models, ("vectors", str(vectors)))),
        tuning=replace(SETTINGS, model="w2v", variants=("features=vectors",)),
    )  # fmt: skip
    presentations = [
        replace(p, stimulus=replace(p.stimulus, words=None)) if p.stimulus.name == "story2" else p
        for p in fit.presentations
    ]
    partly = replace(fit, presentations=tuple(presentations))
    spaces = list_spaces(here)
    require_tunable(here, spaces)
    for space in spaces:
        for step in feature_steps(here, space, stimuli_of(here, [partly])):
            step.work()
    here.paths.output_dir.mkdir()
    units = {unit.name: unit for unit in run_fits(here, [partly], spaces, "run")}
    failed = units[f"tuning {fit.name.stem} ieeg w2v:features=vectors"]
    assert (failed.status, failed.exit_code) == ("failed", ExitCode.MISSING_INPUT)
    assert failed.crash_file is None
    for words in ("features=vectors", fit.name.stem, "story2 has none with times", "_words.tsv"):
        assert words in failed.message
    assert units[f"encoding {fit.name.stem} ieeg w2v"].status == "done"


def test_three_stories_are_refused_unless_allowed(made):
    config, fit, spaces = made
    kept = fit.presentations[:3]
    few = Fit(fit.name, tuple(p.recording for p in kept), kept)
    with pytest.raises(BrainAlignError) as caught:
        assemble(config, few, spaces)
    assert "--allow-few-stories" in str(caught.value)
    allowed = replace(config, tuning=replace(SETTINGS, allow_few_stories=True))
    assert "no more" in " ".join(assemble(allowed, few, spaces).plan.notes)
    two = Fit(fit.name, tuple(p.recording for p in kept[:2]), kept[:2])
    with pytest.raises(BrainAlignError, match="needs three"):
        assemble(allowed, two, spaces)


def test_stories_are_named_by_the_user(made):
    config, fit, spaces = made
    named = replace(
        config,
        tuning=replace(SETTINGS, test_stories=("story1",), validation_stories=("story4",)),
    )
    plan = assemble(named, fit, spaces).plan
    assert plan.folds[0].name == "story1"
    assert "chosen on story4" in plan.notes[0]
    wrong = replace(config, tuning=replace(SETTINGS, test_stories=("storey1",)))
    with pytest.raises(BrainAlignError, match="no stimulus storey1"):
        assemble(wrong, fit, spaces)
    both = replace(
        config,
        tuning=replace(SETTINGS, test_stories=("story1",), validation_stories=("story1",)),
    )
    with pytest.raises(BrainAlignError, match="share their content"):
        assemble(both, fit, spaces)


def test_targets_of_tuning(made):
    config, fit, spaces = made
    assembly = assemble(config, fit, spaces)

    def targets(name):
        here = replace(config, tuning=replace(SETTINGS, targets=name))
        return tuned_targets(here, {}, assembly).tolist()

    assert targets("whole") == list(range(N_TARGETS))
    assert targets("left") == [0, 1, 2, 3]
    assert targets("not:left") == [4, 5, 6, 7]
    with pytest.raises(BrainAlignError, match="there are: left, right, whole"):
        targets("STG")


def test_the_model_to_tune_must_be_clear(made):
    config, _, spaces = made
    models = [replace(s, name=f"m{i}") for i, s in enumerate([spaces[1]] * 2)]
    with pytest.raises(BrainAlignError, match="this run has 2") as caught:
        tuned_space(config, models)
    assert caught.value.exit_code == ExitCode.USAGE
    named = replace(config, tuning=replace(SETTINGS, model="m1"))
    assert tuned_space(named, models).name == "m1"


def test_what_cannot_be_tuned_is_refused_before_any_work(made):
    config, _, spaces = made
    require_tunable(config, spaces)

    def refused(**settings):
        with pytest.raises(BrainAlignError) as caught:
            require_tunable(replace(config, tuning=replace(SETTINGS, **settings)), spaces)
        assert caught.value.exit_code == ExitCode.USAGE
        return str(caught.value)

    assert "no speech model other" in refused(model="other")
    assert "mes" in refused(loss="mes")
    assert "pinned" in refused(readout="pinned", normalisation="block")
    assert "models beside w2v: none" in refused(variants=("tuned", "features=gpt2"))
    assert "mes" in refused(compare=("loss=mse,mes",))
    folds = replace(config, paths=replace(config.paths, folds=config.paths.bids_dir / "f.tsv"))
    with pytest.raises(BrainAlignError, match="--folds"):
        require_tunable(folds, spaces)


def test_passages_are_told_apart_by_their_clocks():
    """Two passes of one story in one run, and one that leaves out a part."""
    clock = np.concatenate([np.arange(10.0), np.arange(10.0), [0, 1, 2, 7, 8]])
    time = np.concatenate([np.arange(10) + 5.0, np.arange(10) + 20.3, np.arange(5) + 40.0])
    n = len(clock)
    zeros = np.zeros(n, dtype=np.int64)
    samples = Samples(zeros, zeros, time, zeros, clock, 1.0)
    parts = rows_of(samples, np.arange(n))
    assert [len(part) for part in parts] == [10, 10, 3, 2]
    assert np.array_equal(np.concatenate(parts), np.arange(n))


def test_only_what_was_played_is_heard(made):
    """A story of which the first 20 s were not played gives audio from 20 s on."""
    config, fit, spaces = made
    late = tuple(replace(p, segments=((20.0, 40.0),)) for p in fit.presentations)
    part = Fit(fit.name, fit.recordings, late)
    assembly = assemble(config, part, spaces)
    ridge = StoryRidge(config, assembly)
    stories = training_stories(
        assembly, ridge.train, lambda rows: ridge.responses[rows], waves_of(ridge)
    )
    whole = {p.stimulus.name: load_audio(p.stimulus.path) for p in fit.presentations}
    for story in stories:
        np.testing.assert_array_equal(story.wave, whole[story.name][20 * 16_000 :])
        assert story.times_s.min() >= 0
        assert story.times_s.max() <= 20
