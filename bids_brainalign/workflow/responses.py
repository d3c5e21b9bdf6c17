"""The step that turns a recording into a stored response."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.pointers import require_content
from bids_brainalign.dataset.types import Recording
from bids_brainalign.responses.types import Response
from bids_brainalign.store.digest import digest_of, file_digest
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.stored_responses import load_repeats, load_response, save_response

__all__ = ["load_repeats", "load_response", "response_path", "response_step", "save_response"]


def response_step(config: Config, fit: Fit, recording: Recording) -> Step:
    """Preprocess one recording; for fMRI the mask is common to all recordings of the fit."""
    key = _key(config, fit, recording)
    path = config.paths.work_dir / "responses" / f"{recording.name}_{key[:16]}.h5"

    def work() -> list[Path]:
        for needed in _input_files(recording):
            require_content(needed, config.paths.bids_dir)
        save_response(path, _load(config, fit, recording))
        return [path]

    module = "bold" if recording.modality == "fmri" else recording.modality
    space = f" {recording.space}" if recording.modality == "fmri" else ""
    return Step(
        name=f"responses {recording.name}{space}",
        inputs={"key": key, "path": path.name},
        modules=(f"bids_brainalign.responses.{module}",),
        work=work,
    )


def response_path(config: Config, fit: Fit, recording: Recording) -> Path:
    """Where :func:`response_step` leaves its response."""
    key = _key(config, fit, recording)
    return config.paths.work_dir / "responses" / f"{recording.name}_{key[:16]}.h5"


def _load(config: Config, fit: Fit, recording: Recording) -> Response:
    onset = fit.of(recording)[0].onset_s
    if recording.modality == "eeg":
        from bids_brainalign.responses.eeg import load_eeg

        return load_eeg(
            recording,
            reference=config.eeg.reference,
            band_hz=(config.eeg.band_hz[0], config.eeg.band_hz[1]),
            high_gamma=config.eeg.high_gamma,
            rate_hz=config.eeg.rate_hz,
            phase_s=onset % (1 / config.eeg.rate_hz),
        )
    if recording.modality == "ieeg":
        from bids_brainalign.responses.ieeg import load_ieeg

        rate = config.features.ieeg_rate_hz
        return load_ieeg(
            recording,
            reference=config.ieeg.reference,
            high_gamma=config.ieeg.high_gamma,
            band_hz=config.ieeg.band_hz,
            rate_hz=rate,
            phase_s=onset % (1 / rate),
        )
    from bids_brainalign.responses.bold import common_mask, load_bold

    return load_bold(
        recording,
        volume=common_mask(fit.recordings),
        high_pass_s=config.fmri.high_pass_s,
        smoothing_fwhm_mm=config.fmri.smoothing_fwhm_mm,
    )


def _input_files(recording: Recording) -> list[Path]:
    named = (
        recording.path,
        recording.events_path,
        recording.channels_path,
        recording.electrodes_path,
        recording.coordsystem_path,
        recording.mask_path,
        recording.confounds_path,
    )
    files = [path for path in named if path is not None]
    # BrainVision and EEGLAB keep the signal in files of the same stem.
    stem = recording.path.name.split(".")[0]
    files += [p for p in recording.path.parent.glob(f"{stem}.*") if p not in files]
    return sorted(files)


def _key(config: Config, fit: Fit, recording: Recording) -> str:
    memo = config.paths.work_dir / "digests"
    files = _input_files(recording)
    if recording.modality == "fmri":
        files += [r.mask_path for r in fit.recordings if r.mask_path is not None]
    onsets = [p.onset_s for p in fit.of(recording)]
    options = asdict(getattr(config, recording.modality))
    chosen = {
        k: options[k]
        for k in (
            "reference",
            "high_gamma",
            "band_hz",
            "rate_hz",
            "high_pass_s",
            "smoothing_fwhm_mm",
        )
        if k in options
    }
    return digest_of(
        [
            [[p.name, file_digest(p, memo)] for p in files],
            {k: str(v) for k, v in recording.metadata.items()},
            onsets[0],
            [recording.modality, recording.prepared, recording.prepared_by, chosen],
            config.features.ieeg_rate_hz,
        ]
    )
