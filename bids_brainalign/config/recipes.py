"""Recipes: one published method each, as TOML that lies over the defaults."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from bids_brainalign.config.toml import nearest, parse_overlay, read_overlay
from bids_brainalign.errors import BrainAlignError, ExitCode

# Overlaid by --sloppy: fast enough for tests, too coarse for science.
SLOPPY: dict[str, object] = {
    "ieeg": {"lag_step_s": 0.1, "n_components": 16},
    "eeg": {"lag_step_s": 0.09375, "n_components": 16},
    "ridge": {"alphas": (1e3, 1e5, 1e7), "band_weights": (0.5,)},
    "recurrent": {
        "seeds": 2,
        "hidden": 8,
        "queries": 2,
        "epochs": 2,
        "rows_per_epoch": 2048,
        "null_fits": 2,
        "n_bootstrap": 200,
    },
    "nulls": {"n_draws": 200},
    "production": {
        "mappings": ("ridge",),
        "ridge_draws": 99,
        "random_draws": 39,
        "course_draws": 19,
        "bin_s": 0.2,
        "penalties": False,
    },
    "probes": {"max_rows": 2000, "max_clips": 200, "n_null": 39, "similarity_rows": 200},
}


def list_recipes() -> tuple[str, ...]:
    """Names of the recipes in the package, sorted."""
    return tuple(
        sorted(
            path.name.removesuffix(".toml")
            for path in _folder().iterdir()
            if path.name.endswith(".toml")
        )
    )


def recipe_text(name: str) -> str:
    """TOML text of a recipe in the package, with the source of each number as a comment.

    Raises
    ------
    BrainAlignError
        If there is none of this name.
    """
    if name not in list_recipes():
        raise BrainAlignError(
            f"There is no recipe {name}.",
            fix=f"{nearest(name, list_recipes())} A file needs its suffix: {name}.toml",
            exit_code=ExitCode.USAGE,
        )
    return (_folder() / f"{name}.toml").read_text(encoding="utf-8")


def load_recipe(name_or_path: str) -> dict[str, object]:
    """Read a recipe as an overlay.

    Parameters
    ----------
    name_or_path : str
        Name of a recipe in the package, or a TOML file (with a ``/`` or the suffix ``.toml``).

    Raises
    ------
    BrainAlignError
        If it does not exist, or is not a recipe.
    """
    if "/" in name_or_path or name_or_path.endswith(".toml"):
        overlay = read_overlay(Path(name_or_path).expanduser())
    else:
        text = recipe_text(name_or_path)
        overlay = parse_overlay(text, source=f"recipe {name_or_path}", folder=Path())
    return {**overlay, "recipe": name_or_path}


def _folder() -> Traversable:
    return files("bids_brainalign.config") / "recipes"
