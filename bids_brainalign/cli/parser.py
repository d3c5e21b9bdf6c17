"""From the command line of the BIDS app to its configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bids_brainalign.anatomy.roi_sets import check_roi_sets
from bids_brainalign.cli import values
from bids_brainalign.cli.limits import available_cpus, check_device
from bids_brainalign.cli.models import model_sources, resolve_models
from bids_brainalign.cli.options import build_parser
from bids_brainalign.cli.places import check_places
from bids_brainalign.config.checks import (
    DECODERS,
    PROBES,
    SAVE,
    check_level,
    check_values,
)
from bids_brainalign.config.recipes import SLOPPY, load_recipe
from bids_brainalign.config.schema import Config
from bids_brainalign.config.toml import Overlay, merge, read_overlay

_LEVEL_ALIASES = {"subject": "participant", "dataset": "group"}
PREFIXES = {
    "selection.participants": ("--participant-label", "sub-"),
    "selection.sessions": ("--session-label", "ses-"),
    "selection.tasks": ("--task-label", "task-"),
    "selection.runs": ("--run-label", "run-"),
}
_PATHS = ("paths.work_dir", "paths.stimuli_map", "paths.folds", "paths.bids_database_dir",
          "paths.model_dir", "paths.phone_classes", "paths.behaviour",
          "probes.vectors")  # fmt: skip
_NAMED_PATHS = {
    "paths.derivatives": "--derivatives",
    "paths.features": "--features",
    "probes.data": "--probe-data",
}
_NOT_CONFIGURATION = ("bids_dir", "output_dir", "level", "recipe", "config_file", "mem", "notrack")


def build_config(argv: Sequence[str]) -> Config:
    """Turn the command line into the configuration, and check what can be checked at once.

    Parameters
    ----------
    argv : sequence of str
        Without the program's name.

    Returns
    -------
    Config
        Defaults, then the recipe, then ``--config-file``, then options.

    Raises
    ------
    BrainAlignError
        In this order: usage (64), level (17), paths (66, 73, 16), models (66).
    SystemExit
        For ``--help`` and ``--version``.
    """
    given = vars(build_parser().parse_strictly(argv))
    options = _options(given)
    file: dict[str, Any] = (
        read_overlay(values.absolute(given["config_file"])) if "config_file" in given else {}
    )
    recipe = given.get("recipe", file.get("recipe"))
    # A file with a level is a whole configuration, as runs leave it: its recipe is in it already.
    is_whole = "level" in file and "recipe" not in given
    layers: list[Overlay] = [
        {
            "paths": {"work_dir": Path.cwd() / "work"},
            "resources": {"nprocs": available_cpus()},
        }
    ]
    if recipe is not None and not is_whole:
        layers.append(load_recipe(recipe))
    if options.get("sloppy", file.get("sloppy", False)):
        layers.append(SLOPPY)
    if "recipe" in given:
        file.pop("recipe", None)
    config = merge(*layers, file, options)
    check_values(config)
    check_roi_sets(config.rois)
    check_device(config.resources.device, precision=config.resources.precision)
    check_level(config.level)
    check_places(config)
    return resolve_models(config)


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """Overlay of what was given on the command line."""
    if "mem" in given:
        given["resources.mem_gb"] = values.memory_gb(given["mem"])
    overlay = overlay_of({k: v for k, v in given.items() if k not in _NOT_CONFIGURATION})
    overlay["level"] = _LEVEL_ALIASES.get(given["level"], given["level"])
    places = {name: values.absolute(given[name]) for name in ("bids_dir", "output_dir")}
    overlay["paths"] = {**overlay.get("paths", {}), **places}
    return overlay


def overlay_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Turn options, by the key of the configuration that each sets, into an overlay."""
    overlay: dict[str, Any] = {}
    for key, value in given.items():
        table, _, name = key.rpartition(".")
        target = overlay.setdefault(table, {}) if table else overlay
        target[name] = _value(key, value)
    return overlay


def _value(key: str, value: Any) -> Any:
    if key in PREFIXES:
        option, prefix = PREFIXES[key]
        return values.labels(value, option, prefix=prefix)
    if key in _PATHS:
        return values.absolute(value)
    if key in _NAMED_PATHS:
        return values.named_paths(value, _NAMED_PATHS[key])
    if key == "features.models":
        return model_sources(value)
    if key == "probes.originals":
        return values.name_pairs(value, "--original")
    if key == "probes.kinds":
        return tuple(one for one in PROBES if one in value)
    if key == "paths.targets":
        return tuple(values.absolute(path) for path in value)
    if key in ("ieeg.band_hz", "tuning.compare", "production.window_s"):
        return tuple(value)
    if key == "decoding.decoders":
        return tuple(one for one in DECODERS if one in value)
    if key == "save":
        return tuple(what for what in SAVE if what in value)
    if key == "selection.space":
        return values.labels([value], "--space", prefix="space-")[0]
    if key == "selection.filters":
        return values.filter_file(values.absolute(value))
    if key == "control.steps":
        return values.steps(value)
    return value
