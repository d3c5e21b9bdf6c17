"""What a simulated dataset of people who speak words is to hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.simulate.word_list import MAX_WORDS

FileFormat = Literal["nwb", "edf", "brainvision"]
FORMATS: tuple[FileFormat, ...] = ("nwb", "edf", "brainvision")
DEFAULT_WORDS, DEFAULT_CHANNELS, DEFAULT_SHARE = 100, 24, 0.5
N_FEW = 3
"""Words of participants who hardly spoke."""


@dataclass(frozen=True)
class ProductionPlan:
    """Participants, words and channels; and, by option, what can be wrong with such data."""

    n_participants: int = 2
    n_words: int = DEFAULT_WORDS
    n_channels: int = DEFAULT_CHANNELS
    share: float = DEFAULT_SHARE
    """Share of the variance of high gamma between words that the word vectors explain; 0: none."""
    file_format: FileFormat = "nwb"
    language: str = "en"
    seed: int = 0
    n_repeats: int = 1
    """Times that every word is shown, all in random order."""
    n_few: int = 0
    """Participants, the last ones, who saw three words only."""
    n_flat: int = 0
    """Channels, the last ones, that are constant though their status is good."""
    n_leaking: int = 0
    """Channels, the first ones, into which the sound of the voice leaks (microphonic)."""
    leak_uv: float = 4.0
    """Amplitude of the loudest voice there, at scale 1, where high gamma has 4 µV."""
    audio_lag_s: float = 0.0
    """The recorded sound is this late, as with clocks that don't agree; negative: early."""
    with_audio: bool = True
    space: str = "ACPC"
    """Of the electrodes: ``ACPC`` as in SingleWordProductionDutch-iBIDS, or a template such as
    ``MNI152NLin2009cAsym``, in which an atlas can tell regions."""

    def __post_init__(self) -> None:
        most = MAX_WORDS[self.language]
        problems = {
            f"a share of {self.share:g} of the variance": not 0 <= self.share <= 1,
            f"{self.n_words} words": not N_FEW <= self.n_words <= most,
            f"{self.n_channels} channels": not 3 <= self.n_channels <= 200,
            f"{self.n_flat} constant and {self.n_leaking} leaking channels": (
                min(self.n_flat, self.n_leaking) < 0
                or self.n_flat + self.n_leaking > self.n_channels
            ),
            f"a sound that is {self.audio_lag_s:g} s late": not abs(self.audio_lag_s) <= 1,
            f"{self.n_few} of {self.n_participants} participants with few words": (
                not 0 <= self.n_few <= self.n_participants
            ),
            f"{self.n_repeats} repeats": self.n_repeats < 1,
        }
        for problem, wrong in problems.items():
            if wrong:
                raise BrainAlignError(
                    f"Speech production can't be simulated with {problem}.",
                    fix=f"give a share from 0 to 1, {N_FEW} to {most} words ({self.language}), "
                    "3 to 200 channels",
                    exit_code=ExitCode.USAGE,
                )
