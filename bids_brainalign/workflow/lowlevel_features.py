"""The low-level baseline of one stimulus."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.types import Stimulus
from bids_brainalign.features.dense import EncoderLayers
from bids_brainalign.features.lowlevel import Marks, lowlevel_features
from bids_brainalign.phonemes.marks import PhoneMarks, phone_marks
from bids_brainalign.workflow.spaces import LOWLEVEL_CONTEXT_S, marked_parts

_NAMED = 8


def lowlevel_of(
    config: Config, stimulus: Stimulus, wave: NDArray[np.float32], *, rate_hz: float
) -> EncoderLayers:
    """Features of a stimulus that its sound and its annotations give.

    Parameters
    ----------
    config : Config
    stimulus : Stimulus
    wave : ndarray of shape (n_samples,), float32
        16 kHz.
    rate_hz : float
        Frames per second; must divide 100.

    Returns
    -------
    EncoderLayers
        One layer; its notes name phones that have no column.
    """
    words, phones = (None if a is None else a.table for a in (stimulus.words, stimulus.phones))
    parts, found = marked_parts(config), None
    if parts:
        labels = [] if phones is None else [str(label) for label in phones["label"]]
        found = phone_marks(
            labels, articulation="articulation" in parts, histogram="phone-histogram" in parts
        )
    frames, times, _ = lowlevel_features(
        wave,
        words,
        phones,
        rate_hz=rate_hz,
        n_mels=config.features.n_mels,
        parts=config.features.lowlevel,
        marks=None if found is None else Marks(found.columns, found.members),
    )
    return EncoderLayers(
        [frames], times, LOWLEVEL_CONTEXT_S, LOWLEVEL_CONTEXT_S, _notes(found, parts)
    )


def _notes(found: PhoneMarks | None, parts: tuple[str, ...]) -> tuple[str, ...]:
    if found is None or not found.unknown:
        return ()
    distinct = list(dict.fromkeys(found.unknown))
    named = ", ".join(distinct[:_NAMED]) + (" …" if len(distinct) > _NAMED else "")
    what = " and ".join(part.replace("-", " ") for part in parts)
    return (
        f"{len(found.unknown)} of {len(found.members)} phones are not all counted in the "
        f"{what}: {named}.",
    )
