"""Does tuning help where there is something to learn, and do no harm where there is nothing?

``python -m scripts.tuning_series --out docs/tuning_series.tsv`` tunes a small wav2vec2 on many
simulated participants, by the steps of a run. Responses follow the last layer of a copy of it with
a small known change (``planted``), or are noise with the same spectra (``noise``); ``permuted`` is
the control of the planted ones: trained on their responses in blocks of another order. The epoch
is chosen on the validation story, 0 among them; r on the test story of the chosen epoch less that
of epoch 0 is what counts. Every participant has other audio, another model and another change.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from scipy.stats import t as student
from transformers import AutoModel, Wav2Vec2Config, Wav2Vec2FeatureExtractor

from bids_brainalign.config.schema import Config, Features, Ieeg, Nulls, Ridge, Tuning
from bids_brainalign.features.audio import load_audio
from bids_brainalign.features.models import open_model
from bids_brainalign.responses.types import Response
from bids_brainalign.store.steps import StepCache
from bids_brainalign.workflow.extraction import feature_steps, stimuli_of
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.responses import load_response, response_path, save_response
from bids_brainalign.workflow.spaces import list_spaces
from bids_brainalign.workflow.tuning_steps import tuning_steps
from tests.workflow.planted import make_fit

KINDS = ("planted", "noise")
SECONDS = (30.0, 30.0, 30.0, 30.0, 60.0, 60.0)
"""Of the stories: two longer ones to choose the epoch on, and for the test."""
VALIDATION, TEST = "story4", "story5"
N_TARGETS = 24
N_DIMS = 32
DELAY_S = 0.2
CHANGE = 1.0
"""Size of the change of each weight matrix of the blocks, as a share of the matrix."""
NOISE = 0.5
"""SD of the noise of each target, in those of its signal."""
ALLOWED = -0.005
"""The mean's lower 95 % bound has to be above it."""
FIRST_SEED = 1_000
"""Of the committed table; others served to choose its sizes."""
TUNING = Tuning(
    model="w2v", test_stories=(TEST,), validation_stories=(VALIDATION,),
    input="blocks", source="dense", batch_rows=100, normalisation="training",
    epochs=6, patience=0, learning_rate=2e-3, head_learning_rate=1e-2,
)  # fmt: skip


def write_model(folder: Path, *, seed: int) -> Path:
    """Write a small wav2vec2 with random weights whose blocks do something."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModel.from_config(
            Wav2Vec2Config(
                hidden_size=N_DIMS, num_hidden_layers=2, num_attention_heads=2,
                intermediate_size=48, conv_dim=(16,) * 7, num_conv_pos_embeddings=16,
                num_conv_pos_embedding_groups=4, vocab_size=32,
            )
        )  # fmt: skip
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".layers." in name and name.endswith("weight") and parameter.ndim == 2:
                parameter.mul_(6.0)  # at SD 0.02 attention is flat
    model.save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def write_changed(original: Path, folder: Path, *, seed: int) -> Path:
    """Write a copy with a change of rank 2 in every weight matrix of its blocks."""
    shutil.copytree(original, folder)
    path = folder / "model.safetensors"
    weights, generator = load_file(path), torch.Generator().manual_seed(seed)
    for name, weight in weights.items():
        if ".layers." in name and weight.ndim == 2:
            rows, columns = weight.shape
            low = torch.randn(rows, 2, generator=generator)
            low = low @ torch.randn(2, columns, generator=generator)
            weights[name] = weight + CHANGE * low * weight.norm() / low.norm()
    save_file(weights, path, metadata={"format": "pt"})
    return folder


def make_dataset(folder: Path, kind: str, *, seed: int) -> tuple[Config, Fit]:
    """Write one participant's stories and responses, and the model that is tuned."""
    made = make_fit(folder, "ieeg", seconds=SECONDS, n_targets=N_TARGETS, seed=seed)
    original = write_model(folder / "original", seed=seed)
    changed = write_changed(original, folder / "changed", seed=seed)
    config = replace(
        made.config,
        paths=replace(made.config.paths, features=()),
        ieeg=Ieeg(lag_min_s=0.16, lag_max_s=0.24),
        ridge=Ridge(alphas=(1e1, 1e3, 1e5)),
        nulls=Nulls(n_draws=20),
        features=Features(models=(("w2v", str(original)),), untrained=False),
        tuning=replace(TUNING, variants=("tuned", "permuted")[: 2 if kind == "planted" else 1]),
    )
    write_responses(config, made.fit, changed, kind, seed=seed)
    return config, made.fit


def write_responses(config: Config, fit: Fit, changed: Path, kind: str, *, seed: int) -> None:
    """Write what follows the last layer of the changed model `DELAY_S` later, or only seems to."""
    model, rng = open_model(changed), np.random.default_rng([seed, 7])
    weights = rng.standard_normal((N_DIMS, N_TARGETS)) / np.sqrt(N_DIMS)
    for presentation in fit.presentations:
        path = response_path(config, fit, presentation.recording)
        old: Response = load_response(path)
        found = model.extract(load_audio(presentation.stimulus.path), rate_hz=50.0)
        layer = np.asarray(found.layers[-1])
        signal = (layer - layer.mean(axis=0)) / layer.std(axis=0) @ weights
        times = found.times + presentation.onset_s + DELAY_S
        data = np.stack(
            [np.interp(old.times, times, column, left=0, right=0) for column in signal.T], axis=1
        )
        data += NOISE * rng.standard_normal(data.shape)
        if kind == "noise":
            data = other_phases(data, rng)
        save_response(path, replace(old, data=data.astype(np.float32)))


def other_phases(data: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Give noise with the amplitude spectrum of each column, and so its autocorrelation."""
    spectra = np.fft.rfft(data, axis=0)
    phases = np.exp(2j * np.pi * rng.random(spectra.shape))
    phases[0] = 1.0
    return np.fft.irfft(spectra * phases, n=len(data), axis=0)


def tune_dataset(folder: Path, kind: str, *, seed: int) -> list[dict[str, object]]:
    """Do the steps of a run on one dataset; r on the test story, mean over targets."""
    config, fit = make_dataset(folder, kind, seed=seed)
    spaces = list_spaces(config)
    for space in spaces:
        for step in feature_steps(config, space, stimuli_of(config, [fit])):
            step.work()
    paths = config.paths
    paths.output_dir.mkdir(exist_ok=True)
    cache, done = StepCache(paths.work_dir, roots=(paths.output_dir, paths.work_dir)), {}
    for step in tuning_steps(config, fit, spaces, done):
        done[step.name] = cache.run(step)[0]
    table = pd.read_csv(
        paths.output_dir / fit.name.file("tuning.tsv", analysis="w2vTuned"), sep="\t"
    )
    scores = table.groupby("reference")[["r", "r_reference"]].mean()
    r = {"epoch 0": scores.loc["w2v", "r_reference"], kind: scores.loc["w2v", "r"]}
    if kind == "planted":
        r["permuted"] = scores.loc["w2v:permuted", "r_reference"]
    return [
        {
            "kind": name, "seed": seed, "epoch": chosen_epoch(paths.output_dir, variant),
            "r_original": r["epoch 0"], "r_chosen": r[name], "delta_r": r[name] - r["epoch 0"],
        }
        for name, variant in ((kind, "Tuned"), ("permuted", "Permuted"))
        if name in r
    ]  # fmt: skip


def chosen_epoch(output_dir: Path, variant: str) -> int:
    """Read which epoch of a tuned model was chosen."""
    (path,) = output_dir.glob(f"sub-*/models/*_desc-w2v{variant}_*/epochs.tsv")
    epochs = pd.read_csv(path, sep="\t")
    return int(epochs.loc[epochs["chosen"].astype(bool), "epoch"].iloc[0])


def run_series(seeds: range) -> pd.DataFrame:
    """Tune on a planted dataset and one of noise per seed."""
    rows = []
    for kind in KINDS:
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                found = tune_dataset(Path(folder) / "data", kind, seed=seed)
            print(pd.DataFrame(found).round(4).to_string(index=False, header=False), flush=True)
            rows += found
    return pd.DataFrame(rows)


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean over datasets, its SD, and the one-sided lower 95 % bound of Student's t."""
    rows = []
    for kind, part in runs.groupby("kind", sort=False):
        delta = part["delta_r"].to_numpy(float)
        n, mean, sd = len(delta), delta.mean(), delta.std(ddof=1)
        rows.append(
            {
                "kind": kind, "n_datasets": n, "r_original": part["r_original"].mean(),
                "r_chosen": part["r_chosen"].mean(), "delta_r": mean, "sd": sd,
                "lower_bound": mean - student.ppf(0.95, n - 1) * sd / np.sqrt(n),
                "n_epoch_0": int((part["epoch"] == 0).sum()),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def main() -> None:
    """Run, print every dataset and the means, write both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=20, help="of each kind")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--out", type=Path, help="writes OUT (means) and OUT_datasets.tsv")
    given = parser.parse_args()
    torch.set_num_threads(1)
    runs = run_series(range(given.first_seed, given.first_seed + given.datasets))
    table = summarise(runs)
    print(table.round(4).to_string(index=False))
    if given.out is not None:
        name = f"{given.out.stem}_datasets.tsv"
        table.round(5).to_csv(given.out, sep="\t", index=False)
        runs.round(5).to_csv(given.out.with_name(name), sep="\t", index=False)


if __name__ == "__main__":
    main()
