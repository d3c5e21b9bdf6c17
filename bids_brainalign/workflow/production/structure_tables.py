"""Columns of what stands beside the scores: time course, regions, geometry, checks."""

from __future__ import annotations

from collections.abc import Mapping

Column = str | Mapping[str, object]

TIMECOURSE: dict[str, Column] = {
    "embedding": "NAME of the model",
    "layer": "Layer of the model",
    "time": {"Description": "Centre of the bin after the onset of the word", "Units": "s"},
    "pattern_r": "Correlation across channels about the training mean, in training SDs",
    "two_vs_two": "Share of pairs of words that are told apart (chance .5)",
    "p": "The larger p of pattern_r against shuffled words and against shifted trials, corrected "
    "for the maximum over the bins",
    "p_all": "… over all layers and bins",
}
PEAKS: dict[str, Column] = {
    "embedding": "NAME of the model",
    "layer": "Layer of the model",
    "peak": {
        "Description": "Time of the largest pattern_r, between bins by a parabola; n/a where no "
        "bin is significant",
        "Units": "s",
    },
    "ci_low": {
        "Description": "95 % interval: jackknife over words; n/a at the ends",
        "Units": "s",
    },
    "ci_high": {
        "Description": "95 % interval: jackknife over words; n/a at the ends",
        "Units": "s",
    },
    "pattern_r": "pattern_r of the bin",
    "p": "Its p, corrected for the maximum over the bins",
}
REGIONS: dict[str, Column] = {
    "embedding": "NAME of the model",
    "layer": "Layer of the model",
    "mapping": "ridge",
    "region": "Region of the atlas, or as the dataset says",
    "n_channels": "Channels in it that vary",
    "pattern_r": "Correlation across the channels of the region about the training mean",
    "skill": "Median over its channels of 1 − SSE/SSE of the training mean",
    "two_vs_two": "Share of pairs of words that its channels tell apart (chance .5)",
    "rank": "Share of other words whose response is less like the prediction (chance .5)",
    "pattern_r_matched": "pattern_r of as many channels as the smallest region has, mean over "
    "draws",
}
GEOMETRY: dict[str, Column] = {
    "embedding": "NAME of the model, or of several side by side",
    "layer": "Layer of the model",
    "cka": "Linear CKA, debiased, of the embedding and the responses of all channels",
    "p": "The larger p of two: against shuffled words and against shifted trials",
    "pattern_r": "Score of the embedding by ridge, k-fold",
}
SYNCHRONY: dict[str, Column] = {
    "recording": "Recording",
    "name": "Channel; all: combined over channels; leak: of sound that leaks into channels, which "
    "takes no time, so that it is the clocks' own",
    "lag": {
        "Description": "Lag with the largest correlation of the sound's loudness and high gamma; "
        "positive: high gamma follows the sound",
        "Units": "s",
    },
    "ci_low": {"Description": "95 % interval of the lag", "Units": "s"},
    "ci_high": {"Description": "95 % interval of the lag", "Units": "s"},
    "r": "Correlation at that lag",
    "p": "p against circular shifts of the sound, corrected for the maximum over lags",
    "flagged": "Whether the lag is reliably larger than 25 ms: of leak where there is one, else "
    "of all",
}
CONTAMINATION: dict[str, Column] = {
    "recording": "Recording",
    "name": "Channel",
    "statistic": "Correlation of the fine spectra of sound and voltage, without what is "
    "broadband, over frames and frequencies, at the lag at which it is highest",
    "p": "p of the statistic against circular shifts of the sound",
    "r_waveform": "Correlation of the waveforms of sound and voltage (70 to 170 Hz) furthest from "
    "0 among lags up to 0.5 s",
    "p_waveform": "p of an r_waveform as far from 0, corrected for the lags",
    "lag": {"Description": "Lag of the leak, where there is one", "Units": "s"},
    "q_fdr": "Of the smaller p of the two, doubled, over the channels of the recording "
    "(Benjamini-Hochberg)",
    "flagged": "Whether q is at most .05",
}
