"""From stored responses and features to one encoding problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.alignment.clock import (
    Placement,
    add_onto_response_clock,
    held_age_s,
    held_means,
    stimulus_clock,
)
from bids_brainalign.alignment.delays import delay_samples, lag_samples
from bids_brainalign.alignment.hrf import FIR, HRF_S
from bids_brainalign.alignment.lanczos import LOBES
from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.types import Presentation, Recording
from bids_brainalign.encoding.design import RunLayout
from bids_brainalign.encoding.layerwise import FeatureSpace
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.responses.types import Response
from bids_brainalign.statistics.autocorrelation import (
    decorrelation_time,
    summary_decorrelation,
)
from bids_brainalign.statistics.folds import FoldPlan, GapRule, Samples, plan_folds
from bids_brainalign.statistics.nulls import FoldDraws, draw_folds
from bids_brainalign.store.features import StoredFeatures
from bids_brainalign.workflow.chosen_targets import keep_chosen
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.localisation import localised
from bids_brainalign.workflow.regions import Regions, regions_of_interest
from bids_brainalign.workflow.repeats import stored_counts
from bids_brainalign.workflow.responses import load_response, response_path
from bids_brainalign.workflow.selection_half import set_aside
from bids_brainalign.workflow.spaces import Space, seed_of, stored_features
from bids_brainalign.workflow.story_roles import story_plan
from bids_brainalign.workflow.userfolds import UserFolds, read_folds, user_folds

Array32 = NDArray[np.float32]


@dataclass(frozen=True)
class Assembly:
    """Everything of one fit but the features."""

    fit: Fit
    responses: tuple[Response, ...]
    """One per recording, the same targets in each."""
    layout: RunLayout
    samples: Samples
    plan: FoldPlan
    delays: tuple[int, ...]
    draws: tuple[FoldDraws, ...]
    decorrelation_s: float
    censored_share: tuple[float, ...]
    """Per recording, of the samples during which a stimulus played."""
    notes: tuple[str, ...]
    stored_repeats: tuple[int, ...] = ()
    """Per recording, presentations of which the response is the mean; 0: of one."""
    aside: tuple[NDArray[np.int64], ...] = ()
    """Per fold, held-out rows that select voxels and are not scored; empty unless asked for."""
    regions: Regions | None = None
    """Regions of interest (fMRI with an atlas)."""

    @property
    def targets(self) -> pd.DataFrame:
        """Targets common to all recordings."""
        return self.responses[0].targets

    @property
    def interval_s(self) -> float:
        """Seconds between samples."""
        return self.responses[0].interval_s


def placements(presentations: Sequence[Presentation]) -> list[Placement]:
    """Where the stimuli of one recording lie on its clock."""
    return [Placement(p.onset_s, p.stimulus.duration_s, p.segments) for p in presentations]


def assemble(config: Config, fit: Fit, spaces: Sequence[Space]) -> Assembly:
    """Load the responses of a fit, choose its samples and plan its folds.

    Parameters
    ----------
    config : Config
    fit : Fit
    spaces : sequence of Space
        All feature spaces of the run: folds are the same for each, so the gap covers the widest
        context among them.

    Raises
    ------
    BrainAlignError
        No target common to all recordings, over half of a run censored, or too little data for
        two folds (exit code 65).
    """
    loaded = [load_response(response_path(config, fit, r)) for r in fit.recordings]
    responses, notes = common_targets(fit, loaded)
    responses, placed = localised(config, fit, responses)
    responses, chosen = keep_chosen(fit, responses, config.paths.targets)
    regions = regions_of_interest(config, fit, responses)
    user = read_folds(config.paths.folds) if config.paths.folds else None
    timelines = [
        _timeline(config, fit, recording, response, user)
        for recording, response in zip(fit.recordings, responses, strict=True)
    ]
    samples = _pooled(config, fit, timelines, responses[0].interval_s)
    delays = delays_of(config, fit, samples.interval_s)
    some = targets_that_tell(responses[0].data.shape[1])  # others may stay in their files
    data = [r.data[:, some][t.used] for r, t in zip(responses, timelines, strict=True)]
    decorrelation = summarised_decorrelation(np.concatenate(data), samples)
    gap = GapRule(
        hard_s=_reach_s(config, fit, responses, delays) + decorrelation,
        soft_s=context_s(config, fit, spaces),
        soft_share=config.folds.soft_gap_share,
    )
    stored = stored_counts(config, fit)
    plan = fold_plan(config, fit, samples, gap, stored=stored)
    aside: tuple[NDArray[np.int64], ...] = ()
    if config.ceiling.select == "halves" and fit.modality == "fmri":
        plan, aside = set_aside(config, plan, samples, stored, decorrelation)
    return Assembly(
        fit=fit,
        responses=tuple(responses),
        layout=RunLayout(
            tuple(t.playing for t in timelines), tuple(t.used for t in timelines), plan.whole_runs
        ),
        samples=samples,
        plan=plan,
        delays=delays,
        draws=null_draws(config, fit, plan, delays, decorrelation, samples.interval_s),
        decorrelation_s=decorrelation,
        censored_share=tuple(t.censored_share for t in timelines),
        notes=(*notes, *placed, *chosen, *(regions.notes if regions else ()), *plan.notes),
        regions=regions,
        stored_repeats=stored,
        aside=aside,
    )


@dataclass(frozen=True)
class _Timeline:
    """Which samples of one recording take part."""

    playing: NDArray[np.bool_]
    used: NDArray[np.bool_]
    rows: pd.DataFrame
    """Of `sample_table`, the used ones."""
    censored_share: float


def _trim_s(config: Config, fit: Fit) -> float:
    if fit.modality == "fmri":
        return config.fmri.trim_start_s
    return config.electrodes(fit.modality).trim_start_s


def _timeline(
    config: Config, fit: Fit, recording: Recording, response: Response, user: UserFolds | None
) -> _Timeline:
    table = sample_table(fit.of(recording), response, trim_s=_trim_s(config, fit))
    usable = table["usable"].to_numpy(dtype=bool)
    censored = float(response.censored[usable].mean()) if usable.any() else 0.0
    if censored > config.nulls.censored_limit:
        raise BrainAlignError(
            f"{recording.name}: {censored:.0%} of the samples with stimulus are censored",
            where="BAD_ annotations, motion outliers and non-steady-state volumes",
            fix="leave the run out with --run-label or --bids-filter-file",
        )
    used = usable & ~response.censored
    if user is not None:
        used &= ~user.excluded(recording.name, response.times)
    return _Timeline(table["playing"].to_numpy(dtype=bool), used, table[used], censored)


def _pooled(
    config: Config, fit: Fit, timelines: Sequence[_Timeline], interval_s: float
) -> Samples:
    """Join the used samples of all recordings."""
    every = pd.concat(
        [t.rows.assign(run=index) for index, t in enumerate(timelines)], ignore_index=True
    )
    if every.empty:
        raise BrainAlignError(
            f"{fit.name.stem}: no sample is left while a stimulus played",
            where=f"left out: {_trim_s(config, fit):g} s after each onset, and censored samples",
            fix="check the onsets of the stimuli against the length of the recordings",
        )
    groups, stimuli = _content_groups(fit), sorted({p.stimulus.name for p in fit.presentations})
    return Samples(
        run=every["run"].to_numpy(dtype=np.int64),
        group=np.searchsorted(groups, every["group"].to_numpy(dtype=str)).astype(np.int64),
        time_s=every["time"].to_numpy(dtype=np.float64),
        stimulus=np.searchsorted(stimuli, every["stimulus"].to_numpy(dtype=str)).astype(np.int64),
        stimulus_s=every["clock"].to_numpy(dtype=np.float64),
        interval_s=interval_s,
    )


def _content_groups(fit: Fit) -> list[str]:
    return sorted({p.content_group for p in fit.presentations})


def fold_plan(
    config: Config, fit: Fit, samples: Samples, gap: GapRule, *, stored: Sequence[int] = ()
) -> FoldPlan:
    """Choose folds of these samples: the user's, or by content groups.

    `stored` tells of how many presentations each run is the mean.
    """
    if config.tuning.variants:
        return story_plan(config, fit, samples, gap_s=gap.hard_s, stored=stored)
    user = read_folds(config.paths.folds) if config.paths.folds else None
    max_inner, min_samples = config.folds.max_inner, config.folds.min_samples
    if user is None:
        means = [run for run, count in enumerate(stored) if count > 1]
        return plan_folds(
            samples, _content_groups(fit), gap=gap, max_inner=max_inner, min_samples=min_samples,
            mean_runs=means,
        )  # fmt: skip
    return user_folds(
        user, samples, [r.name for r in fit.recordings], gap_s=gap.hard_s,
        max_inner=max_inner, min_samples=min_samples,
    )  # fmt: skip


def common_targets(
    fit: Fit, responses: Sequence[Response]
) -> tuple[list[Response], tuple[str, ...]]:
    """Keep the targets that every recording has, in the first recording's order."""
    if all(r.targets is responses[0].targets for r in responses):
        return list(responses), ()  # tens of thousands of voxels need no comparison
    names = [list(r.targets["name"]) for r in responses]
    common = set(names[0]).intersection(*names[1:])
    if not common:
        raise BrainAlignError(
            f"{fit.name.stem}: no channel is good in all {len(names)} recordings",
            fix="run the recordings separately with --task-label or --run-label",
        )
    order = [name for name in names[0] if name in common]
    dropped = sorted(set().union(*names) - common)
    notes: tuple[str, ...] = ()
    if dropped:
        notes = (
            f"{len(dropped)} channels are not good in every recording of this fit and are left "
            f"out: {', '.join(dropped[:12])}{' …' if len(dropped) > 12 else ''}",
        )
    kept = []
    for response, own in zip(responses, names, strict=True):
        if own == order:
            kept.append(response)
            continue
        where = {name: i for i, name in enumerate(own)}
        at = [where[name] for name in order]
        kept.append(
            Response(
                response.data[:, at],
                response.times,
                response.targets.iloc[at].reset_index(drop=True),
                response.censored,
                response.support_s,
                response.notes,
                None if response.grid is None else response.grid.kept(np.array(at)),
            )
        )
    return kept, notes


def sample_table(
    presentations: Sequence[Presentation], response: Response, *, trim_s: float
) -> pd.DataFrame:
    """One row per response sample: time, playing, usable, clock, stimulus, group."""
    n = len(response.times)
    table = pd.DataFrame(
        {
            "time": response.times,
            "playing": np.zeros(n, dtype=bool),
            "usable": np.zeros(n, dtype=bool),
            "clock": np.full(n, np.nan),
            "stimulus": pd.array([""] * n, dtype=object),
            "group": pd.array([""] * n, dtype=object),
        }
    )
    for presentation, placement in zip(presentations, placements(presentations), strict=True):
        clock = stimulus_clock(response.times, placement)
        on = np.isfinite(clock)
        settled = np.zeros(n, dtype=bool)
        for start, stop in placement.segments:
            settled |= on & (clock >= start + trim_s) & (clock <= stop)
        table.loc[on, "playing"] = True
        table.loc[settled, "usable"] = True
        table.loc[on, "clock"] = clock[on]
        table.loc[on, "stimulus"] = presentation.stimulus.name
        table.loc[on, "group"] = presentation.content_group
    return table


def delays_of(config: Config, fit: Fit, interval_s: float) -> tuple[int, ...]:
    """Lags (iEEG, EEG) or FIR delays (fMRI) in samples."""
    if fit.modality != "fmri":
        own = config.electrodes(fit.modality)
        return lag_samples(
            own.lag_min_s, own.lag_max_s, step_s=own.lag_step_s, interval_s=interval_s
        )
    if config.fmri.hrf != FIR:
        return (0,)  # features come through a canonical response
    return delay_samples(config.fmri.delay_min_s, config.fmri.delay_max_s, tr_s=interval_s)


def _reach_s(
    config: Config, fit: Fit, responses: Sequence[Response], delays: tuple[int, ...]
) -> float:
    """Delay span plus the support of the filters on both sides."""
    interval = responses[0].interval_s
    slow = LOBES * interval if fit.modality == "fmri" else 0.0
    if fit.modality == "fmri" and config.fmri.hrf != FIR:
        slow += HRF_S
    return (max(delays) - min(delays)) * interval + max(r.support_s for r in responses) + slow


def summarised_decorrelation(data: Array32, samples: Samples) -> float:
    """Seconds after which responses have forgotten themselves, over all runs.

    Parameters
    ----------
    data : ndarray of shape (n_samples, n_targets)
        Those that :func:`targets_that_tell` picks, or more.
    samples : Samples
    """
    at_most = data[:, targets_that_tell(data.shape[1])]
    times = decorrelation_time(at_most, samples.interval_s, segments=samples.run)
    return summary_decorrelation(times)


def targets_that_tell(n_targets: int) -> slice:
    """Evenly spread targets, 2,000 to 4,000 of many: all where there are fewer."""
    return slice(None, None, max(1, n_targets // 2000))


def context_s(config: Config, fit: Fit, spaces: Sequence[Space]) -> float:
    """Widest context that any feature of this fit heard, in s."""
    heard = [0.0]
    for space in spaces:
        for stimulus in {p.stimulus.name: p.stimulus for p in fit.presentations}.values():
            stored = stored_features(config, space, stimulus, fit.modality)
            heard += [stored.context_past_s, stored.context_future_s]
    return float(np.nanmax(heard))


def null_draws(
    config: Config,
    fit: Fit,
    plan: FoldPlan,
    delays: Sequence[int],
    decorrelation_s: float,
    interval_s: float,
) -> tuple[FoldDraws, ...]:
    """Draw the shifts of every fold, at least the span of the delays away from the alignment."""
    lengths = [len(fold.outer.test) for fold in plan.folds]
    lengths = [n for n in lengths if n >= config.folds.min_samples]
    if not lengths:
        return ()
    steps = max(1.0, decorrelation_s / interval_s)
    least = max(delays) - min(delays) + round(steps)
    return draw_folds(
        lengths,
        steps,
        n_draws=config.nulls.n_draws,
        min_offset=max(1, min(least, min(lengths) // 4)),
        rng=np.random.default_rng(seed_of(config, "null", fit.name.stem, fit.modality)),
    )


def feature_space(config: Config, assembly: Assembly, space: Space) -> FeatureSpace:
    """Open stored features of all runs; a layer is put on the response clock when read."""
    fit = assembly.fit
    stored = {
        p.stimulus.name: stored_features(config, space, p.stimulus, fit.modality)
        for p in fit.presentations
    }
    layers = next(iter(stored.values())).layers
    electric = fit.modality != "fmri"

    def read(layer: int) -> list[Array32]:
        frames_of = _FramesOnce(stored, layer, [p.stimulus.name for p in fit.presentations])
        runs = []
        for recording, response in zip(fit.recordings, assembly.responses, strict=True):
            mine = fit.of(recording)
            run: Array32 | None = None
            for presentation, placement in zip(mine, placements(mine), strict=True):
                frames = frames_of.next(presentation.stimulus.name)
                times = stored[presentation.stimulus.name].times
                if space.reads_words and not electric:
                    frames, times = held_means(frames, times, rate_hz=config.features.fmri_rate_hz)
                if run is None:
                    run = np.zeros((len(response.times), frames.shape[1]), dtype=np.float32)
                add_onto_response_clock(
                    run, frames, times, response.times, placement,
                    slow=not electric, hold=space.is_held, hrf=config.fmri.hrf,
                )  # fmt: skip
            assert run is not None  # noqa: S101 - a fit's recordings have presentations
            runs.append(run)
        return runs

    n_components = config.electrodes(fit.modality).n_components if electric else None
    if space.kind == "lowlevel":
        n_components = None
    return FeatureSpace(space.name, tuple(layers), read, n_components)


KEPT_FRAMES_BYTES = 1 << 28
"""Frames that wait for their stimulus to be presented again: 200 sentences of a large model."""


class _FramesOnce:
    """Frames of one layer, kept from one presentation of a stimulus to the next.

    Parameters
    ----------
    stored : mapping of str to StoredFeatures
        By name of the stimulus.
    layer : int
    names : sequence of str
        Stimulus of every presentation to come.
    """

    def __init__(
        self, stored: Mapping[str, StoredFeatures], layer: int, names: Sequence[str]
    ) -> None:
        self._stored, self._layer = stored, layer
        self._to_come = Counter(names)
        self._kept: dict[str, Array32] = {}

    def next(self, name: str) -> Array32:
        """(n_frames, n_dims) of the stimulus of the next presentation."""
        frames = self._kept.pop(name, None)
        if frames is None:
            frames = self._stored[name].read(self._layer)
        self._to_come[name] -= 1
        waiting = sum(kept.nbytes for kept in self._kept.values())
        if self._to_come[name] > 0 and waiting + frames.nbytes <= KEPT_FRAMES_BYTES:
            self._kept[name] = frames
        return frames


def held_age(config: Config, assembly: Assembly, space: Space) -> float:
    """Mean age in s of features that are held until the next window; 0 for other modes."""
    if space.mode != "causal":
        return 0.0
    fit = assembly.fit
    ages = []
    for recording, response in zip(fit.recordings, assembly.responses, strict=True):
        mine = fit.of(recording)
        for presentation, placement in zip(mine, placements(mine), strict=True):
            source = stored_features(config, space, presentation.stimulus, fit.modality)
            ages.append(held_age_s(source.times, response.times, placement))
    return float(np.nanmean(ages))
