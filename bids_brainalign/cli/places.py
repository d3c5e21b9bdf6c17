"""Checks of folders and files before any work: what must exist, and where we may write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from bids_brainalign.config.checks import ATLAS_IMAGES, MESH_ATLASES, is_atlas_path
from bids_brainalign.config.schema import Config, Paths
from bids_brainalign.dataset.behaviour import read_behaviour
from bids_brainalign.dataset.description import generators, read_description
from bids_brainalign.errors import BrainAlignError, ExitCode

APP_NAME = "bids_brainalign"


def check_places(config: Config) -> None:
    """Check dataset, output and work folder, and every file that an option names.

    Raises
    ------
    BrainAlignError
        66 absent, 73 can't be written, 16 not a BIDS dataset.
    """
    paths = config.paths
    if not paths.bids_dir.is_dir():
        what = "is not a folder" if paths.bids_dir.exists() else "does not exist"
        raise _missing(f"BIDS_DIR {paths.bids_dir} {what}.", "give the root folder of the dataset")
    _check_output(paths)
    _check_work_dir(config)
    if config.level == "group":
        if not paths.output_dir.is_dir():
            raise _missing(
                f"OUTPUT_DIR {paths.output_dir} does not exist.",
                "run the participant level first: group reads its results",
            )
        _check_behaviour(paths)
        return
    read_description(paths.bids_dir)
    _check_behaviour(paths)
    for option, path, is_folder in _inputs(config):
        if not (path.is_dir() if is_folder else path.is_file()):
            raise _missing(
                f"{option}: there is no {'folder' if is_folder else 'file'} {path}.", ""
            )


def _check_behaviour(paths: Paths) -> None:
    """Read it at once: what is wrong in it should not wait for the group level."""
    if paths.behaviour is None:
        return
    if not paths.behaviour.is_file():
        raise _missing(f"--behaviour: there is no file {paths.behaviour}.", "")
    read_behaviour(paths.behaviour)


def _inputs(config: Config) -> Iterator[tuple[str, Path, bool]]:
    """Option, path, and whether it must be a folder."""
    paths = config.paths
    for name, path in paths.derivatives:
        yield f"--derivatives {name}", path, True
    for name, path in paths.features:
        yield f"--features {name}", path, True
    for name, path in config.probes.data:
        yield f"--probe-data {name}", path, True
    if config.probes.vectors is not None:
        yield "--word-vectors", config.probes.vectors, False
    if paths.stimuli_map is not None:
        yield "--stimuli-map", paths.stimuli_map, False
    if paths.phone_classes is not None:
        yield "--phone-classes", paths.phone_classes, False
    for path in paths.targets:
        yield "--targets", path, False
    atlas = config.anatomy.atlas
    if atlas is not None and is_atlas_path(atlas):
        yield "--atlas", Path(atlas), not atlas.endswith((*ATLAS_IMAGES, *MESH_ATLASES))
    if paths.folds is not None:
        yield "--folds", paths.folds, False


def _check_output(paths: Paths) -> None:
    output, bids = paths.output_dir.resolve(), paths.bids_dir.resolve()
    suggestion = f"use {paths.bids_dir / 'derivatives' / 'bids-brainalign'}"
    if output.is_relative_to(bids):
        inside = output.relative_to(bids).parts
        if len(inside) < 2 or inside[0] != "derivatives":
            where = "is BIDS_DIR" if not inside else "lies inside BIDS_DIR, not below derivatives/"
            raise _cannot_create(f"OUTPUT_DIR {paths.output_dir} {where}.", suggestion)
    for name, path in paths.derivatives:
        if path.resolve() == output:
            raise _cannot_create(f"OUTPUT_DIR is the input derivative {name}.", suggestion)
    _check_writable(paths.output_dir, "OUTPUT_DIR")
    others = generators(output)
    if others is not None and APP_NAME not in others:
        # A raw dataset names no program.
        who = ", ".join(others) or "nobody we know"
        raise _cannot_create(
            f"OUTPUT_DIR {paths.output_dir} already holds a dataset of {who}.",
            "give a folder of its own",
        )


def _check_work_dir(config: Config) -> None:
    work, bids = config.paths.work_dir, config.paths.bids_dir
    if work.resolve().is_relative_to(bids.resolve()):
        raise _cannot_create(
            f"The work folder {work} lies inside BIDS_DIR.", "choose another one with --work-dir"
        )
    if work.resolve() == config.paths.output_dir.resolve():
        raise _cannot_create(
            "The work folder is OUTPUT_DIR.", "choose another one with --work-dir"
        )
    _check_writable(work, "The work folder")
    # It will be emptied: only ours may be.
    is_ours = not work.is_dir() or (work / "steps").is_dir() or not any(work.iterdir())
    if config.control.clean_workdir and not is_ours:
        raise BrainAlignError(
            f"--clean-workdir would empty {work}, which is not a work folder of this program.",
            fix="empty it yourself, or choose another one with --work-dir",
            exit_code=ExitCode.USAGE,
        )


def _check_writable(folder: Path, name: str) -> None:
    nearest = next(p for p in (folder, *folder.parents) if p.exists() or p.is_symlink())
    if not nearest.is_dir():
        raise _cannot_create(f"{name} {folder} can't be made: {nearest} is not a folder.", "")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise _cannot_create(f"{name} {folder} can't be written: no permission in {nearest}.", "")


def _missing(what: str, fix: str) -> BrainAlignError:
    return BrainAlignError(what, fix=fix, exit_code=ExitCode.MISSING_INPUT)


def _cannot_create(what: str, fix: str) -> BrainAlignError:
    return BrainAlignError(what, fix=fix, exit_code=ExitCode.CANNOT_CREATE)
