"""From an assembled fit to what decoding works on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.alignment.delays import lag_samples
from bids_brainalign.config.schema import Config
from bids_brainalign.decoding.layerwise import DecodingProblem
from bids_brainalign.decoding.segments import Segments, cut_segments
from bids_brainalign.encoding.design import RunLayout
from bids_brainalign.statistics.folds import Fold
from bids_brainalign.statistics.nulls import FoldDraws, draw_folds
from bids_brainalign.workflow.assemble import Assembly
from bids_brainalign.workflow.spaces import seed_of


def decoding_problem(config: Config, assembly: Assembly) -> DecodingProblem:
    """Build the problem on the samples and folds of encoding.

    Parameters
    ----------
    config : Config
    assembly : Assembly
    """
    decoding, layout = config.decoding, assembly.layout
    lags = lag_samples(
        decoding.lag_min_s,
        decoding.lag_max_s,
        step_s=decoding.lag_step_s,
        interval_s=assembly.interval_s,
    )
    onsets = _word_onsets(assembly) if decoding.unit == "word" else None
    segments = tuple(_segments(config, assembly, fold, onsets) for fold in assembly.plan.folds)
    recorded = tuple(
        playing & ~response.censored
        for playing, response in zip(layout.playing, assembly.responses, strict=True)
    )
    return DecodingProblem(
        responses=[response.data for response in assembly.responses],
        heard=layout,
        recorded=RunLayout(recorded, layout.used, layout.whole_runs),
        plan=assembly.plan,
        lags=lags,
        n_components=decoding.n_components,
        electrode_components=decoding.electrode_components or None,
        alphas=config.ridge.alphas,
        fixed_alpha=config.ridge.fixed_alpha,
        segments=segments,
        draws=_draws(config, assembly, segments, lags),
    )


def _segments(
    config: Config,
    assembly: Assembly,
    fold: Fold,
    onsets: tuple[NDArray[np.int64], NDArray[np.float64]] | None,
) -> Segments:
    rows, samples, decoding = fold.outer.test, assembly.samples, config.decoding
    return cut_segments(
        samples.run[rows],
        samples.time_s[rows],
        interval_s=samples.interval_s,
        segment_s=decoding.segment_s,
        step_s=decoding.step_s,
        apart_s=decoding.apart_s,
        most=decoding.max_segments,
        onsets=onsets,
    )


def _word_onsets(assembly: Assembly) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Run and second on the recording clock of every word that was played."""
    names = [recording.name for recording in assembly.fit.recordings]
    runs, times = [np.empty(0, dtype=np.int64)], [np.empty(0)]
    for p in assembly.fit.presentations:
        if p.stimulus.words is None:
            continue
        onsets = p.stimulus.words.table["onset"].to_numpy(dtype=np.float64)
        played = np.zeros(len(onsets), dtype=bool)
        for start, stop in p.segments:
            played |= (onsets >= start) & (onsets <= stop)
        times.append(p.onset_s + onsets[played])
        runs.append(np.full(int(played.sum()), names.index(p.recording.name)))
    return np.concatenate(runs), np.concatenate(times)


def _draws(
    config: Config, assembly: Assembly, segments: tuple[Segments, ...], lags: tuple[int, ...]
) -> tuple[FoldDraws, ...]:
    """Draws on the steps of every fold that is scored; none if one of them is too short.

    What is decoded averages responses over the lags, so its memory is theirs and the lags' span.
    """
    lengths = [len(one.steps) for one in segments if one.enough]
    if not lengths:
        return ()
    span_s = (max(lags) - min(lags)) * assembly.interval_s
    width_s = assembly.interval_s * next(s.steps.shape[1] for s in segments if s.enough)
    memory = max(1.0, (assembly.decorrelation_s + span_s) / width_s)
    fit = assembly.fit
    draws = draw_folds(
        lengths,
        memory,
        n_draws=config.nulls.n_draws,
        min_offset=max(1, min(round(memory + span_s / width_s), min(lengths) // 4)),
        rng=np.random.default_rng(seed_of(config, "decoding", fit.name.stem, fit.modality)),
    )
    return () if any(draw.kind == "none" for draw in draws) else draws
