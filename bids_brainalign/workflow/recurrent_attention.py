"""The step that looks into networks with attention: profiles over lags, their nulls and checks.

All of it is done in one outer fold, with networks that learn the responses themselves (without
the linear path): otherwise they would show only what the ridge leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from bids_brainalign.config.schema import Config
from bids_brainalign.encoding.nested import splits_of
from bids_brainalign.encoding.ridge import make_system
from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.statistics.nulls import FoldNull
from bids_brainalign.statistics.tails import p_values
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.assemble import held_age
from bids_brainalign.workflow.encoding import fit_inputs
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.kept_networks import KeptFit, Wanted
from bids_brainalign.workflow.onset_attention import LOCKED_COLUMNS, locked_rows
from bids_brainalign.workflow.phone_times import phone_methods
from bids_brainalign.workflow.recurrent_fits import MODULES, Study
from bids_brainalign.workflow.spaces import Space, seed_of

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]

ATTENTIVE = ("gru", "lstm", "attention")
FOLD = 0
INJECTED_AT = (0.25, 0.5, 0.75)
"""Places in the window where a known delay is injected."""
OCCLUDED_SHARE = 1 / 6
"""Of the lags, taken away for the faithfulness check."""

PROFILE_COLUMNS: dict[str, str] = {
    "target": "Electrode",
    "lag_s": "Lag in s; positive: the response follows the features",
    "attention": "Mean attention at this lag; electrodes weigh the network's queries. After a "
    "recurrent layer this is no attribution",
    "attention_null": "Mean of the same in networks trained on circularly shifted responses: what "
    "the positions alone give",
    "attention_null_max": "Largest of these networks",
    "occlusion": "Held-out r minus r without the frames at this lag, mean over seeds",
    "occlusion_null_q95": ".95 quantile, over shifts of the held-out responses, of the largest "
    "loss at any lag",
    "ridge_occlusion": "The same loss for the ridge on the same design and fold",
}
LAG_COLUMNS: dict[str, str] = {
    "target": "Electrode",
    "r": "Held-out r in this fold, mean over seeds",
    "attention_lag_s": "Peak of the attention profile",
    "occlusion_lag_s": "Peak of the occlusion profile",
    "ridge_lag_s": "Peak of the ridge's occlusion profile",
    "attention_at_edge": "The attention's peak is the first or last lag: the true one may lie "
    "outside",
    "at_edge": "The same of the occlusion's peak",
    "ridge_at_edge": "The same of the ridge's peak",
    "p_occlusion": "p of the occlusion's peak against its null, the largest loss at any lag when "
    "the held-out responses are shifted",
}
CHECK_COLUMNS: dict[str, str] = {
    "check": "What was checked",
    "value": "Result",
    "reference": "What it is compared with",
    "note": "How to read it",
}


@dataclass(frozen=True)
class _Look:
    """What one network shows."""

    attention: Array64
    """(n_targets, n_lags)."""
    occlusion: Array64
    row_weights: Array32
    """(n_rows, n_queries, n_lags)."""
    occlusion_null: Array32 | None
    """(n_lags, n_draws, n_targets), where it was asked for."""


def attention_steps(
    config: Config, fit: Fit, space: Space, spaces: Sequence[Space]
) -> Iterator[Step]:
    """Give one step per encoder with attention."""
    for encoder in config.encoders:
        if encoder in ATTENTIVE:
            yield _step(config, fit, space, spaces, encoder)


def _step(config: Config, fit: Fit, space: Space, spaces: Sequence[Space], encoder: str) -> Step:
    inputs = fit_inputs(config, fit, spaces) | {
        "model": space.name,
        "recurrent": asdict(config.recurrent),
        "encoder": encoder,
    }
    return Step(
        name=f"attention {fit.name.stem} {fit.name.datatype} {space.name} {encoder}",
        inputs=inputs,
        modules=("bids_brainalign.workflow.recurrent_attention", *MODULES),
        work=lambda: _Attention(Study(config, fit, space, spaces), space, encoder).write(),
    )


class _Attention:
    """All that is asked of one encoder."""

    def __init__(self, study: Study, space: Space, encoder: str) -> None:
        self.study, self.encoder = study, encoder
        self.label = analysis_label(space.name, encoder)
        self.layer = int(study.chosen_layers[FOLD])
        self.window = study.window(self.layer, FOLD)
        self.rows = self.window.fold.outer.test
        interval = study.assembly.interval_s
        # Held features are of an earlier moment, as in the lag curves.
        age = held_age(study.config, study.assembly, space)
        self.lags_s = np.array(study.assembly.delays) * interval + age
        self.frame_s = interval

    def write(self) -> list[Path]:
        from bids_brainalign.encoding.recurrent.side_by_side import one_thread

        with one_thread():
            return self._write()

    def _write(self) -> list[Path]:
        settings = self.study.config.recurrent
        seeds = [self._wanted(seed) for seed in range(settings.seeds)]
        shifted = [self._wanted_null(index) for index in range(settings.null_fits)]
        injected = [self._wanted_injected(lag) for lag in self._injected_at()]
        # All at once: they share a design, and every core gets a network.
        kept = self.study.fits([*seeds, *shifted, *injected])
        fits, rest = kept[: len(seeds)], kept[len(seeds) :]
        draws = self._held_out_null()
        looks = [self._look(fit, self.window.responses, draws) for fit in fits]
        others = [
            self._look(fit, _responses(one))
            for fit, one in zip(rest, [*shifted, *injected], strict=True)
        ]
        nulls, recovered = others[: len(shifted)], others[len(shifted) :]
        attention = np.mean([look.attention for look in looks], axis=0)
        occlusion = np.mean([look.occlusion for look in looks], axis=0)
        ridge = self._ridge()
        held = self.window.responses[self.rows]
        r = np.mean([_columns_r(held, fit.prediction) for fit in fits], axis=0)
        largest = _largest_loss(looks)
        profiles = self._profile_table(attention, occlusion, ridge, nulls, largest)
        lags = self._lag_table(r, attention, occlusion, ridge, largest)
        checks = self._recovery(recovered)
        checks += self._checks(fits, looks, nulls, attention, lags)
        locked = locked_rows(
            self.study.assembly,
            self.rows,
            {
                "attended lag (s)": np.mean(
                    [look.row_weights.mean(axis=1) @ self.lags_s for look in looks], axis=0
                ),
                "prediction (mean over electrodes)": np.mean(
                    [fit.prediction.mean(axis=1) for fit in fits], axis=0
                ),
            },
            rng=self._rng("onsets"),
        )
        config, name = self.study.config, self.study.assembly.fit.name
        extra = {
            "Encoder": self.encoder,
            "Fold": FOLD + 1,
            "Layer": self.study.features.layers[self.layer],
            "Note": "Networks trained on the responses themselves, in one outer fold. Features "
            "that hear the future make lags no proof of order in time.",
        }
        written: list[Path] = []
        for suffix, table, columns in (
            ("attention", profiles, PROFILE_COLUMNS),
            ("peaks", lags, LAG_COLUMNS),
            ("checks", pd.DataFrame(checks), CHECK_COLUMNS),
        ):
            path = config.paths.output_dir / name.file(f"{suffix}.tsv", analysis=self.label)
            written += write_tsv(path, table, columns, extra=extra)
        path = config.paths.output_dir / name.file("onsetattention.tsv", analysis=self.label)
        phones = {"PhoneTimes": phone_methods(self.study.assembly.fit)}
        written += write_tsv(path, locked, LOCKED_COLUMNS, extra=extra | phones)
        return written

    def _rng(self, what: str) -> np.random.Generator:
        stem = self.study.assembly.fit.name.stem
        return np.random.default_rng(seed_of(self.study.config, what, stem, self.label))

    def _wanted(self, seed: int, responses: Array32 | None = None, variant: str = "") -> Wanted:
        return Wanted(
            self.encoder, self.layer, FOLD, seed,
            with_linear=False, responses=responses, variant=variant,
        )  # fmt: skip

    def _wanted_null(self, index: int) -> Wanted:
        """Ask for a network that is trained on responses shifted within each run."""
        return self._wanted(index, self._shifted(self._rng(f"shift {index}")), f"shifted {index}")

    def _injected_at(self) -> list[int]:
        return [round(place * (len(self.lags_s) - 1)) for place in INJECTED_AT]

    def _wanted_injected(self, lag: int) -> Wanted:
        """Ask for a network that is trained on responses with a known delay."""
        from bids_brainalign.encoding.recurrent.attention import injected

        rng = self._rng(f"injected {lag}")
        responses = injected(self.window.lags, self._shifted(rng), lag=lag, rng=rng)
        return self._wanted(0, responses, f"injected {lag}")

    def _held_out_null(self) -> FoldNull | None:
        """Shifts of this fold's held-out responses."""
        held_out = self.study.held_out
        if not held_out.has_null or FOLD not in held_out.scored:
            return None
        draws = self.study.assembly.draws[held_out.scored.index(FOLD)]
        return FoldNull(self.window.responses[self.rows], draws)

    def _look(self, fit: KeptFit, responses: Array32, null: FoldNull | None = None) -> _Look:
        from bids_brainalign.encoding.recurrent.attention import (
            attention_profile,
            attention_weights,
            occlusion_profile,
        )

        network = self.study.network(self.encoder, self.layer, FOLD, fit)
        device = self.study.options.device
        weights, parts = attention_weights(
            network, self.window.lags, rows=self.rows, device=device
        )
        occlusion, drawn = occlusion_profile(
            network, self.window.lags, responses, rows=self.rows, null=null, device=device
        )
        return _Look(attention_profile(weights, parts), occlusion, weights, drawn)

    def _shifted(self, rng: np.random.Generator) -> Array32:
        """Responses of every run turned by a quarter to three quarters of its length."""
        run = self.study.assembly.samples.run
        shifted = self.window.responses.copy()
        for name in np.unique(run):
            rows = np.flatnonzero(run == name)
            offset = int(rng.uniform(0.25, 0.75) * len(rows))
            shifted[rows] = np.roll(shifted[rows], offset, axis=0)
        return shifted

    def _ridge(self) -> Array64:
        from bids_brainalign.encoding.recurrent.attention import ridge_occlusion

        window, train = self.window, self.window.fold.outer.train
        design = window.lags.reshape(len(window.lags), -1)
        system = make_system([design], window.responses, splits_of(window.fold))
        weights = system.solve(train, np.ones(1)).weights(window.linear.alpha)
        return ridge_occlusion(
            design, weights, window.responses, rows=self.rows, n_lags=len(self.lags_s)
        )

    def _names(self) -> list[str]:
        return [str(name) for name in self.study.assembly.targets["name"]]

    def _profile_table(
        self,
        attention: Array64,
        occlusion: Array64,
        ridge: Array64,
        nulls: list[_Look],
        largest: Array32 | None,
    ) -> pd.DataFrame:
        n_lags, names = len(self.lags_s), self._names()
        missing = np.full(attention.shape, np.nan)
        quantile = missing
        if largest is not None:
            quantile = np.repeat(np.quantile(largest, 0.95, axis=0)[:, None], n_lags, axis=1)
        columns = {
            "attention": attention,
            "attention_null": np.mean([n.attention for n in nulls], axis=0) if nulls else missing,
            "attention_null_max": np.max([n.attention for n in nulls], axis=0)
            if nulls
            else missing,
            "occlusion": occlusion,
            "occlusion_null_q95": quantile,
            "ridge_occlusion": ridge,
        }
        return pd.DataFrame(
            {
                "target": np.repeat(names, n_lags),
                "lag_s": np.tile(self.lags_s, len(names)),
                **{name: values.ravel() for name, values in columns.items()},
            }
        )

    def _lag_table(
        self,
        r: Array64,
        attention: Array64,
        occlusion: Array64,
        ridge: Array64,
        largest: Array32 | None,
    ) -> pd.DataFrame:
        from bids_brainalign.encoding.recurrent.attention import peak_lag

        peaks = {
            "attention": peak_lag(attention, self.lags_s),
            "occlusion": peak_lag(occlusion, self.lags_s),
            "ridge": peak_lag(ridge, self.lags_s),
        }
        p = np.full(len(r), np.nan)
        if largest is not None:
            p = p_values(occlusion.max(axis=1), largest)
        return pd.DataFrame(
            {
                "target": self._names(),
                "r": r,
                **{f"{name}_lag_s": lag for name, (lag, _) in peaks.items()},
                "attention_at_edge": peaks["attention"][1],
                "at_edge": peaks["occlusion"][1],
                "ridge_at_edge": peaks["ridge"][1],
                "p_occlusion": p,
            }
        )

    def _checks(
        self,
        fits: list[KeptFit],
        looks: list[_Look],
        nulls: list[_Look],
        attention: Array64,
        lags: pd.DataFrame,
    ) -> list[dict[str, object]]:
        rows = [_learnt(fits), self._faithful(fits[0], looks[0])]
        for name, profiles in (
            ("attention", [look.attention for look in looks]),
            ("occlusion", [look.occlusion for look in looks]),
        ):
            if len(looks) > 1:
                rows.append(
                    {
                        "check": f"agreement of seeds, {name}",
                        "value": np.mean(
                            [
                                spearmanr(a.mean(axis=0), b.mean(axis=0)).statistic
                                for a, b in combinations(profiles, 2)
                            ]
                        ),
                        "reference": 1.0,
                        "note": f"Spearman's rho of profiles over lags, mean over pairs of "
                        f"{len(looks)} seeds",
                    }
                )
        if nulls:
            rows.append(
                {
                    "check": "likeness to networks on shifted responses, attention",
                    "value": np.mean(
                        [
                            spearmanr(attention.mean(axis=0), n.attention.mean(axis=0)).statistic
                            for n in nulls
                        ]
                    ),
                    "reference": 0.0,
                    "note": "Spearman's rho; near 1: the profile is the place in the window, not "
                    "the brain",
                }
            )
        inside = ~lags["at_edge"] & ~lags["ridge_at_edge"]
        trusted = lags[(lags["p_occlusion"] < 0.05) & inside]
        difference = (trusted["occlusion_lag_s"] - trusted["ridge_lag_s"]).abs()
        rows.append(
            {
                "check": "occlusion lag against ridge lag (s)",
                "value": difference.median() if len(trusted) else np.nan,
                "reference": 0.0,
                "note": f"median distance over {len(trusted)} electrodes with p_occlusion < .05, "
                "off the edges",
            }
        )
        return rows

    def _recovery(self, looks: list[_Look]) -> list[dict[str, object]]:
        """Known delays: by attention where nothing recurs, else by occlusion."""
        from bids_brainalign.encoding.recurrent.attention import peak_lag

        by = "attention" if self.encoder == "attention" else "occlusion"
        rows: list[dict[str, object]] = []
        for lag, look in zip(self._injected_at(), looks, strict=True):
            profile = getattr(look, by).mean(axis=0, keepdims=True)
            found = float(peak_lag(profile, self.lags_s)[0][0])
            within = abs(found - self.lags_s[lag]) <= self.frame_s + 1e-9
            frame = f"within one frame ({self.frame_s * 1000:.0f} ms)"
            verdict = frame if within else f"NOT {frame}: not interpretable"
            rows.append(
                {
                    "check": f"injected delay, by {by} (s)",
                    "value": found,
                    "reference": float(self.lags_s[lag]),
                    "note": f"{verdict}; responses made of the features at that lag and as much "
                    "noise",
                }
            )
        return rows

    def _faithful(self, fit: KeptFit, look: _Look) -> dict[str, object]:
        from bids_brainalign.encoding.recurrent.attention import faithfulness

        n_lags = max(1, round(OCCLUDED_SHARE * len(self.lags_s)))
        top, random = faithfulness(
            self.study.network(self.encoder, self.layer, FOLD, fit),
            self.window.lags,
            self.window.responses,
            look.row_weights,
            rows=self.rows,
            n_lags=n_lags,
            rng=self._rng("faithfulness"),
            device=self.study.options.device,
        )
        return {
            "check": f"loss of r without the {n_lags} most attended lags",
            "value": top.mean(),
            "reference": random.mean(),
            "note": f"reference: without {n_lags} random lags (mean of {len(random)} draws, "
            f"largest {random.mean(axis=1).max():.3f}); mean over electrodes",
        }


def _learnt(fits: list[KeptFit]) -> dict[str, object]:
    """Networks whose first weights were never beaten show only those weights."""
    n = sum(fit.best_epoch > 0 for fit in fits)
    note = "networks of different seeds that beat their first weights on unseen rows"
    if n < len(fits):
        note += "; the others show what they began with, and are in the means below"
    return {
        "check": "seeds that learnt",
        "value": float(n),
        "reference": float(len(fits)),
        "note": note if n else f"{note}: nothing below is interpretable",
    }


def _responses(one: Wanted) -> Array32:
    if one.responses is None:
        raise ValueError("a network on recorded responses is no null")
    return one.responses


def _largest_loss(looks: list[_Look]) -> Array32 | None:
    """(n_draws, n_targets) largest loss at any lag, of the mean over seeds."""
    drawn = [look.occlusion_null for look in looks if look.occlusion_null is not None]
    return np.mean(drawn, axis=0).max(axis=0) if drawn else None


def _columns_r(a: Array32, b: Array32) -> Array64:
    from bids_brainalign.statistics.correlation import correlation

    return np.nan_to_num(correlation(a, b), nan=0.0)
