"""The sound of a fit's stimuli: its envelope on the response clock, and where it is speech."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.alignment.clock import onto_response_clock, stimulus_clock
from bids_brainalign.alignment.speech_stretches import Stretches, speech_stretches
from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.types import Recording, Stimulus
from bids_brainalign.responses.types import Response
from bids_brainalign.store.features import FeatureStore
from bids_brainalign.workflow.assemble import placements
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.spaces import Space, feature_key, rate_of


def envelope_of(
    config: Config, fit: Fit, recording: Recording, response: Response, lowlevel: Space
) -> NDArray[np.float32]:
    """Envelope (first low-level column) on the response clock; NaN while nothing played.

    Returns
    -------
    ndarray of shape (n_times,)
    """
    envelope = np.full(len(response.times), np.nan, dtype=np.float32)
    mine = fit.of(recording)
    for p, placement in zip(mine, placements(mine), strict=True):
        frames, times = _stored_envelope(config, fit, p.stimulus, lowlevel)
        slow = fit.modality == "fmri"
        part = onto_response_clock(frames, times, response.times, placement, slow=slow)
        on = np.isfinite(stimulus_clock(response.times, placement))
        envelope[on] = part[on, 0]
    return envelope


def stretches_of(config: Config, fit: Fit, stimulus: Stimulus, lowlevel: Space) -> Stretches:
    """Speech and silence of a stimulus, from its words or else from its stored envelope."""
    frames, _ = _stored_envelope(config, fit, stimulus, lowlevel)
    return speech_stretches(
        None if stimulus.words is None else stimulus.words.table,
        frames[:, 0],
        rate_hz=rate_of(config, fit.modality),
        duration_s=stimulus.duration_s,
        words_complete=stimulus.words is None or stimulus.words.n_untimed == 0,
    )


def _stored_envelope(
    config: Config, fit: Fit, stimulus: Stimulus, lowlevel: Space
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    store = FeatureStore(config.paths.work_dir / "features")
    key = feature_key(config, lowlevel, stimulus, rate_of(config, fit.modality))
    source = store.load(store.path_for(key))
    return source.read(0)[:, :1], source.times
