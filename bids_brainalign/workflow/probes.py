"""The steps that probe models, and compare a tuned model with what it was."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.outputs.names import analysis_label, pair_label
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.probes.layers import ProbedLayers, changes, probe_layers
from bids_brainalign.probes.similarity import apart, likeness
from bids_brainalign.store.digest import file_digest
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.probe_features import (
    Pooled,
    can_probe,
    load_pooled,
    pooled_key,
    pooled_rows,
    pooled_step,
)
from bids_brainalign.workflow.probe_labels import (
    Probe,
    Skipped,
    build_probe,
    offers,
    unit_of,
)
from bids_brainalign.workflow.probe_material import (
    Material,
    folder_material,
    own_material,
    thinned,
)
from bids_brainalign.workflow.spaces import Space, seed_of

logger = logging.getLogger(__name__)

COLUMNS = {
    "model": "Model as given; NAME:untrained for its twin with random weights",
    "probe": "What is predicted",
    "data": "stimuli (of the dataset), or NAME of --probe-data",
    "layer": "0 = input of the first block, then blocks",
    "metric": "r (mean over columns), r2 (mean over columns, against the training mean), "
    "balanced_accuracy, f1_macro, f1_micro",
    "score": "On the test rows, scored once",
    "ci_low": "Lower end of the 95 % interval: bootstrap over blocks of test rows, fit held fixed",
    "ci_high": "Upper end",
    "chance": "Mean score of probes refitted on labels that nothing ties to the features",
    "p": "Share of those that reach the score, (1 + k) / (1 + n_null)",
    "p_max": "The same against the highest layer of each draw: corrected over layers",
    "n_null": "Refitted probes",
    "alpha": "Penalty, chosen on the validation rows",
    "n_train": "Training rows",
    "n_validation": "Validation rows",
    "n_test": "Test rows",
    "n_columns": "Numbers, classes or labels that are predicted",
}
CHANGE_COLUMNS = {
    "model": "Model that was tuned",
    "original": "Model that it was before",
    **{name: COLUMNS[name] for name in ("data", "layer")},
    "probe": "What is predicted; likeness: CKA of the layer with the original's, 1 before tuning",
    "metric": COLUMNS["metric"] + ", cka",
    "before": "Score of the original",
    "after": "Score of the tuned model",
    "change": "After less before",
    "ci_low": "Lower end of the 95 % interval of the change: both on the same drawn test blocks",
    "ci_high": COLUMNS["ci_high"],
}


@dataclass
class ProbeData:
    """One material with its windows; probes are built when the first step needs them."""

    config: Config
    material: Material
    kinds: tuple[str, ...]
    gap_s: float

    @cached_property
    def pooled(self) -> Pooled:
        """Windows of all units."""
        units = {unit_of(k, self.material) for k in self.kinds if not offers(k, self.material)}
        if self.material.stimuli:
            units.add("segment")  # for likeness
        return pooled_rows(self.config, self.material, sorted(units))

    @cached_property
    def probes(self) -> tuple[Probe | Skipped, ...]:
        """All probes that were asked for."""
        vectors = _word_vectors(self.config)
        return tuple(
            build_probe(
                self.config, kind, self.material, self.pooled, gap_s=self.gap_s, vectors=vectors
            )
            for kind in self.kinds
        )

    @property
    def identity(self) -> object:
        """What its tables depend on, beside the features."""
        return [self.material.name, self.material.identity, self.material.rule, self.kinds]


def _word_vectors(config: Config) -> Callable[[str], NDArray[np.float32] | None] | None:
    if config.probes.vectors is None:
        return None
    from bids_brainalign.features.static_vectors import look_up, open_vectors

    table = open_vectors(config.probes.vectors)
    return lambda word: look_up(table, word)


def probe_data(config: Config, fits: Sequence[Fit]) -> list[ProbeData]:
    """Material of a run: the stimuli, and with probes every folder of ``--probe-data``."""
    probes = config.probes
    if not probes.kinds and not probes.similarity:
        return []
    materials = [own_material(config, fits)]
    if probes.kinds:
        materials += [folder_material(config, name, path) for name, path in probes.data]
    gap_s = probes.block_s
    return [ProbeData(config, one, probes.kinds, gap_s) for one in materials]


def feature_steps(
    config: Config, spaces: Sequence[Space], data: Sequence[ProbeData]
) -> list[Step]:
    """Average every model's features over every material's windows."""
    return [
        pooled_step(config, space, one.material, one.pooled)
        for space in spaces
        for one in data
        if can_probe(space, one.material) and one.pooled.n_rows
    ]


def probe_step(config: Config, space: Space, data: Sequence[ProbeData]) -> Step:
    """Probe all layers of one model on all materials: ``group/desc-<analysis>_probes.tsv``."""
    mine = [one for one in data if can_probe(space, one.material) and one.pooled.n_rows]
    path = config.paths.output_dir / "group" / f"desc-{analysis_label(space.name)}_probes.tsv"

    def work() -> list[Path]:
        tables = [
            _probed(config, space, one, probe).table().assign(
                model=space.name, probe=probe.name, data=probe.data
            )
            for one in mine
            for probe in one.probes
            if isinstance(probe, Probe)
        ]  # fmt: skip
        table = (
            pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*COLUMNS])
        )
        return list(write_tsv(path, table[[*COLUMNS]], COLUMNS, extra=_told(mine)))

    return Step(
        name=f"probes {space.name}",
        inputs=_inputs(config, [space], mine),
        modules=("bids_brainalign.workflow.probes",),
        work=work,
    )


def change_step(config: Config, tuned: Space, original: Space, data: Sequence[ProbeData]) -> Step:
    """Compare a tuned model with its original, layer by layer, on the same rows."""
    mine = [
        one for one in data
        if all(can_probe(s, one.material) for s in (tuned, original)) and one.pooled.n_rows
    ]  # fmt: skip
    label = pair_label(tuned.name, original.name)
    path = config.paths.output_dir / "group" / f"desc-{label}_changes.tsv"

    def work() -> list[Path]:
        tables = []
        for one in mine:
            for probe in (p for p in one.probes if isinstance(p, Probe)):
                after, before = (
                    _probed(config, space, one, probe, with_null=False)
                    for space in (tuned, original)
                )
                tables.append(
                    changes(after, before).assign(
                        model=tuned.name, original=original.name, probe=probe.name, data=probe.data
                    )
                )
            if one.material.stimuli:
                tables.append(_likeness(config, tuned, original, one))
        empty = pd.DataFrame(columns=[*CHANGE_COLUMNS])
        table = pd.concat(tables, ignore_index=True) if tables else empty
        return list(write_tsv(path, table[[*CHANGE_COLUMNS]], CHANGE_COLUMNS, extra=_told(mine)))

    return Step(
        name=f"probe changes {tuned.name} {original.name}",
        inputs=_inputs(config, [tuned, original], mine),
        modules=("bids_brainalign.workflow.probes",),
        work=work,
    )


def _likeness(config: Config, tuned: Space, original: Space, data: ProbeData) -> pd.DataFrame:
    """CKA of every layer with the same layer of the original, as a change from 1."""
    rows = data.pooled.rows["segment"]
    chosen = thinned(len(rows), config.probes.similarity_rows)
    at = np.arange(data.pooled.of("segment").start, data.pooled.of("segment").stop)[chosen]
    after, before = (load_pooled(config, s, data.material, data.pooled) for s in (tuned, original))
    stretch = rows.clip[chosen]
    far, draws = apart(stretch, rows=1), np.empty((0, len(chosen)), dtype=np.int64)
    found = []
    for i, layer in enumerate(after.layers[: len(before.layers)]):
        one = likeness(
            [after.read(i)[at]], [before.read(i)[at]], "cka", stretch=stretch, far=far, draws=draws
        )
        value, low, high = (float(a[0, 0]) for a in (one.value, one.low, one.high))
        found.append((layer, 1.0, value, value - 1, low - 1, min(high, 1.0) - 1))
    columns = ["layer", "before", "after", "change", "ci_low", "ci_high"]
    return pd.DataFrame(found, columns=columns).assign(
        model=tuned.name, original=original.name, probe="likeness", data=data.material.name,
        metric="cka",
    )  # fmt: skip


def pairs_of(config: Config, spaces: Sequence[Space]) -> list[tuple[Space, Space]]:
    """Tuned model and original: those given; of exactly two models, the second and the first."""
    named = {space.name: space for space in spaces if space.kind in {"model", "own"}}
    if config.probes.originals:
        return [(named[a], named[b]) for a, b in config.probes.originals
                if a in named and b in named]  # fmt: skip
    models = [s for s in spaces if s.kind == "model" and not s.reads_words and s.mode == "dense"]
    return [(b, a) for a, b in pairwise(models)] if len(models) == 2 else []


def probe_labels(config: Config, spaces: Sequence[Space]) -> dict[str, str]:
    """Labels of tables that compare two models, for descriptions.tsv."""
    pairs = pairs_of(config, spaces) if config.probes.kinds else []
    labels = {pair_label(a.name, b.name): f"{a.name} against {b.name}" for a, b in pairs}
    if config.probes.similarity:
        named = [s.name for s in spaces if s.kind in {"model", "own"} and not s.reads_words]
        twins = [(n, f"{n}:untrained") for n in named if config.features.untrained]
        for a, b in (*combinations(named, 2), *twins):
            labels.setdefault(pair_label(a, b), f"likeness of the layers of {a} and {b}")
    return labels


def _probed(
    config: Config, space: Space, data: ProbeData, probe: Probe, *, with_null: bool = True
) -> ProbedLayers:
    stored = load_pooled(config, space, data.material, data.pooled)
    rng = np.random.default_rng(seed_of(config, "probe blocks", probe.name, probe.data))
    return probe_layers(
        lambda layer: stored.read(layer)[probe.rows],
        stored.layers,
        probe.labelled,
        probe.draws if with_null else probe.draws[:0],
        n_bootstrap=config.probes.n_bootstrap,
        rng=rng,
    )


def _inputs(
    config: Config, spaces: Sequence[Space], data: Sequence[ProbeData]
) -> dict[str, object]:
    vectors = config.probes.vectors
    settings = {
        key: value
        for key, value in asdict(config.probes).items()
        if key not in {"data", "vectors", "originals", "similarity", "response_lag_s"}
    }  # fmt: skip
    memo = config.paths.work_dir / "digests"
    return {
        "features": [[pooled_key(config, s, d.material, d.pooled) for d in data] for s in spaces],
        "models": [space.name for space in spaces],
        "data": [one.identity for one in data],
        "settings": settings,
        "vectors": "" if vectors is None else file_digest(vectors, memo),
        "seed": config.random_seed,
    }


def _told(data: Sequence[ProbeData]) -> dict[str, object]:
    """Say in the sidecar what there is of the data and of what was left out."""
    materials = {}
    for one in data:
        material = one.material
        materials[material.name] = {
            "Kind": material.kind,
            "Clips": len(material.clips),
            "Parts": material.rule,
            "Notes": list(material.notes),
            "Predicted": {
                p.name: list(p.columns) for p in one.probes
                if isinstance(p, Probe) and p.labelled.kind != "numbers"
            },
            "Skipped": {p.name: p.reason for p in one.probes if isinstance(p, Skipped)},
        }  # fmt: skip
    return {"Data": materials}
