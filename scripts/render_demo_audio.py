"""Render the stories of the demo again: speech, word and phone times, into the package.

    python -m scripts.render_demo_audio

Needs the extra ``simulate`` (espeak-ng). The texts and voices are those of ``synthetic_stories``.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

import pandas as pd
import soundfile

from bids_brainalign.simulate.demo_audio import INDEX_FILE
from bids_brainalign.simulate.speech import SAMPLE_RATE_HZ
from bids_brainalign.simulate.stories import synthetic_stories

SEED = 0
LENGTHS = ((4, 75.0), (4, 150.0))
"""Stories and their length in s: ECoG's, then fMRI's, which is slow."""
COMPRESSION = 0.93
"""Of soundfile's Opus, 0 to 1: about 20 kbit/s."""


def main() -> int:
    """Write ``<name>.ogg``, its tables, and the index."""
    folder = Path(str(files("bids_brainalign.simulate.demo_audio")))
    first = 0
    index = []
    for n_stories, duration_s in LENGTHS:
        for story in synthetic_stories(n_stories, duration_s=duration_s, seed=SEED, first=first):
            soundfile.write(
                folder / f"{story.name}.ogg",
                story.wave,
                SAMPLE_RATE_HZ,
                format="OGG",
                subtype="OPUS",
                compression_level=COMPRESSION,
            )
            for kind, table in (("words", story.words), ("phones", story.phones)):
                assert table is not None  # noqa: S101 — synthetic stories know theirs
                path = folder / f"{story.name}_{kind}.tsv"
                table.to_csv(path, sep="\t", index=False, lineterminator="\n")
            index.append({"name": story.name, "origin": story.origin})
        first += n_stories
    table = pd.DataFrame(index)
    table.to_csv(folder / INDEX_FILE, sep="\t", index=False, lineterminator="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
