"""Three participants who heard the same stories: two follow one changed model, one another."""

from dataclasses import replace
from pathlib import Path

from bids_brainalign.config.schema import Features, Ieeg, Resources, Ridge, Tuning
from bids_brainalign.dataset.types import Presentation
from bids_brainalign.workflow.across import run_fits
from bids_brainalign.workflow.extraction import feature_steps, stimuli_of
from bids_brainalign.workflow.fits import Fit, pool_fits
from bids_brainalign.workflow.responses import load_response, response_path, save_response
from bids_brainalign.workflow.spaces import list_spaces
from tests.workflow.planted import make_fit
from tests.workflow.test_tuning import SETTINGS, responses_of, write_model

N_TARGETS = 8
FOLLOWS = {"01": 1, "02": 1, "03": 2}
"""Participant → which change of the model the responses follow."""


def cloned(fit: Fit, config, participant: str) -> Fit:
    """The same recordings of another participant, with responses of their own."""
    presentations: list[Presentation] = []
    for p in fit.presentations:
        path = p.recording.path.with_name(f"sub{participant}{p.recording.path.name}")
        path.write_bytes(participant.encode() + p.recording.path.read_bytes())
        recording = replace(p.recording, participant=participant, path=path)
        presentations.append(replace(p, recording=recording))
    (other,) = pool_fits(presentations)
    for mine, theirs in zip(fit.recordings, other.recordings, strict=True):
        response = load_response(response_path(config, fit, mine))
        save_response(response_path(config, other, theirs), response)
    return other


def make_people(
    folder: Path, *, tuning: Tuning = SETTINGS, n_stories=6, seconds=40, follows=None, noise=0.5
):
    """Give configuration, fits and feature spaces; features of the spaces are stored."""
    planted = make_fit(folder, "ieeg", seconds=(seconds,) * n_stories, n_targets=N_TARGETS)
    original = write_model(folder / "original")
    follows = follows or FOLLOWS
    changed = {
        which: write_model(folder / f"changed{which}", change=1.0, which=which)
        for which in set(follows.values())
    }
    config = replace(
        planted.config,
        paths=replace(planted.config.paths, features=()),
        ieeg=Ieeg(lag_min_s=0.16, lag_max_s=0.24),
        ridge=Ridge(alphas=(1e1, 1e3, 1e5)),
        features=Features(models=(("w2v", str(original)),), untrained=False),
        tuning=tuning,
        control=replace(planted.config.control, steps=("encoding",)),
        nulls=replace(planted.config.nulls, n_draws=100),
        resources=Resources(nprocs=1, omp_nthreads=1),
    )
    fits = []
    for number, (participant, which) in enumerate(follows.items()):
        first = participant == planted.fit.participant
        fit = planted.fit if first else cloned(planted.fit, planted.config, participant)
        # The same readout in all brains, as one head is to serve them.
        responses_of(fit, config, changed[which], noise_seed=10 + number, noise=noise)
        fits.append(fit)
    spaces = list_spaces(config)
    for space in spaces:
        for step in feature_steps(config, space, stimuli_of(config, fits)):
            step.work()
    config.paths.output_dir.mkdir(exist_ok=True)
    return config, fits, spaces


def run(config, fits, spaces) -> dict[str, str]:
    """Run as the program does; names of steps with what became of them."""
    units = run_fits(config, fits, spaces, "run")
    return {unit.name: f"{unit.status} {unit.message or ''}".strip() for unit in units}
