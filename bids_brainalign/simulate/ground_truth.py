"""What was planted where: the file that lies beside a simulated dataset."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Source = Literal["layer", "lowlevel", "phones", "none"]


@dataclass(frozen=True)
class PlantedGroup:
    """Targets of one participant that have the same kind of answer."""

    participant: str
    modality: Literal["ieeg", "eeg", "fmri"]
    name: str
    """Device of the electrodes, or name of the part of the volume."""
    source: Source
    """What drives them: a layer of the model, the low-level features alone, a class of phones, or
    nothing."""
    layer: int | None
    """0 = input of the first block."""
    lag_s: float | None
    """Lag of the response behind the sound; None with the canonical haemodynamic
    response or no source."""
    hrf: str | None
    signal_share: float
    """Share of the response's variance that the planted signal explains."""
    noise_ceiling_r: float
    """sqrt(signal_share): what a perfect model of the response's slow part would reach."""
    targets: tuple[str | tuple[int, int, int], ...]
    """Channel names, or voxel indices (i, j, k) into the preprocessed image."""
    recorded_r: tuple[float, ...] = ()
    """Per target: measured correlation of the planted signal with the finished recording (log
    amplitude 70–150 Hz after common average; BOLD after its confounds). Empty without a source."""
    repeated_r: tuple[float, ...] = ()
    """The same in the runs of the repeated story, while it plays (from 10 s on): its ceiling.
    Empty where none is."""
    tuning: str | None = None
    """Class of phones that drives them, where one does."""


@dataclass(frozen=True)
class GroundTruth:
    """Everything planted in a dataset."""

    model: str
    """NAME of the model."""
    n_layers: int
    """Including layer 0."""
    seed: int
    made_by: str
    """Version of this program; the same version and seed make the same dataset."""
    null: bool
    """True: nothing is linked to the stimuli, every source is ``none``."""
    groups: tuple[PlantedGroup, ...]
    notes: tuple[str, ...]
    """One sentence each; among them how much a common average reference spreads."""

    def write(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def read_ground_truth(path: Path) -> GroundTruth:
    """Read what :meth:`GroundTruth.write` wrote."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    groups = tuple(_group(entry) for entry in content.pop("groups"))
    return GroundTruth(groups=groups, notes=tuple(content.pop("notes")), **content)


def _group(entry: dict[str, Any]) -> PlantedGroup:
    targets = tuple(t if isinstance(t, str) else tuple(t) for t in entry.pop("targets"))
    recorded, repeated = (tuple(entry.pop(name, ())) for name in ("recorded_r", "repeated_r"))
    return PlantedGroup(targets=targets, recorded_r=recorded, repeated_r=repeated, **entry)


def reference_leak_note(*, n_planted: int, n_channels: int) -> str:
    """Say how much of the planted signals a common average puts into every null channel."""
    share = n_planted / n_channels**2
    return (
        f"{n_planted} of {n_channels} good electrodes are planted: a common average reference "
        f"puts 1/{n_channels} of each one's voltage into every other electrode. Null electrodes "
        f"then carry planted signals with about {share:.2%} of an electrode's power: "
        "they are true nulls before referencing only; calibrate on the all-null twin."
    )
