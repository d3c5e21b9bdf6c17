"""A participant's analyses with their controls, as the page shows them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from bids_brainalign.outputs.reading import (
    CAUSAL,
    LOWLEVEL,
    SETTINGS,
    SLIDING,
    UNTRAINED,
    ScoreFile,
    is_outdated,
    read_score_table,
    read_sidecar,
    read_table,
    score_files,
)

CHANNEL_TEXT = ("name", "hemisphere", "region", "device", "space")
FOLD_TEXT = ("fold", "run", "role", "content_group")


@dataclass(frozen=True)
class Analysis:
    """One ``desc-<analysis>`` of one participant."""

    file: ScoreFile
    model: str
    encoder: str
    scores: pd.DataFrame
    sidecar: dict[str, object]
    channels: pd.DataFrame | None
    folds: pd.DataFrame | None
    nulls: pd.DataFrame | None
    maps: dict[str, Path]
    """``r``, ``q``, ``layer`` → image."""

    @property
    def settings(self) -> str:
        """Digest of the settings the scores were made with; empty where it is not known."""
        return str(self.sidecar.get(SETTINGS, ""))

    @property
    def stem(self) -> str:
        """Start of the names of its files and figures."""
        return f"{self.file.prefix}_desc-{self.file.label}"

    def sentences(self, key: str) -> list[str]:
        """Return a list of sentences of the sidecar, empty if it has none."""
        value = self.sidecar.get(key)
        if isinstance(value, str):
            return [value]
        return [str(item) for item in value] if isinstance(value, list) else []


@dataclass(frozen=True)
class Block:
    """One model of one set of recordings, with the controls it is compared to."""

    main: Analysis
    untrained: Analysis | None
    lowlevel: Analysis | None
    locked: pd.DataFrame | None
    """Responses around onsets, in standard deviations of the run."""
    causal: Analysis | None = None
    """The same model in windows that end at the frame."""
    of_recordings: frozenset[str] = frozenset()
    """Digests of the settings of all scores of the recordings."""
    dense: Analysis | None = None
    """Where this model's windows slide: the same model in long windows, of the same settings."""
    outdated: list[str] = field(default_factory=list)
    """Names of tables that were asked for and left out, as they are of other settings."""

    def table(self, path: Path, *, text: tuple[str, ...] = ()) -> pd.DataFrame | None:
        """Read a table of this model; None if absent, empty, or made with other settings."""
        return self._current(path, text, {self.main.settings})

    def table_of_recordings(
        self, path: Path, *, text: tuple[str, ...] = ()
    ) -> pd.DataFrame | None:
        """Read a table that no model has a part in, as `table` does."""
        return self._current(path, text, self.of_recordings)

    def _current(
        self, path: Path, text: tuple[str, ...], settings: Collection[str]
    ) -> pd.DataFrame | None:
        if is_outdated(path, settings):
            if path.name not in self.outdated:
                self.outdated.append(path.name)
            return None
        return read_table(path, text=text)

    @property
    def name(self) -> str:
        """Stem of the block's figures."""
        return self.main.stem


def read_blocks(output_dir: Path, participant: str) -> list[Block]:
    """Everything one participant's page shows, models before baselines.

    Returns
    -------
    list of Block
        One per set of recordings and model; the low-level baseline is a block of its own only
        where no model was run.
    """
    together: dict[tuple[Path, str], list[Analysis]] = {}
    for file in score_files(output_dir, chosen=(participant,)):
        analysis = read_analysis(file)
        if analysis is not None:
            together.setdefault((file.path.parent, file.prefix), []).append(analysis)
    blocks: list[Block] = []
    for analyses in together.values():
        blocks.extend(_blocks_of(analyses))
    return blocks


def crash_files(output_dir: Path, participant: str) -> list[Path]:
    """Crash files of one participant, sorted."""
    return sorted((output_dir / "logs" / f"sub-{participant}").rglob("crash-*.txt"))


def read_analysis(file: ScoreFile) -> Analysis | None:
    """Read a scores table and what stands beside it; None if it has no rows."""
    scores = read_score_table(file.path)
    if scores is None:
        return None
    models = [model for model in scores["model"].unique() if model != "n/a"]
    encoders = [encoder for encoder in scores["encoder"].unique() if encoder != "n/a"]
    folder, stem = file.path.parent, file.path.name.removesuffix("_scores.tsv")
    return Analysis(
        file=file,
        model=models[0] if models else file.label,
        encoder=encoders[0] if encoders else "ridge",
        scores=scores,
        sidecar=read_sidecar(folder / f"{stem}_scores.json"),
        channels=read_table(folder / f"{stem}_channels.tsv", text=CHANNEL_TEXT),
        folds=read_table(folder / f"{stem}_folds.tsv", text=FOLD_TEXT),
        nulls=read_table(folder / f"{stem}_nulls.tsv", text=("target",)),
        maps=_maps(folder, file.prefix, file.label),
    )


def _maps(folder: Path, prefix: str, label: str) -> dict[str, Path]:
    """Find statmaps of this analysis; they carry ``space`` and ``stat`` beside its entities."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob(f"*_desc-{label}_statmap.nii.gz")):
        entities = path.name.split("_")
        stat = next((part[5:] for part in entities if part.startswith("stat-")), "")
        if stat and set(prefix.split("_")) <= set(entities):
            found[stat] = path
    return found


def _blocks_of(analyses: list[Analysis]) -> list[Block]:
    lowlevel = next((item for item in analyses if item.model == LOWLEVEL), None)
    # Other encoders of a model are compared within the block of its ridge.
    models = [
        item
        for item in analyses
        if item is not lowlevel and not item.model.endswith(UNTRAINED) and item.encoder == "ridge"
    ]
    # File names would put NAME:causal and NAME:decoder before NAME.
    models.sort(key=lambda item: item.model.split(":"))
    locked = _locked(analyses[0])
    settings = frozenset(item.settings for item in analyses if item.encoder == "ridge")
    blocks = []
    for main in models or analyses[:1]:
        twin = (main.model + UNTRAINED, main.encoder)
        untrained = next((item for item in analyses if (item.model, item.encoder) == twin), None)
        heard_past = (main.model + CAUSAL, main.encoder)
        causal = next(
            (item for item in analyses if (item.model, item.encoder) == heard_past), None
        )
        dense = next((item for item in analyses if _is_dense_of(item, main)), None)
        blocks.append(Block(main, untrained, lowlevel, locked, causal, settings, dense))
    return blocks


def _is_dense_of(one: Analysis, main: Analysis) -> bool:
    """Whether `one` has the features in long windows of what `main` has in sliding ones."""
    same = (one.model + SLIDING, one.encoder) == (main.model, main.encoder)
    return same and one.settings == main.settings


def _locked(analysis: Analysis) -> pd.DataFrame | None:
    """Read the onset-locked responses; they belong to the recordings, not to a model."""
    path = analysis.file.path.with_name(f"{analysis.file.prefix}_desc-onset_locked.tsv")
    return read_table(path, text=("locked_to", "target"))
