"""Masked prediction: what is hidden, what is predicted, and that it is learnt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.tuning.adaptation import Adaptation, adapt, is_adapter
from bids_brainalign.tuning.alive import require_alive
from bids_brainalign.tuning.backbone import Backbone
from bids_brainalign.tuning.batch_order import BatchSource
from bids_brainalign.tuning.checkpoints import trained_state
from bids_brainalign.tuning.clusters import FrameClusters, assigned, cluster_frames
from bids_brainalign.tuning.loop import train
from bids_brainalign.tuning.loop_settings import LoopSettings
from bids_brainalign.tuning.masked_prediction import (
    MaskedBatches,
    MaskedModel,
    MaskSettings,
    heard_once,
    masked_loss,
    span_masks,
)
from bids_brainalign.tuning.stories import Batch, Story
from tests.tuning.conftest import NAMES, WAVEFORM
from tests.tuning.test_speech_training import Stopped, StoppedSource
from tests.tuning.vowels import NOISE, vowel_story

SETTINGS = MaskSettings(clip_s=3.0, clips=4)
N_CLUSTERS = 24
LEARNERS = ("wav2vec2", "hubert", "wavlm", "whisper")
"""A random data2vec of this size learns nothing but frequencies in as many steps."""
LORA = Adaptation(kind="lora", rank=2, alpha=2, dropout=0.1)
FULL = Adaptation(kind="full", cnn="thawed")


def random_clusters(backbone: Backbone, story: Story) -> FrameClusters:
    ids = np.random.default_rng(0).integers(0, N_CLUSTERS, backbone.n_frames(len(story.wave)))
    empty = np.zeros((N_CLUSTERS, 0), dtype=np.float32)
    return FrameClusters(1, empty, empty, empty, (ids,))


def make(
    folder: Path, adaptation: Adaptation, *, regularised: bool = False
) -> tuple[MaskedModel, MaskedBatches]:
    backbone = adapt(Backbone(folder, layer=2, regularised=regularised), adaptation, seed=0)
    story = vowel_story(18, seed=0)
    batches = MaskedBatches(
        [story], random_clusters(backbone, story), backbone=backbone, settings=SETTINGS
    )
    return MaskedModel(backbone, n_clusters=N_CLUSTERS, seed=0), batches


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("adaptation", [LORA, FULL], ids=["lora", "full"])
def test_every_trained_parameter_gets_a_gradient_in_step_one(
    folders: dict[str, Path], name: str, adaptation: Adaptation
) -> None:
    model, batches = make(folders[name], adaptation)
    batch = batches.batch(0, 0)
    require_alive(model, batch, masked_loss)
    model.train()
    masked_loss(model(batch), batch.responses).backward()
    for parameter_name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            assert parameter.grad is None, parameter_name
        elif "lora_A" not in parameter_name and not parameter_name.endswith("k_proj.bias"):
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.abs().max() > 0, parameter_name
    trained = [n for n, p in model.named_parameters() if p.requires_grad]
    assert len([n for n in trained if is_adapter(n)]) == (12 if adaptation is LORA else 0)
    assert {"head.weight", "head.bias"} <= set(trained)


@pytest.mark.parametrize("name", list(WAVEFORM))
@pytest.mark.parametrize("adaptation", [LORA, FULL], ids=["lora", "full"])
def test_blocks_get_the_mask_vector_where_frames_are_hidden(
    folders: dict[str, Path], name: str, adaptation: Adaptation
) -> None:
    model, batches = make(folders[name], adaptation)
    backbone, batch = model.backbone, batches.batch(0, 0)
    got: list[torch.Tensor] = []
    backbone._model().encoder.register_forward_pre_hook(lambda _, args: got.append(args[0]))
    model.train()
    with torch.no_grad():
        backbone(batch.clips, batch.n_valid, batch.masked)
        masked = torch.cat(got)
        got.clear()
        backbone(batch.clips, batch.n_valid)
        plain = torch.cat(got)
    vector = backbone._model().masked_spec_embed
    assert batch.masked is not None
    assert torch.equal(masked[batch.masked], vector.expand(int(batch.masked.sum()), -1))
    assert torch.equal(masked[~batch.masked], plain[~batch.masked])
    assert not torch.equal(plain[batch.masked][0], vector)


def test_whisper_does_not_hear_what_is_hidden(folders: dict[str, Path]) -> None:
    backbone = Backbone(folders["whisper"])
    wave = torch.from_numpy(vowel_story(2.4, seed=0).wave)
    clips, n_valid = torch.stack([wave, 0.3 * wave]), torch.tensor([len(wave), 30_000])
    clips[1, 30_000:] = 0
    masked = torch.zeros(2, backbone.n_frames(len(wave)), dtype=torch.bool)
    masked[0, 20:34] = masked[1, 60:75] = True
    with torch.no_grad():
        before, _ = backbone(clips, n_valid, masked)
        # A spectrum hears 25 ms around its time: those next to the span hear its first 40 samples
        # and its last 200.
        other = clips.clone()
        other[0, 20 * 320 + 40 : 34 * 320 - 200] = 5.0
        other[1, 60 * 320 + 40 : 75 * 320 - 200] *= -3.0
        after, _ = backbone(other, n_valid, masked)
        assert torch.equal(before, after)
        heard, _ = backbone(clips, n_valid)
        heard_other, _ = backbone(other, n_valid)
        nothing, _ = backbone(clips, n_valid, torch.zeros_like(masked))
    assert (heard - heard_other).abs().max() > 0.01
    assert (heard - before).abs().max() > 0.01
    assert torch.equal(nothing, heard)


def test_whispers_hidden_frames_are_the_mean_of_the_others(folders: dict[str, Path]) -> None:
    log_mel = Backbone(folders["whisper"]).log_mel
    n, hidden = 24_000, slice(30, 50)  # frames of the spectrogram
    wave = torch.from_numpy(vowel_story(1.8, seed=0).wave)[None]
    padded = torch.zeros(1, 48_000)
    padded[:, :n] = wave[:, :n]
    masked = torch.zeros(1, 75, dtype=torch.bool)
    masked[0, 15:25] = True
    plain, found = log_mel(padded)[0], log_mel(padded, [n], masked)[0]
    others = torch.ones(plain.shape[1], dtype=torch.bool)
    others[hidden] = False
    # The loudest frame is not hidden here, so that the others stay what they were.
    assert int(plain.amax(dim=0).argmax()) not in range(30, 50)
    assert torch.equal(found[:, others], plain[:, others])
    audio = others & (torch.arange(len(others)) < n / 160)
    expected = plain[:, audio].mean(dim=1, keepdim=True).expand(-1, 20)
    torch.testing.assert_close(found[:, hidden], expected)


def test_masks_are_as_transformers_draws_them() -> None:
    """Share of hidden frames and number of spans, over many clips."""
    np.random.seed(0)  # noqa: NPY002 - transformers draws from it
    for n_frames, start_share in ((749, 0.065), (499, 0.08), (149, 0.08)):
        rng = np.random.default_rng(0)
        # One call each: transformers rounds the number of spans once per call.
        theirs = np.concatenate(
            [_compute_mask_indices((1, n_frames), 10 * start_share, 10) for _ in range(2000)]
        )
        ours = span_masks(2000, n_frames, rng=rng, start_share=start_share, span_frames=10)
        near = 4 * theirs.mean(axis=1).std() * np.sqrt(2 / 2000)
        assert abs(ours.mean() - theirs.mean()) < near
        edges = [np.diff(m, axis=1, prepend=False).sum(axis=1) for m in (ours, theirs)]
        near = 4 * edges[1].std() * np.sqrt(2 / 2000)
        assert abs(edges[0].mean() - edges[1].mean()) < near
        profile = np.stack([ours.mean(axis=0), theirs.mean(axis=0)])  # rarer at the ends
        assert np.abs(profile[0] - profile[1]).max() < 0.08


def test_masks_are_as_published_for_wav2vec2() -> None:
    """Baevski et al. (2020), appendix A: 49 % of 15 s, spans of 14.7 frames, median 10."""
    masks = span_masks(2000, 749, rng=np.random.default_rng(0), start_share=0.065, span_frames=10)
    padded = np.pad(masks, ((0, 0), (1, 1))).astype(int)
    edges = np.diff(padded, axis=1)
    lengths = np.flatnonzero((edges == -1).ravel()) - np.flatnonzero((edges == 1).ravel())
    assert masks.mean() == pytest.approx(0.49, abs=0.01)
    assert lengths.mean() == pytest.approx(14.7, abs=0.3)
    assert np.median(lengths) == 10


def test_short_clips_still_hide_something() -> None:
    masks = span_masks(200, 12, rng=np.random.default_rng(0), start_share=0.02, span_frames=10)
    assert (masks.sum(axis=1) >= 10).all()


def ramp(seconds: float, name: str = "ramp") -> Story:
    """Every sample tells its own place."""
    wave = np.arange(round(seconds * 16_000), dtype=np.float32)
    return Story(name, wave, np.arange(3.0), np.zeros((3, 1), np.float32))


@pytest.mark.parametrize("name", ["wav2vec2", "whisper"])
def test_clusters_belong_to_the_hidden_frames_of_each_clip(
    folders: dict[str, Path], name: str
) -> None:
    backbone = Backbone(folders[name], layer=1)
    stories = [ramp(31), ramp(2.5), ramp(9.01)]
    ids = tuple(np.arange(backbone.n_frames(len(s.wave))) + 10_000 * k
                for k, s in enumerate(stories))  # fmt: skip
    empty = np.zeros((1, 1), dtype=np.float32)
    clusters = FrameClusters(1, empty, empty, empty, ids)
    batches = MaskedBatches(stories, clusters, backbone=backbone, settings=SETTINGS)
    found = [batches.batch(0, k) for k in range(len(batches))]
    assert [b.story for b in found] == [0, 0, 0, 1, 2]
    assert [len(b.clips) for b in found] == [4, 3, 3, 1, 3]
    for batch in found:
        assert batch.masked is not None
        assert batch.masked.shape == (len(batch.clips), backbone.n_frames(batch.clips.shape[1]))
        assert (batch.n_valid == batch.clips.shape[1]).all()
        first = batch.clips[:, 0].long()
        assert (first % 320 == 0).all()
        assert (batch.clips.diff(dim=1) == 1).all()
        clip, frame = torch.nonzero(batch.masked, as_tuple=True)
        assert torch.equal(batch.responses, first[clip] // 320 + frame + 10_000 * batch.story)


def test_clips_start_elsewhere_each_epoch_and_come_back(folders: dict[str, Path]) -> None:
    backbone = Backbone(folders["wav2vec2"], layer=1)
    story = ramp(31)
    sources = [
        MaskedBatches([story], random_clusters(backbone, story), backbone=backbone, settings=s)
        for s in (SETTINGS, SETTINGS, MaskSettings(clip_s=3.0, clips=4, seed=1))
    ]
    first, again, other = (source.batch(2, 1) for source in sources)
    assert torch.equal(first.clips, again.clips)
    assert torch.equal(first.masked, again.masked)  # type: ignore[arg-type]
    assert not torch.equal(first.clips, other.clips)
    starts = np.array(
        [
            np.sort(np.concatenate([sources[0].batch(e, k).clips[:, 0] for k in range(3)]))
            for e in range(40)
        ]
    )
    n_starts = (len(story.wave) - 48_000) // 320 + 1
    edges = np.arange(11) * n_starts / 10
    assert (starts // 320 >= np.floor(edges[:-1])).all()
    assert (starts // 320 < edges[1:]).all()
    assert len(np.unique(starts)) > 200


def test_what_cannot_be_cut_is_refused(folders: dict[str, Path]) -> None:
    backbone = Backbone(folders["wav2vec2"], layer=1)
    with pytest.raises(BrainAlignError, match="story short: clips of 14 frames are too short"):
        MaskedBatches(
            [ramp(0.3, "short")], random_clusters(backbone, ramp(0.3)), backbone=backbone
        )
    for wrong in ({"clip_s": 0.0}, {"clips": 0}, {"start_share": 0.2}, {"start_share": 0.0}):
        with pytest.raises(BrainAlignError) as caught:
            MaskSettings(**wrong)  # type: ignore[arg-type]
        assert caught.value.exit_code == ExitCode.USAGE


def test_a_model_without_a_mask_vector_is_refused(folders: dict[str, Path]) -> None:
    model, batches = make(folders["hubert"], LORA)
    del model.backbone._model().get_base_model().masked_spec_embed
    with pytest.raises(BrainAlignError, match="no vector for masked frames") as caught:
        model(batches.batch(0, 0))
    assert caught.value.exit_code == ExitCode.MISSING_INPUT


def test_repeats_are_heard_once() -> None:
    stories = [ramp(1, "one"), ramp(1, "one again"), ramp(2, "two")]
    assert [story.name for story in heard_once(stories)] == ["one", "two"]


def no_look(epoch: int, model: nn.Module) -> None:
    """Nothing is kept of epochs."""


@pytest.mark.parametrize("family", ["wav2vec2", "wavlm", "whisper"])
def test_interrupted_training_ends_the_same(
    tmp_path: Path, folders: dict[str, Path], family: str
) -> None:
    settings = LoopSettings(
        epochs=2,
        learning_rates=(("backbone.", 1e-3), ("head.", 1e-2)),
        batches_per_update=2,
        checkpoint_updates=1,
    )

    def fit(model: nn.Module, source: BatchSource, folder: Path) -> None:
        train(model, source, masked_loss, settings, folder, on_epoch=no_look)

    # With the model's own dropout, layer drop and SpecAugment: all its randomness.
    (model, batches), (stopped, _), (again, _) = (
        make(folders[family], LORA, regularised=True) for _ in range(3)
    )
    start = {name: tensor.clone() for name, tensor in trained_state(model).items()}
    fit(model, batches, tmp_path / "whole")
    with pytest.raises(Stopped):
        fit(stopped, StoppedSource(batches, at=len(batches) + 1), tmp_path / "parts")
    fit(again, batches, tmp_path / "parts")
    for name, tensor in trained_state(model).items():
        assert torch.equal(trained_state(again)[name], tensor), name
        assert not torch.equal(tensor, start[name]), name
    logs = [(tmp_path / name / "training.tsv").read_text() for name in ("whole", "parts")]
    assert logs[0] == logs[1]


@pytest.mark.parametrize(
    "name",
    ["wav2vec2", *(pytest.param(n, marks=pytest.mark.slow) for n in LEARNERS if n != "wav2vec2")],
)
def test_hidden_sounds_are_predicted_in_held_out_audio(
    tmp_path: Path, folders: dict[str, Path], name: str
) -> None:
    backbone = Backbone(folders[name], layer=2)
    noise, epochs = (9.0, 30) if name == "whisper" else (NOISE, 20)
    training, held_out = ([vowel_story(s, seed=k, noise=noise)] for k, s in enumerate((96, 30)))
    clusters = cluster_frames(backbone, training, seed=0, most_clusters=12)
    new = assigned(clusters, backbone, held_out)
    adapt(backbone, Adaptation(kind="full"), seed=0)
    batches = MaskedBatches(training, clusters, backbone=backbone, settings=SETTINGS)
    others = MaskedBatches(held_out, new, backbone=backbone, settings=SETTINGS)
    share = np.bincount(np.concatenate(clusters.ids), minlength=clusters.n_clusters) + 0.5
    log_share = torch.from_numpy(np.log(share / share.sum()))

    def looked(model: nn.Module) -> list[tuple[Batch, torch.Tensor]]:
        with torch.no_grad():
            return [(b, model(b)) for b in (others.batch(0, k) for k in range(len(others)))]

    def held_out_loss(model: nn.Module) -> float:
        return float(np.mean([masked_loss(s, b.responses) for b, s in looked(model)]))

    model = MaskedModel(backbone, n_clusters=clusters.n_clusters, seed=0)
    settings = LoopSettings(epochs=epochs, learning_rates=(("", 2e-3),), schedule="constant")
    trained = train(
        model, batches, masked_loss, settings, tmp_path, on_epoch=no_look, validation=held_out_loss
    )
    # Better than the clusters' frequencies, which a head alone can learn.
    truth = torch.cat([batch.responses for batch, _ in looked(model)])
    frequencies = float(-log_share[truth].mean())
    # Measured: .2 (Whisper) to .8 less.
    assert trained.validation[-1] < min(trained.validation[0], frequencies - 0.1)
