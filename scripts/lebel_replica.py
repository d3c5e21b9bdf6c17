"""Build ds003020 with its real tree: sidecars and names of theirs, sounds and responses of ours.

    python scripts/lebel_replica.py SIDECARS OUT [--voxels N N] [--tasks …] [--share S]

SIDECARS is a clone of ds003020 without its large files, with FILES.txt, the list of its files.
Files that are not made here are pointers, as after `datalad clone`. Six stories of their real
length are spoken by espeak-ng; responses are HDF5 in the layout of the dataset (float64, volumes
− 20 rows), of one story with ten presentations and their mean. A third of the voxels follows the
mel spectrogram, a third the envelope, a third nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from bids_brainalign.features.lowlevel import lowlevel_features
from bids_brainalign.simulate.bids_tree import write_stimuli
from bids_brainalign.simulate.noise import ar1_noise
from bids_brainalign.simulate.planted import apply_hrf, mix
from bids_brainalign.simulate.random_streams import stream
from bids_brainalign.simulate.stories import Story, synthetic_stories

TASKS = ("alternateithicatom", "avatar", "buck", "legacy", "souls", "wheretheressmoke")
REPEATED, N_REPEATS = "wheretheressmoke", 10
PARTICIPANTS = ("UTS01", "UTS02")
VOXELS = (81_126, 94_251)
"""Of these participants."""
TR_S, TRIMMED, SOUND_S = 2.0, 10, 10.0
RATE_HZ = 10.0
NOISE_PHI = 0.4
N_MELS = 16
BLOCK = 4096


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sidecars", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--voxels", type=int, nargs=2, default=VOXELS)
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument(
        "--share", type=float, default=0.2, help="of variance, in one presentation"
    )
    given = parser.parse_args(argv)
    link_tree(given.sidecars, given.out)
    volumes = json.loads((given.sidecars / "derivative/respdict.json").read_text())
    stories = [spoken(task, volumes[task], which=i) for i, task in enumerate(given.tasks)]
    for story in stories:
        for place in (f"stimuli/{story.name}.wav", f"derivative/TextGrids/{story.name}.TextGrid"):
            (given.out / place).unlink(missing_ok=True)
        write_textgrid(given.out, story)
    write_stimuli(given.out, stories)
    for participant, n_voxels in zip(PARTICIPANTS, given.voxels, strict=True):
        for story in stories:
            path = given.out / f"derivative/preprocessed_data/{participant}/{story.name}.hf5"
            path.unlink(missing_ok=True)
            write_responses(path, story, volumes[story.name], n_voxels, share=given.share)
            print(path, flush=True)


def link_tree(sidecars: Path, out: Path) -> None:
    """Copy what is small; everything else points to an annex that isn't there."""
    for name in (sidecars / "FILES.txt").read_text().split():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if (sidecars / name).is_file():
            shutil.copy(sidecars / name, path)
        elif not path.is_symlink() and not path.exists():
            up = "../" * (len(Path(name).parts) - 1)
            path.symlink_to(f"{up}.git/annex/objects/aa/bb/{path.name}")


def spoken(task: str, n_volumes: int, *, which: int) -> Story:
    """Speak a story that fills the scan from the tenth second to ten seconds before its end."""
    seconds = n_volumes * TR_S - SOUND_S - 10.0
    (made,) = synthetic_stories(1, duration_s=seconds, seed=20, first=which)
    return Story(task, made.wave, made.words, made.origin, made.phones)


def write_responses(
    path: Path, story: Story, n_volumes: int, n_voxels: int, *, share: float
) -> None:
    """Write responses a block of voxels at a time: (volumes − 20, voxels), and repeats."""
    features = lowlevel_features(
        story.wave, story.words, story.phones, rate_hz=RATE_HZ, n_mels=N_MELS
    )[0].astype(np.float64)
    signals = apply_hrf(features - features.mean(axis=0), rate_hz=RATE_HZ)
    scans = (np.arange(TRIMMED, n_volumes - TRIMMED) + 0.5) * TR_S - SOUND_S
    at_scans = signals[np.round(scans * RATE_HZ).astype(int)]
    n_repeats = N_REPEATS if story.name == REPEATED else 0
    shape = (len(scans), n_voxels)
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", shape, "f8")
        repeats = file.create_dataset("individual_repeats", (n_repeats, *shape), "f8") \
            if n_repeats else None  # fmt: skip
        for start in range(0, n_voxels, BLOCK):
            columns = slice(start, min(start + BLOCK, n_voxels))
            rng = stream(20, path.parent.name, story.name, str(start))
            source = planted(at_scans, np.arange(n_voxels)[columns], n_voxels)
            presented = [
                standardised(one_presentation(source, share, rng=rng))
                for _ in range(max(n_repeats, 1))
            ]
            data[:, columns] = standardised(np.mean(presented, axis=0))
            if repeats is not None:
                for index, values in enumerate(presented):
                    repeats[index, :, columns] = values


def planted(
    features: NDArray[np.float64], voxels: NDArray[np.int64], n_voxels: int
) -> NDArray[np.float64]:
    """Signals of some voxels (n_scans, n_columns); 0 in the last third."""
    rng = np.random.default_rng(7)
    mixture = rng.standard_normal((N_MELS, 64))
    kind = 3 * voxels // n_voxels
    mel = standardised(features[:, 1 : 1 + N_MELS] @ mixture)[:, voxels % 64]
    envelope = standardised(features[:, :1])
    return np.asarray(np.where(kind == 0, mel, np.where(kind == 1, envelope, 0.0)))


def one_presentation(
    source: NDArray[np.float64], share: float, *, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Signal with noise of its own."""
    noise = ar1_noise(*source.shape, rng=rng, phi=NOISE_PHI)
    return mix(source, noise, signal_share=share)


def standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean 0 and SD 1 per voxel, as published."""
    return np.asarray((values - values.mean(axis=0)) / values.std(axis=0))


def write_textgrid(root: Path, story: Story) -> None:
    """Write words as the dataset has them: one interval tier without gaps, times of the sound."""
    assert story.words is not None  # noqa: S101 - synthetic stories have words
    rows, end = [], 0.0
    for onset, duration, word in story.words[["onset", "duration", "word"]].itertuples(
        index=False
    ):
        if onset > end + 1e-3:
            rows.append((end, onset, ""))
        rows.append((max(onset, end), onset + duration, word))
        end = onset + duration
    if story.duration_s > end + 1e-3:
        rows.append((end, story.duration_s, ""))
    intervals = "".join(
        f"        intervals [{i}]:\n            xmin = {on:.4f}\n            xmax = {off:.4f}\n"
        f'            text = "{text}"\n'
        for i, (on, off, text) in enumerate(rows, start=1)
    )
    path = root / f"derivative/TextGrids/{story.name}.TextGrid"
    path.write_text(
        f'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\n'
        f"xmax = {story.duration_s:.4f}\ntiers? <exists>\nsize = 1\nitem []:\n    item [1]:\n"
        f'        class = "IntervalTier"\n        name = "word"\n        xmin = 0\n'
        f"        xmax = {story.duration_s:.4f}\n        intervals: size = {len(rows)}\n"
        f"{intervals}"
    )


if __name__ == "__main__":
    main()
