"""Clusters of frames against scikit-learn's own, and against the sounds that made them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import pairwise_distances_argmin

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.features.models import open_model
from bids_brainalign.tuning.adaptation import Adaptation, adapt
from bids_brainalign.tuning.backbone import Backbone
from bids_brainalign.tuning.clusters import assigned, cluster_frames
from tests.tuning.vowels import N_VOWELS, SECONDS, vowel_names, vowel_story

NAMES = ("wav2vec2", "wav2vec2-large", "whisper")


def nearest(frames, clusters):
    scaled = (frames - clusters.mean) / clusters.scale
    return scaled, pairwise_distances_argmin(scaled, clusters.centres)


@pytest.mark.parametrize(
    ("name", "seconds"), [("wav2vec2", 6.6), ("wav2vec2-large", 6.6), ("whisper", 1.2)]
)
def test_frames_go_to_the_nearest_centre(folders, name, seconds):
    """Stories in one piece: frames as `features` gives them."""
    stories = [vowel_story(seconds, seed=seed) for seed in range(6)]
    found = cluster_frames(Backbone(folders[name]), stories, seed=0, most_clusters=12)
    assert found.layer == 2  # of 3
    model = open_model(folders[name])
    frames = np.concatenate([np.asarray(model.extract(s.wave).layers[2]) for s in stories])
    scaled, expected = nearest(frames, found)
    ids = np.concatenate(found.ids)
    assert ids.shape == expected.shape
    assert (ids == expected).mean() > 0.999
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=5e-3)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=5e-3)


@pytest.mark.parametrize("name", ["wav2vec2", "hubert-large", "whisper"])
def test_pieces_of_a_story_are_put_together_in_place(folders, name):
    """Against frames of single clips that begin elsewhere; sounds change every 0.1 s."""
    rng = np.random.default_rng(0)
    wave = rng.standard_normal(21 * 16_000) * np.repeat(rng.choice([0.1, 1.0], 210), 1600)
    story = replace(vowel_story(21, seed=0), wave=wave.astype(np.float32))
    backbone = Backbone(folders[name], layer=0)
    found = cluster_frames(backbone, [story], seed=0, layer=0, most_clusters=10)
    assert len(found.ids[0]) == backbone.n_frames(len(wave))
    agreement = []
    for first in (10, 333, 777, 950):
        clip = torch.from_numpy(story.wave[None, first * 320 :][:, : 2 * 16_000])
        with torch.no_grad():
            hidden, _ = backbone(clip, torch.tensor([clip.shape[1]]))
        expected = nearest(hidden[0].numpy(), found)[1][10:-10]
        for shift in (-1, 0, 1):
            start = first + 10 + shift
            agreement.append((found.ids[0][start : start + len(expected)] == expected).mean())
    agreement = np.reshape(agreement, (4, 3))
    assert (agreement[:, 1] > 0.6).all()
    assert (agreement[:, 1] > agreement[:, [0, 2]].max(axis=1) + 0.1).all()


@pytest.mark.parametrize("name", NAMES)
def test_clusters_tell_sounds_apart(folders, name):
    stories = [vowel_story(20, seed=seed, name=str(seed)) for seed in (1, 2, 3)]
    backbone = Backbone(folders[name])
    fitted = cluster_frames(backbone, stories[:2], seed=0, layer=1, most_clusters=12)
    held_out = assigned(fitted, backbone, stories[2:])
    assert [len(ids) for ids in (*fitted.ids, *held_out.ids)] == [
        backbone.n_frames(len(story.wave)) for story in stories
    ]

    def counts(ids, seed):
        vowel = np.repeat(vowel_names(20, seed=seed), round(SECONDS * 50))[: len(ids)]
        table = np.zeros((fitted.n_clusters, N_VOWELS))
        np.add.at(table, (ids, vowel), 1)
        return table

    before = counts(fitted.ids[0], 1) + counts(fitted.ids[1], 2)
    new = counts(held_out.ids[0], 3)
    right = new[np.arange(len(new)), before.argmax(axis=1)].sum() / new.sum()
    assert right > 2 / N_VOWELS


def test_the_original_is_asked_whatever_was_trained(folders):
    story = vowel_story(12, seed=1)
    plain = cluster_frames(Backbone(folders["hubert"]), [story], seed=3)
    trained = adapt(Backbone(folders["hubert"], layer=3), Adaptation(kind="full"), seed=0)
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(0.1)
    again = cluster_frames(trained, [story], seed=3)
    assert np.array_equal(plain.ids[0], again.ids[0])
    assert np.array_equal(plain.centres, again.centres)
    other = cluster_frames(trained, [story], seed=4)
    assert not np.array_equal(plain.centres, other.centres)


def test_number_of_clusters(folders):
    backbone = Backbone(folders["wavlm"])
    n_frames = backbone.n_frames(12 * 16_000)
    assert cluster_frames(backbone, [vowel_story(12, seed=1)], seed=0).n_clusters == n_frames // 20
    with pytest.raises(BrainAlignError, match=r"3\.6 s of audio are too little") as caught:
        cluster_frames(backbone, [vowel_story(3.6, seed=1)], seed=0)
    assert "longer stories" in str(caught.value)


def test_clusters_are_kept_for_a_training_that_goes_on(folders, tmp_path):
    backbone, path = Backbone(folders["wav2vec2"]), tmp_path / "training" / "clusters.npz"
    stories = [vowel_story(6, seed=1), vowel_story(4.2, seed=2)]
    first = cluster_frames(backbone, stories, seed=0, path=path)
    kept = cluster_frames(backbone, stories, seed=1, path=path)
    assert [p.name for p in path.parent.iterdir()] == ["clusters.npz"]
    assert kept.layer == first.layer
    for name in ("mean", "scale", "centres"):
        assert np.array_equal(getattr(kept, name), getattr(first, name))
    for ids, read in zip(first.ids, kept.ids, strict=True):
        assert np.array_equal(ids, read)
