"""The demo's stories, rendered once by ``scripts/render_demo_audio.py``: no espeak-ng needed."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pandas as pd

from bids_brainalign.features.audio import load_audio
from bids_brainalign.simulate.speech import on_pcm16_grid
from bids_brainalign.simulate.stories import Story

INDEX_FILE = "stories.tsv"
"""``name``, ``origin``: in the order of the stories."""


def demo_stories() -> list[Story]:
    """Read the shipped stories.

    Returns
    -------
    list of Story
        Four of 75 s, then four of 150 s, with words and phones; each with a text and an
        espeak-ng voice of its own.
    """
    folder = Path(str(files(__name__)))
    stories = []
    for row in _read(folder / INDEX_FILE).itertuples(index=False):
        name = str(row.name)
        wave = on_pcm16_grid(load_audio(folder / f"{name}.ogg"))
        words, phones = (_read(folder / f"{name}_{kind}.tsv") for kind in ("words", "phones"))
        stories.append(Story(name, wave, words, str(row.origin), phones))
    return stories


def _read(path: Path) -> pd.DataFrame:
    # "null" and "nan" would be words.
    return pd.read_csv(path, sep="\t", keep_default_na=False)
