"""Words of the command line turned into values of the configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from bids_brainalign.cli.arguments import usage_error
from bids_brainalign.config.checks import LABEL, STEPS
from bids_brainalign.config.toml import nearest
from bids_brainalign.errors import BrainAlignError, ExitCode

Filters = tuple[tuple[str, tuple[tuple[str, tuple[str, ...]], ...]], ...]

QUERIES = ("ieeg", "eeg", "bold")
ENTITIES = (
    "subject", "session", "sample", "task", "tracksys", "acquisition", "ceagent", "reconstruction",
    "direction", "run", "echo", "part", "space", "split", "recording", "chunk", "resolution",
    "density", "hemisphere", "atlas", "segmentation", "label", "desc", "suffix", "extension",
    "datatype",
)  # fmt: skip
_GB_PER_UNIT = {"K": 1 / 1024**2, "M": 1 / 1024, "G": 1.0, "T": 1024.0}


def labels(words: Sequence[str], option: str, *, prefix: str) -> tuple[str, ...]:
    """Strip labels of their entity; ``@file`` stands for the words of a file.

    Parameters
    ----------
    words : sequence of str
        As given.
    option : str
        How messages call the option.
    prefix : str
        The entity with its hyphen, e.g. ``sub-``.

    Returns
    -------
    tuple of str
        Each once, in the order given.
    """
    given = [part for word in words for part in (_from_file(word) if word[:1] == "@" else [word])]
    found = [word.removeprefix(prefix) for word in given]
    for word, found_label in zip(given, found, strict=True):
        if not LABEL.fullmatch(found_label):
            fix = "separate labels by spaces" if "," in word else f"write {prefix}01 or 01"
            if "/" in word:
                fix = "put options after BIDS_DIR OUTPUT_DIR participant, or end the list with --"
            raise usage_error(f"{option}: {word!r} is not a label.", fix=fix)
    return tuple(dict.fromkeys(found))


def _from_file(word: str) -> list[str]:
    path = Path(word[1:]).expanduser()
    try:
        found = path.read_text(encoding="utf-8-sig").split()
    except (OSError, UnicodeDecodeError) as error:
        raise BrainAlignError(
            f"The list {word} can't be read: {error}.", exit_code=ExitCode.MISSING_INPUT
        ) from error
    if not found:
        raise usage_error(f"The list {word} is empty.", fix="write one label per line")
    return found


def named_paths(words: Sequence[str], option: str) -> tuple[tuple[str, Path], ...]:
    """Split ``NAME=PATH`` words; each name may come once."""
    pairs: dict[str, Path] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not equals or not path or not LABEL.fullmatch(name):
            raise usage_error(
                f"{option}: {word!r} is not NAME=PATH.",
                fix=f"write {option} NAME=/path/to/folder; a NAME has letters, digits, '.', '_' "
                "and '-'; put options after BIDS_DIR OUTPUT_DIR participant",
            )
        if name in pairs:
            raise usage_error(f"{option}: {name} is given twice.", fix="give each its own name")
        pairs[name] = absolute(path)
    return tuple(pairs.items())


def name_pairs(words: Sequence[str], option: str) -> tuple[tuple[str, str], ...]:
    """Split ``NAME=NAME`` words; each first name may come once."""
    pairs: dict[str, str] = {}
    for word in words:
        first, _, second = word.partition("=")
        if not LABEL.fullmatch(first) or not LABEL.fullmatch(second):
            raise usage_error(
                f"{option}: {word!r} is not NAME=NAME.",
                fix=f"write {option} tuned=original, two names of --models",
            )
        if first in pairs:
            raise usage_error(f"{option}: {first} is given twice.", fix="give each model once")
        pairs[first] = second
    return tuple(pairs.items())


def steps(words: Sequence[str]) -> tuple[str, ...]:
    """Put steps into the order in which they run."""
    for word in words:
        if word not in STEPS:
            raise usage_error(f"--steps: there is no step {word!r}.", fix=nearest(word, STEPS))
    return tuple(step for step in STEPS if step in words)


def memory_gb(word: str) -> float:
    """Read an amount of memory with its unit (``16G``, ``500M``), in GB.

    Raises
    ------
    BrainAlignError
        For a bare number: fMRIPrep reads it as MB, MRIQC as GB.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", word, flags=re.IGNORECASE)
    if match is None:
        raise usage_error(f"--mem: {word!r} is not an amount of memory.", fix="write --mem 16G")
    number, unit = float(match[1]), match[2].upper()
    if not unit:
        raise usage_error(
            f"--mem {word} has no unit, and programs differ in what they take it for.",
            fix=f"write --mem {word}M or --mem {word}G, or --mem-gb for gigabytes",
        )
    return number * _GB_PER_UNIT[unit]


def filter_file(path: Path) -> Filters:
    """Read PyBIDS filters per query from JSON.

    Raises
    ------
    BrainAlignError
        If it is absent (66), no JSON, or names an unknown query or entity (64).
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise BrainAlignError(
            f"--bids-filter-file {path} can't be read: {error}.", exit_code=ExitCode.MISSING_INPUT
        ) from error
    except ValueError as error:
        raise usage_error(f"--bids-filter-file {path} is not JSON: {error}.") from error
    found = []
    for query, entities in _table(content, str(path)).items():
        if query not in QUERIES:
            raise usage_error(f"{path}: unknown query {query}.", fix=nearest(query, QUERIES))
        kept = []
        for entity, value in _table(entities, f"{path}, {query}").items():
            if entity not in ENTITIES:
                fix = nearest(entity, ENTITIES)
                raise usage_error(f"{path}: unknown entity {entity} in {query}.", fix=fix)
            kept.append((entity, _texts(value, f"{path}: {query}.{entity}")))
        found.append((query, tuple(kept)))
    return tuple(found)


def _table(value: object, name: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise usage_error(
            f"{name} must be a JSON object.", fix='write {"ieeg": {"acquisition": "clinical"}}'
        )
    return value


def _texts(value: object, name: str) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(v, str | int) and not isinstance(v, bool) for v in values):
        raise usage_error(f"{name} must be text, a number or a list of them, not {value!r}.")
    return tuple(str(v) for v in values)


def absolute(path: str | Path) -> Path:
    """Make a path absolute; ``~`` is the home folder."""
    return Path(path).expanduser().absolute()
