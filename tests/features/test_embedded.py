"""The shipped model: what it is, and that it hears phones (the numbers are in its model card)."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from bids_brainalign.features.audio import load_audio
from bids_brainalign.features.embedded import NOTE, embedded_model_folder
from bids_brainalign.features.folders import model_facts
from bids_brainalign.features.whisper import WhisperLayers
from bids_brainalign.simulate.demo_audio import demo_stories
from scripts.embedded.phones import frame_classes
from scripts.embedded.probes import fit_probes, share_right

MAX_FILE_BYTES = 4_200_000
MAX_PARAMETERS = 2_000_000
PENALTY = [1e-3]
CONTEXT = 5
"""Mel frames of 20 ms on both sides: the baseline hears as far as ±100 ms."""


def test_it_is_a_small_whisper_in_float16():
    folder = embedded_model_folder()
    weights = folder / "model.safetensors"
    assert weights.stat().st_size < MAX_FILE_BYTES
    with safe_open(weights, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    encoder = [t.numel() for name, t in tensors.items() if name.startswith("encoder.")]
    assert sum(encoder) <= MAX_PARAMETERS
    config = json.loads((folder / "config.json").read_text())
    assert (config["num_mel_bins"], config["max_source_positions"]) == (80, 1500)
    assert model_facts(folder).note == NOTE
    layers = WhisperLayers(folder)
    assert layers.n_layers == config["encoder_layers"] + 1
    for name, parameter in layers.encoder.named_parameters():
        torch.testing.assert_close(parameter.detach().half(), tensors[f"encoder.{name}"])


def test_the_card_gives_the_measured_numbers():
    folder = embedded_model_folder()
    measured = json.loads((folder / "evaluation.json").read_text())
    card = (folder / "README.md").read_text()
    assert f"{measured['encoder_parameters']:,}" in card
    assert set(measured["test_sets"]) >= {"espeak", "librivox"}
    for scores in (measured["test_sets"][name] for name in ("espeak", "librivox")):
        for row in scores["systems"]:
            assert f"| {row['features']} | {100 * row['accuracy']:.1f} % |" in card
        for advantage in scores["advantage_of_last_layer"]:
            assert advantage["difference"] > 0.05
            assert advantage["ci"][0] > 0


def mel_with_context(layers, wave, *, n_frames):
    mels = []
    for start in range(0, len(wave), 480_000):
        piece = layers.extractor(
            wave[start : start + 480_000], sampling_rate=16_000, return_tensors="np"
        )
        mels.append(piece.input_features[0, :, ::2].T)
    mel = np.pad(np.concatenate(mels)[:n_frames], ((CONTEXT, CONTEXT), (0, 0)), mode="edge")
    return np.hstack([mel[shift : shift + n_frames] for shift in range(2 * CONTEXT + 1)])


def features(trained, twin, wave):
    """Last layer of the model, two of its twin, and the mel input, at 50 Hz."""
    ours, theirs = trained.extract(wave).layers, twin.extract(wave).layers
    n_frames = len(ours[-1])
    return {
        "trained": ours[-1],
        "twin, first": theirs[0],
        "twin, last": theirs[-1],
        "mel": mel_with_context(trained, wave, n_frames=n_frames),
    }


@pytest.fixture(scope="module")
def heard():
    """Features and phone classes of the demo's first four stories."""
    folder = embedded_model_folder()
    models = WhisperLayers(folder), WhisperLayers(folder, untrained_seed=0)
    stories = []
    for story in demo_stories()[:4]:
        found = features(*models, story.wave)
        stories.append((found, frame_classes(story.phones, n_frames=len(found["trained"]))))
    return models, stories


def probe_scores(learnt, tested):
    """Share of speech frames named right, per kind of features."""
    scores = {}
    for kind in learnt[0][0]:
        probe = fit_probes(
            [found[kind] for found, _ in learnt], [y for _, y in learnt], penalties=PENALTY
        )[0]
        scores[kind] = share_right(probe, [f[kind] for f, _ in tested], [y for _, y in tested])
    return scores


def test_phones_are_read_off_it_better_than_off_its_twin_and_its_input(heard):
    # Other stories by other voices than the probe's; no voice variant was in the training.
    _, stories = heard
    scores = probe_scores(stories[:3], stories[3:])
    trained = scores.pop("trained")
    assert trained > 0.5
    assert trained > max(scores.values()) + 0.1, scores


@pytest.mark.shared
def test_it_hears_phones_in_people_too(heard, shared):
    from scripts.embedded.human import GUIDES, read_librivox

    models, stories = heard
    folder = shared / "data" / "librivox"
    human = read_librivox(folder, guides=GUIDES[::3])
    names = [line.split("(")[1].strip(" )\n") for line in (folder / "transcription").open()]
    waves = [load_audio(folder / f"{name}.wav") for name in names]
    joined = np.concatenate([wave[: len(wave) // 320 * 320] for wave in waves])
    found = features(*models, joined)
    assert list(human.clips.n_frames) == [len(found["trained"])]
    labels = human.clips.labels[0, : len(joined) // 320].astype(np.int64)
    scores = probe_scores(stories, [(found, labels)])
    trained = scores.pop("trained")
    assert trained > 0.2
    assert trained > max(scores.values()) + 0.08, scores
