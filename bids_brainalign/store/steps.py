"""The step cache: declared inputs, work, declared outputs; done once, and trusted only whole."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bids_brainalign.store.atomic import write_json
from bids_brainalign.store.digest import code_digest, digest_of, sha256_of
from bids_brainalign.store.lock import exclusive

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """One unit of work that can be reused."""

    name: str
    """Unique in a run, e.g. ``encoding sub-01 whisper-base``."""
    inputs: Mapping[str, object]
    """What the result depends on, as JSON can hold it: slice of the configuration, digests."""
    modules: tuple[str, ...]
    """Full names of the modules whose code the result depends on."""
    work: Callable[[], Sequence[Path]]
    """Does the work and returns the files it wrote."""


class StepCache:
    """Runs steps whose result is not there yet.

    Parameters
    ----------
    work_dir : Path
        Holds ``steps/`` with one manifest per finished step.
    roots : sequence of Path
        Folders that outputs may lie in. Manifests name them by position, so both may be moved.

    Notes
    -----
    The manifest is written last: it is the commit, and whatever no manifest names counts as
    unfinished. Outputs replaced by another version of the step are found by their digests.
    """

    def __init__(self, work_dir: Path, *, roots: Sequence[Path]) -> None:
        self._folder = work_dir / "steps"
        self._roots = tuple(root.resolve() for root in roots)
        self._code: dict[tuple[str, ...], str] = {}

    def key(self, step: Step) -> str:
        """Digest of everything the step's result depends on."""
        if step.modules not in self._code:
            self._code[step.modules] = code_digest(step.modules)
        return digest_of(
            {"name": step.name, "inputs": step.inputs, "code": self._code[step.modules]}
        )

    def is_done(self, step: Step) -> bool:
        """Whether the step's outputs are all there, as its manifest describes them."""
        return self.outputs(step) is not None

    def outputs(self, step: Step) -> tuple[Path, ...] | None:
        """Files of a finished step; None if it has to run."""
        key = self.key(step)
        try:
            manifest = json.loads(self._manifest(step, key).read_text(encoding="utf-8"))
            if manifest["key"] != key:
                return None
            paths = tuple(self._roots[o["root"]] / o["path"] for o in manifest["outputs"])
            entries = manifest["outputs"]
            unchanged = all(map(_is_unchanged, paths, entries))
        except (OSError, ValueError, KeyError, IndexError, TypeError):
            return None
        return paths if unchanged else None

    def run(self, step: Step) -> tuple[Literal["done", "reused"], tuple[Path, ...]]:
        """Do the step unless its result is there.

        Returns
        -------
        status : str
            ``done`` or ``reused``.
        outputs : tuple of Path
            The files it wrote, now or before.
        """
        found = self.outputs(step)
        if found is not None:
            return "reused", found
        key = self.key(step)
        manifest = self._manifest(step, key)
        with exclusive(self._folder / f".{manifest.stem}.lock"):
            found = self.outputs(step)  # another job may have done it while we waited
            if found is not None:
                return "reused", found
            outputs = tuple(step.work())
            entries = [self._entry(path) for path in outputs]
            write_json(manifest, {"step": step.name, "key": key, "outputs": entries})
        _LOG.debug("%s: %d files", step.name, len(outputs))
        return "done", outputs

    def _manifest(self, step: Step, key: str) -> Path:
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", step.name).strip("-.")[:150]
        return self._folder / f"{slug}-{key[:8]}.json"

    def _entry(self, path: Path) -> dict[str, object]:
        resolved = path.resolve()
        inside = [i for i, root in enumerate(self._roots) if resolved.is_relative_to(root)]
        if not inside:
            raise ValueError(f"a step wrote {path}, outside of its folders {self._roots}")
        nearest = max(inside, key=lambda i: len(self._roots[i].parts))
        # The size and time are read first: a later change then shows as a difference.
        stat = resolved.stat()
        return {
            "root": nearest,
            "path": resolved.relative_to(self._roots[nearest]).as_posix(),
            "size": stat.st_size,
            "mtime_ns": stat.st_mtime_ns,
            "sha256": sha256_of(resolved),
        }


def _is_unchanged(path: Path, entry: Mapping[str, object]) -> bool:
    stat = path.stat()
    if stat.st_size != entry["size"]:
        return False
    return stat.st_mtime_ns == entry["mtime_ns"] or sha256_of(path) == entry["sha256"]
