"""The step that describes what electrodes answer to phones and writes ``phonemes.tsv``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.config.schema import Config
from bids_brainalign.outputs.phonemes import COHERENCE_COLUMNS, PHONEME_COLUMNS, PHONES_LABEL
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.phonemes.classes import PhoneClasses
from bids_brainalign.phonemes.organisation import organise
from bids_brainalign.phonemes.selectivity import Tokens
from bids_brainalign.phonemes.times import PhoneTimes
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.assemble import assemble
from bids_brainalign.workflow.encoding import fit_inputs
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.localisation import distances_refused
from bids_brainalign.workflow.locked import phone_classes
from bids_brainalign.workflow.phone_times import load_phone_times, phone_key, stimuli_of_fit
from bids_brainalign.workflow.phoneme_rows import coherence_table, phoneme_table
from bids_brainalign.workflow.phoneme_tokens import categories, heard_phones, token_table
from bids_brainalign.workflow.phoneme_variance import unique_variance
from bids_brainalign.workflow.spaces import Space, seed_of

MIN_PHONES = 3
"""With fewer tested phones there is no profile."""


def phoneme_step(config: Config, fit: Fit, lowlevel: Space, spaces: Sequence[Space]) -> Step:
    """Describe one fit's responses to phones; needs responses, low-level features, phone times."""
    inputs = fit_inputs(config, fit, spaces) | {
        "phonemes": asdict(config.phonemes),
        "phones": [phone_key(s) for s in stimuli_of_fit(fit)],
        "classes": phone_classes(config).table,
    }
    return Step(
        name=f"phonemes {fit.name.stem} {fit.name.datatype}",
        inputs=inputs,
        modules=("bids_brainalign.workflow.phonemes",),
        work=lambda: write_phonemes(config, fit, lowlevel, spaces),
    )


def skipped_step(config: Config, fit: Fit, *, reason: str) -> Step:
    """Write an empty table that says why there is no analysis; the page reads it."""
    return Step(
        name=f"phonemes {fit.name.stem} {fit.name.datatype}",
        inputs={"stem": [fit.name.stem, fit.name.datatype], "skipped": reason},
        modules=("bids_brainalign.workflow.phonemes",),
        work=lambda: _write_skipped(config, fit, f"There is no analysis of phones: {reason}."),
    )


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
    if len(tokens.names) < MIN_PHONES:
        why = (
            f"There is no analysis of phones: {len(tokens.names)} phones have "
            f"{config.phonemes.min_tokens} tokens or more; {MIN_PHONES} are needed."
        )
        return _write_skipped(config, fit, why, extra)
    kinds, members = categories(tokens.names, classes)
    unique = (
        unique_variance(config, assembly, lowlevel, heard, members, tokens.names)
        if config.phonemes.variance
        else None
    )
    rng = np.random.default_rng(seed_of(config, "phonemes", fit.name.stem))
    organised = organise(
        tokens, members, assembly.targets, no_distances=distances_refused(fit), rng=rng
    )
    table, n_null = phoneme_table(
        tokens, kinds, members, assembly, unique, organised, n_draws=config.nulls.n_draws, rng=rng
    )
    extra |= {"NumberOfShifts": n_null, "Organisation": list(organised.sentences)}
    path = config.paths.output_dir / fit.name.file("phonemes.tsv", analysis=PHONES_LABEL)
    written = list(write_tsv(path, table, PHONEME_COLUMNS, extra=extra))
    if organised.coherence is not None:
        path = config.paths.output_dir / fit.name.file("coherence.tsv", analysis=PHONES_LABEL)
        rows = coherence_table(organised.coherence, organised.clusters, organised.parts)
        written += write_tsv(path, rows, COHERENCE_COLUMNS)
    return written


def _write_skipped(
    config: Config, fit: Fit, why: str, extra: Mapping[str, object] | None = None
) -> list[Path]:
    path = config.paths.output_dir / fit.name.file("phonemes.tsv", analysis=PHONES_LABEL)
    empty = pd.DataFrame(columns=[*PHONEME_COLUMNS])
    return list(write_tsv(path, empty, PHONEME_COLUMNS, extra={**(extra or {}), "Skipped": [why]}))


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
