"""The step that describes what electrodes answer to phones and writes ``phonemes.tsv``."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.outputs.phonemes import COHERENCE_COLUMNS, PHONEME_COLUMNS, PHONES_LABEL
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.phonemes.classes import PhoneClasses
from bids_brainalign.phonemes.clusters import Clustering, cluster, stability
from bids_brainalign.phonemes.coherence import Coherence, coherence
from bids_brainalign.phonemes.selectivity import (
    Tokens,
    phone_selectivity_index,
    rank_sums,
    resampled_z,
    shifted_rank_sums,
    split_half_reliability,
)
from bids_brainalign.phonemes.times import PhoneTimes
from bids_brainalign.statistics.multiplicity import benjamini_hochberg
from bids_brainalign.statistics.tails import p_values
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.assemble import Assembly, assemble
from bids_brainalign.workflow.encoding import fit_inputs
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.locked import phone_classes
from bids_brainalign.workflow.phone_times import load_phone_times, phone_key, stimuli_of_fit
from bids_brainalign.workflow.phoneme_tokens import categories, heard_phones, token_table
from bids_brainalign.workflow.phoneme_variance import UniqueVariance, unique_variance
from bids_brainalign.workflow.spaces import Space, seed_of

logger = logging.getLogger(__name__)

Array64 = NDArray[np.float64]

ALPHA = 0.05
N_CLUSTER_NULL = 200
N_BOOTSTRAPS = 100
MIN_PHONES = 3
"""With fewer tested phones there is no profile."""


def phoneme_step(config: Config, fit: Fit, lowlevel: Space, spaces: Sequence[Space]) -> Step:
    """Describe one fit's responses to phones; needs responses, low-level features, phone times."""
    inputs = fit_inputs(config, fit, spaces) | {
        "phonemes": asdict(config.phonemes),
        "phones": [phone_key(config, s) for s in stimuli_of_fit(fit)],
        "classes": phone_classes(config).table,
    }
    return Step(
        name=f"phonemes {fit.name.stem} {fit.name.datatype}",
        inputs=inputs,
        modules=("bids_brainalign.workflow.phonemes",),
        work=lambda: write_phonemes(config, fit, lowlevel, spaces),
    )


@dataclass(frozen=True)
class Organisation:
    """Electrodes that were chosen on odd minutes, described on even ones."""

    informative: NDArray[np.bool_]
    """(n_targets,) chosen."""
    clusters: Clustering
    """Of the chosen electrodes."""
    ari: float
    coherence: Coherence | None
    """None without coordinates of enough electrodes."""
    sentences: tuple[str, ...]


def write_phonemes(
    config: Config, fit: Fit, lowlevel: Space, spaces: Sequence[Space]
) -> list[Path]:
    """Analyse and write ``desc-phones_phonemes.tsv`` and ``desc-phones_coherence.tsv``."""
    times = {s.name: load_phone_times(config, s) for s in stimuli_of_fit(fit)}
    classes = phone_classes(config)
    assembly = assemble(config, fit, spaces)
    heard = heard_phones(fit, times)
    tokens, rare = token_table(config, assembly, heard, classes)
    extra: dict[str, object] = _sidecar(config, times, tokens, rare, classes)
    path = config.paths.output_dir / fit.name.file("phonemes.tsv", analysis=PHONES_LABEL)
    if len(tokens.names) < MIN_PHONES:
        extra["Skipped"] = [
            f"Phonemes: {len(tokens.names)} phones have {config.phonemes.min_tokens} tokens or "
            f"more; {MIN_PHONES} are needed."
        ]
        return list(write_tsv(path, pd.DataFrame(columns=[*PHONEME_COLUMNS]), PHONEME_COLUMNS,
                              extra=extra))  # fmt: skip
    kinds, members = categories(tokens.names, classes)
    unique = (
        unique_variance(config, assembly, lowlevel, heard, members, tokens.names)
        if config.phonemes.variance
        else None
    )
    rng = np.random.default_rng(seed_of(config, "phonemes", fit.name.stem))
    organised = organise(tokens, members, assembly.targets, rng=rng)
    table, n_null = phoneme_table(
        tokens, kinds, members, assembly, unique, organised, n_draws=config.nulls.n_draws, rng=rng
    )
    extra |= {"NumberOfShifts": n_null, "Organisation": list(organised.sentences)}
    written = list(write_tsv(path, table, PHONEME_COLUMNS, extra=extra))
    if organised.coherence is not None:
        path = config.paths.output_dir / fit.name.file("coherence.tsv", analysis=PHONES_LABEL)
        rows = coherence_table(organised.coherence, organised.clusters)
        written += write_tsv(path, rows, COHERENCE_COLUMNS)
    return written


def organise(
    tokens: Tokens, members: NDArray[np.bool_], targets: pd.DataFrame, *, rng: np.random.Generator
) -> Organisation:
    """Choose electrodes on odd minutes; cluster them, and test their order, on even ones."""
    chosen_on, described_on = (tokens.take(tokens.block % 2 == parity) for parity in (0, 1))
    n_targets = tokens.responses.shape[1]
    none = np.zeros(n_targets, dtype=bool)
    if min(len(chosen_on.phone), len(described_on.phone)) < 4 * len(tokens.names):
        why = "The recordings are too short to choose electrodes on other minutes than described."
        return Organisation(none, cluster(np.zeros((0, 1)), np.zeros((0, 0, 1))), float("nan"),
                            None, (why,))  # fmt: skip
    null = shifted_rank_sums(chosen_on, members, n_draws=1000, rng=rng)
    p = p_values(rank_sums(chosen_on, members).omnibus, null.omnibus)
    informative = benjamini_hochberg(p) < ALPHA
    part = Tokens(
        described_on.responses[:, informative], described_on.phone, described_on.names,
        described_on.run, described_on.block,
    )  # fmt: skip
    sentences = [
        f"{int(informative.sum())} of {n_targets} electrodes tell phones apart in odd minutes "
        "(Kruskal–Wallis H against shifted labels, q < .05); they are described in even minutes."
    ]
    if not informative.any():
        empty = cluster(np.zeros((0, 1)), np.zeros((0, 0, 1)))
        return Organisation(informative, empty, float("nan"), None, tuple(sentences))
    profiles = rank_sums(part, members).z.T
    draws = shifted_rank_sums(part, members, n_draws=N_CLUSTER_NULL, rng=rng).z
    shifted = np.swapaxes(draws, 1, 2)
    groups = cluster(profiles, shifted)
    again = (z.T for z in resampled_z(part, members, n_draws=N_BOOTSTRAPS, rng=rng))
    ari = stability(groups.labels, again)
    sentences.append(_cluster_sentence(groups, ari, int(informative.sum())))
    order = _anatomy(profiles, shifted, targets[informative], groups, rng)
    return Organisation(informative, groups, ari, order, tuple(sentences))


def _cluster_sentence(groups: Clustering, ari: float, n: int) -> str:
    if not np.isfinite(groups.p):
        return f"{n} electrodes are too few for clusters."
    tested = f"p = {groups.p:.3g}, {groups.n_null} shifts"
    if groups.k < 2:
        return (
            "No clusters: no partition separates electrodes better than shifted labels do "
            f"({tested})."
        )
    return (
        f"{groups.k} clusters of electrodes (Ward; silhouette {groups.silhouette:.2f}, {tested}); "
        f"adjusted Rand index over resampled minutes {ari:.2f}."
    )


def _anatomy(
    profiles: Array64,
    shifted: Array64,
    targets: pd.DataFrame,
    groups: Clustering,
    rng: np.random.Generator,
) -> Coherence | None:
    """Coherence of the electrodes that have coordinates."""
    where = targets[["x", "y", "z"]].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    placed = np.isfinite(where).all(axis=1)
    if placed.sum() < 3:
        return None
    regions = targets["region"].astype(str)
    if (regions == "n/a").all() and "device" in targets:
        regions = targets["device"].astype(str)
    return coherence(
        profiles[placed],
        shifted[:, placed],
        positions_mm=where[placed],
        labels=groups.labels[placed],
        regions=regions.to_numpy(dtype=str)[placed],
        rng=rng,
    )


def phoneme_table(
    tokens: Tokens,
    kinds: list[tuple[str, str]],
    members: NDArray[np.bool_],
    assembly: Assembly,
    unique: UniqueVariance | None,
    organised: Organisation,
    *,
    n_draws: int,
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, int]:
    """One row per electrode and phone, electrode and category, and electrode; number of shifts."""
    observed = rank_sums(tokens, members)
    null = shifted_rank_sums(tokens, members, n_draws=n_draws, rng=rng)
    psi = phone_selectivity_index(tokens)
    phones = np.eye(len(tokens.names), dtype=bool)
    parts = []
    for group, which, z, drawn, index in (
        ([("phone", name) for name in tokens.names], phones, observed.z, null.z, psi),
        (kinds, members, observed.category_z, null.category_z, None),
    ):
        p = p_values(z.ravel(), drawn.reshape(len(drawn), -1)).reshape(z.shape)
        q = np.asarray(benjamini_hochberg(p.ravel())).reshape(z.shape)
        contrast, counts = _contrast(tokens, which)
        for row, (kind, name) in enumerate(group):
            parts.append(
                _rows(assembly.targets).assign(
                    kind=kind,
                    phone_class=name,
                    n_tokens=counts[row],
                    selectivity=contrast[row],
                    z=z[row],
                    psi=pd.array([pd.NA] * z.shape[1] if index is None else index[row], "Int64"),
                    p=p[row],
                    q_fdr=q[row],
                )
            )
    p = p_values(observed.omnibus, null.omnibus)
    answers = _rows(assembly.targets).assign(
        kind="any", phone_class="any", n_tokens=int((tokens.phone >= 0).sum()),
        z=np.sqrt(observed.omnibus), p=p, q_fdr=benjamini_hochberg(p),
        reliability=split_half_reliability(tokens, members),
    )  # fmt: skip
    if unique is not None:
        answers = answers.assign(
            unique_r=unique.r, unique_r2=unique.r2, p_unique=unique.p,
            q_unique=benjamini_hochberg(unique.p),
        )  # fmt: skip
    table = pd.concat([answers, *parts], ignore_index=True)
    label = np.zeros(len(assembly.targets), dtype=np.int64)
    label[organised.informative] = organised.clusters.labels
    informative = dict(zip(assembly.targets["name"], organised.informative, strict=True))
    clusters = dict(zip(assembly.targets["name"], label, strict=True))
    table["informative"] = table["target"].map(informative).astype(int)
    table["cluster"] = table["target"].map(clusters).astype("Int64")
    table.loc[table["cluster"] == 0, "cluster"] = pd.NA
    return table.reindex(columns=[*PHONEME_COLUMNS]), len(null.z)


def _rows(targets: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "target": targets["name"].astype(str).to_numpy(),
            "hemisphere": targets["hemisphere"].astype(str).to_numpy(),
            "region": targets["region"].astype(str).to_numpy(),
        }
    )


def _contrast(tokens: Tokens, members: NDArray[np.bool_]) -> tuple[Array64, NDArray[np.int64]]:
    """Mean response to members less that to all other tokens, and tokens of each."""
    belongs = np.zeros((len(members), len(tokens.phone)))
    known = tokens.phone >= 0
    belongs[:, known] = members[:, tokens.phone[known]]
    counts = belongs.sum(axis=1)
    inside = belongs @ tokens.responses
    total = tokens.responses.sum(axis=0)
    others = np.maximum(len(tokens.phone) - counts, 1)[:, None]
    mean = inside / np.maximum(counts, 1)[:, None] - (total - inside) / others
    return mean, counts.astype(np.int64)


def coherence_table(found: Coherence, groups: Clustering) -> pd.DataFrame:
    """One row per statistic."""
    names = {"similarity": "neighbour similarity", "agreement": "neighbour agreement",
             "ami": "clusters and regions"}  # fmt: skip
    return pd.DataFrame(
        [
            {
                "statistic": text,
                "value": getattr(found, key),
                "null_mean": getattr(found, f"{key}_null"),
                "p": getattr(found, f"p_{key}"),
                "n_electrodes": found.n_electrodes,
                "n_clusters": groups.k,
                "n_null": found.n_null,
            }
            for key, text in names.items()
        ]
    )


def _sidecar(
    config: Config,
    times: Mapping[str, PhoneTimes],
    tokens: Tokens,
    rare: tuple[str, ...],
    classes: PhoneClasses,
) -> dict[str, object]:
    source = classes.source if classes.table else "articulation (IPA chart)"
    settings = config.phonemes
    return {
        "PhoneTimes": {
            name: {
                "Method": t.method,
                "Phones": len(t.table),
                "WordsAligned": t.words_aligned,
                "WordsSplit": t.words_split,
                "WordsUnknown": t.words_unknown,
                "Approximate": t.is_approximate,
            }
            for name, t in times.items()
        },
        "PhoneTimesSentences": [t.sentence(name) for name, t in times.items()],
        "PhoneClasses": source,
        "Window": f"{settings.window_s * 1000:g} ms centred {settings.window_centre_s * 1000:g} "
        "ms after phone onset",
        "TokensTested": int((tokens.phone >= 0).sum()),
        "PhonesTested": list(tokens.names),
        "PhonesTooRare": list(rare),
    }
