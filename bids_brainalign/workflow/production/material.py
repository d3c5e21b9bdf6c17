"""Responses of a speaker to all words that can be used, in the work folder."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.store.atomic import atomic_path

Array64 = NDArray[np.float64]
TEXT = ("recording", "word", "role", "content_group", "reason")


@dataclass(frozen=True)
class Material:
    """What embeddings are held against; rows are words in the order of time."""

    words: pd.DataFrame
    """Rows of the table of words that have responses; ``row``: where they stand in that table,
    ``run``: number of their recording."""
    response: Array64
    """(n_words, n_channels) mean high gamma after the onset."""
    baseline: Array64
    """(n_words, n_channels) … before the cue."""
    bins: Array64
    """(n_words, n_bins, n_channels); NaN where a bin reaches beyond the recording."""
    bin_s: Array64
    """(n_bins,) centres of the bins after the onset."""
    targets: pd.DataFrame
    """As in a Response, with ``region``."""
    support_s: float
    """Half length of the filters."""
    window_s: tuple[float, float]
    notes: tuple[str, ...]

    def of(self, rows: NDArray[np.bool_]) -> Material:
        """Take some of the words."""
        return Material(
            self.words[rows].reset_index(drop=True),
            self.response[rows],
            self.baseline[rows],
            self.bins[rows],
            self.bin_s,
            self.targets,
            self.support_s,
            self.window_s,
            self.notes,
        )


def save_material(path: Path, material: Material) -> Path:
    """Store as NPZ (no pickle)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            response=material.response,
            baseline=material.baseline,
            bins=material.bins.astype(np.float32),
            bin_s=material.bin_s,
            words=np.array(material.words.to_csv(sep="\t", index=False)),
            targets=np.array(material.targets.to_csv(sep="\t", index=False)),
            support_s=np.array(material.support_s),
            window_s=np.array(material.window_s),
            notes=np.array(json.dumps(material.notes)),
        )
    return path


def load_material(path: Path) -> Material:
    """Read what :func:`save_material` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        start, stop = stored["window_s"]
        return Material(
            words=_table(str(stored["words"]), TEXT),
            response=stored["response"],
            baseline=stored["baseline"],
            bins=stored["bins"].astype(np.float64),
            bin_s=stored["bin_s"],
            targets=_table(str(stored["targets"]), ("name", "region", "hemisphere", "device")),
            support_s=float(stored["support_s"]),
            window_s=(float(start), float(stop)),
            notes=tuple(json.loads(str(stored["notes"]))),
        )


def _table(text: str, names: Sequence[str]) -> pd.DataFrame:
    table = pd.read_csv(io.StringIO(text), sep="\t", keep_default_na=False, na_values=[""],
                        dtype=dict.fromkeys(names, str))  # fmt: skip
    for name in names:
        if name in table:
            table[name] = table[name].fillna("")
    return table
