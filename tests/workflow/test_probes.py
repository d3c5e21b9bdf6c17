"""Probes through the steps: planted labels of stimuli, and folders in their true layouts."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest
import soundfile

from bids_brainalign.config.schema import Probes
from bids_brainalign.dataset.types import Annotations, Presentation, Recording, Stimulus
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.probes.splits import OUT
from bids_brainalign.store.digest import sha256_of
from bids_brainalign.workflow.attempt import step_cache
from bids_brainalign.workflow.extraction import feature_steps as extract
from bids_brainalign.workflow.fits import pool_fits
from bids_brainalign.workflow.probe_features import pooled_rows
from bids_brainalign.workflow.probe_labels import Probe, Skipped, build_probe
from bids_brainalign.workflow.probe_material import folder_material, own_material, thinned
from bids_brainalign.workflow.probes import (
    change_step,
    feature_steps,
    pairs_of,
    probe_data,
    probe_step,
)
from bids_brainalign.workflow.similarity import layer_similarity_step
from bids_brainalign.workflow.spaces import list_spaces
from tests.dataset.speech_folders import layouts
from tests.small_whisper import write_small_whisper
from tests.workflow.test_spaces import make_config

WORDS = ("alpha", "bravo", "delta", "hotel")
FAST = Probes(n_null=30, n_bootstrap=200, similarity_rows=120)


def story(folder, name, rng, seconds=60.0):
    """A story of words: layer 1 of the user's features holds which is said, layer 0 nothing."""
    path = folder / "stimuli" / f"{name}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * rng.standard_normal(int(seconds * 16_000)), 16_000)
    onset = np.arange(0.1, seconds - 0.5, 0.5)
    said = rng.integers(len(WORDS), size=len(onset))
    times = np.arange(int(seconds * 50)) / 50
    layers = rng.standard_normal((2, len(times), 8))
    codes = np.random.default_rng(9).standard_normal((len(WORDS), 8))
    for start, word in zip(onset, said, strict=True):
        layers[1, (times >= start) & (times < start + 0.4)] += codes[word]
    own = folder / "own"
    own.mkdir(exist_ok=True)
    with h5py.File(own / f"{name}.h5", "w") as file:
        file["data"], file["times"] = layers, times
    words = pd.DataFrame({"onset": onset, "duration": 0.4, "label": [WORDS[i] for i in said]})
    return Stimulus(name, path, seconds, sha256_of(path), Annotations(words, path))


def fits_of(folder, n_stories, seed=0):
    rng = np.random.default_rng(seed)
    presentations = []
    for i in range(n_stories):
        run = Recording("01", None, "story", str(i), "ieeg", folder / f"{i}.edf", "ieeg",
                        (("sub", "01"), ("task", "story"), ("run", str(i))))  # fmt: skip
        stimulus = story(folder, f"story{i}", rng)
        presentations.append(
            Presentation(run, stimulus, 0.0, "stim_file", f"group{i}", ((0.0, 60.0),))
        )
    return pool_fits(presentations)


def config_of(folder, kinds=("words",), **changes):
    config = make_config(folder, features=(("own", folder / "own"),), untrained=False)
    return replace(config, probes=replace(FAST, kinds=kinds, **changes))


def tables(config, fits):
    spaces = list_spaces(config)
    data = probe_data(config, fits)
    cache = step_cache(config)
    for space in spaces:
        for step in extract(config, space, [(p.stimulus, 50.0) for p in fits[0].presentations]):
            cache.run(step)
    for step in feature_steps(config, spaces, data):
        assert cache.run(step)[0] == "done"
    own = next(s for s in spaces if s.name == "own")
    step = probe_step(config, own, data)
    assert cache.run(step)[0] == "done"
    assert cache.run(probe_step(config, own, probe_data(config, fits)))[0] == "reused"
    (path, sidecar) = cache.outputs(step)
    return pd.read_csv(path, sep="\t", na_values="n/a"), json.loads(sidecar.read_text()), own, data


@pytest.mark.parametrize("n_stories", [5, 1])
def test_word_is_found_at_its_layer_alone(tmp_path, n_stories):
    fits = fits_of(tmp_path, n_stories)
    config = config_of(tmp_path)
    table, told, own, data = tables(config, fits)
    rows = table[table["metric"] == "balanced_accuracy"].set_index("layer")
    assert rows.loc[1, "score"] > 0.8
    assert rows.loc[1, "p_max"] == pytest.approx(1 / 31, rel=1e-4)
    assert rows.loc[0, "score"] < 0.5
    assert rows.loc[0, "p"] > 1 / 31
    assert rows.loc[0, "chance"] == pytest.approx(0.25, abs=0.08)
    assert told["Data"]["stimuli"]["Predicted"]["words"] == list(WORDS)
    assert ("fewer than three stories" in told["Data"]["stimuli"]["Parts"]) == (n_stories == 1)
    likeness = layer_similarity_step(config, own, own, data[0])
    path, _ = likeness.work()
    found = pd.read_csv(path, sep="\t", na_values="n/a")
    same = found[(found["layer"] == found["other_layer"])]
    assert (same["value"] > 0.999).all()


def test_stories_of_one_content_group_stay_together(tmp_path):
    (fit,) = fits_of(tmp_path, 5)
    twins = tuple(
        replace(p, content_group=f"group{i // 2}") for i, p in enumerate(fit.presentations)
    )
    config = config_of(tmp_path)
    material = own_material(config, [replace(fit, presentations=twins)])
    part = material.parts.part
    assert part[0] == part[1]
    assert part[2] == part[3]
    assert set(part.tolist()) == {0, 1, 2}


def test_what_is_missing_is_said(tmp_path):
    fits = fits_of(tmp_path, 3)
    config = config_of(tmp_path, ("phones", "words", "emotion", "speaker", "vectors"))
    material = own_material(config, fits)
    pooled = pooled_rows(config, material, ["word"])

    def reason(name, **extra):
        found = build_probe(config, name, material, pooled, gap_s=1.0, **extra)
        assert isinstance(found, Skipped)
        return found.reason

    assert reason("phones") == "its phones have no times"
    assert reason("emotion") == "its clips have no emotion"
    assert reason("vectors", vectors=lambda word: None) == "the table holds none of its words"
    known = "fewer than 20 words of the validation or test speech are new"
    assert known in reason("vectors", vectors=lambda word: np.ones(3, dtype=np.float32))


def test_vectors_are_tested_on_words_that_training_has_not(tmp_path):
    fits = fits_of(tmp_path, 3)
    rng = np.random.default_rng(0)
    named = []
    for p in fits[0].presentations:
        table = p.stimulus.words.table.copy()
        table["label"] = [f"w{rng.integers(400)}" for _ in range(len(table))]
        words = replace(p.stimulus.words, table=table)
        named.append(replace(p, stimulus=replace(p.stimulus, words=words)))
    fit = replace(fits[0], presentations=tuple(named))
    config = config_of(tmp_path, ("vectors",))
    material = own_material(config, [fit])
    pooled = pooled_rows(config, material, ["word"])
    vector = {f"w{i}": np.full(2, i, dtype=np.float32) for i in range(400)}
    found = build_probe(config, "vectors", material, pooled, gap_s=1.0, vectors=vector.get)
    assert isinstance(found, Probe)
    sets = [set(found.labelled.y[found.labelled.part == p, 0].tolist()) for p in range(3)]
    assert not sets[0] & sets[1]
    assert not sets[0] & sets[2]
    assert not sets[1] & sets[2]


def test_timit_shares_no_speaker_and_no_sentence(tmp_path):
    layouts.timit(tmp_path, groups=6, tests=3)
    config = config_of(tmp_path)
    material = folder_material(config, "timit", tmp_path)
    part = material.parts.part
    for kind in ("speaker", "sentence"):
        sets = [{getattr(c, kind) for c, p in zip(material.clips, part, strict=True) if p == q}
                for q in range(3)]  # fmt: skip
        assert all(sets)
        assert len(set.union(*sets)) == sum(map(len, sets))
    assert OUT not in part


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_small_whisper(tmp_path_factory.mktemp("probes") / "small", seed=0)


@pytest.mark.parametrize(
    ("make", "kinds"),
    [
        (layouts.timit, ("mfcc", "phones", "sentence-type")),
        (layouts.speech_commands, ("words",)),
        (layouts.crema_d, ("emotion", "speaker")),
        (layouts.librispeech, ("mel", "speaker")),
    ],
)
def test_folders_are_probed(tmp_path, model, make, kinds):
    make(tmp_path / "corpus", **({"groups": 6, "tests": 2} if make is layouts.timit else {}))
    fits = fits_of(tmp_path, 3)
    other = tmp_path / "tuned"
    config = make_config(tmp_path, model, untrained=False)
    models = (("small", str(model)), ("tuned", str(write_small_whisper(other, seed=1))))
    config = replace(
        config,
        features=replace(config.features, models=models),
        probes=replace(FAST, kinds=kinds, data=(("corpus", tmp_path / "corpus"),), min_tokens=3),
    )
    spaces = [s for s in list_spaces(config) if s.kind == "model"]
    data = probe_data(config, fits)[1:]
    for step in feature_steps(config, spaces, data):
        step.work()
    path, sidecar = probe_step(config, spaces[0], data).work()
    table = pd.read_csv(path, sep="\t", na_values="n/a")
    skipped = json.loads(sidecar.read_text())["Data"]["corpus"]["Skipped"]
    assert set(table["probe"]) | set(skipped) == set(kinds)
    assert set(table["probe"]) >= {kinds[0]}
    assert table["score"].notna().all()
    first = table[(table["probe"] == kinds[0]) & table["metric"].isin(["r", "balanced_accuracy"])]
    if (
        len(first) and make is not layouts.librispeech
    ):  # tones at their own frequencies are easily told
        assert first["score"].max() > first["chance"].max() + 0.2
    ((tuned, original),) = pairs_of(config, spaces)
    assert (tuned.name, original.name) == ("tuned", "small")
    path, _ = change_step(config, tuned, original, data).work()
    changes = pd.read_csv(path, sep="\t", na_values="n/a")
    assert changes["change"].to_numpy() == pytest.approx(
        (changes["after"] - changes["before"]).to_numpy(), abs=1e-5
    )


def test_broken_audio_is_named(tmp_path):
    layouts.crema_d(tmp_path / "c")
    for path in (tmp_path / "c").rglob("*.wav"):
        path.write_bytes(b"RIFF nothing")
    with pytest.raises(BrainAlignError, match=r"XX.wav can't be read as audio"):
        folder_material(config_of(tmp_path), "c", tmp_path / "c")


def test_thinning_is_even():
    assert thinned(10, 4).tolist() == [0, 3, 6, 9]
    assert thinned(3, 10).tolist() == [0, 1, 2]
