"""Parts of a participant's page beyond the encoding itself, each by a function of its own.

A section reads what lies beside the scores (by ``block.main.file``) and gives None where its
table is absent.
"""

from __future__ import annotations

from collections.abc import Callable

from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.ceiling_section import ceiling_section
from bids_brainalign.reports.combined_section import combined_section
from bids_brainalign.reports.decoding_section import decoding_section
from bids_brainalign.reports.first_looks_section import first_looks_section
from bids_brainalign.reports.lags_section import lags_section
from bids_brainalign.reports.maps_section import maps_section
from bids_brainalign.reports.phoneme_section import phoneme_section
from bids_brainalign.reports.recurrent_section import (
    attention_section,
    encoders_section,
    timescale_section,
)
from bids_brainalign.reports.reference_section import reference_section
from bids_brainalign.reports.rendering import Album
from bids_brainalign.reports.rois_section import rois_section
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.similarity_section import similarity_section
from bids_brainalign.reports.transcription_section import transcription_section
from bids_brainalign.reports.transfer_section import transfer_section, tuned_regions_section
from bids_brainalign.reports.tuning_section import tuning_section
from bids_brainalign.reports.variance_section import variance_section
from bids_brainalign.reports.voxel_network_section import voxel_network_section

__all__ = ["OF_MODELS", "OF_RECORDINGS", "Cells", "Section", "SectionMaker", "sections_of"]

SectionMaker = Callable[[Block, Album], Section | None]

OF_RECORDINGS: tuple[SectionMaker, ...] = (first_looks_section, phoneme_section)
"""Sections about the recordings alone: shown once for all models."""
OF_MODELS: tuple[SectionMaker, ...] = (
    tuning_section,
    tuned_regions_section,
    transfer_section,
    rois_section,
    maps_section,
    ceiling_section,
    encoders_section,
    voxel_network_section,
    attention_section,
    timescale_section,
    reference_section,
    variance_section,
    combined_section,
    lags_section,
    decoding_section,
    transcription_section,
    similarity_section,
)
"""Sections about one model and the recordings."""


def sections_of(block: Block, album: Album, *, first: bool) -> tuple[list[Section], list[Section]]:
    """Make the sections of one block.

    Parameters
    ----------
    block : Block
    album : Album
        Takes the figures.
    first : bool
        Whether the block is the first of its recordings.

    Returns
    -------
    recordings, model : list of Section
    """

    def made(makers: tuple[SectionMaker, ...]) -> list[Section]:
        return [section for make in makers if (section := make(block, album)) is not None]

    return made(OF_RECORDINGS) if first else [], made(OF_MODELS)
