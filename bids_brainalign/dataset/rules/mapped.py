"""Rule 3: the user's stimuli map."""

from __future__ import annotations

from bids_brainalign.dataset.rules.sources import Answer, Heard, Sources
from bids_brainalign.dataset.segments import Row
from bids_brainalign.dataset.types import Recording

RULE = "stimuli map"


def by_map(recording: Recording, sources: Sources) -> Answer:
    """Lines of the map that fit the recording."""
    given = sources.stimuli_map
    if given is None:
        return [], "no --stimuli-map"
    rows = given.of(recording)
    heard = [Heard(recording, r.path, RULE, (Row(r.onset_s, None),)) for r in rows]
    return heard, f"{given.path.name} has no row that fits it"
