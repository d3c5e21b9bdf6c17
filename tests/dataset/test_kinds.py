"""Surfaces, CIFTI files, echoes: which of a run's files becomes its recording."""

import json

import pytest

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.derivatives import choose_kind
from bids_brainalign.dataset.index import find_recordings
from bids_brainalign.errors import BrainAlignError
from tests.dataset.trees import dataset, fmriprep, write

MNI = "MNI152NLin2009cAsym"
FS5, CIFTI = "hemi-{}_space-fsaverage5_bold.func.gii", "space-fsLR_den-91k_bold.dtseries.nii"


def find(root, *, desc="preproc", **selection):
    return find_recordings(
        root, derivatives=(), selection=Selection(**selection), modalities=("fmri",),
        bold_desc=desc,
    )  # fmt: skip


def tree(tmp_path, *names, task="a", stem=None):
    """An fMRIPrep derivative of one run with these files."""
    root = dataset(tmp_path)
    folder = fmriprep(root, "01", task, spaces=())
    stem = stem or f"sub-01_task-{task}"
    for name in names:
        path = folder / "sub-01/func" / f"{stem}_{name}"
        write(path, "x")
        sidecar = path.with_name(path.name.split(".")[0] + ".json")
        write(sidecar, json.dumps({"RepetitionTime": 1.5, "StartTime": 0.6}))
    write(root / f"sub-01/func/sub-01_task-{task}_bold.nii.gz", "x")
    return root


def both(pattern):
    return [pattern.format(side) for side in "LR"]


def test_hemispheres_are_one_recording(tmp_path):
    root = tree(tmp_path, *both(FS5))
    (run,) = find(root).recordings
    assert (run.kind, run.space, run.name) == ("surface", "fsaverage5", "sub-01_task-a")
    assert [p.name for p in run.paths] == [f"sub-01_task-a_{name}" for name in both(FS5)]
    assert dict(run.entities) == {"sub": "01", "task": "a", "space": "fsaverage5"}
    assert (run.metadata["RepetitionTime"], run.metadata["StartTime"]) == (1.5, 0.6)
    assert run.confounds_path.name == "sub-01_task-a_desc-confounds_timeseries.tsv"
    assert run.mask_path is None


def test_narratives_names_the_space_before_the_hemisphere(tmp_path):
    """FMRIPrep 20.0 did; its volumes there have a resolution called native."""
    old = both("space-fsaverage6_hemi-{}_bold.func.gii")
    root = tree(tmp_path, *old, f"space-{MNI}_res-native_desc-preproc_bold.nii.gz")
    (run,) = find(root, space="fsaverage6").recordings
    assert [p.name for p in run.paths] == [f"sub-01_task-a_{name}" for name in old]
    assert [r.kind for r in find(root).recordings] == ["volume"]


@pytest.mark.parametrize("side", ["L", "R"])
def test_one_hemisphere_is_a_recording_too(tmp_path, side):
    (run,) = find(tree(tmp_path, FS5.format(side))).recordings
    assert f"hemi-{side}" in run.path.name
    assert run.right_path is None
    assert "hemi" not in dict(run.entities)


def test_a_filter_chooses_a_hemisphere(tmp_path):
    root = tree(tmp_path, *both(FS5))
    (run,) = find(root, filters=(("bold", (("hemi", ("R",)),)),)).recordings
    assert "hemi-R" in run.path.name


@pytest.mark.parametrize(
    ("names", "wanted", "kind", "space"),
    [
        ([f"space-{MNI}_desc-preproc_bold.nii.gz", *both(FS5), CIFTI], None, "volume", MNI),
        ([*both(FS5), CIFTI], None, "surface", "fsaverage5"),
        ([CIFTI], None, "grayordinates", "fsLR"),
        ([f"space-{MNI}_desc-preproc_bold.nii.gz", *both(FS5), CIFTI], "fsaverage5", "surface",
         "fsaverage5"),
        ([f"space-{MNI}_desc-preproc_bold.nii.gz", CIFTI], "91k", "grayordinates", "fsLR"),
        ([f"space-{MNI}_desc-preproc_bold.nii.gz", CIFTI], "fsLR", "grayordinates", "fsLR"),
        ([CIFTI], "fsLR:den-91k", "grayordinates", "fsLR"),
        ([CIFTI, CIFTI.replace("91k", "170k")], "170k", "grayordinates", "fsLR"),
        ([*both(FS5), *both(FS5.replace("average5", "native"))], "fsnative", "surface",
         "fsnative"),
        (both(FS5.replace("average5", "average_den-10k")), "fsaverage5", "surface", "fsaverage"),
        ([*both("hemi-{}_space-fsLR_den-32k_bold.func.gii"), CIFTI], "fsLR", "grayordinates",
         "fsLR"),
        ([*both("hemi-{}_space-fsLR_den-32k_bold.func.gii"), CIFTI], "32k", "surface", "fsLR"),
    ],
)  # fmt: skip
def test_volumes_then_surfaces_then_cifti_unless_a_space_is_named(
    tmp_path, names, wanted, kind, space
):
    (run,) = find(tree(tmp_path, *names), space=wanted).recordings
    assert (run.kind, run.space) == (kind, space)


@pytest.mark.parametrize(
    ("labels", "wanted", "code", "part"),
    [
        ({"volume": {MNI}, "surface": {"fsnative"}}, "fsaverage5", 18, f"{MNI}, fsnative"),
        ({"volume": {MNI}, "grayordinates": {"fsLR:den-91k"}}, "91K", 18, "fsLR:den-91k"),
        ({"surface": {"fsnative", "fsaverage"}}, None, 64, "choose one, e.g. --space fsaverage"),
        ({"grayordinates": {"fsLR:den-91k", "fsLR:den-170k"}}, "fsLR", 64, "--space fsLR:den-170"),
    ],
)
def test_spaces_that_cannot_be_chosen(labels, wanted, code, part):
    with pytest.raises(BrainAlignError) as caught:
        choose_kind(labels, wanted)
    assert caught.value.exit_code == code
    assert part in str(caught.value)


def test_runs_of_another_kind_are_left_out_and_told(tmp_path):
    root = tree(tmp_path, *both(FS5))
    tree(tmp_path, CIFTI, task="b")
    index = find(root)
    assert [r.task for r in index.recordings] == ["a"]
    assert dict(index.skipped) == {
        "sub-01_task-b": "it is not in space fsaverage5, only in fsLR:den-91k"
    }


ECHOES = [f"echo-{n}_desc-preproc_bold.nii.gz" for n in (1, 2, 3)]


@pytest.mark.parametrize("whole", ["desc-preproc_bold.nii.gz",
                                   f"space-{MNI}_desc-preproc_bold.nii.gz", CIFTI])  # fmt: skip
def test_echoes_of_a_combined_run_do_not_count(tmp_path, whole):
    root = tree(tmp_path, *ECHOES, whole)
    (run,) = find(root).recordings
    assert "echo" not in run.path.name


def test_one_echo_by_a_filter(tmp_path):
    root = tree(tmp_path, *ECHOES, "desc-preproc_bold.nii.gz")
    (run,) = find(root, filters=(("bold", (("echo", ("2",)),)),)).recordings
    assert "echo-2" in run.path.name


def test_echoes_that_nobody_combined_are_told_apart_by_the_user(tmp_path):
    with pytest.raises(BrainAlignError, match="sub-01_task-a has two recordings") as caught:
        find(tree(tmp_path, *ECHOES))
    assert '{"bold": {"echo": "1"}}' in str(caught.value)


def test_phase_images_do_not_count(tmp_path):
    names = [f"part-{part}_space-T1w_desc-preproc_bold.nii.gz" for part in ("mag", "phase")]
    (run,) = find(tree(tmp_path, *names)).recordings
    assert "part-mag" in run.path.name


def test_raw_echoes_are_one_run(tmp_path):
    root = dataset(tmp_path)
    fmriprep(root, "01", "other")
    for echo in (1, 2):
        for part in ("mag", "phase"):
            write(root / f"sub-01/func/sub-01_task-a_echo-{echo}_part-{part}_bold.nii.gz", "x")
    assert [name for name, _ in find(root).skipped] == ["sub-01_task-a"]


def test_denoised_volumes(tmp_path):
    """ICA-AROMA has been applied to volumes of its own."""
    aroma = "space-MNI152NLin6Asym_desc-smoothAROMAnonaggr_bold.nii.gz"
    names = [aroma, f"space-{MNI}_desc-preproc_bold.nii.gz"]
    root = tree(tmp_path, *names, "space-MNI152NLin6Asym_desc-brain_mask.nii.gz")
    (run,) = find(root, desc="smoothAROMAnonaggr").recordings
    assert "smoothAROMAnonaggr" in run.path.name
    assert run.mask_path.name == "sub-01_task-a_space-MNI152NLin6Asym_desc-brain_mask.nii.gz"
    with pytest.raises(BrainAlignError, match="fmriprep has no desc-smoothAROMAnonaggr_bold"):
        find(tree(tmp_path / "b", names[1]), desc="smoothAROMAnonaggr")
