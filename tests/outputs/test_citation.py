"""The text says what ran, and every citation has its entry."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from bids_brainalign.outputs.citation import Settings, citation_text, write_citation

FULL: Settings = {
    "reference": "car",
    "high_gamma": "filterbank",
    "lag_min_s": -0.1,
    "lag_max_s": 0.6,
    "delay_min_s": 1.0,
    "delay_max_s": 9.0,
    "alphas": (100.0, 1e4, 1e6),
    "n_null": 2000,
    "untrained": True,
    "fold_kinds": ["leave one content group out"],
}


@pytest.mark.parametrize("modalities", [["ieeg"], ["fmri"], ["fmri", "ieeg"]])
def test_text_and_bibliography_name_the_same(modalities: list[str]) -> None:
    markdown, bib = citation_text(modalities=modalities, models=["whisper-base"], settings=FULL)
    methods = markdown.partition("## Methods")[2].partition("## References")[0]
    cited = set(re.findall(r"@(\w+)", methods))
    assert cited == set(re.findall(r"^@\w+\{(\w+),$", bib, flags=re.MULTILINE))
    assert cited == set(re.findall(r"^- `(\w+)`: \S", markdown, flags=re.MULTILINE))


def test_bibtex_is_balanced() -> None:
    _, bib = citation_text(modalities=["ieeg", "fmri"], models=["a"], settings=FULL)
    for entry in bib.strip().split("\n\n"):
        assert entry.count("{") == entry.count("}")
        assert re.fullmatch(r"@\w+\{\w+,\n(  \w+ = \{.+\},\n)+\}", entry)


def test_modalities_that_did_not_run_are_absent() -> None:
    ieeg, _ = citation_text(modalities=["ieeg"], models=["a"], settings=FULL)
    fmri, _ = citation_text(modalities=["fmri"], models=["a"], settings=FULL)
    assert "fMRIPrep" not in ieeg
    assert "-100 to 600 ms" in ieeg
    assert "high gamma" not in fmri
    assert "1 to 9 s" in fmri
    assert "MNE" not in fmri


def test_settings_show() -> None:
    text, bib = citation_text(
        modalities=["ieeg"],
        models=["whisper-base", "mine"],
        settings={
            **FULL,
            "reference": "none",
            "high_gamma": "podcast2025",
            "untrained": False,
            "own_features": ["mine"],
            "n_null": 321,
            "versions": {"torch": "9.8.7"},
        },
    )
    assert "70 to 200 Hz" in text
    assert "edwards2009" not in bib
    assert "average of the channels" not in text
    assert "untrained" not in text
    assert "every encoder layer of whisper-base (Whisper" in text
    assert "Further features (mine)" in text
    assert "(321 draws)" in text
    assert "3 values from 100 to 1e+06" in text
    assert "torch 9.8.7" in text


def test_sentences_of_missing_settings_are_left_out() -> None:
    text, bib = citation_text(modalities=["ieeg"], models=[], settings={})
    assert "Null distributions" not in text
    assert "Whisper" not in text
    assert "knijnenburg2009" not in bib
    assert "low-level baseline" in text


def test_files_are_written_whole_and_again_the_same(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    markdown, bib = write_citation(logs, modalities=["ieeg"], models=["a"], settings=FULL)
    first = markdown.read_bytes(), bib.read_bytes()
    write_citation(logs, modalities=["ieeg"], models=["a"], settings=FULL)
    assert (markdown.read_bytes(), bib.read_bytes()) == first
    assert sorted(p.name for p in logs.iterdir()) == ["CITATION.bib", "CITATION.md"]
    text = markdown.read_text("utf-8")
    assert f"numpy {version('numpy')}" in text
    assert "nilearn" not in text


def test_a_canonical_response_is_named_in_place_of_delays() -> None:
    markdown, _ = citation_text(
        modalities=["fmri"], models=["a"], settings={**FULL, "hrf": "glover"}
    )
    assert "canonical haemodynamic response 'glover' of nilearn; no delays" in markdown
    assert "delayed by all multiples" not in markdown


SPOKEN: Settings = {
    "reference": "none",
    "high_gamma": "dutch2022",
    "production": {"window_s": (0.0, 0.2), "onset": "speech", "mappings": ["ridge"], "draws": 99},
}


def test_speech_production_cites_the_method_the_data_and_the_check_for_leaks() -> None:
    markdown, bib = citation_text(modalities=["ieeg"], models=["glove"], settings=SPOKEN)
    methods, _, references = markdown.partition("## References")
    cited = set(re.findall(r"@([a-z]+\d+)", methods))
    assert {"khanday2025", "verwoert2022", "roussel2020"} <= cited
    assert cited | {"brainalign"} == set(re.findall(r"^@\w+\{(\w+),$", bib, flags=re.MULTILINE))
    assert "arXiv:2505.14074" in references
    assert "Roussel, Philémon et al. (2020)" in references
    assert "The response to a word is high gamma (the Hilbert amplitude" in methods
    assert "averaged from 0 to 0.2 s after the onset of the word" in methods


def test_speech_production_claims_nothing_that_a_recording_may_have_lacked() -> None:
    methods, _ = citation_text(modalities=["ieeg"], models=["glove"], settings=SPOKEN)
    assert "after the onset of the word in the sound" not in methods
    assert "without a sound, the cue; in continuous speech, the onset of its row" in methods
    assert "loudness, where there was a sound" in methods
    assert "for words one by one, the responses before the cue" in methods
    cued: Settings = {**SPOKEN, "production": {**SPOKEN["production"], "onset": "cue"}}
    methods, _ = citation_text(modalities=["ieeg"], models=["glove"], settings=cued)
    assert "averaged from 0 to 0.2 s after the word's cue." in methods
