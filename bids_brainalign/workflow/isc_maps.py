"""Maps of inter-subject correlation, where participants' voxels were saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd

from bids_brainalign.config.schema import Config
from bids_brainalign.group.isc import Heard, common_responses, leave_one_out
from bids_brainalign.outputs.predictions import VoxelPlaces, read_responses, read_voxel_responses
from bids_brainalign.outputs.reading import ScoreFile
from bids_brainalign.outputs.statmaps import write_statmap
from bids_brainalign.responses.grids import Volume
from bids_brainalign.statistics.multiplicity import benjamini_hochberg
from bids_brainalign.workflow.spaces import seed_of

BLOCK_VOXELS = 1024


def write_isc_maps(
    config: Config, space: str, files: Sequence[ScoreFile], responses: Sequence[Path]
) -> list[Path]:
    """Write ``group/<entities>_stat-{isc,iscq}_desc-responses_statmap.nii.gz`` per participant.

    Parameters
    ----------
    config : Config
    space : str
        Entities that name the grid.
    files : sequence of ScoreFile
    responses : sequence of Path
        Held-out responses of the same fits.

    Returns
    -------
    list of Path
        Empty unless all participants have voxels of one volume (``--save predictions``).
    """
    places = [VoxelPlaces.read(path) for path in responses]
    first = places[0]
    if first is None or not all(one is not None and one.same_as(first) for one in places[1:]):
        return []
    heads = [read_responses(path) for path in responses]
    parts: list[list[pd.DataFrame]] = [[] for _ in files]
    for start in range(0, len(first.index), BLOCK_VOXELS):
        columns = slice(start, start + BLOCK_VOXELS)
        heard = [
            Heard(head.stimulus or (), head.run, head.stimulus_time,
                  read_voxel_responses(path, columns))
            for head, path in zip(heads, responses, strict=True)
        ]  # fmt: skip
        found = leave_one_out(
            common_responses(heard, heads[0].interval_s),
            heads[0].interval_s,
            people=[file.participant for file in files],
            n_draws=config.nulls.n_draws,
            rng=np.random.default_rng(seed_of(config, "isc", space)),
        )
        for part, table in zip(parts, found, strict=True):
            part.append(table)
    shape = _shape(files[0])
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(first.index.T)] = True
    volume = Volume(mask, first.affine, space.removeprefix("space-"))
    written: list[Path] = []
    for file, part in zip(files, parts, strict=True):
        table = pd.concat(part, ignore_index=True)
        told = {
            "isc": (table["isc"], "Correlation with the mean of all others' responses"),
            "iscq": (benjamini_hochberg(table["p"].to_numpy(dtype=float)),
                     "Benjamini-Hochberg q over voxels of isc against circular shifts"),
        }  # fmt: skip
        for stat, (values, description) in told.items():
            name = f"{file.prefix}_stat-{stat}_desc-responses_statmap.nii.gz"
            written += write_statmap(
                config.paths.output_dir / "group" / name,
                np.asarray(values, dtype=np.float64),
                volume,
                sidecar={
                    "Description": description,
                    "Others": len({f.participant for f in files}) - 1,
                },
            )
    return written


def _shape(file: ScoreFile) -> tuple[int, int, int]:
    """Shape of the volume, from the map of r beside the scores."""
    path = file.path.with_name(f"{file.prefix}_stat-r_desc-{file.label}_statmap.nii.gz")
    image: Any = nibabel
    i, j, k = image.load(path).shape[:3]
    return int(i), int(j), int(k)
