"""Rows of ``phonemes.tsv`` and ``coherence.tsv``: what electrodes answer to, and their order."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.outputs.phonemes import PHONEME_COLUMNS
from bids_brainalign.phonemes.clusters import Clustering
from bids_brainalign.phonemes.coherence import Coherence
from bids_brainalign.phonemes.organisation import Organisation, halves
from bids_brainalign.phonemes.selectivity import (
    Tokens,
    phone_selectivity_index,
    rank_sums,
    shifted_rank_sums,
    split_half_reliability,
)
from bids_brainalign.statistics.multiplicity import benjamini_hochberg
from bids_brainalign.statistics.tails import p_values
from bids_brainalign.workflow.assemble import Assembly
from bids_brainalign.workflow.phoneme_variance import UniqueVariance

Array64 = NDArray[np.float64]


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
    even = halves(tokens)[1]
    null = shifted_rank_sums(tokens, members, n_draws=n_draws, rng=rng)
    psi, psi_even = _index(tokens), _index(even)
    phones = np.eye(len(tokens.names), dtype=bool)
    parts = []
    none = np.full((len(kinds), len(assembly.targets)), np.nan)
    for group, which, z, drawn, index, index_even in (
        ([("phone", name) for name in tokens.names], phones, observed.z, null.z, psi, psi_even),
        (kinds, members, observed.category_z, null.category_z, none, none),
    ):
        p = p_values(z.ravel(), drawn.reshape(len(drawn), -1)).reshape(z.shape)
        q = np.asarray(benjamini_hochberg(p.ravel())).reshape(z.shape)
        contrast, counts = _contrast(tokens, which)
        contrast_even, _ = _contrast(even, which)
        for row, (kind, name) in enumerate(group):
            parts.append(
                _rows(assembly.targets).assign(
                    kind=kind,
                    phone_class=name,
                    n_tokens=counts[row],
                    selectivity=contrast[row],
                    selectivity_even=contrast_even[row],
                    z=z[row],
                    psi=pd.array(index[row], "Int64"),
                    psi_even=pd.array(index_even[row], "Int64"),
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
    """Mean response to members less that to all other tokens, and tokens of each.

    NaN for what was not heard.
    """
    belongs = np.zeros((len(members), len(tokens.phone)))
    known = tokens.phone >= 0
    belongs[:, known] = members[:, tokens.phone[known]]
    counts = belongs.sum(axis=1)
    inside = belongs @ tokens.responses
    total = tokens.responses.sum(axis=0)
    others = np.maximum(len(tokens.phone) - counts, 1)[:, None]
    mean = inside / np.maximum(counts, 1)[:, None] - (total - inside) / others
    mean[counts == 0] = np.nan
    return mean, counts.astype(np.int64)


def _index(tokens: Tokens) -> Array64:
    """Phone selectivity index (n_phones, n_targets); NaN for phones that were not heard."""
    heard = (tokens.counts > 0)[:, None]
    return np.where(heard, phone_selectivity_index(tokens), np.nan)


def coherence_table(found: Coherence, groups: Clustering, parts: str) -> pd.DataFrame:
    """One row per statistic; clusters are compared with ``parts``: regions or devices."""
    names = {"similarity": "neighbour similarity", "agreement": "neighbour agreement",
             "ami": f"clusters and {parts}"}  # fmt: skip
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
