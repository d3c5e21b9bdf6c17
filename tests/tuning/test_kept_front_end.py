"""The kept output of the front end: same training, computed once, made anew where it is unfit."""

from __future__ import annotations

import os
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bids_brainalign.tuning import kept_front_end
from bids_brainalign.tuning.adaptation import Adaptation, adapt
from bids_brainalign.tuning.backbone import Backbone
from bids_brainalign.tuning.batch_order import BatchSource
from bids_brainalign.tuning.block_batches import BlockBatches, BlockSettings
from bids_brainalign.tuning.checkpoints import trained_state
from bids_brainalign.tuning.clip_batches import ClipBatches, ClipSettings
from bids_brainalign.tuning.kept_front_end import FOLDER, KeptFrontEnd, with_kept_front_end
from bids_brainalign.tuning.loop import train
from bids_brainalign.tuning.loop_settings import LoopSettings, Precision
from bids_brainalign.tuning.readouts import Readout, TunedModel
from tests.tuning.conftest import padded_clips
from tests.tuning.test_speech_training import loud_stories

SETTINGS = LoopSettings(epochs=2, learning_rates=(("", 1e-3),))
CLIPS = ClipSettings(clip_s=1.0, offset_s=0.25, rows=6)


def make(
    folder: Path, kind: str = "clips", adaptation: Adaptation | None = None
) -> tuple[TunedModel, BatchSource]:
    backbone = adapt(Backbone(folder, regularised=True), adaptation or Adaptation(), seed=0)
    if kind == "clips":
        return TunedModel(backbone, n_targets=3, seed=0), ClipBatches(loud_stories(), CLIPS)
    block = BlockSettings(rows=6, delays=(0, 1), source="windows", window_s=0.5)
    batches = BlockBatches(
        loud_stories(), grid=backbone.grid, settings=block, n_frames=backbone.n_frames
    )
    return TunedModel(backbone, n_targets=3, readout=Readout(n_delays=2), seed=0), batches


def fit(
    model: TunedModel, batches: BatchSource, folder: Path, *, precision: Precision = "fp32"
) -> tuple[dict[str, Tensor], str]:
    settings = replace(SETTINGS, precision=precision)
    train(
        model, batches, nn.functional.mse_loss, settings, folder,
        on_epoch=lambda epoch, model: None,
    )  # fmt: skip
    state = {name: tensor.clone() for name, tensor in trained_state(model).items()}
    return state, (folder / "training.tsv").read_text()


def kept(
    model: TunedModel, batches: BatchSource, folder: Path, precision: Precision = "fp32"
) -> BatchSource:
    found = with_kept_front_end(batches, model.backbone, folder, key="k", precision=precision)
    assert isinstance(found, KeptFrontEnd)
    return found


def heard_by(model: TunedModel) -> list[int]:
    """Clips that the convolutions are run on from here on."""
    counts: list[int] = []
    first = model.backbone.net.feature_extractor.conv_layers[0]
    first.register_forward_pre_hook(lambda module, inputs: counts.append(len(inputs[0])))
    return counts


@pytest.mark.parametrize(
    ("family", "kind", "precision"),
    [
        ("wav2vec2", "clips", "fp32"),
        ("hubert-large", "clips", "fp32"),
        ("wavlm", "windows", "fp32"),
        ("data2vec", "windows", "fp32"),
        ("wav2vec2-large", "windows", "bf16"),
        ("wavlm", "clips", "bf16"),
    ],
)
def test_training_is_the_same_to_the_bit(
    tmp_path: Path, folders: dict[str, Path], family: str, kind: str, precision: Precision
) -> None:
    """With short clips among long ones, and the model's own dropout, which comes after."""
    model, batches = make(folders[family], kind)
    expected = fit(model, batches, tmp_path / "plain", precision=precision)
    model, batches = make(folders[family], kind)
    source = kept(model, batches, tmp_path / "kept", precision)
    found = fit(model, source, tmp_path / "kept", precision=precision)
    assert found[1] == expected[1]
    assert all(torch.equal(found[0][name], expected[0][name]) for name in expected[0])
    assert len(list((tmp_path / "kept" / FOLDER).iterdir())) == len(batches)


def test_with_adapters_too(tmp_path: Path, folders: dict[str, Path]) -> None:
    lora = Adaptation(kind="lora")
    expected = fit(*make(folders["hubert"], adaptation=lora), tmp_path / "plain")
    model, batches = make(folders["hubert"], adaptation=lora)
    found = fit(model, kept(model, batches, tmp_path / "kept"), tmp_path / "kept")
    assert found[1] == expected[1]


def test_every_clip_is_convolved_once(tmp_path: Path, folders: dict[str, Path]) -> None:
    model, batches = make(folders["wav2vec2"])
    counts = heard_by(model)
    fit(model, kept(model, batches, tmp_path), tmp_path)
    n_clips = sum(len(batches.batch(0, k).clips) for k in range(len(batches)))
    assert sum(counts) == n_clips
    kept(model, batches, tmp_path)  # as training goes on after an interruption
    assert sum(counts) == n_clips


@pytest.mark.parametrize("damage", ["cut off", "of another key", "removed"])
def test_a_file_that_is_unfit_is_made_anew(
    tmp_path: Path, folders: dict[str, Path], damage: str
) -> None:
    model, batches = make(folders["wavlm"])
    source = kept(model, batches, tmp_path)
    whole = source.batch(0, 1).front
    path = tmp_path / FOLDER / "000001.safetensors"
    counts = heard_by(model)
    if damage == "cut off":
        os.truncate(path, path.stat().st_size // 2)
    elif damage == "removed":
        path.unlink()
    else:
        source = KeptFrontEnd(
            batches, model.backbone, tmp_path / FOLDER, key="other", precision="fp32"
        )
    again = source.batch(1, 1).front
    assert whole is not None
    assert again is not None
    assert torch.equal(again, whole)
    assert sum(counts) == len(batches.batch(0, 1).clips)
    source.batch(2, 1)
    assert sum(counts) == len(batches.batch(0, 1).clips)


def test_it_is_not_kept_where_it_may_change_or_is_large(
    tmp_path: Path, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_kept(
        model: TunedModel, batches: BatchSource, *, name: str = "one", most_bytes: int = 10**9
    ) -> bool:
        found = with_kept_front_end(
            batches, model.backbone, tmp_path / name, key="k", precision="fp32",
            most_bytes=most_bytes,
        )  # fmt: skip
        assert found is batches or isinstance(found, KeptFrontEnd)
        return found is not batches

    model, batches = make(folders["wav2vec2"])
    assert is_kept(model, batches)
    n_clips = sum(len(batches.batch(0, k).clips) for k in range(len(batches)))
    size = 4 * 16 * 49 * n_clips  # float32, channels, frames of a second
    assert is_kept(model, batches, most_bytes=size)
    assert not is_kept(model, batches, most_bytes=size - 1)
    assert not is_kept(model, batches, most_bytes=0)
    assert not is_kept(model, ClipBatches(loud_stories(), replace(CLIPS, shuffle=True)))
    assert not is_kept(*make(folders["wav2vec2"], adaptation=Adaptation(cnn="thawed")))
    assert not is_kept(*make(folders["whisper"]))
    usage = namedtuple("usage", ("total", "used", "free"))
    for free, expected in ((2 * size - 2, False), (2 * size, True)):
        monkeypatch.setattr(
            kept_front_end.shutil, "disk_usage", lambda path, free=free: usage(0, 0, free)
        )
        assert is_kept(model, batches, name="two") == expected


def test_its_size_on_disk_is_what_was_said(tmp_path: Path, folders: dict[str, Path]) -> None:
    model, batches = make(folders["hubert"])
    kept(model, batches, tmp_path)
    said = kept_front_end._needed_bytes(batches, model.backbone)
    sizes = [path.stat().st_size for path in (tmp_path / FOLDER).iterdir()]
    assert said <= sum(sizes) <= said + 1000 * len(sizes)


@pytest.mark.parametrize("family", ["wav2vec2", "wavlm-large", "data2vec"])
def test_frames_from_it_are_those_of_the_clips(folders: dict[str, Path], family: str) -> None:
    backbone = adapt(Backbone(folders[family]), Adaptation(), seed=0)
    clips, n_valid = padded_clips((0.5, 0.3, 0.5, 0.4))
    front = backbone.front_end(clips, n_valid)
    assert not front.requires_grad
    expected, valid = backbone(clips, n_valid)
    silent = torch.full_like(clips, torch.nan)  # the clips themselves are not looked at
    found, also_valid = backbone(silent, n_valid, front=front)
    assert torch.equal(found, expected)
    assert torch.equal(valid, also_valid)
