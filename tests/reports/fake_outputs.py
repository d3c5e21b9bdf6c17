"""An output tree as the participant level writes it, with made-up numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.outputs.reading import SETTINGS, ScoreFile
from bids_brainalign.reports.blocks import Analysis, Block

N_LAYERS = 7
MODELS = {
    "whisperbase": "whisper-base",
    "whisperbaseUntrained": "whisper-base:untrained",
    "lowlevel": "lowlevel",
}
N_ELECTRODES = 48


def bare_block(folder: Path, prefix: str, label: str, *, settings: str = "") -> Block:
    """One model whose scores are a name alone; sections read what lies beside them."""
    path = folder / f"{prefix}_desc-{label}_scores.tsv"
    file = ScoreFile(path, "01", "n/a", "ieeg", prefix, label)
    sidecar: dict[str, object] = {SETTINGS: settings}
    main = Analysis(file, label, "ridge", pd.DataFrame(), sidecar, None, None, None, {})
    return Block(main, None, None, None, of_recordings=frozenset({settings}))


def write_tsv(path: Path, frame: pd.DataFrame, sidecar: dict[str, object] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, sep="\t", index=False, na_rep="n/a", float_format="%.6g")
    if sidecar is not None:
        path.with_suffix(".json").write_text(json.dumps(sidecar, indent=2))


def sidecar(model: str, prefix: str) -> dict[str, object]:
    """What stands beside a scores table."""
    return {
        "r": {"Description": "held-out Pearson correlation"},
        "Assumptions": [
            "The line frequency of the sidecar (60 Hz) was used for the notch.",
            "Common average reference over good ECoG channels: spreads about 1/N of each signal.",
        ],
        "Skipped": ["LA7 and LA8: status bad in channels.tsv."],
        "ModelDescription": f"{model}: encoder of 6 blocks, 512 dimensions, 50 Hz.",
        "Presentations": [
            {
                "recording": f"{prefix}_run-{run}",
                "stimulus": f"story{run:02d}",
                "onset_s": 2.0 + 0.35 * run,
                "rule": "events stim_file",
                "content_group": f"story{run:02d}",
            }
            for run in range(1, 5)
        ],
        "Methods": "High gamma (70–150 Hz) was extracted with a Gaussian filter bank, averaged in "
        "log units and downsampled to 50 Hz. Ridge regression with delays predicted it from each "
        "encoder layer; penalties and layers were chosen on inner folds. Significance rests on "
        "2,000 circular shifts of the predictions, corrected over layers.",
    }


def _curve(rng: np.random.Generator, peak: float, height: float) -> np.ndarray:
    layers = np.arange(N_LAYERS)
    return height * np.exp(-((layers - peak) ** 2) / 8) + rng.normal(0, 0.006, N_LAYERS)


def _scores(
    rng: np.random.Generator, targets: pd.DataFrame, analysis: str, *, peak: float
) -> pd.DataFrame:
    """Long table of contract.md for one model."""
    rows = []
    share = {"whisperbase": 1.0, "whisperbaseUntrained": 0.62, "lowlevel": 0.7}[analysis]
    for _, target in targets.iterrows():
        gain = float(target["gain"])
        curve = _curve(rng, peak, share * gain)
        lowlevel = 0.7 * gain + rng.normal(0, 0.004)
        base = {
            "target": target["name"],
            "target_type": target["type"],
            "hemisphere": target["hemisphere"],
            "region": target["region"],
            "model": MODELS[analysis],
            "layer_mode": np.nan,
            "layer_agreement": np.nan,
            "encoder": "ridge",
            "n_samples": 21400,
            "r_lowlevel": lowlevel,
            "r_ceiling": np.nan,
            "ceiling_kind": "n/a",
            "r_normalised": np.nan,
            "n_null": 2000,
            "context_past_s": 25.0,
            "context_future_s": 25.0,
        }
        if analysis == "lowlevel":
            r = lowlevel
            q = 0.002 if r > 0.05 else 0.4
            rows.append(base | {"layer": "n/a", "fold": "all", "r": r, "r2": r**2, "q_fdr": q})
            continue
        untrained = 0.62 * gain
        for layer, r in enumerate(curve):
            delta = max(r - lowlevel, -0.004)
            values = {
                "r": r, "r2": r**2, "r_untrained": untrained, "delta_r_lowlevel": delta,
                "delta_r_untrained": r - untrained, "p": 0.001 if r > 0.05 else 0.3,
            }  # fmt: skip
            rows.append(base | values | {"layer": str(layer), "fold": "all"})
        best = int(np.argmax(curve))
        r = float(curve[best]) - 0.002
        found = analysis == "whisperbase" and gain > 0.08
        chosen = base | {
            "layer": "selected", "layer_mode": best, "layer_agreement": 0.8, "r": r, "r2": r**2,
            "r_untrained": untrained, "delta_r_lowlevel": r - lowlevel,
            "delta_r_untrained": r - untrained,
        }  # fmt: skip
        tests = {
            "p": 0.0005 if r > 0.05 else 0.3, "q_fdr": 0.002 if r > 0.05 else 0.4,
            "p_max": 0.001 if r > 0.05 else 0.5, "p_delta": 0.001 if found else 0.4,
            "q_untrained": 0.01 if found else 0.6, "q_delta": 0.004 if found else 0.6,
        }  # fmt: skip
        rows.append(chosen | tests | {"fold": "all"})
        rows.extend(
            chosen | {"fold": str(fold), "r": r + rng.normal(0, 0.01)} for fold in range(4)
        )
    return pd.DataFrame(rows)


def electrodes(rng: np.random.Generator, n: int = N_ELECTRODES) -> pd.DataFrame:
    """ECoG grid over the left and a strip over the right temporal lobe, MNI mm."""
    left = np.arange(n) < 0.7 * n
    y = rng.uniform(-50, 10, n)
    z = rng.uniform(-20, 30, n)
    x = np.where(left, -1, 1) * (60 - 0.006 * (y + 15) ** 2)
    near = np.exp(-((y + 22) ** 2 + (z - 4) ** 2) / 500)
    gain = np.where(left, 0.26, 0.1) * near
    return pd.DataFrame(
        {
            "name": [f"{'LG' if is_left else 'RS'}{i + 1}" for i, is_left in enumerate(left)],
            "type": "ECOG",
            "hemisphere": np.where(left, "L", "R"),
            "region": "n/a",
            "x": x,
            "y": y,
            "z": z,
            "device": np.where(left, "LG", "RS"),
            "gain": gain,
        }
    )


def parcels() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": ["whole", "left", "right"],
            "type": "parcel",
            "hemisphere": ["n/a", "L", "R"],
            "region": "n/a",
            "gain": [0.11, 0.07, 0.14],
        }
    )


def _folds(n_runs: int = 4, run_s: float = 300.0) -> pd.DataFrame:
    rows = []
    for fold in range(n_runs):
        for run in range(n_runs):
            role = "test" if run == fold else "train"
            rows.append(
                {
                    "fold": fold,
                    "run": f"run-{run + 1}",
                    "start": 2.0,
                    "stop": run_s,
                    "role": role,
                    "content_group": f"story{run + 1:02d}",
                }
            )
    return pd.DataFrame(rows)


def _nulls(rng: np.random.Generator, targets: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    r_max = scores.groupby("target")["r"].max().loc[targets["name"]].to_numpy()
    q95 = 0.045 + rng.uniform(0, 0.01, len(targets))
    return pd.DataFrame(
        {
            "target": targets["name"],
            "r_max": r_max,
            "q50": 0.02,
            "q95": q95,
            "q99": q95 + 0.01,
            "max": q95 + 0.03,
        }
    )


def _locked(
    rng: np.random.Generator, targets: pd.DataFrame, *, step: float, span: float
) -> pd.DataFrame:
    frames = []
    for label, delay, count in (("stimulus onset", 0.15, 4), ("word onset", 0.12, 2100)):
        times = np.arange(-0.25 * span, span + step / 2, step)
        width = 0.12 * span
        for _, target in targets.iterrows():
            bump = np.exp(-((times - delay * span / 0.6) ** 2) / (2 * width**2))
            mean = 4 * float(target["gain"]) * bump + rng.normal(
                0, 0.2 / np.sqrt(count), len(times)
            )
            frames.append(
                pd.DataFrame(
                    {
                        "locked_to": label,
                        "time_s": times,
                        "target": target["name"],
                        "mean": mean,
                        "sem": 0.3 / np.sqrt(count),
                        "n": count,
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def write_ieeg(
    output_dir: Path,
    participant: str,
    *,
    seed: int,
    found: bool = True,
    n_electrodes: int = N_ELECTRODES,
) -> None:
    """One iEEG participant with all three analyses."""
    rng = np.random.default_rng(seed)
    targets = electrodes(rng, n_electrodes)
    if not found:
        targets["gain"] = 0.01
    folder = output_dir / f"sub-{participant}" / "ieeg"
    prefix = f"sub-{participant}_task-listen"
    for analysis, model in MODELS.items():
        stem = f"{prefix}_desc-{analysis}"
        scores = _scores(rng, targets, analysis, peak=4.0)
        write_tsv(folder / f"{stem}_scores.tsv", scores, sidecar(model, prefix))
        chosen = scores[(scores["layer"].isin(["selected", "n/a"])) & (scores["fold"] == "all")]
        chosen = chosen.set_index("target")
        channels = targets.drop(columns="gain").set_index("name")
        channels.insert(1, "units", "µV")
        channels["status"] = "good"
        for column, source in {
            "best_layer": "layer_mode", "r": "r", "r_lowlevel": "r_lowlevel",
            "delta_r_lowlevel": "delta_r_lowlevel", "q_fdr": "q_fdr", "q_delta": "q_delta",
        }.items():  # fmt: skip
            channels[column] = chosen[source] if source in chosen else np.nan
        channels["significant"] = (channels["q_fdr"] < 0.05).astype(int)
        channels["space"] = "MNI152NLin2009cAsym"
        write_tsv(folder / f"{stem}_channels.tsv", channels.reset_index(), {})
        write_tsv(folder / f"{stem}_folds.tsv", _folds(), {})
        write_tsv(folder / f"{stem}_nulls.tsv", _nulls(rng, targets, scores), {})
    locked = _locked(rng, targets, step=0.02, span=0.8)
    write_tsv(folder / f"{prefix}_desc-onset_locked.tsv", locked, {})


def write_fmri(output_dir: Path, participant: str, *, seed: int) -> None:
    """One fMRI participant with maps."""
    rng = np.random.default_rng(seed)
    folder = output_dir / f"sub-{participant}" / "func"
    space = "MNI152NLin2009cAsym"
    prefix = f"sub-{participant}_space-{space}"
    for analysis, model in MODELS.items():
        stem = f"{prefix}_desc-{analysis}"
        scores = _scores(rng, parcels(), analysis, peak=3.0)
        write_tsv(folder / f"{stem}_scores.tsv", scores, sidecar(model, prefix))
        write_tsv(folder / f"{stem}_folds.tsv", _folds(run_s=420.0), {})
        write_tsv(folder / f"{stem}_nulls.tsv", _nulls(rng, parcels(), scores), {})
        _write_maps(folder, prefix, analysis, rng)
    locked = _locked(rng, parcels(), step=1.5, span=20.0)
    write_tsv(folder / f"{prefix}_desc-onset_locked.tsv", locked, {})


def _write_maps(folder: Path, prefix: str, analysis: str, rng: np.random.Generator) -> None:
    import nibabel as nib

    shape = (31, 37, 31)
    affine = np.diag([5.0, 5.0, 5.0, 1.0])
    affine[:3, 3] = [-75, -110, -60]
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1) * 5.0 + affine[:3, 3]
    mask = ((grid - [0, -18, 8]) / [68, 85, 62]) ** 2
    inside = mask.sum(-1) < 1
    centres = {1: (56.0, 0.16), -1: (-56.0, 0.09)}
    gain = sum(h * np.exp(-((grid - [x, -20, 5]) ** 2).sum(-1) / 600) for x, h in centres.values())
    layers = 1 if analysis == "lowlevel" else N_LAYERS
    peak = np.where(grid[..., 1] > -18, 5, 2)
    shift = np.exp(-((np.arange(layers) - peak[..., None]) ** 2) / 8)
    r = gain[..., None] * shift + rng.normal(0, 0.015, (*shape, layers))
    top = r.max(-1)
    maps = {
        "r": r,
        "q": np.where(top > 0.06, 0.01, 0.5),
        "layer": np.where(top > 0.06, r.argmax(-1), np.nan),
    }
    for stat, data in maps.items():
        data = np.array(data, dtype=np.float32)
        data[~inside] = np.nan
        name = f"{prefix}_stat-{stat}_desc-{analysis}_statmap.nii.gz"
        nib.save(nib.Nifti1Image(data, affine), folder / name)


def write_tree(output_dir: Path) -> None:
    """Two iEEG and two fMRI participants, and one that failed."""
    for label, seed in (("01", 1), ("02", 2)):
        write_ieeg(output_dir, label, seed=seed)
    for label, seed in (("03", 3), ("04", 4)):
        write_fmri(output_dir, label, seed=seed)
    crash = output_dir / "logs" / "sub-05" / "run0" / "crash-responses.txt"
    crash.parent.mkdir(parents=True)
    crash.write_text("BrainAlignError: sub-05_task-listen_ieeg.edf is not readable\n")
    (output_dir / "logs" / "CITATION.md").write_text(
        "Radford, A. et al. (2023). Robust speech recognition.\n\n"
        "Pedregosa, F. et al. (2011). Scikit-learn. JMLR 12.\n"
    )
