"""Derivatives as of ds005574: FIF files without description, channels or events."""

import pytest

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.derivatives import find_fmriprep
from bids_brainalign.dataset.index import find_recordings
from bids_brainalign.errors import BrainAlignError
from tests.dataset.trees import dataset, ieeg_run, write

BOTH = ("ieeg", "eeg", "fmri")


@pytest.fixture
def podcast(tmp_path):
    root = dataset(tmp_path)
    for label in ("01", "02"):
        ieeg_run(root, label, "podcast")
    folder = tmp_path / "ecogprep"
    stem = folder / "sub-01/ieeg/sub-01_task-podcast"
    write(stem.with_name(f"{stem.name}_ieeg.fif"), "x")
    write(stem.with_name(f"{stem.name}_desc-highgamma_ieeg.fif"), "x")
    write(stem.with_name(f"{stem.name}_split-02_desc-highgamma_ieeg.fif"), "x")
    return root, folder


def found(root, folder, **selection):
    index = find_recordings(
        root, derivatives=[("ecogprep", folder)], selection=Selection(**selection), modalities=BOTH
    )
    return {r.participant: r for r in index.recordings}


def test_high_gamma_takes_the_place_of_the_raw_recording(podcast):
    root, folder = podcast
    runs = found(root, folder)
    one, two = runs["01"], runs["02"]
    assert one.path.name == "sub-01_task-podcast_desc-highgamma_ieeg.fif"
    assert (one.prepared, one.prepared_by) == ("highgamma", "ecogprep")
    assert one.channels_path.is_relative_to(root)
    assert (two.prepared, two.path.suffix) == ("", ".edf")


def test_a_filter_chooses_the_cleaned_recording(podcast):
    filters = (("ieeg", (("desc", ()),)),)
    runs = found(*podcast, filters=filters)
    assert runs["01"].path.name == "sub-01_task-podcast_ieeg.fif"
    assert runs["01"].prepared == "broadband"
    assert runs["02"].prepared == ""


def test_it_is_not_taken_for_fmri(podcast):
    root, folder = podcast
    assert find_fmriprep(root, [("ecogprep", folder)]) is None


def test_two_of_one_run(podcast, tmp_path):
    root, folder = podcast
    other = tmp_path / "mine"
    write(other / "sub-01/ieeg/sub-01_task-podcast_desc-highgamma_ieeg.edf", "x")
    with pytest.raises(BrainAlignError, match="several prepared recordings") as caught:
        find_recordings(
            root, derivatives=[("a", folder), ("b", other)], selection=Selection(), modalities=BOTH
        )
    assert "choose one with -d" in caught.value.fix
