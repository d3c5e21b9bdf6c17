"""Folders of speech: recognised by their layout, and parted as they say themselves."""

import numpy as np
import pytest

from bids_brainalign.dataset.speech_folders.recognise import read_speech_folder
from bids_brainalign.errors import BrainAlignError
from tests.dataset.speech_folders import layouts


@pytest.mark.parametrize("sphere", [True, False])
@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("below", ["", "TIMIT", "data"])
def test_timit(tmp_path, sphere, upper, below):
    layouts.timit(tmp_path / below, sphere=sphere, upper=upper)
    found = read_speech_folder("timit", tmp_path)
    assert found.kind == "TIMIT"
    assert len(found.clips) == 4 * 2 * 3
    assert {c.sentence[:2] for c in found.clips} == {"SX", "SI"}
    train, test = ({c.speaker for c in found.clips if c.part == p} for p in ("train", "test"))
    assert len(train) == 6
    assert not train & test
    clip = found.clips[0]
    assert clip.label("sentence-type") in {"SX", "SI"}
    assert clip.words["label"].tolist() == ["she", "had"]
    assert clip.words["onset"].iloc[0] == 2400 / 16_000


def test_timit_labels_are_folded_as_by_lee_and_hon(tmp_path):
    layouts.timit(tmp_path, groups=1)
    folder = next((tmp_path / "TRAIN" / "DR1").iterdir())
    labels = ["h#", "ao", "ax-h", "axr", "hv", "ix", "el", "em", "nx", "eng", "zh", "ux",
              "tcl", "t", "epi", "q", "dx", "IY"]  # fmt: skip
    lines = [f"{i * 100} {i * 100 + 100} {p}" for i, p in enumerate(labels)]
    path = next(p for p in folder.glob("SX*.PHN"))
    path.write_text("\n".join(lines))
    clips = read_speech_folder("t", tmp_path).clips
    clip = next(c for c in clips if c.path == path.with_suffix(".WAV"))
    assert clip.phones["label"].tolist() == [
        "aa", "ah", "er", "hh", "ih", "l", "m", "n", "ng", "sh", "uw", "t", "dx", "iy",
    ]  # fmt: skip
    assert clip.phones["onset"].iloc[0] == 100 / 16_000


def test_broken_label_file_is_named(tmp_path):
    layouts.timit(tmp_path, groups=1)
    path = next(tmp_path.rglob("SX*.PHN"))
    path.write_text("0 100 h#\nnonsense\n")
    with pytest.raises(BrainAlignError, match=r"line 2: 'nonsense'"):
        read_speech_folder("timit", tmp_path)


def test_librispeech_by_its_subsets(tmp_path):
    layouts.librispeech(tmp_path / "LibriSpeech")
    found = read_speech_folder("libri", tmp_path)
    assert found.kind == "LibriSpeech"
    assert len(found.clips) == 24
    assert {c.part for c in found.clips} == {"train", "validation", "test"}
    assert found.clips[0].words is None
    assert "24 of 24 utterances have no TextGrid" in found.notes[1]


@pytest.mark.parametrize("below", ["dev-clean", "."])
def test_librispeech_one_subset_with_textgrids(tmp_path, below):
    layouts.librispeech(tmp_path, subsets=("dev-clean",), speakers=4)
    for audio in tmp_path.rglob("*.flac"):
        audio.with_suffix(".TextGrid").write_text(layouts.GRID)
    found = read_speech_folder("libri", tmp_path / below)
    assert {c.part for c in found.clips} == {None}
    assert found.clips[0].phones["label"].tolist() == ["SH", "IY1"]
    assert found.clips[0].words["label"].tolist() == ["she"]


def test_speech_commands_by_its_lists(tmp_path):
    layouts.speech_commands(tmp_path)
    found = read_speech_folder("commands", tmp_path)
    assert found.kind == "Speech Commands"
    assert {c.label("word") for c in found.clips} == {"yes", "no"}
    by_part = {p: {c.speaker for c in found.clips if c.part == p}
               for p in ("train", "validation", "test")}  # fmt: skip
    assert [len(v) for v in by_part.values()] == [4, 2, 2]
    assert not by_part["train"] & by_part["test"]


@pytest.mark.parametrize("below", ["AudioWAV", "."])
def test_crema_d_by_its_names(tmp_path, below):
    layouts.crema_d(tmp_path)
    wave = layouts.sound(np.random.default_rng(0))
    layouts.write(tmp_path / "AudioWAV" / "notes.wav", wave)
    found = read_speech_folder("crema", tmp_path / below)
    assert found.kind == "CREMA-D"
    assert {c.label("emotion") for c in found.clips} == {"anger", "sad", "neutral"}
    assert len({c.speaker for c in found.clips}) == 9
    assert "1 files" in found.notes[0]


def test_own_list(tmp_path):
    for name in ("a.wav", "b.wav"):
        layouts.write(tmp_path / name, layouts.sound(np.random.default_rng(0)))
    table = tmp_path / "clips.tsv"
    table.write_text(
        "file\tspeaker\tpart\tintent\na.wav\tanna\ttrain\tplay\nb.wav\tn/a\ttest\tn/a\n"
    )
    first, second = read_speech_folder("mine", tmp_path).clips
    assert first.label("intent") == "play"
    assert second.speaker is None
    assert second.label("intent") is None
    for line, message in (
        ("../x.wav\tn/a\tn/a\tn/a", "no file in this folder"),
        ("a.wav\tn/a\tdev\tn/a", "part is 'dev'"),
        ("a.wav\tn/a\tn/a\tn/a\na.wav\tn/a\tn/a\tn/a", "listed twice"),
    ):
        table.write_text(f"file\tspeaker\tpart\tintent\n{line}\n")
        with pytest.raises(BrainAlignError, match=message):
            read_speech_folder("mine", tmp_path)
    table.write_text("path\na.wav\n")
    with pytest.raises(BrainAlignError, match="no column file"):
        read_speech_folder("mine", tmp_path)


def test_unknown_folder_says_what_is_there(tmp_path):
    (tmp_path / "music").mkdir()
    with pytest.raises(BrainAlignError, match="no corpus known") as error:
        read_speech_folder("mine", tmp_path)
    assert "it holds: music" in str(error.value)
    assert int(error.value.exit_code) == 66
    with pytest.raises(BrainAlignError, match="no folder"):
        read_speech_folder("mine", tmp_path / "absent")
    (tmp_path / "TRAIN" / "DR1" / "FCJF0").mkdir(parents=True)
    with pytest.raises(BrainAlignError, match="has no audio"):
        read_speech_folder("mine", tmp_path)
