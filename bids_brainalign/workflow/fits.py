"""Which recordings are pooled into one fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bids_brainalign.dataset.types import Presentation, Recording
from bids_brainalign.outputs.names import FitName, fit_name


@dataclass(frozen=True)
class Fit:
    """All recordings of one participant, session, modality and space."""

    name: FitName
    recordings: tuple[Recording, ...]
    presentations: tuple[Presentation, ...]

    @property
    def participant(self) -> str:
        """Label without ``sub-``."""
        return self.name.participant

    @property
    def modality(self) -> str:
        """``ieeg``, ``eeg`` or ``fmri``."""
        return self.recordings[0].modality

    def of(self, recording: Recording) -> list[Presentation]:
        """Presentations in one recording."""
        return [p for p in self.presentations if p.recording == recording]


def pool_fits(presentations: Sequence[Presentation]) -> tuple[Fit, ...]:
    """Group presentations into fits; recordings without any are not part of one."""
    pooled: dict[tuple[str, ...], list[Presentation]] = {}
    for presentation in presentations:
        r = presentation.recording
        space = (r.space or "") if r.modality == "fmri" else ""
        key = (r.participant, r.session or "", str(r.modality), space)
        pooled.setdefault(key, []).append(presentation)
    fits = []
    for _, mine in sorted(pooled.items(), key=lambda item: item[0]):
        unique = {p.recording.name: p.recording for p in mine}
        recordings = tuple(unique[name] for name in sorted(unique))
        fits.append(Fit(fit_name(recordings), recordings, tuple(mine)))
    return tuple(fits)
