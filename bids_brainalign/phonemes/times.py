"""When which phone of a stimulus was said, and how that is known."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from bids_brainalign.phonemes.classes import ipa_of, is_arpabet

ANNOTATED = "annotated"
COLUMNS = ("onset", "duration", "phone", "source")


@dataclass(frozen=True)
class PhoneTimes:
    """Phones of one stimulus."""

    table: pd.DataFrame
    """``onset``, ``duration`` (s on the stimulus clock), ``phone`` (IPA), ``source``:
    ``annotated``, ``aligned`` or ``split``; in time order."""
    method: str
    """One phrase for reports."""
    words_aligned: int = 0
    words_split: int = 0
    """Words whose phones share the word's time evenly: no alignment was found."""
    words_unknown: int = 0
    """Words without pronunciation: left out."""

    @property
    def is_approximate(self) -> bool:
        """Whether most phones have a guessed share of their word's time."""
        return bool((self.table["source"] == "split").mean() > 0.5)

    def sentence(self, stimulus: str) -> str:
        """Say in one sentence where the times come from."""
        if self.method == ANNOTATED:
            return f"{stimulus}: {len(self.table)} phones, annotated."
        known = self.words_aligned + self.words_split
        return (
            f"{stimulus}: {len(self.table)} phones by {self.method}; {self.words_aligned} of "
            f"{known} words aligned, {self.words_split} split evenly, {self.words_unknown} words "
            "without pronunciation left out."
        )


def annotated_times(annotated: pd.DataFrame, *, as_written: bool = False) -> PhoneTimes:
    """Take annotated phones; ARPAbet becomes IPA.

    Parameters
    ----------
    annotated : DataFrame
        ``onset``, ``duration``, ``label``.
    as_written : bool
        Keep the labels: the user's table of classes names them.
    """
    labels = [str(label) for label in annotated["label"]]
    arpabet = is_arpabet(labels)
    phones = labels if as_written else [ipa_of(label, arpabet=arpabet) for label in labels]
    table = pd.DataFrame(
        {
            "onset": annotated["onset"].to_numpy(dtype=float),
            "duration": annotated["duration"].to_numpy(dtype=float),
            "phone": pd.array(phones, dtype=object),
            "source": ANNOTATED,
        }
    )
    return PhoneTimes(table.sort_values("onset", kind="stable", ignore_index=True), ANNOTATED)
