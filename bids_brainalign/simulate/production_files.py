"""Files of a session of speech production, in the layout of SingleWordProductionDutch-iBIDS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray

from bids_brainalign import __version__
from bids_brainalign.simulate.bids_tree import BIDS_VERSION, write_json, write_tsv
from bids_brainalign.simulate.brainvision_file import BrainVisionChannel, write_brainvision
from bids_brainalign.simulate.ecog_files import write_edf
from bids_brainalign.simulate.nwb_file import Series, write_nwb
from bids_brainalign.simulate.production_plan import FileFormat
from bids_brainalign.simulate.production_session import (
    AUDIO_RATE_HZ,
    FIXATION_S,
    SHOWN_S,
    Session,
)
from bids_brainalign.simulate.production_signal import BIT_UV, LINE_HZ, SFREQ_HZ, slow_sound

TASK = "wordProduction"
AUDIO_CHANNEL = "MIC"
SHAFTS = (
    ("LA", (-38.0, -8.0, -18.0), (-4.0, 0.0, 0.6)),
    ("LT", (-42.0, -24.0, 6.0), (-4.0, 0.0, 0.4)),
    ("LF", (-30.0, 18.0, 12.0), (-4.0, 0.8, 1.0)),
    ("LM", (-26.0, -6.0, 40.0), (-4.0, 0.0, 1.2)),
    ("RT", (42.0, -20.0, 4.0), (4.0, 0.0, 0.4)),
    ("RH", (24.0, -18.0, -16.0), (4.0, 0.0, 0.0)),
)
"""Name, deepest contact and step to the next one (mm): amygdala, transverse temporal, inferior
frontal and central on the left; temporal and hippocampus on the right."""
CLOCK_S = 905_812.5
"""What the clock of an NWB file shows at the first sample: it runs since the computer was switched
on, while ``events.tsv`` counts from the first sample."""
FIXATION = "+"
MOST_ON_SHAFT = 8
CONTACT_MM2 = 5.0


def channel_names(n_channels: int) -> list[str]:
    """Contacts of all shafts, the deepest first; shafts are as full as eight contacts allow.

    Further shafts are called LA2, LT2 …, as where many contacts were implanted.
    """
    names: list[str] = []
    turn = 0
    while len(names) < n_channels:
        shaft = SHAFTS[turn % len(SHAFTS)][0]
        again = "" if turn < len(SHAFTS) else f"{1 + turn // len(SHAFTS)}x"
        names += [f"{shaft}{again}{contact}" for contact in range(1, MOST_ON_SHAFT + 1)]
        turn += 1
    return names[:n_channels]


def electrode_table(n_channels: int) -> pd.DataFrame:
    """Rows of ``electrodes.tsv``: contacts every 4 mm along their shafts, from deep to lateral."""
    rows = []
    for index, name in enumerate(channel_names(n_channels)):
        turn, contact = divmod(index, MOST_ON_SHAFT)
        shaft, first, step = SHAFTS[turn % len(SHAFTS)]
        apart = np.array([0.0, -7.0, 3.0]) * (turn // len(SHAFTS))
        x, y, z = np.round(np.array(first) + apart + contact * np.array(step), 2)
        group = name.rstrip("0123456789")
        rows.append((name, x, y, z, CONTACT_MM2, group, shaft[0]))
    return pd.DataFrame(rows, columns=["name", "x", "y", "z", "size", "group", "hemisphere"])


def write_session(
    folder: Path,
    label: str,
    session: Session,
    counts: NDArray[np.int16],
    sound: NDArray[np.int16] | None,
    *,
    file_format: FileFormat,
    space: str,
) -> None:
    """Write recording, tables and sidecars of one participant.

    Parameters
    ----------
    folder : Path
        ``sub-<label>/ieeg``.
    label : str
    session : Session
    counts : ndarray of shape (n_samples, n_channels), int16
        In units of `BIT_UV`.
    sound : ndarray of shape (n_samples,), int16, or None
        48 kHz.
    file_format : str
        ``nwb`` holds sound and words as series. With ``edf`` the sound is a WAV file beside it,
        with ``brainvision`` a channel as slow as the others; both have words in ``events.tsv``.
    space : str
        Of the electrodes.
    """
    stem = f"sub-{label}_task-{TASK}"
    n_channels = counts.shape[1]
    names = channel_names(n_channels)
    slow = sound is not None and file_format == "brainvision"
    write = {"nwb": _nwb, "edf": _edf, "brainvision": _brainvision}[file_format]
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, stem, session, counts, sound, names)
    write_tsv(folder / f"{stem}_channels.tsv", _channel_table(names, with_audio=slow))
    _write_events(folder / stem, session, with_words=file_format != "nwb")
    write_json(
        folder / f"{stem}_ieeg.json",
        {
            "TaskName": TASK,
            "TaskDescription": "Reading words aloud (simulated).",
            "Manufacturer": "bids-brainalign simulate",
            "iEEGReference": "one simulated contact in white matter, its noise is in all channels",
            "PowerLineFrequency": LINE_HZ,
            "SamplingFrequency": SFREQ_HZ,
            "SoftwareFilters": "n/a",
            "RecordingType": "continuous",
            "RecordingDuration": float(session.duration_s),
            "SEEGChannelCount": n_channels,
            "MiscChannelCount": int(slow),
        },
    )
    place = folder / f"sub-{label}_task-{TASK}_space-{space}"
    write_tsv(place.with_name(f"{place.name}_electrodes.tsv"), electrode_table(n_channels))
    write_json(
        place.with_name(f"{place.name}_coordsystem.json"),
        {
            "iEEGCoordinateSystem": space,
            "iEEGCoordinateUnits": "mm",
            "iEEGCoordinateProcessingDescription": "simulated positions",
        },
    )


def _nwb(
    folder: Path,
    stem: str,
    session: Session,
    counts: NDArray[np.int16],
    sound: NDArray[np.int16] | None,
    names: Sequence[str],
) -> None:
    shown = _shown(session, len(counts))
    series = [
        Series("iEEG", counts, SFREQ_HZ, "volts", "sEEG (simulated)", BIT_UV * 1e-6, CLOCK_S),
        Series("Stimulus", shown, SFREQ_HZ, "n/a", "word on the screen", start_s=CLOCK_S),
    ]
    if sound is not None:
        said = "microphone (simulated)"
        series.append(Series("Audio", sound, AUDIO_RATE_HZ, "n/a", said, 1 / 32768, CLOCK_S))
    write_nwb(
        folder / f"{stem}_ieeg.nwb",
        series,
        identifier=stem,
        description="Reading words aloud (simulated)",
    )


def _shown(session: Session, n_samples: int) -> list[str]:
    """Word on the screen at every neural sample; empty between words."""
    shown = [""] * n_samples
    for trial in session.trials:
        first, stop = (round(t * SFREQ_HZ) for t in (trial.cue_s, trial.cue_s + SHOWN_S))
        shown[first:stop] = [trial.word] * (stop - first)
    return shown


def _edf(
    folder: Path,
    stem: str,
    session: Session,
    counts: NDArray[np.int16],
    sound: NDArray[np.int16] | None,
    names: Sequence[str],
) -> None:
    write_edf(
        folder / f"{stem}_ieeg.edf", counts.astype(np.float64) * BIT_UV, names, sfreq_hz=SFREQ_HZ
    )
    if sound is not None:
        path = folder / f"{stem}_audio.wav"
        soundfile.write(path, sound, AUDIO_RATE_HZ, subtype="PCM_16")
        write_json(path.with_suffix(".json"), {"StartTime": 0.0})


def _brainvision(
    folder: Path,
    stem: str,
    session: Session,
    counts: NDArray[np.int16],
    sound: NDArray[np.int16] | None,
    names: Sequence[str],
) -> None:
    channels = [BrainVisionChannel(name, BIT_UV) for name in names]
    if sound is not None:
        slow = np.clip(slow_sound(sound).round(), -32767, 32767).astype(np.int16)
        counts = np.hstack([counts, slow[: len(counts), np.newaxis]])
        channels.append(BrainVisionChannel(AUDIO_CHANNEL, 1 / 32768, "V"))
    marks = [(trial.cue_s, "S  1") for trial in session.trials]
    write_brainvision(
        folder / f"{stem}_ieeg.vhdr", counts, channels, sfreq_hz=SFREQ_HZ, marks=marks
    )


def _channel_table(names: Sequence[str], *, with_audio: bool) -> pd.DataFrame:
    rows = [(name, "SEEG", "uV") for name in names]
    rows += [(AUDIO_CHANNEL, "AUDIO", "V")] * with_audio
    table = pd.DataFrame(rows, columns=["name", "type", "units"])
    return table.assign(
        low_cutoff="n/a", high_cutoff="n/a", sampling_frequency=SFREQ_HZ, status="good"
    )


def _write_events(stem: Path, session: Session, *, with_words: bool) -> None:
    """Write a row per word and per fixation cross, with a column ``word`` if it is asked for.

    The others are those of SingleWordProductionDutch-iBIDS.
    """
    rows = []
    for trial in session.trials:
        rows.append((trial.cue_s, SHOWN_S, "word", trial.word))
        rows.append((trial.cue_s + SHOWN_S, FIXATION_S, "fixation", FIXATION))
    table = pd.DataFrame(rows, columns=["onset", "duration", "trial_type", "value"])
    table["sample"] = np.round(table["onset"].to_numpy() * SFREQ_HZ).astype(int)
    about: dict[str, object] = {
        "trial_type": {
            "Description": "What was on the screen",
            "Levels": {"word": "A word to be read aloud", "fixation": "A cross"},
        },
        "value": {"Description": "Text on the screen"},
    }
    if with_words:
        about["word"] = {"Description": "The word that was shown, and spoken soon after"}
        table["word"] = table["value"].where(table["trial_type"] == "word", "n/a")
    write_tsv(stem.with_name(f"{stem.name}_events.tsv"), table)
    write_json(stem.with_name(f"{stem.name}_events.json"), about)


def write_production_dataset(
    bids_dir: Path, participants: Sequence[str], *, share: float, file_format: FileFormat
) -> None:
    """Write dataset_description, participants and README."""
    link = (
        "nothing links them to word vectors"
        if share == 0
        else f"word vectors explain {share:.0%} of the variance between words"
    )
    write_json(
        bids_dir / "dataset_description.json",
        {
            "Name": "Simulated intracranial recordings of people who read words aloud",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "raw",
            "License": "CC0",
            "Authors": ["bids-brainalign simulate"],
            "GeneratedBy": [{"Name": "bids-brainalign simulate", "Version": __version__}],
        },
    )
    rows = {"participant_id": [f"sub-{label}" for label in participants], "species": "simulated"}
    write_tsv(bids_dir / "participants.tsv", pd.DataFrame(rows))
    write_json(
        bids_dir / "participants.json",
        {"species": {"Description": "No living being: every participant is simulated"}},
    )
    if file_format == "edf":
        (bids_dir / ".bidsignore").write_text("*_audio.wav\n*_audio.json\n", encoding="utf-8")
    (bids_dir / "README.md").write_text(
        "# Simulated dataset\n\n"
        "No brain was recorded: the responses were made by `brainalign simulate "
        f"--speech-production`; {link}.\nWhat was planted is told by `ground_truth.json` beside "
        "this dataset. The layout is that of SingleWordProductionDutch-iBIDS (Verwoert et al. "
        "2022, Sci. Data 9:434); the voices are espeak-ng's.\n",
        encoding="utf-8",
    )
