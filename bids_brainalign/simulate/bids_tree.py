"""The parts of a BIDS dataset that don't depend on the modality."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import soundfile

from bids_brainalign import __version__
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.simulate.speech import SAMPLE_RATE_HZ, to_pcm16
from bids_brainalign.simulate.stories import Story

BIDS_VERSION = "1.10.0"
EVENTS_SIDECAR = {
    "trial_type": {
        "Description": "What happened",
        "Levels": {"story": "A story was played from beginning to end"},
    },
    "stim_file": {"Description": "Audio file that was played, relative to stimuli/"},
}


def write_json(path: Path, content: object) -> None:
    """Write a sidecar, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_tsv(path: Path, table: pd.DataFrame) -> None:
    """Write a table the BIDS way (missing values ``n/a``), making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, sep="\t", index=False, na_rep="n/a", lineterminator="\n")


def write_stimuli(bids_dir: Path, stories: Sequence[Story]) -> None:
    """Write each story's audio and, where known, its words and phones under ``stimuli/``."""
    folder = bids_dir / "stimuli"
    folder.mkdir(parents=True, exist_ok=True)
    for story in stories:
        path = folder / f"{story.name}.wav"
        soundfile.write(path, to_pcm16(story.wave), SAMPLE_RATE_HZ, subtype="PCM_16")
        if story.words is not None:
            write_tsv(folder / f"{story.name}_words.tsv", story.words)
        if story.phones is not None:
            write_tsv(folder / f"{story.name}_phones.tsv", story.phones)
    if any(story.language != "en" for story in stories):
        rows = {
            "stimulus_id": [f"stim-{story.name}" for story in stories],
            "type": "audio",
            "language": [story.language for story in stories],
        }
        write_tsv(folder / "stimuli.tsv", pd.DataFrame(rows))


def write_events(stem: Path, story: Story, *, onset_s: float) -> None:
    """Write ``<stem>_events.tsv`` with its sidecar: the story, played once."""
    row = {
        "onset": [round(onset_s, 4)],
        "duration": [round(story.duration_s, 4)],
        "trial_type": ["story"],
        "stim_file": [f"{story.name}.wav"],
    }
    write_tsv(stem.with_name(f"{stem.name}_events.tsv"), pd.DataFrame(row))
    write_json(stem.with_name(f"{stem.name}_events.json"), EVENTS_SIDECAR)


def start_dataset(bids_dir: Path) -> None:
    """Make the folder of a new dataset.

    Raises
    ------
    BrainAlignError
        It exists and holds something, or can't be made (exit code 73).
    """
    try:
        if bids_dir.exists() and any(bids_dir.iterdir()):
            raise BrainAlignError(
                f"{bids_dir} already exists and is not empty",
                fix="give a new folder, or delete this one",
                exit_code=ExitCode.CANNOT_CREATE,
            )
        bids_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BrainAlignError(
            f"{bids_dir} can't be created: {error}",
            fix="give a folder that you may write to",
            exit_code=ExitCode.CANNOT_CREATE,
        ) from error


def write_dataset_files(
    bids_dir: Path, *, participants: Sequence[str], origins: Sequence[str], model: str, null: bool
) -> None:
    """Write dataset_description, participants and README.

    Parameters
    ----------
    bids_dir : Path
    participants : sequence of str
        Labels without ``sub-``.
    origins : sequence of str
        Where the stories come from.
    model : str
        Name of the model whose layers were planted.
    null : bool
        The responses have no link to the stories.
    """
    link = "no link to the stories" if null else f"signals planted from layers of {model}"
    write_json(
        bids_dir / "dataset_description.json",
        {
            "Name": f"Simulated brain responses to stories ({link})",
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
    listed = "\n".join(f"- {origin}" for origin in origins)
    text = (
        "# Simulated dataset\n\n"
        f"No brain was recorded: the responses were made by `brainalign simulate`, with {link}.\n"
        "What was planted where is told by `ground_truth.json` beside this dataset.\n\n"
        f"Stories:\n{listed}\n"
    )
    (bids_dir / "README.md").write_text(text, encoding="utf-8")
