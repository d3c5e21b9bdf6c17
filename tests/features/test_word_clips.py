"""Spoken words through speech models: against plain calls of transformers on the cut clips."""

import numpy as np
import pytest
import torch
from transformers import AutoModel, WhisperFeatureExtractor, WhisperModel

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.features.embedded import embedded_model_folder
from bids_brainalign.features.models import open_model
from bids_brainalign.features.waveform import WaveformLayers
from bids_brainalign.features.whisper import WhisperLayers
from bids_brainalign.features.word_clips import clip_durations, embed_clips
from tests.features.test_waveform import FAMILIES, noise, save

ONSETS = np.array([0.5, 1.7, 2.25, 3.1])
OFFSETS = np.array([0.9, 2.2, 2.75, 3.4317])
"""The second and third are equally long."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    names = ("wav2vec2", "wav2vec2-large", "hubert", "wavlm")
    return {name: save(root / name, FAMILIES[name]) for name in names}


def cut(wave, row):
    return wave[round(ONSETS[row] * 16_000) : round(OFFSETS[row] * 16_000)]


def as_torch(folder, clip):
    """(n_layers, n_frames, n_dims) of one clip by transformers alone."""
    model = AutoModel.from_pretrained(folder).eval()
    standard = (clip - clip.mean()) / np.sqrt(clip.var() + 1e-7)
    with torch.no_grad():
        states = model(torch.tensor(standard)[None], output_hidden_states=True).hidden_states
    return [state[0].numpy() for state in states]


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2-large", "hubert", "wavlm"])
def test_a_word_is_the_mean_over_time_of_its_own_clip(folders, name, batch_size):
    """Group norm hears everything that it is given: clips of a batch may not be padded."""
    wave = noise(4)
    found = embed_clips(
        open_model(folders[name]), lambda: wave, ONSETS, OFFSETS, batch_size=batch_size
    )
    assert found.layers == ("0", "1", "2", "3")
    assert found.known.all()
    assert found.of_audio
    assert found.notes == ()
    for row in range(4):
        for value, state in zip(
            found.values, as_torch(folders[name], cut(wave, row)), strict=True
        ):
            np.testing.assert_allclose(value[row], state.mean(axis=0), atol=2e-5)


def test_equally_long_clips_share_a_pass_and_no_others(folders, monkeypatch):
    model, lengths = WaveformLayers(folders["wav2vec2"]), []
    forward = model._forward
    monkeypatch.setattr(
        model, "_forward", lambda clips: lengths.append([*map(len, clips)]) or forward(clips)
    )
    embed_clips(model, noise(4), ONSETS, OFFSETS, batch_size=8)
    assert sorted(lengths) == [[5307], [6400], [8000, 8000]]


def test_a_word_shorter_than_a_frame_hears_the_sound_around_it(folders):
    wave = noise(2)
    middle, start, end = [1.0, 1.01], [0.0, 0.0], [1.999, 2.0]
    onsets, offsets = np.transpose([middle, start, end])
    found = embed_clips(WaveformLayers(folders["hubert"]), wave, onsets, offsets)
    assert found.known.all()
    around = [wave[16_000 - 120 : 16_000 + 280], wave[:400], wave[-400:]]
    for row, clip in enumerate(around):
        expected = as_torch(folders["hubert"], clip)
        assert len(expected[0]) == 1  # one frame
        for value, state in zip(found.values, expected, strict=True):
            np.testing.assert_allclose(value[row], state[0], atol=2e-5)
    assert found.notes == (
        "3 of 3 words are shorter than one frame and were heard with the sound around them: "
        "number 1, number 2, number 3.",
    )


def test_words_without_a_sound_are_named_and_the_others_do_not_mind(folders):
    model, wave = WaveformLayers(folders["wavlm"]), noise(4)
    onsets = np.array([np.nan, 0.5, 1.7, 9.0, 2.0, 3.7, 3.1])
    offsets = np.array([1.0, 0.9, np.nan, 9.5, 1.5, 4.4, 3.4317])
    words = ["een", "twee", "drie", "vier", "vijf", "zes", "zeven"]
    found = embed_clips(model, wave, onsets, offsets, words=words)
    np.testing.assert_array_equal(found.known, [0, 1, 0, 0, 0, 1, 1])
    # The audio's length is not known beforehand.
    np.testing.assert_allclose(clip_durations(onsets, offsets), [0.4, 0.5, 0.7, 0.3317])
    whole = embed_clips(model, wave, ONSETS, OFFSETS)
    cut_off = as_torch(model.folder, wave[round(3.7 * 16_000) :])
    for value, plain, last in zip(found.values, whole.values, cut_off, strict=True):
        np.testing.assert_allclose(value[[1, 6]], plain[[0, 3]], atol=2e-5)
        np.testing.assert_allclose(value[5], last.mean(axis=0), atol=2e-5)
        assert not value[~found.known].any()
    assert found.notes == (
        "2 of 7 words have no time in the sound and so no vector: een, drie.",
        "1 of 7 words end before they begin and have no vector: vijf.",
        "1 of 7 words lie outside the audio and have no vector: vier.",
        "1 of 7 words reach beyond the audio and were heard in part: zes.",
    )
    nothing = embed_clips(model, wave, np.full(3, np.nan), np.full(3, np.nan))
    assert not nothing.known.any()
    assert [value.shape for value in nothing.values] == [(3, 24)] * 4
    assert not embed_clips(model, wave[:300], ONSETS[:1], OFFSETS[:1]).known.any()


def test_times_that_are_no_seconds_are_refused(folders):
    with pytest.raises(BrainAlignError, match=r"word twee lasts 34\.0 s"):
        embed_clips(
            WaveformLayers(folders["hubert"]), noise(40), np.array([0.0, 1.0]),
            np.array([0.5, 35.0]), words=["een", "twee"],
        )  # fmt: skip


def whisper_states(folder, clip):
    """(n_layers, 1500, n_dims) of one clip by transformers alone, padding included."""
    model = WhisperModel.from_pretrained(folder, dtype=torch.float32).encoder.eval()
    extractor = WhisperFeatureExtractor.from_pretrained(folder)
    inputs = extractor(clip, sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        states = model(inputs.input_features, output_hidden_states=True).hidden_states
    return [state[0].numpy() for state in states]


def check_whisper(folder):
    """Only frames of the word count: not those of the padding, nor the sound after the word."""
    model, wave = WhisperLayers(folder), noise(4)
    onsets, offsets = ONSETS[[0, 3]], OFFSETS[[0, 3]]
    found = embed_clips(model, wave, onsets, offsets, batch_size=2)
    n_frames = [20, 17]  # 0.4 s, and 0.3317 s, of 20 ms each
    for row, clip in enumerate((cut(wave, 0), cut(wave, 3))):
        expected = whisper_states(folder, clip)
        assert len(expected) == len(found.layers)
        for value, state in zip(found.values, expected, strict=True):
            size = np.abs(state).max()
            mean = state[: n_frames[row]].mean(axis=0)
            np.testing.assert_allclose(value[row], mean, atol=1e-4 * size)
            padded = state.mean(axis=0)
            assert np.linalg.norm(padded - mean) > 0.3 * np.linalg.norm(mean)
    changed = wave.copy()
    for start, stop in ((0.0, onsets[0]), (offsets[0], onsets[1]), (offsets[1], 4.0)):
        changed[round(start * 16_000) : round(stop * 16_000)] *= -9
    assert not np.array_equal(changed, wave)
    after = embed_clips(model, changed, onsets, offsets, batch_size=2)
    for value, same in zip(found.values, after.values, strict=True):
        np.testing.assert_array_equal(value, same)
    alone = embed_clips(model, wave, onsets, offsets, batch_size=1)
    for value, same in zip(found.values, alone.values, strict=True):
        np.testing.assert_allclose(value, same, atol=1e-4 * np.abs(same).max())


def test_the_shipped_whisper_hears_words_without_their_padding():
    check_whisper(embedded_model_folder())


@pytest.mark.shared
def test_real_whisper_base_hears_words_without_their_padding(shared):
    check_whisper(shared / "models" / "whisper-base")


def test_whisper_refuses_a_clip_beyond_its_window():
    model = WhisperLayers(embedded_model_folder())
    with pytest.raises(BrainAlignError, match=r"31\.0 s is longer than Whisper's window of 30 s"):
        model.extract_clips([noise(31)])
