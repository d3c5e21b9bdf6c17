"""logs/CITATION.md and .bib: a Methods text built from what really ran."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypedDict

from bids_brainalign import __version__
from bids_brainalign.outputs.references import bibtex, in_words
from bids_brainalign.store.atomic import write_text

SOFTWARE = ("numpy", "scipy", "torch", "transformers", "mne", "nilearn")
KEY = re.compile(r"@([a-z]+\d*)")

HIGH_GAMMA = {
    "filterbank": "the logarithm of the mean analytic amplitude over eight Gaussian bands from 70 "
    "to 150 Hz [@edwards2009]",
    "podcast2025": "the Hilbert amplitude after a notch at the line frequency and its harmonics "
    "and a fourth-order Butterworth band-pass from 70 to 200 Hz [@zada2025]",
    "dutch2022": "the Hilbert amplitude after a linear detrend, a fourth-order Butterworth "
    "band-pass from 70 to 170 Hz and band-stops at the line's harmonics, averaged in windows of "
    "50 ms every 10 ms [@verwoert2022]",
    "multitaper": "the logarithm of the multitaper amplitude from 70 to 150 Hz",
    "morlet": "the logarithm of the amplitude of Morlet wavelets from 70 to 150 Hz",
}
REFERENCE = {
    "car": "re-referenced to the average of the channels kept (this spreads about 1/N of every "
    "channel's signal into the others)",
    "car-device": "re-referenced to the average of the channels of each device (this spreads "
    "about 1/n of every channel's signal into the others of its device)",
    "bipolar": "re-referenced to differences of neighbouring contacts",
    "laplacian": "re-referenced to the mean of the nearest neighbours of each contact",
    "none": "analysed with the reference of the recording",
}


class SpeechProduction(TypedDict):
    """How responses to spoken words were rebuilt."""

    window_s: tuple[float, ...]
    """From and to, after the onset."""
    onset: str
    """``speech`` or ``cue``."""
    mappings: Sequence[str]
    draws: int
    """Shuffles of the words, by ridge."""


class Settings(TypedDict, total=False):
    """What the text speaks about; a sentence whose setting is missing is left out."""

    reference: str
    """``none``, ``car``, ``car-device``, ``bipolar`` or ``laplacian``."""
    high_gamma: str
    """``filterbank``, ``podcast2025``, ``dutch2022``, ``multitaper`` or ``morlet``."""
    band_hz: Sequence[float]
    """Empty: the method's own."""
    eeg_signal: str
    """What of scalp EEG is predicted, with its reference."""
    lag_min_s: float
    lag_max_s: float
    n_components: int
    """PCA dimensions per layer (iEEG)."""
    hrf: str
    """``fir``, or the canonical response that features were convolved with (fMRI)."""
    delay_min_s: float
    delay_max_s: float
    alphas: Sequence[float]
    fold_kinds: Sequence[str]
    """How folds were made, e.g. ``leave one content group out``."""
    n_null: int
    untrained: bool
    own_features: Sequence[str]
    """Those of ``models`` that are the user's own features."""
    aligned_phones: bool
    """Phones that nobody annotated were found from words."""
    versions: Mapping[str, str]
    """Package → version."""
    production: SpeechProduction
    """The text is then about this alone."""


def citation_text(
    *, modalities: Collection[str], models: Sequence[str], settings: Settings
) -> tuple[str, str]:
    """Methods text and bibliography of a run.

    Parameters
    ----------
    modalities : collection of str
        Some of ``ieeg``, ``eeg`` and ``fmri``.
    models : sequence of str
        Names of the feature spaces, low-level features and untrained twins left out.
    settings : Settings

    Returns
    -------
    markdown : str
        Paragraphs with ``[@key]`` citations and a list of the references they name.
    bib : str
        The same references as BibTeX.
    """
    if "production" in settings:
        text = "\n\n".join((_data(modalities), _production(models, settings)))
        return _with_references(text, settings)
    paragraphs = [_data(modalities)]
    if "ieeg" in modalities:
        paragraphs.append(_ieeg(settings))
    if "eeg" in modalities:
        paragraphs.append(_eeg(settings))
    if "fmri" in modalities:
        paragraphs.append(_fmri(settings))
    paragraphs += [_features(models, settings), _encoding(settings), _inference(settings)]
    return _with_references("\n\n".join(p for p in paragraphs if p), settings)


def _with_references(text: str, settings: Settings) -> tuple[str, str]:
    versions = settings.get("versions")
    if versions:
        text += "\n\nVersions: " + ", ".join(f"{n} {v}" for n, v in versions.items()) + "."
    keys = sorted(set(KEY.findall(text)))
    references = "\n".join(f"- `{key}`: {in_words(key)}" for key in keys)
    markdown = (
        "# How to describe and cite this analysis\n\n"
        "The text below follows the settings of the run. Use it in a paper, and check it against "
        "what you did before and after.\n\n"
        f"## Methods\n\n{text}\n\n## References\n\n{references}\n"
    )
    return markdown, bibtex(keys)


def write_citation(
    logs_dir: Path, *, modalities: Collection[str], models: Sequence[str], settings: Settings
) -> tuple[Path, Path]:
    """Write CITATION.md and CITATION.bib; the versions installed here are added if not given.

    Parameters
    ----------
    logs_dir : Path
        ``OUTPUT_DIR/logs``; made if absent.
    modalities, models, settings
        As in :func:`citation_text`.

    Returns
    -------
    tuple of Path
        The Markdown and the BibTeX file.
    """
    known = settings if "versions" in settings else {**settings, "versions": _versions(modalities)}
    markdown, bib = citation_text(modalities=modalities, models=models, settings=known)
    logs_dir.mkdir(parents=True, exist_ok=True)
    return (
        write_text(logs_dir / "CITATION.md", markdown),
        write_text(logs_dir / "CITATION.bib", bib),
    )


def _versions(modalities: Collection[str]) -> dict[str, str]:
    """Versions of the packages that the numbers come from."""
    idle = set() if {"ieeg", "eeg"} & set(modalities) else {"mne"}
    idle |= set() if "fmri" in modalities else {"nilearn"}
    found = {"bids_brainalign": __version__}
    for package in SOFTWARE:
        if package in idle:
            continue
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # installed in a way that leaves no metadata
            continue
    return found


def _data(modalities: Collection[str]) -> str:
    standard = (
        "[@gorgolewski2016; @holdgraf2019]" if "ieeg" in modalities else "[@gorgolewski2016]"
    )
    return (
        f"The dataset, organised by the Brain Imaging Data Structure {standard}, was analysed "
        f"with bids_brainalign {__version__} [@brainalign]."
    )


def _ieeg(settings: Settings) -> str:
    sentences = []
    if "reference" in settings:
        sentences.append(
            "Intracranial recordings were read with MNE-Python [@gramfort2013]; channels marked "
            f"bad were left out and the others {REFERENCE[settings['reference']]}."
        )
    if "high_gamma" in settings:
        made = f"high gamma: {HIGH_GAMMA[settings['high_gamma']]}"
        if settings.get("band_hz"):
            low, high = settings["band_hz"]
            made = (
                f"the amplitude of {low:g} to {high:g} Hz, made by a method for high gamma "
                f"({HIGH_GAMMA[settings['high_gamma']]}) with this band in place of its own"
            )
        sentences.append(
            f"The response is {made}, low-passed and resampled to the rate of the features."
        )
    if "lag_min_s" in settings and "lag_max_s" in settings:
        low, high = 1000 * settings["lag_min_s"], 1000 * settings["lag_max_s"]
        sentences.append(
            f"It was predicted from features at lags from {low:.0f} to {high:.0f} ms."
        )
    if "n_components" in settings:
        sentences.append(
            f"Each layer was reduced to at most {settings['n_components']} principal components, "
            "fitted on training data."
        )
    return " ".join(sentences)


def _production(models: Sequence[str], settings: Settings) -> str:
    own = settings["production"]
    start_s, stop_s = own["window_s"]
    # Recordings of one dataset differ: what one of them lacked is not claimed.
    onset = (
        "the onset of the word (as the events give it, else as found in the sound, else, without "
        "a sound, the cue; in continuous speech, the onset of its row)"
        if own["onset"] == "speech"
        else "the word's cue"
    )
    kinds = {
        "ridge": "ridge regression with one penalty for all channels",
        "multi-task": "an elastic net over all channels",
        "elastic-net": "an elastic net per channel [@zou2005]",
    }
    mappings = [kinds[name] for name in own["mappings"]]
    return (
        "The responses of people who spoke were rebuilt from embeddings of their words, after "
        "[@khanday2025], who did so with the data of [@verwoert2022]. Intracranial recordings "
        "were read with MNE-Python [@gramfort2013]; channels marked bad were left out and the "
        f"others {REFERENCE[settings['reference']]}. The response to a word is high gamma "
        f"({HIGH_GAMMA[settings['high_gamma']]}), averaged from {start_s:g} to {stop_s:g} s after "
        f"{onset}. Where there was a sound, its lag to high gamma was estimated, and leaks of the "
        "voice into the voltages were looked for [@roussel2020].\n\n"
        f"The response was predicted from embeddings of the words ({_listed(models)}) by "
        f"{_listed(mappings)}. Embeddings and responses were standardised, and penalties chosen, "
        "by words outside the held-out group. Scores across channels stand beside those of the "
        "mean over the training words, which reaches nearly the same without any knowledge of the "
        "words; scores about that mean are pattern correlation, skill and identification "
        "[@mitchell2008]. Whether there is evidence follows from shuffled words "
        f"({own['draws']} draws, each fitted anew), random embeddings, circularly shifted trials, "
        "those plain predictors that are known of all words (place in the recording, duration and "
        "length; latency, where words were cued; loudness, where there was a sound) and, for "
        "words one by one, the responses before the cue, all by ridge."
    )


def _eeg(settings: Settings) -> str:
    if "eeg_signal" not in settings:
        return ""
    return (
        "Scalp EEG was read with MNE-Python [@gramfort2013]; channels marked bad were left out. "
        f"The response is {settings['eeg_signal']}; artefacts of eyes and muscles were not "
        "taken out."
    )


def _fmri(settings: Settings) -> str:
    sentences = [
        "BOLD images preprocessed by fMRIPrep [@esteban2019] were cleaned of confounds and slow "
        "drifts with nilearn [@abraham2014]. Features were resampled to the times of the volumes "
        "with a three-lobe Lanczos filter [@lebel2023]."
    ]
    hrf = settings.get("hrf", "fir")
    if hrf != "fir":
        sentences.append(
            f"Before, they were convolved with the canonical haemodynamic response {hrf!r} of "
            "nilearn; no delays were used."
        )
    elif "delay_min_s" in settings and "delay_max_s" in settings:
        sentences.append(
            "Responses were predicted from features delayed by all multiples of the repetition "
            f"time from {settings['delay_min_s']:g} to {settings['delay_max_s']:g} s."
        )
    return " ".join(sentences)


def _features(models: Sequence[str], settings: Settings) -> str:
    own = [name for name in models if name in settings.get("own_features", ())]
    whisper = [name for name in models if name not in own]
    sentences = []
    if whisper:
        sentences.append(
            f"Speech features are the activations of every encoder layer of {_listed(whisper)} "
            "(Whisper architecture [@radford2023]) in overlapping windows of the audio."
        )
        if settings.get("untrained"):
            sentences.append("The same architecture with random weights is the untrained control.")
    if own:
        sentences.append(f"Further features ({_listed(own)}) were given by the user.")
    sentences.append(
        "The low-level baseline consists of the amplitude envelope (power 0.6 [@biesmans2017]), a "
        "mel spectrogram and, where words and phones are annotated, their onsets."
    )
    if settings.get("aligned_phones"):
        sentences.append(
            "Phones that nobody had annotated were found from the times of the words by automatic "
            "alignment; the reports name its method."
        )
    return " ".join(sentences)


def _encoding(settings: Settings) -> str:
    penalty = "Ridge regression was fitted per electrode or voxel"
    if "alphas" in settings:
        alphas = settings["alphas"]
        penalty += (
            f"; its penalty ({len(alphas)} values from {min(alphas):g} to {max(alphas):g}) and "
            "the layer were chosen on inner folds"
        )
    sentences = [
        f"{penalty}, scores come from outer folds only.",
        "Presentations that share content (the same audio, the same declared group, or "
        "transcripts with common passages) never stood on both sides of a fold; where folds cut "
        "a recording, a gap around the held-out part was left out.",
    ]
    if settings.get("fold_kinds"):
        sentences.append(f"Folds: {_listed(list(settings['fold_kinds']))}.")
    sentences.append(
        "What a model adds to the low-level baseline is the difference between a two-band ridge "
        "on both [@nunezelizalde2019; @duprelatour2022] and the baseline alone."
    )
    return " ".join(sentences)


def _inference(settings: Settings) -> str:
    if "n_null" not in settings:
        return ""
    return (
        f"Null distributions ({settings['n_null']} draws) shift the predictions of each held-out "
        "fold circularly against its responses, or randomise their phases in short folds, with "
        "the same draws for all targets and layers; they are widened where folds train each "
        "other, because the scores of such folds are not independent. p values are corrected for "
        "the maximum over layers; small ones are read from a generalised Pareto tail "
        "[@knijnenburg2009]. The false discovery rate over targets was controlled by the "
        "Benjamini-Hochberg procedure [@benjamini1995]."
    )


def _listed(names: Sequence[str]) -> str:
    """Join names as a sentence does.

    Examples
    --------
    >>> _listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
