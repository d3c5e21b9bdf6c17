"""The table of the words of a speaker: when they were cued and spoken, and which can be used."""

from __future__ import annotations

from bids_brainalign.workflow.production.structure_tables import Column

COLUMNS: dict[str, Column] = {
    "recording": "Recording",
    "word": "Word",
    "role": "As in events.tsv; speak where it does not say",
    "content_group": "As in events.tsv: held out together; empty: by the word",
    "cue": {"Description": "When the word was shown, or its row begins", "Units": "s"},
    "onset": {"Description": "What windows count from", "Units": "s"},
    "offset": {"Description": "End of the word", "Units": "s"},
    "latency": {"Description": "From the cue to the onset in the sound", "Units": "s"},
    "duration": {"Description": "Of the word in the sound, else of its row", "Units": "s"},
    "loudness": {"Description": "Mean level of the word in the sound", "Units": "dB"},
    "n_letters": "Letters of the word",
    "n_phones": "Phones of the word, where events.tsv tells",
    "used": "Whether the word takes part",
    "reason": "Why it does not; n/a otherwise",
}
