"""How many threads multiply for voxels."""

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from bids_brainalign.encoding.layerwise import FeatureSpace
from bids_brainalign.workflow.voxels import blas_threads


def _space(name, dims, n_components=None):
    run = np.zeros((5, dims), np.float32)
    return FeatureSpace(name, ("0",), lambda layer: [run], n_components)


def _voxels(n_train, n_test, n_targets):
    fold = SimpleNamespace(outer=SimpleNamespace(train=np.arange(n_train), test=np.arange(n_test)))
    problem = SimpleNamespace(n_threads=7, delays=(1, 2, 3, 4))
    return SimpleNamespace(folds=[fold, fold], problem=problem, n_targets=n_targets)


@pytest.mark.parametrize(
    ("voxels", "dims", "n_components", "expected"),
    [
        (_voxels(800, 200, 300), 16, None, 1),
        (_voxels(2400, 600, 20_000), 768, None, 7),
        (_voxels(2400, 600, 20_000), 768, 2, 1),  # after PCA there is little to multiply
        (_voxels(2400, 600, 10), 768, None, 1),
    ],
)
def test_small_fits_are_multiplied_by_one_thread(voxels, dims, n_components, expected):
    spaces = [_space("lowlevel", 3), _space("model", dims, n_components)]
    assert blas_threads(voxels, spaces) == expected


def test_the_program_tells_openblas_not_to_wait_at_full_speed():
    code = "import os, bids_brainalign.cli.app; print(os.environ['OPENBLAS_THREAD_TIMEOUT'])"
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_THREAD_TIMEOUT"}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "4"
