"""Layer × lag: every layer of an embedding against the responses in every bin of time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.config.schema import Config
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.features.word_embeddings import WordEmbeddings, of_words
from bids_brainalign.outputs.reading import SETTINGS
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.production.folds import LEAST_WORDS
from bids_brainalign.production.timecourse import ALPHA, LayerLagMap, layer_lag_map
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.production.material import Material
from bids_brainalign.workflow.production.rebuilding import (
    RIDGE,
    least_shift,
    plan_folds,
)
from bids_brainalign.workflow.production.reconstruction import settings_of
from bids_brainalign.workflow.production.speakers import Speaker
from bids_brainalign.workflow.production.structure_tables import PEAKS, TIMECOURSE
from bids_brainalign.workflow.production.word_vectors import embedding_label
from bids_brainalign.workflow.production_embeddings import preparation_of
from bids_brainalign.workflow.spaces import seed_of


def course_step(
    config: Config,
    speaker: Speaker,
    material: Material,
    name: str,
    embedding: WordEmbeddings,
    *,
    identity: object,
    settings: str,
) -> Step:
    """Map every layer of one embedding; parameters as of `reconstruction_step`.

    ``embedding`` has all its layers, of the words of the material.
    """
    label = embedding_label(name)
    stem = config.paths.output_dir / speaker.name.file("timecourse.tsv", analysis=label)

    def work() -> list[Path]:
        rows = np.atleast_1d(np.isfinite(material.bins).all(axis=(1, 2)))
        extra: dict[str, object] = {SETTINGS: settings}
        if rows.sum() < LEAST_WORDS:
            reason = (
                f"{int(rows.sum())} words have responses in all bins of the time course: set "
                "course_s in [production] shorter."
            )
            return _write(stem, name, embedding, None, {**extra, "Sentences": [reason]})
        kept = material.of(rows)
        seed = seed_of(config, "production", speaker.name.stem)
        try:
            folds = plan_folds(config.production, kept, over="k-fold", seed=seed)
            found = layer_lag_map(
                [layer.astype(np.float64) for layer in of_words(embedding, rows).values],
                kept.bins,
                folds,
                kept.bin_s,
                n_draws=config.production.course_draws,
                rng=np.random.default_rng(seed),
                preparation=preparation_of(embedding, explained=config.production.explained),
                least_shift=least_shift(folds.n_words, kept),
            )
        except BrainAlignError as error:
            return _write(stem, name, embedding, None, {**extra, "Sentences": [error.what]})
        return _write(stem, name, embedding, found, {**extra, **_said(found, embedding)})

    p = config.production
    return Step(
        name=f"time course {name} {speaker.name.stem}",
        inputs={
            "identity": [identity, settings],
            "settings": [settings_of(config, RIDGE), p.course_s, p.bin_s, p.course_draws],
            "seed": config.random_seed,
        },
        modules=("bids_brainalign.workflow.production.courses",),
        work=work,
    )


def _write(
    path: Path,
    name: str,
    embedding: WordEmbeddings,
    found: LayerLagMap | None,
    extra: dict[str, object],
) -> list[Path]:
    course = pd.DataFrame(columns=[*TIMECOURSE])
    peaks = pd.DataFrame(columns=[*PEAKS])
    if found is not None:
        parts = [
            pd.DataFrame(
                {
                    "embedding": name,
                    "layer": layer,
                    "time": found.lags_s,
                    "pattern_r": found.pattern_r[row],
                    "two_vs_two": found.two_vs_two[row],
                    "p": found.p[row],
                    "p_all": found.p_max[row],
                }
            )
            for row, layer in enumerate(embedding.layers)
        ]
        course = pd.concat(parts, ignore_index=True)
        best = found.pattern_r.argmax(axis=1)
        peaks = pd.DataFrame(
            {
                "embedding": name,
                "layer": list(embedding.layers),
                "peak": [peak.lag_s for peak in found.peaks],
                "ci_low": [peak.low_s for peak in found.peaks],
                "ci_high": [peak.high_s for peak in found.peaks],
                "pattern_r": found.pattern_r[np.arange(len(best)), best],
                "p": found.p[np.arange(len(best)), best],
            }
        )
    beside = path.with_name(path.name.replace("_timecourse.tsv", "_peaks.tsv"))
    return [
        *write_tsv(path, course[[*TIMECOURSE]], TIMECOURSE, extra=extra),
        *write_tsv(beside, peaks[[*PEAKS]], PEAKS, extra=extra),
    ]


def _said(found: LayerLagMap, embedding: WordEmbeddings) -> dict[str, object]:
    ways = [f"{n} {what}" for what, n in found.n_draws.items()]
    larger = "; p is the larger of both" if len(ways) > 1 else ""
    draws = f"{' and '.join(ways)}, the same for all layers and bins{larger}."
    least_p = 1 / (1 + min(found.n_draws.values()))
    if least_p > ALPHA:
        draws += f" With so few, p is {least_p:.2f} at least: no bin can be significant."
    if found.slope is None:
        few = (
            "Fewer than 3 layers have a peak with p at most .05 away from the ends of the course: "
            "whether later layers peak later can't be said."
        )
        return {"Sentences": [draws, few] if len(embedding.layers) > 1 else [draws]}
    steps = max(1, len(embedding.layers) - 1)
    return {
        "Sentences": [draws],
        "Slope": {
            "slope_s_per_layer": round(found.slope.seconds / steps, 6),
            "p": round(found.slope.p, 6),
            "n_layers": found.slope.n_layers,
        },
    }
