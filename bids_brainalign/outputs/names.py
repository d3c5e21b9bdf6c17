"""BIDS names of everything under output_dir."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bids_brainalign.config.variants import variant_label
from bids_brainalign.dataset.types import Recording


def analysis_label(model: str, encoder: str = "ridge") -> str:
    """BIDS label of a feature space and, beyond ridge, its encoding model.

    Examples
    --------
    >>> analysis_label("whisper-base")
    'whisperbase'
    >>> analysis_label("whisper-base:untrained")
    'whisperbaseUntrained'
    >>> analysis_label("whisper-base", "gru")
    'whisperbaseGru'
    >>> analysis_label("whisper-base:causal:untrained")
    'whisperbaseCausalUntrained'
    >>> analysis_label("wav2vec2:tuned:readout-layer=6")
    'wav2vec2TunedReadoutLayer6'
    """
    suffix = "" if encoder == "ridge" else encoder.capitalize()
    name, *variants = model.split(":")
    return re.sub(r"[^A-Za-z0-9]", "", name) + "".join(map(variant_label, variants)) + suffix


def pair_label(model: str, other: str) -> str:
    """BIDS label of what compares two feature spaces.

    Examples
    --------
    >>> pair_label("whisper-base", "whisper-base:decoder")
    'whisperbaseAndWhisperbaseDecoder'
    """
    second = analysis_label(other)
    return f"{analysis_label(model)}And{second[:1].upper()}{second[1:]}"


@dataclass(frozen=True)
class FitName:
    """What all files of one fit share."""

    participant: str
    session: str | None
    datatype: str
    entities: tuple[tuple[str, str], ...]
    """Shared by all recordings pooled, in BIDS order."""

    @property
    def stem(self) -> str:
        """E.g. ``sub-01_task-listen``."""
        return "_".join(f"{key}-{value}" for key, value in self.entities)

    def file(
        self, suffix: str, *, analysis: str, stat: str | None = None, hemi: str | None = None
    ) -> Path:
        """Path below output_dir.

        Parameters
        ----------
        suffix : str
            With extension, e.g. ``scores.tsv``.
        analysis : str
            Label of ``desc-``.
        stat : str, optional
            Label of ``stat-``.
        hemi : str, optional
            Label of ``hemi-``, which stands before ``space-``.
        """
        stem = self.stem
        if hemi is not None:
            before, space, after = stem.partition("_space-")
            stem = f"{before}_hemi-{hemi}{space}{after}"
        parts = [stem, f"stat-{stat}" if stat else "", f"desc-{analysis}", suffix]
        return self.folder / "_".join(part for part in parts if part)

    @property
    def folder(self) -> Path:
        """Folder below output_dir."""
        session = [f"ses-{self.session}"] if self.session else []
        return Path(f"sub-{self.participant}", *session, self.datatype)


def fit_name(recordings: Sequence[Recording]) -> FitName:
    """Name a fit by the entities that all its recordings share."""
    first = recordings[0]
    pairs: Iterable[tuple[str, str | None]] = (
        ("sub", first.participant),
        ("ses", first.session),
        ("task", _shared(r.task for r in recordings)),
        ("run", _shared(r.run for r in recordings)),
        ("space", first.space if first.modality == "fmri" else None),
        # Surfaces and CIFTI files of one space may have several densities.
        ("den", dict(first.entities).get("den") if first.modality == "fmri" else None),
    )
    entities = tuple((key, value) for key, value in pairs if value)
    return FitName(first.participant, first.session, first.datatype, entities)


def _shared(labels: Iterable[str | None]) -> str | None:
    distinct = set(labels)
    return distinct.pop() if len(distinct) == 1 else None
