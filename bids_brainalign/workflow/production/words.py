"""The table of the words of a speaker: when they were cued and spoken, and which can be used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.alignment.sound_level import sound_level
from bids_brainalign.alignment.speech_onsets import SpeechTimes, speech_times
from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.speech_audio import SpeechAudio
from bids_brainalign.dataset.spoken_words import SpokenWords
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.outputs.reading import read_table
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.phonemes.phone_counts import PHONES, word_lengths
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.production.speakers import LABEL, Speaker, is_running
from bids_brainalign.workflow.production.structure_tables import Column
from bids_brainalign.workflow.production.word_sounds import SpeakerSound

COLUMNS: dict[str, Column] = {
    "recording": "Recording",
    "word": "Word",
    "role": "As in events.tsv; speak where it does not say",
    "content_group": "As in events.tsv: held out together; n/a: by the word",
    "cue": {"Description": "When the word was shown, or its row begins", "Units": "s"},
    "onset": {"Description": "What windows count from", "Units": "s"},
    "offset": {"Description": "End of the word", "Units": "s"},
    "latency": {"Description": "From the cue to the onset in the sound", "Units": "s"},
    "duration": {"Description": "Of the word in the sound, else of its row", "Units": "s"},
    "loudness": {"Description": "Mean level of the word in the sound", "Units": "dB"},
    "n_letters": "Letters of the word",
    "n_phones": "Phones of the word, as events.tsv says, or of its pronunciation",
    "used": "Whether the word takes part",
    "reason": "Why it does not; n/a otherwise",
}
TEXT = ("recording", "word", "role", "content_group", "reason")
GIVEN = "Windows count from the onsets of speech in events.tsv."
HEARD = "Windows count from the onset of each word in the sound."
CUED = "Windows count from the cues."
ROWS = "Rows follow each other as fast as speech: they are taken as the onsets of the words."
NO_SOUND = "There is no sound: windows count from the cues, and latencies blur the responses."


@dataclass(frozen=True)
class _Timed:
    """Words of one recording with their times, and what they count from."""

    table: pd.DataFrame
    rule: str


def words_step(config: Config, speaker: Speaker, sound: SpeakerSound) -> Step:
    """Write the table of words of a speaker."""
    path = words_path(config, speaker)

    def work() -> list[Path]:
        notes = [note for words in speaker.words for note in words.notes]
        running = is_running(config, speaker.words)
        parts = [
            _timed(config, recording, words, audio, running=running)
            for recording, words, audio in zip(
                speaker.recordings, speaker.words, sound.audio, strict=True
            )
        ]
        table = pd.concat([part.table for part in parts], ignore_index=True)
        if table["n_phones"].isna().all():
            lengths = word_lengths(table["word"].tolist(), language=config.language)
            notes.append(lengths.note)
            if lengths.name == PHONES:
                table["n_phones"] = lengths.counts
        extra = {
            "Rule": list(dict.fromkeys(words.rule for words in speaker.words)),
            "Notes": list(dict.fromkeys(notes)),
            "Onset": " ".join(dict.fromkeys(part.rule for part in parts)),
            "Sound": " ".join(dict.fromkeys(one.source for one in sound.audio if one is not None)),
        }
        return list(write_tsv(path, table[list(COLUMNS)], COLUMNS, extra=extra))

    p = config.production
    return Step(
        name=f"words {speaker.name.stem}",
        inputs={
            "words": [words.table.to_csv(index=False) for words in speaker.words],
            "sound": sound.digest,
            "language": config.language,
            "settings": [p.onset, p.window_s, p.speech],
            "path": path.name,
        },
        modules=("bids_brainalign.workflow.production.words",),
        work=work,
    )


def words_path(config: Config, speaker: Speaker) -> Path:
    """Where :func:`words_step` leaves the table."""
    return config.paths.output_dir / speaker.name.file("words.tsv", analysis=LABEL)


def read_words(config: Config, speaker: Speaker) -> pd.DataFrame:
    """Read the table back; texts are empty where there is none."""
    path = words_path(config, speaker)
    table = read_table(path, text=TEXT)
    if table is None:
        raise BrainAlignError(f"{path.name} has no words.", where=str(path.parent))
    for name in TEXT:  # n/a is read as missing
        table[name] = table[name].astype("object").fillna("").astype(str)
    return table.assign(used=table["used"].astype(bool))


def _timed(
    config: Config,
    recording: Recording,
    words: SpokenWords,
    audio: SpeechAudio | None,
    *,
    running: bool,
) -> _Timed:
    given = words.table
    cue = given["cue_s"].to_numpy(dtype=np.float64)
    row_end = cue + given["duration_s"].to_numpy(dtype=np.float64)
    known = given["speech_onset_s"].to_numpy(dtype=np.float64)
    heard = None if audio is None or running else _heard(audio, cue)
    level = _loudness(audio, cue, row_end) if running else heard and heard.loudness_db
    nothing = np.full(len(cue), np.nan)
    reasons = np.full(len(cue), "", dtype=object)
    spoken, offset = nothing, row_end if running else nothing
    if heard is not None:
        spoken, offset = heard.onset_s, heard.offset_s
        reasons = np.array(heard.reasons, dtype=object)
    spoken = np.where(np.isfinite(known), known, spoken)
    offset = np.where(np.isfinite(offset) & (offset > spoken), offset, row_end)
    onset, rule = spoken, HEARD if not np.isfinite(known).all() else GIVEN
    if running and not np.isfinite(known).any():
        onset, rule = cue, ROWS
    elif config.production.onset == "cue":
        onset, rule = cue, CUED
    elif heard is None and not np.isfinite(known).any():
        onset, rule = cue, NO_SOUND
    reasons = np.where(np.isfinite(onset), "", np.where(reasons == "", "it has no onset", reasons))
    table = pd.DataFrame(
        {
            "recording": recording.name,
            "word": given["word"],
            "role": given["role"],
            "content_group": given["content_group"].replace("", "n/a"),
            "cue": cue,
            "onset": onset,
            "offset": offset,
            "latency": nothing if running else spoken - cue,
            "duration": offset - (cue if running else np.where(np.isfinite(spoken), spoken, cue)),
            "loudness": nothing if level is None else level,
            "n_letters": [sum(map(str.isalpha, word)) for word in given["word"]],
            "n_phones": given["n_phones"],
            "used": np.isfinite(onset),
            "reason": np.where(reasons == "", "n/a", reasons),
        }
    )
    return _Timed(table, rule)


def _heard(audio: SpeechAudio, cue: np.ndarray[tuple[int], np.dtype[np.float64]]) -> SpeechTimes:
    return speech_times(sound_level(audio.pieces(), audio.clock_hz, start_s=audio.start_s), cue)


def _loudness(
    audio: SpeechAudio | None,
    start: np.ndarray[tuple[int], np.dtype[np.float64]],
    stop: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
    """Mean level of words whose times are known, in dB."""
    if audio is None or not np.isfinite(stop).all():
        return None
    level = sound_level(audio.pieces(), audio.clock_hz, start_s=audio.start_s)
    first, last = np.searchsorted(level.times_s, start), np.searchsorted(level.times_s, stop)
    sums = np.concatenate([[0.0], np.cumsum(level.power)])
    mean = (sums[last] - sums[first]) / np.maximum(last - first, 1)
    return np.asarray(10 * np.log10(np.maximum(mean, 1e-12)))
