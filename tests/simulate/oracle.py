"""A plain analysis with mne, scikit-learn and numpy, sharing nothing with the simulator."""

import mne
import nibabel
import numpy as np
import pandas as pd
from scipy.signal import butter, hilbert, sosfiltfilt
from sklearn.linear_model import Ridge

from bids_brainalign.features.audio import load_audio
from bids_brainalign.features.whisper import WhisperLayers

HOP_S = 0.04


def _z(x):
    return (x - x.mean(0)) / (x.std(0) + 1e-9)


def _lagged(frames, times, wanted, lags):
    """Columns: every feature at every lag."""
    return np.hstack(
        [
            np.stack([np.interp(wanted - lag, times, c, left=0, right=0) for c in frames.T], 1)
            for lag in lags
        ]
    )


def _held_out_r(x_runs, y_runs):
    """Mean over leave-one-run-out folds, per target."""
    folds = []
    for test in range(len(x_runs)):
        train = [i for i in range(len(x_runs)) if i != test]
        ridge = Ridge(alpha=3e3)
        ridge.fit(np.vstack([x_runs[i] for i in train]), np.vstack([y_runs[i] for i in train]))
        predicted = ridge.predict(x_runs[test])
        folds.append((_z(predicted) * _z(y_runs[test])).mean(0))
    return np.mean(folds, axis=0)


def ecog_curve(bids, model_folder, label):
    """Layer × channel correlations of high gamma, from the EDF, events and audio alone."""
    model = WhisperLayers(model_folder)
    x_runs, y_runs = [], []
    for path in sorted((bids / f"sub-{label}" / "ieeg").glob("*_ieeg.edf")):
        stem = path.name.removesuffix("_ieeg.edf")
        channels = pd.read_csv(path.with_name(f"{stem}_channels.tsv"), sep="\t", na_values=[])
        events = pd.read_csv(path.with_name(f"{stem}_events.tsv"), sep="\t")
        good = channels[(channels["type"] == "ECOG") & (channels["status"] == "good")]
        raw = mne.io.read_raw_edf(path, verbose="error")
        data = raw.get_data(picks=list(good["name"]))
        rate = raw.info["sfreq"]
        sos = butter(4, [75, 115], btype="bandpass", fs=rate, output="sos")
        band = sosfiltfilt(sos, data - data.mean(0), axis=1)
        power = np.log(np.abs(hilbert(band, axis=1)))
        onset, story = events["onset"][0], events["stim_file"][0]
        wanted = np.arange(0, events["duration"][0] - 0.1, HOP_S)
        first = np.round((onset + wanted - HOP_S / 2) * rate).astype(int)
        y_runs.append(_z(np.stack([power[:, i : i + round(HOP_S * rate)].mean(1) for i in first])))
        layers = model.extract(load_audio(bids / "stimuli" / story))
        lags = np.arange(0, 0.33, 0.04)
        x_runs.append([_z(_lagged(_z(f), layers.times, wanted, lags)) for f in layers.layers])
    n_layers = len(x_runs[0])
    curve = [_held_out_r([x[layer] for x in x_runs], y_runs) for layer in range(n_layers)]
    return np.array(curve), list(good["name"])


def fmri_curve(bids, model_folder, label):
    """Layer × voxel correlations, from the derivative, its confounds and the audio alone."""
    model = WhisperLayers(model_folder)
    folder = bids / "derivatives" / "fmriprep" / f"sub-{label}" / "func"
    x_runs, y_runs = [], []
    for path in sorted(folder.glob("*_desc-preproc_bold.nii.gz")):
        entities = path.name.split("_space-")[0]
        table = pd.read_csv(folder / f"{entities}_desc-confounds_timeseries.tsv", sep="\t")
        task = entities.split("_task-")[1]
        events_path = bids / f"sub-{label}" / "func" / f"{entities}_events.tsv"
        event = pd.read_csv(events_path, sep="\t").iloc[0]
        mask = nibabel.load(next(folder.glob(f"{entities}_*_mask.nii.gz"))).get_fdata() > 0
        data = nibabel.load(path).get_fdata()[mask].T
        use = table.drop(columns="framewise_displacement").fillna(0.0).to_numpy()
        design = np.column_stack([np.ones(len(use)), use])
        data = data - design @ np.linalg.lstsq(design, data, rcond=None)[0]
        times = np.arange(len(data)) * 1.5 + 0.75
        kept = (times > event["onset"] + 9) & (times < event["onset"] + event["duration"] + 5)
        y_runs.append(_z(data[kept]))
        layers = model.extract(load_audio(bids / "stimuli" / f"{task}.wav"), rate_hz=10.0)
        kernel = np.hanning(32)[1:-1] / np.hanning(32).sum()
        x_runs.append([])
        for frames in layers.layers:
            smooth = np.stack([np.convolve(c, kernel, "same") for c in _z(frames).T], 1)
            wanted = times[kept] - event["onset"]
            x_runs[-1].append(_z(_lagged(smooth, layers.times, wanted, np.arange(1.5, 9.1, 1.5))))
    n_layers = len(x_runs[0])
    curve = [_held_out_r([x[layer] for x in x_runs], y_runs) for layer in range(n_layers)]
    return np.array(curve), [tuple(map(int, v)) for v in np.argwhere(mask)]
