"""The same simulated listener as a volume, as surfaces, as CIFTI and as ds003020's HDF5.

Vertices, grayordinates and columns hold what the voxels hold, so their maps must be the volume's,
in which the planted answer is looked for. Confounds are those of nilearn's strategy ``simple``.
"""

import json
import shutil
import subprocess
import sys

import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest
import soundfile
from nibabel.cifti2 import BrainModelAxis, Cifti2Image, SeriesAxis

from bids_brainalign.simulate.volume import affine, brain_mask
from tests.anatomy.label_files import write_label_gii
from tests.cli.simulated import run, simulate
from tests.cli.test_end_to_end import find_validator
from tests.responses.series_files import gifti_name, write_columns, write_gifti

pytestmark = pytest.mark.cli

MASK = brain_mask()
LEFT = (np.argwhere(MASK)[:, 0] < MASK.shape[0] // 2).nonzero()[0]
RIGHT = (np.argwhere(MASK)[:, 0] >= MASK.shape[0] // 2).nonzero()[0]
WALL = 5
"""Vertices of each hemisphere without a signal, in front of the others."""
TR = 1.5
SOUND_S = 10.0
MNI = "MNI152NLin2009cAsym"


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A dataset with a volume, surfaces and a CIFTI file of every run."""
    made = simulate(tmp_path_factory.mktemp("kinds"), ieeg_s=(), fmri_s=(150.0,) * 4)
    for path in sorted(made.bids.glob("derivatives/**/*_desc-preproc_bold.nii.gz")):
        series = nibabel.load(path).get_fdata(dtype=np.float32)[MASK].T
        stem = path.name.split("_space-")[0]
        said = path.with_name(path.name.replace(".nii.gz", ".json"))
        task = stem.split("task-")[1]
        for side, columns in (("L", LEFT), ("R", RIGHT)):
            wall = np.full((len(series), WALL), np.nan)
            to = gifti_name(path.parent, side, task=task)
            write_gifti(to, np.column_stack([wall, series[:, columns]]))
            shutil.copy(said, to.with_name(to.name.replace(".func.gii", ".json")))
        to = path.with_name(f"{stem}_space-fsLR_den-91k_bold.dtseries.nii")
        time = SeriesAxis(start=0, step=TR, size=len(series))
        nibabel.save(Cifti2Image(series[:, order()], (time, brain())), to)
        shutil.copy(said, to.with_name(to.name.replace(".dtseries.nii", ".json")))
    for path in made.bids.glob("derivatives/**/*_timeseries.tsv"):
        with_powers(path)
    return made


def order():
    """Voxels in the order of the grayordinates: left cortex, right cortex, the last 20 a stem."""
    return np.concatenate([LEFT, RIGHT])


def brain():
    """Left voxels as a cortex; of the right ones the last 20 as voxels of the brain stem."""
    stem = np.zeros(MASK.shape, dtype=bool)
    stem[tuple(np.argwhere(MASK)[RIGHT[-20:]].T)] = True
    return (
        BrainModelAxis.from_mask(np.ones(len(LEFT)), name="CortexLeft")
        + BrainModelAxis.from_mask(np.ones(len(RIGHT) - 20), name="CortexRight")
        + BrainModelAxis.from_mask(stem, name="BrainStem", affine=affine())
    )


def outputs(planted, name, *options, bids=None):
    """Run the program; all runs share a work folder."""
    out = planted.root / name
    done = run(
        bids or planted.bids, out, "participant", "--models", planted.model, "--no-untrained",
        "-w", planted.root / "work", *options, cwd=planted.root,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.fixture(scope="module")
def volume(planted):
    """r of every layer and voxel, and the scores table."""
    out = outputs(planted, "volume", "--confounds", "simple")
    (path,) = out.glob("sub-01/func/*_stat-r_desc-small_statmap.nii.gz")
    r = np.asarray(nibabel.load(path).dataobj)[MASK].T
    # What was planted: the right half follows a layer, the left follows nothing.
    assert r[:, RIGHT].max(axis=0).mean() > r[:, LEFT].max(axis=0).mean() + 0.1
    return r, scores(out)


def scores(out):
    (path,) = out.glob("sub-01/func/*_desc-small_scores.tsv")
    table = pd.read_csv(path, sep="\t", na_values="n/a", dtype={"layer": str, "fold": str})
    return table.set_index(["target", "layer", "fold"])["r"]


def require_valid(out):
    done = subprocess.run(
        [find_validator(), str(out), "--format", "json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert done.returncode == 0, [i for i in issues if i.get("severity") == "error"]


@pytest.fixture(scope="module")
def surfaces(planted):
    return outputs(planted, "surfaces", "--space", "fsaverage5", "--confounds", "simple")


def test_surfaces(volume, surfaces):
    r, table = volume
    for side, columns in (("L", LEFT), ("R", RIGHT)):
        (path,) = surfaces.glob(
            f"sub-01/func/sub-01_hemi-{side}_space-fsaverage5_stat-r_desc-small_statmap.func.gii"
        )
        found = np.stack([array.data for array in nibabel.load(path).darrays])
        assert np.isnan(found[:, :WALL]).all()
        np.testing.assert_allclose(found[:, WALL:], r[:, columns], atol=1e-4)
    np.testing.assert_allclose(scores(surfaces), table.loc[scores(surfaces).index], atol=1e-4)
    said = next(surfaces.glob("sub-01/func/*_desc-small_scores.json")).read_text()
    assert "nilearn's strategy simple" in said


@pytest.mark.validator
def test_outputs_of_surfaces_are_valid_bids(surfaces):
    require_valid(surfaces)


@pytest.fixture(scope="module")
def cifti(planted):
    saved = ("--save", "predictions", "weights")
    return outputs(planted, "cifti", "--space", "91k", "--confounds", "simple", *saved)


def test_cifti(volume, cifti):
    (path,) = cifti.glob(
        "sub-01/func/sub-01_space-fsLR_den-91k_stat-r_desc-small_statmap.dscalar.nii"
    )
    image = nibabel.load(path)
    assert image.header.get_axis(1) == brain()
    np.testing.assert_allclose(np.asarray(image.dataobj), volume[0][:, order()], atol=1e-4)
    (path,) = cifti.glob("sub-01/func/*_desc-small_predictions.h5")
    with h5py.File(path) as file:
        names = [name.decode() for name in file["voxels/targets"]]
        assert file["voxels/predicted"].shape[1] == len(names) == MASK.sum()
    assert (names[0], names[-1].split("-")[0]) == ("CORTEX_LEFT-0", "BRAIN_STEM")


@pytest.mark.validator
def test_outputs_of_cifti_are_valid_bids(cifti):
    require_valid(cifti)


def with_powers(path):
    """Add the squares that nilearn's full motion model needs."""
    table = pd.read_csv(path, sep="\t", na_values="n/a")
    for name in [c for c in table if c.startswith(("trans", "rot"))]:
        table[f"{name}_power2"] = table[name] ** 2
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")


@pytest.fixture(scope="module")
def lebel(planted):
    """The dataset as ds003020 lays it out: no events, each sound 10 s into the scan."""
    root = planted.root / "lebel"
    volumes = {}
    for path in sorted(planted.bids.glob("derivatives/**/*_desc-preproc_bold.nii.gz")):
        task = path.name.split("task-")[1].split("_")[0]
        series = nibabel.load(path).get_fdata(dtype=np.float32)[MASK].T
        table = pd.read_csv(
            path.with_name(f"sub-01_task-{task}_desc-confounds_timeseries.tsv"), sep="\t",
            na_values="n/a",
        ).fillna(0)  # fmt: skip
        design = np.column_stack([np.ones(len(series)), table])
        series = series - design @ np.linalg.lstsq(design, series, rcond=None)[0]
        trimmed = series[10:-10]
        trimmed = (trimmed - trimmed.mean(axis=0)) / trimmed.std(axis=0)
        repeats = np.stack([trimmed, trimmed]) if task == "harbour" else None
        folder = root / "derivative/preprocessed_data/01"
        write_columns(folder / f"{task}.hf5", trimmed, repeats=repeats)
        volumes[task] = len(series)
        raw = planted.bids / "sub-01/func" / f"sub-01_task-{task}_bold"
        (root / "sub-01/func").mkdir(parents=True, exist_ok=True)
        for ending in (".nii.gz", ".json"):
            shutil.copy(f"{raw}{ending}", root / "sub-01/func")
        events = pd.read_csv(raw.with_name(raw.name.replace("bold", "events.tsv")), sep="\t")
        move_sound(planted.bids, root, task, SOUND_S - float(events["onset"].iloc[0]))
    (root / "derivative/respdict.json").write_text(json.dumps(volumes))
    shutil.copy(planted.bids / "dataset_description.json", root)
    return root


def move_sound(source, root, task, later_s):
    """Cut the start off a sound, or put silence there, so that it starts at another second."""
    samples, rate = soundfile.read(source / f"stimuli/{task}.wav")
    cut = round(later_s * rate)
    moved = samples[cut:] if cut > 0 else np.concatenate([np.zeros(-cut), samples])
    (root / "stimuli").mkdir(exist_ok=True)
    soundfile.write(root / f"stimuli/{task}.wav", moved, rate)
    words = pd.read_csv(source / f"stimuli/{task}_words.tsv", sep="\t", keep_default_na=False)
    words["onset"] -= later_s
    words = words[words["onset"] >= 0]
    grid = root / "derivative/TextGrids" / f"{task}.TextGrid"
    grid.parent.mkdir(parents=True, exist_ok=True)
    grid.write_text(textgrid(words, len(moved) / rate))


def textgrid(words, length_s):
    rows = [
        f"        intervals [{i}]:\n            xmin = {on:.4f}\n            xmax = {off:.4f}\n"
        f'            text = "{text}"\n'
        for i, (on, off, text) in enumerate(gapless(words, length_s), start=1)
    ]
    return (
        f'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = {length_s:.4f}\n'
        "tiers? <exists>\nsize = 1\nitem []:\n    item [1]:\n"
        f'        class = "IntervalTier"\n        name = "word"\n        xmin = 0\n'
        f"        xmax = {length_s:.4f}\n        intervals: size = {len(rows)}\n{''.join(rows)}"
    )


def gapless(words, length_s):
    """Intervals without gaps: silence between words is an empty one."""
    end = 0.0
    for onset, duration, word in zip(words.onset, words.duration, words.word, strict=True):
        if onset > end + 1e-3:
            yield end, onset, ""
        yield onset, min(onset + duration, length_s), word
        end = min(onset + duration, length_s)
    if length_s > end + 1e-3:
        yield end, length_s, ""


def test_hdf5_responses(planted, lebel, volume):
    """The planted half is found, though no file tells TR offsets, events or onsets."""
    out = outputs(planted, "out-lebel", bids=lebel)
    (path,) = out.glob("sub-01/func/sub-01_space-native_stat-r_desc-small_statmap.h5")
    with h5py.File(path) as file:
        found = np.asarray(file["data"])
    r = volume[0]
    assert found.shape == r.shape
    best = found.max(axis=0)
    assert best[RIGHT].mean() > best[LEFT].mean() + 0.1
    # Scored on the one story that is a mean of presentations; the volume is on all four.
    assert np.corrcoef(best, r.max(axis=0))[0, 1] > 0.6
    table = pd.read_csv(next(out.glob("sub-01/func/*_desc-small_scores.tsv")), sep="\t")
    assert set(table["ceiling_kind"].dropna()) == {"mean_of_2"}
    assert set(table["fold"].astype(str)) == {"all", "1"}
    said = json.loads(next(out.glob("sub-01/func/*_desc-small_scores.json")).read_text())
    assert "standardised per story by those who published them" in json.dumps(said)


def test_the_check_lists_hdf5_responses_as_usable(planted, lebel):
    done = subprocess.run(
        [*check_command(), str(lebel)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = " ".join(done.stdout.split())
    assert "derivative/preprocessed_data: 4 HDF5 files of 1 participant, ready-made" in text
    assert "4 of 4 recordings can run now" in text
    assert "4 recordings, e.g. harbour.wav at 10 s" in text


def check_command():
    code = "import sys; from bids_brainalign.cli.toolbox import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-c", code, "check"]


def planted_layer(planted):
    """Layer and voxels of the largest planted part; the left half follows nothing."""
    group = max(
        (g for g in planted.truth.groups if g.layer is not None), key=lambda g: len(g.targets)
    )
    return group.layer, np.array(group.targets)


def in_region(planted):
    """Label of every voxel of the mask: 1 where one layer is planted, 2 on the other side."""
    labels = np.zeros(MASK.shape, dtype=np.int16)
    labels[tuple(planted_layer(planted)[1].T)] = 1
    labels[MASK & (np.arange(MASK.shape[0]) < MASK.shape[0] // 2)[:, None, None]] = 2
    return labels


def require_planted_region(out, planted, *, both_rows=("A1-R", "IFG-L")):
    (path,) = out.glob("sub-01/func/*_desc-small_scores.tsv")
    table = pd.read_csv(path, sep="\t", na_values="n/a", dtype={"layer": str, "fold": str})
    chosen = table[(table["layer"] == "selected") & (table["fold"] == "all")].set_index("target")
    with_layer, without = (chosen.loc[name] for name in both_rows)
    assert with_layer["region"] == "A1"
    assert with_layer["q_delta"] < 0.05
    assert with_layer["layer_mode"] == planted_layer(planted)[0]
    curve = table[(table["target"] == both_rows[0]) & table["layer"].str.isdigit()]
    assert int(curve.set_index("layer")["r"].idxmax()) == planted_layer(planted)[0]
    assert without["q_delta"] > 0.05
    assert abs(without["r"]) < 0.05


@pytest.fixture(scope="module")
def with_dseg(planted):
    atlas = planted.root / f"tpl-{MNI}_atlas-mini_dseg.nii.gz"
    nibabel.save(nibabel.Nifti1Image(in_region(planted), affine()), atlas)
    names = "index\tname\n1\tR_A1_ROI\n2\tL_44_ROI\n"
    atlas.with_name(f"tpl-{MNI}_atlas-mini_dseg.tsv").write_text(names)
    return outputs(planted, "dseg", "--confounds", "simple", "--atlas", atlas)


def test_regions_of_a_volume(planted, with_dseg):
    require_planted_region(with_dseg, planted)
    said = next(with_dseg.glob("sub-01/func/*_desc-small_scores.json")).read_text()
    assert "ROI MFG is left out" in said
    page = (with_dseg / "sub-01.html").read_text()
    assert "Regions of interest" in page
    assert "desc-small_rois.svg" in page
    assert "desc-small_glass-r.svg" in page
    done = run(planted.bids, with_dseg, "group", cwd=planted.root)
    assert done.returncode == 0, done.stderr
    group = pd.read_csv(with_dseg / "group/desc-small_layers.tsv", sep="\t")
    assert {"all", "L", "R", "A1-R", "IFG-L"} <= set(group["region"])


@pytest.mark.validator
def test_outputs_with_regions_are_valid_bids(with_dseg):
    require_valid(with_dseg)


@pytest.mark.slow
def test_regions_of_surfaces(planted):
    labels = in_region(planted)[MASK]
    for side, columns in (("L", LEFT), ("R", RIGHT)):
        on_mesh = np.concatenate([np.zeros(WALL), labels[columns]])
        path = planted.root / f"atlas/hemi-{side}_mini.label.gii"
        write_label_gii(path, on_mesh, {0: "???", 1: f"{side}_A1_ROI", 2: f"{side}_44_ROI"})
    options = ("--space", "fsaverage5", "--confounds", "simple", "--atlas", planted.root / "atlas")
    out = outputs(planted, "labels", *options)
    require_planted_region(out, planted)
    assert "there is no mesh of fsaverage5 with 313 vertices" in (out / "sub-01.html").read_text()


@pytest.mark.parametrize(
    ("atlas", "bids", "what"),
    [
        ("seitzman", "lebel", "columns of a file that says nothing about where in the brain"),
        ("tpl-MNI152NLin6Asym_dseg.nii.gz", "bids", "is in MNI152NLin6Asym, the responses are in"),
    ],
)
def test_an_atlas_that_does_not_fit_is_refused(planted, lebel, atlas, bids, what):
    for name in ("tpl-MNI152NLin6Asym_dseg.nii.gz",):
        nibabel.save(nibabel.Nifti1Image(in_region(planted), affine()), planted.root / name)
        table = planted.root / name.replace(".nii.gz", ".tsv")
        table.write_text("index\tname\n1\tR_A1_ROI\n2\tL_44_ROI\n")
    atlas = planted.root / atlas if atlas.endswith(".gz") else atlas
    done = run(
        lebel if bids == "lebel" else planted.bids, planted.root / "refused", "participant",
        "--models", planted.model, "--no-untrained", "-w", planted.root / "work",
        "--confounds", "simple", "--atlas", atlas, cwd=planted.root,
    )  # fmt: skip
    assert done.returncode == 65, done.stderr[-2000:]
    assert what in " ".join(done.stderr.split())
