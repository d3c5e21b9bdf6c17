"""One small simulated dataset with both modalities, and its all-null twin, shared by CLI tests."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bids_brainalign.simulate.dataset import simulate_dataset
from bids_brainalign.simulate.ground_truth import GroundTruth
from bids_brainalign.simulate.stories import synthetic_stories
from bids_brainalign.store.digest import sha256_of
from tests.small_whisper import write_small_whisper

MODEL = "small"


@dataclass(frozen=True)
class Simulated:
    root: Path
    truth: GroundTruth

    @property
    def bids(self) -> Path:
        return self.root / "bids"

    @property
    def model(self) -> str:
        return f"{MODEL}={self.root.parent / 'model'}"


def simulate(folder: Path, *, null: bool = False, ieeg_s=(40.0,) * 4, fmri_s=(90.0,) * 4, seed=5):
    model = folder / "model"
    if not model.is_dir():
        write_small_whisper(model, seed=seed)
    ieeg = [
        synthetic_stories(1, duration_s=s, seed=seed, first=i)[0] for i, s in enumerate(ieeg_s)
    ]
    fmri = [
        synthetic_stories(1, duration_s=s, seed=seed, first=len(ieeg_s) + i)[0]
        for i, s in enumerate(fmri_s)
    ]
    root = folder / ("null" if null else "planted")
    truth = simulate_dataset(
        root, model=MODEL, model_folder=model, ieeg_stories=ieeg, fmri_stories=fmri,
        n_participants=1, layers=None, seed=seed, null=null,
    )  # fmt: skip
    return Simulated(root, truth)


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The program as a user starts it, in a process of its own."""
    command = [sys.executable, "-m", "bids_brainalign", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def contents(place: Path) -> dict[str, str]:
    """Every output in ``place/out`` and its digest; logs tell of runs, and differ."""
    out = place / "out"
    return {
        str(p.relative_to(out)): sha256_of(p)
        for p in out.rglob("*")
        if p.is_file() and "logs" not in p.relative_to(out).parts
    }
