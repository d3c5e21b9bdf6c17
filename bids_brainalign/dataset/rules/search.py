"""The order of the rules."""

from __future__ import annotations

from dataclasses import dataclass

from bids_brainalign.dataset.rules.mapped import by_map
from bids_brainalign.dataset.rules.only_stimulus import by_only_stimulus
from bids_brainalign.dataset.rules.sources import Heard, Sources
from bids_brainalign.dataset.rules.stim_file import by_stim_file
from bids_brainalign.dataset.rules.stim_id import by_stim_id
from bids_brainalign.dataset.rules.task_name import by_task_name
from bids_brainalign.dataset.types import Recording

RULES = (by_stim_id, by_stim_file, by_map, by_task_name, by_only_stimulus)
LOOKED_FOR = (
    "looked for stim_id (BEP044) and stim_file in events.tsv, a --stimuli-map, a stimulus called "
    "like the task, and a single sound as long as the recording"
)


@dataclass(frozen=True)
class Search:
    """What was found for one recording."""

    heard: tuple[Heard, ...]
    reason: str
    """Why nothing was found, rule by rule."""
    notes: tuple[str, ...]


def search(recording: Recording, sources: Sources) -> Search:
    """Apply the rules in order; the first that finds a sound decides.

    Raises
    ------
    BrainAlignError
        A table can't be read or names a file outside the dataset (65), or is not downloaded (66).
    """
    reasons: list[str] = []
    for rule in RULES:
        heard, reason = rule(recording, sources)
        if not heard:
            reasons.append(reason)
            continue
        notes = [f"{recording.name}: {h.note}." for h in heard if h.note]
        if rule in (by_stim_id, by_stim_file) and by_map(recording, sources)[0]:
            notes.append(
                f"{recording.name}: its events.tsv names the stimulus, so onset and stim_file of "
                "the stimuli map don't count."
            )
        return Search(tuple(heard), "", tuple(notes))
    return Search((), "; ".join(dict.fromkeys(reasons)), ())
