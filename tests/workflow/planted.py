"""A fit with stored responses that were made from one layer of the user's own features."""

from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import soundfile
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from bids_brainalign.config.schema import Config, Nulls, Paths, Resources
from bids_brainalign.dataset.types import Annotations, Presentation, Recording, Stimulus
from bids_brainalign.responses.types import Response, Volume
from bids_brainalign.store.digest import sha256_of
from bids_brainalign.workflow.extraction import feature_steps
from bids_brainalign.workflow.fits import Fit, pool_fits
from bids_brainalign.workflow.responses import response_path, save_response
from bids_brainalign.workflow.spaces import Space, list_spaces, rate_of

PLANTED_LAYER = 1


@dataclass(frozen=True)
class Planted:
    config: Config
    fit: Fit
    spaces: tuple[Space, ...]
    n_planted: int


def make_stimulus(folder, name, seconds, rng, *, rate_hz=50.0, n_layers=3, dims=12):
    wave = 0.1 * rng.standard_normal(int(seconds * 16_000))
    wave *= 1 + np.repeat(rng.random(int(seconds * 4)), 4000)[: len(wave)]
    path = folder / "stimuli" / f"{name}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, 16_000)
    n = int(seconds * rate_hz)
    width = 0.06 * rate_hz if rate_hz > 20 else 10
    data = gaussian_filter1d(rng.standard_normal((n_layers, n, dims)), width, axis=1)
    own = folder / "own"
    own.mkdir(exist_ok=True)
    with h5py.File(own / f"{name}.h5", "w") as file:
        file["data"], file["times"] = data / data.std(), np.arange(n) / rate_hz
    onsets = np.sort(rng.uniform(0, seconds, int(2 * seconds)))
    words = pd.DataFrame({"onset": onsets, "duration": 0.2, "label": "word"})
    return Stimulus(
        name, path, float(seconds), sha256_of(path), Annotations(words, path)
    ), data / data.std()


def make_fit(
    folder: Path,
    modality: str,
    *,
    seconds=(60, 60, 60, 60),
    n_targets=12,
    null=False,
    seed=0,
    gated=False,
    n_repeats=1,
) -> Planted:
    """Make a fit; the first story is presented in ``n_repeats`` runs."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    config = Config(
        level="participant",
        paths=Paths(folder, folder / "out", folder / "work", features=(("own", folder / "own"),)),
        nulls=Nulls(n_draws=500),
        resources=Resources(omp_nthreads=2),
    )
    rate = rate_of(config, modality)
    n_planted = n_targets // 2
    weights = rng.standard_normal((12, n_targets))
    weights[:, n_planted:] = 0
    if null:
        weights[:] = 0
    presentations, pending = [], []
    heard = {}
    for run, story in enumerate([0] * (n_repeats - 1) + list(range(len(seconds)))):
        length = seconds[story]
        if story not in heard:
            heard[story] = make_stimulus(folder, f"story{story}", length, rng, rate_hz=rate)
        stimulus, data = heard[story]
        label = f"{run + 1}" if n_repeats > 1 and story == 0 else None
        recording = Recording(
            "01", None, f"story{story}", label, modality, folder / f"rec{run}.edf",
            "func" if modality == "fmri" else modality, (), {}, space="MNI152NLin2009cAsym",
        )  # fmt: skip
        recording.path.write_bytes(bytes([run]))
        onset = 3.0 + run
        interval = 1.5 if modality == "fmri" else 0.02
        delay = 4.5 if modality == "fmri" else 0.2
        times = np.arange(0, length + onset + 3, interval)
        source = data[PLANTED_LAYER] @ weights / np.sqrt(12)
        if gated:  # by the sign of another axis over the last 80 ms
            other = np.random.default_rng(seed + 1).standard_normal((12, n_targets))
            gate = lfilter(np.ones(4) / 4, [1], data[PLANTED_LAYER] @ other, axis=0)
            source *= gate > 0
        frame_times = np.arange(len(source)) / rate + onset + delay
        signal = np.stack(
            [np.interp(times, frame_times, column, left=0, right=0) for column in source.T], axis=1
        )
        noise = gaussian_filter1d(rng.standard_normal(signal.shape), 1, axis=0)
        values = signal + noise / noise.std()
        presentations.append(
            Presentation(
                recording, stimulus, onset, "events stim_file", stimulus.name, ((0.0, length),)
            )
        )
        pending.append((recording, values, times))
    fit = pool_fits(presentations)[0]
    volume = None
    names = [f"E{i:02d}" for i in range(n_targets)]
    sides = ["L"] * n_planted + ["R"] * (n_targets - n_planted)
    if modality == "fmri":
        mask = np.ones((n_targets, 1, 1), dtype=bool)
        volume = Volume(mask, np.eye(4), "MNI152NLin2009cAsym")
    targets = pd.DataFrame(
        {
            "name": names, "type": "ECOG" if volume is None else "voxel", "hemisphere": sides,
            "region": "n/a", "x": 1.0, "y": 2.0, "z": 3.0, "device": "G",
        }
    )  # fmt: skip
    for recording, values, times in pending:
        response = Response(
            values.astype(np.float32), times, targets, np.zeros(len(times), bool), 0.1,
            ("Nothing special.",), volume,
        )  # fmt: skip
        save_response(response_path(config, fit, recording), response)
    spaces = list_spaces(config)
    for space in spaces:
        for step in feature_steps(config, space, [(p.stimulus, rate) for p in fit.presentations]):
            step.work()
    return Planted(config, fit, spaces, n_planted)


def with_folds(planted: Planted, path: Path) -> Planted:
    config = replace(planted.config, paths=replace(planted.config.paths, folds=path))
    return replace(planted, config=config)
