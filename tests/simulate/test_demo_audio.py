from pathlib import Path

import numpy as np

import bids_brainalign.simulate.demo_audio as demo_audio
from bids_brainalign.simulate.demo_audio import demo_stories
from bids_brainalign.simulate.stories import TITLES

MAX_BYTES = 3_000_000


def test_the_shipped_stories_have_words_and_phones_on_their_sound():
    stories = demo_stories()
    assert [story.name for story in stories] == list(TITLES)
    assert [story.duration_s for story in stories] == [75.0] * 4 + [150.0] * 4
    for story in stories:
        for table, label in ((story.words, "word"), (story.phones, "phone")):
            assert list(table.columns) == ["onset", "duration", label]
            onsets = table["onset"].to_numpy()
            ends = onsets + table["duration"].to_numpy()
            assert np.all(onsets[1:] >= ends[:-1] - 1e-3)
            assert 0 <= onsets[0] < 1
            assert story.duration_s - 3 < ends[-1] <= story.duration_s
            assert table[label].str.len().min() > 0
            heard = np.zeros(len(story.wave), dtype=bool)
            heard[int(ends[-1] * 16_000) :] = True  # a word may be cut short by the end
            for onset, end in zip(onsets, ends, strict=True):
                heard[int(onset * 16_000) : int(end * 16_000)] = True
            assert 0.7 < heard.mean() < 0.95
            assert story.wave[heard].std() > 4 * story.wave[~heard].std()


def test_the_shipped_stories_are_small():
    folder = Path(demo_audio.__file__).parent
    assert sum(path.stat().st_size for path in folder.glob("*.[ot][gs][gv]")) < MAX_BYTES


def test_no_espeak_is_needed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert len(demo_stories()) == len(TITLES)
