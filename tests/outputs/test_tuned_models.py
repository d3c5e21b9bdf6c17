"""Where tuned models lie, and how tables of a fit find them."""

from pathlib import Path

import pytest

from bids_brainalign.outputs.names import FitName
from bids_brainalign.outputs.reading import score_files
from bids_brainalign.outputs.tuned_models import models_folder, shared_name
from bids_brainalign.outputs.tuning import tuned_on_targets
from bids_brainalign.store.atomic import write_json

IEEG = FitName("01", None, "ieeg", (("sub", "01"), ("task", "listen")))
FMRI = FitName(
    "02", "a", "func",
    (("sub", "02"), ("ses", "a"), ("task", "listen"), ("space", "fsaverage"), ("den", "10k")),
)  # fmt: skip


@pytest.mark.parametrize(
    ("fit", "model", "folder"),
    [
        (IEEG, "w2v:tuned", "sub-01/models/sub-01_task-listen_desc-w2vTuned_ieeg"),
        (
            FMRI, "w2v:tuned:targets=not:left",
            "sub-02/ses-a/models/sub-02_ses-a_task-listen_space-fsaverage_den-10k"
            "_desc-w2vTunedTargetsNotLeft_func",
        ),
        (IEEG, "w2v:together", "group/models/desc-w2vTogether_ieeg"),
        (FMRI, "w2v:together", "group/models/space-fsaverage_den-10k_desc-w2vTogether_func"),
        # Features of a model that happens to be called so belong to one participant.
        (IEEG, "together:tuned", "sub-01/models/sub-01_task-listen_desc-togetherTuned_ieeg"),
        (
            IEEG, "w2v:features=together",
            "sub-01/models/sub-01_task-listen_desc-w2vFeaturesTogether_ieeg",
        ),
    ],
)  # fmt: skip
def test_a_model_of_several_participants_lies_in_the_group_folder(fit, model, folder):
    assert models_folder(Path("out"), fit, model) == Path("out") / folder


def test_shared_models_are_named_by_what_participants_have_in_common():
    assert shared_name("w2v:together", IEEG) == "w2v:together:ieeg"
    assert shared_name("w2v:together", FMRI) == "w2v:together:space-fsaverage_den-10k_func"


@pytest.mark.parametrize("fit", [IEEG, FMRI])
def test_a_table_knows_its_fit_and_output_folder(tmp_path, fit):
    path = tmp_path / fit.file("scores.tsv", analysis="w2vTuned")
    path.parent.mkdir(parents=True)
    path.write_text("target\n")
    (file,) = score_files(tmp_path)
    assert (file.fit, file.output_dir) == (fit, tmp_path)


@pytest.mark.parametrize("fit", [IEEG, FMRI])
@pytest.mark.parametrize("model", ["w2v:tuned", "w2v:together"])
def test_targets_are_read_where_the_model_lies(tmp_path, fit, model):
    path = tmp_path / fit.file("tuning.tsv", analysis="w2vTuned")
    path.parent.mkdir(parents=True)
    path.write_text("target\n")
    (file,) = score_files(tmp_path, suffix="tuning")
    assert tuned_on_targets(file, model) == "whole"
    folder = models_folder(tmp_path, fit, model)
    folder.mkdir(parents=True)
    write_json(folder / "tuning.json", {"Settings": {"targets": "left"}})
    assert tuned_on_targets(file, model) == "left"
