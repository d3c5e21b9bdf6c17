"""A whole simulated dataset: ``bids/`` and, beside it, ``ground_truth.json``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bids_brainalign import __version__
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.simulate.bids_tree import start_dataset, write_dataset_files
from bids_brainalign.simulate.ecog import simulate_ecog
from bids_brainalign.simulate.eeg import simulate_eeg
from bids_brainalign.simulate.fmri import simulate_fmri
from bids_brainalign.simulate.fmri_files import TR_S
from bids_brainalign.simulate.ground_truth import (
    GroundTruth,
    PlantedGroup,
    reference_leak_note,
)
from bids_brainalign.simulate.phone_tuning import LAG_S, TUNINGS, Arrangement
from bids_brainalign.simulate.sources import check_layers
from bids_brainalign.simulate.stories import Story

BIDS_FOLDER = "bids"
TRUTH_FILE = "ground_truth.json"
N_TUNED = 24
"""Electrodes that follow a class of phones."""
FIRST_LAG_S, LAST_LAG_S = 0.08, 0.2


def simulate_dataset(
    out_dir: Path,
    *,
    model: str,
    model_folder: Path,
    ieeg_stories: Sequence[Story],
    fmri_stories: Sequence[Story],
    eeg_stories: Sequence[Story] = (),
    n_participants: int,
    layers: Sequence[int] | None,
    seed: int,
    null: bool = False,
    phones: Arrangement | None = None,
    n_repeats: int = 1,
    tr_s: float = TR_S,
    bold_lags_s: Sequence[float] = (),
) -> GroundTruth:
    """Write a BIDS dataset of simulated listeners and what was planted in them.

    Parameters
    ----------
    out_dir : Path
        Gets ``bids/`` (must be new or empty) and, written last, ``ground_truth.json``.
    model : str
        NAME of the model, as it will be given to ``--models``.
    model_folder : Path
        Hugging Face folder of a Whisper.
    ieeg_stories, fmri_stories, eeg_stories : sequences of Story
        What each kind of listener hears; an empty one leaves that modality out.
    n_participants : int
        Per modality; participants are numbered through: iEEG, EEG, fMRI.
    layers : sequence of int, optional
        Layers to plant, early first; by default the first block's output and the last but one.
        fMRI takes the first and the last of them.
    seed : int
    null : bool
        The all-null twin: nothing is linked to the stories.
    phones : str, optional
        iEEG: plant tuning to classes of phones, ``grouped`` by device or ``scattered``, no layers.
    n_repeats : int
        fMRI: runs in which the first story is heard.
    tr_s : float
        fMRI: repetition time.
    bold_lags_s : sequence of float
        fMRI: per planted layer (the first and the last of ``layers``) the lag of a short response;
        empty: the canonical one.

    Returns
    -------
    GroundTruth
    """
    n_layers = _count_layers(model_folder)
    planted = tuple(layers) if layers else (1, max(1, n_layers - 2))
    check_layers(planted, n_layers=n_layers)
    if len(set(planted)) < len(planted):
        raise BrainAlignError(
            f"the planted layers {list(planted)} are not different ones",
            fix="give each layer once: --layers 1 3",
            exit_code=ExitCode.USAGE,
        )
    bids_dir = out_dir / BIDS_FOLDER
    start_dataset(bids_dir)
    groups: list[PlantedGroup] = []
    notes = [f"Simulated with {model}; no brain was recorded."]
    told = [kind for kind in (ieeg_stories, eeg_stories, fmri_stories) if kind]
    labels = [f"{number:02d}" for number in range(1, len(told) * n_participants + 1)]
    lags_s = np.linspace(FIRST_LAG_S, LAST_LAG_S, len(planted)).round(3).tolist()
    if ieeg_stories:
        sources = planted if phones is None else tuple(range(min(len(TUNINGS), n_layers)))
        if phones is not None:
            lags_s = [LAG_S] * len(sources)
        groups += simulate_ecog(
            bids_dir,
            stories=ieeg_stories,
            model_folder=model_folder,
            participants=labels[:n_participants],
            layers=sources,
            lags_s=lags_s,
            n_lowlevel=4 if phones is None else 0,
            n_planted=12 if phones is None else N_TUNED,
            n_channels=32 if phones is None else N_TUNED + 12,
            phones=phones,
            seed=seed,
            null=null,
        )
        notes += _leak_notes(groups)
    if eeg_stories:
        first = n_participants if ieeg_stories else 0
        scalp = simulate_eeg(
            bids_dir,
            stories=eeg_stories,
            model_folder=model_folder,
            participants=labels[first : first + n_participants],
            layers=planted,
            lags_s=lags_s,
            seed=seed,
            null=null,
        )
        groups += scalp
        notes += _leak_notes(scalp)
    if fmri_stories:
        groups += simulate_fmri(
            bids_dir,
            stories=fmri_stories,
            model_folder=model_folder,
            participants=labels[-n_participants:],
            layers=planted if len(planted) == 1 else (planted[0], planted[-1]),
            seed=seed,
            null=null,
            n_repeats=n_repeats,
            tr_s=tr_s,
            lags_s=bold_lags_s,
        )
    heard = {story.name: story for story in [*ieeg_stories, *eeg_stories, *fmri_stories]}
    present = sorted({group.participant for group in groups})
    write_dataset_files(
        bids_dir,
        participants=present,
        origins=[f"{story.name}: {story.origin}" for story in heard.values()],
        model=model,
        null=null,
    )
    truth = GroundTruth(
        model=model,
        n_layers=n_layers,
        seed=seed,
        made_by=__version__,
        null=null,
        groups=tuple(groups),
        notes=tuple(notes),
    )
    truth.write(out_dir / TRUTH_FILE)
    return truth


def _count_layers(model_folder: Path) -> int:
    from bids_brainalign.features.models import open_model

    return open_model(model_folder).n_layers


def _leak_notes(groups: Sequence[PlantedGroup]) -> list[str]:
    first = [group for group in groups if group.participant == groups[0].participant]
    n_driven = sum(len(group.targets) for group in first if group.source != "none")
    n_channels = sum(len(group.targets) for group in first)
    if not n_driven:
        return []
    return [reference_leak_note(n_planted=n_driven, n_channels=n_channels)]
