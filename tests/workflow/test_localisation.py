"""Regions of a fit's electrodes: from an atlas, the dataset, or the user's table."""

import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from bids_brainalign.config.schema import Anatomy
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.workflow.assemble import assemble
from bids_brainalign.workflow.fits import pool_fits
from bids_brainalign.workflow.localisation import (
    anatomy_inputs,
    distances_refused,
    localised,
)
from bids_brainalign.workflow.responses import load_response, response_path, save_response
from tests.workflow.planted import make_fit

N = 4
X_MM = (-50.0, -20.0, 50.0, np.nan)


@pytest.fixture
def placed(tmp_path):
    """Four electrodes: in the left block, in no block, in the right block, without a place."""
    return fit_in(tmp_path, "MNI152NLin2009aSym", columns={})


def fit_in(folder, space, *, columns):
    planted = make_fit(folder, "ieeg", seconds=(60, 60), n_targets=N)
    electrodes, system = folder / "e_electrodes.tsv", folder / "e_coordsystem.json"
    head = ["name", "x", "y", "z", *columns]
    lines = ["\t".join(head)]
    for k, x in enumerate(X_MM):
        place = ["n/a"] * 3 if np.isnan(x) else [f"{x}", "0", "0"]
        lines.append("\t".join([f"E{k:02d}", *place, *(v[k] for v in columns.values())]))
    electrodes.write_text("\n".join(lines) + "\n")
    system.write_text(json.dumps({"iEEGCoordinateSystem": space, "iEEGCoordinateUnits": "mm"}))
    with_files = []
    for p in planted.fit.presentations:
        recording = replace(p.recording, electrodes_path=electrodes, coordsystem_path=system)
        old = load_response(response_path(planted.config, planted.fit, p.recording))
        targets = old.targets.assign(
            x=X_MM, y=[0.0 if np.isfinite(x) else np.nan for x in X_MM], hemisphere="n/a"
        )
        targets["z"] = targets["y"]
        presentation = replace(p, recording=recording)
        with_files.append((presentation, replace(old, targets=targets)))
    (fit,) = pool_fits([p for p, _ in with_files])
    for p, response in with_files:
        save_response(response_path(planted.config, fit, p.recording), response)
    return planted, fit


def write_atlas(folder, *, name="space-MNI152NLin2009cAsym_dseg.nii.gz", left="L Front"):
    data = np.zeros((60, 60, 60), dtype=np.uint8)
    affine = np.diag([-3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = [90, -90, -90]
    grid = nibabel.affines.apply_affine(affine, np.moveaxis(np.indices(data.shape), 0, -1))
    data[grid[..., 0] < -40], data[grid[..., 0] > 40] = 1, 2
    path = folder / name
    nibabel.save(nibabel.Nifti1Image(data, affine), path)
    table = path.with_name(name.split(".")[0] + ".tsv")
    table.write_text(f"index\tname\n1\t{left}\n2\tR Back\n")
    return path


def test_pictures_give_no_distances(tmp_path, placed):
    assert distances_refused(placed[1]) is None
    _, fit = fit_in(tmp_path / "other", "Pixels", columns={})
    assert "space 'Pixels' (unit mm) give no distances" in str(distances_refused(fit))


def with_atlas(planted, path, **settings):
    return replace(planted.config, anatomy=Anatomy(atlas=str(path), **settings))


def regions(config, fit):
    responses = [load_response(response_path(config, fit, r)) for r in fit.recordings]
    done, notes = localised(config, fit, responses)
    return done[0].targets, notes


def test_an_atlas_gives_regions_in_every_recording(placed, tmp_path):
    planted, fit = placed
    config = with_atlas(planted, write_atlas(tmp_path))
    assembly = assemble(config, fit, planted.spaces)
    for response in assembly.responses:
        assert list(response.targets["region"]) == ["Front", "unknown", "Back", "n/a"]
        assert list(response.targets["hemisphere"]) == ["L", "n/a", "R", "n/a"]
    assert assembly.targets["label_distance_mm"].iloc[0] == 0
    assert any("1 to 3 mm" in note for note in assembly.notes)


def test_the_users_table_comes_last(placed, tmp_path):
    planted, fit = placed
    table = tmp_path / "targets.tsv"
    table.write_text("name\tregion\nE00\tPlanum\nE02\tn/a\n")
    config = with_atlas(planted, write_atlas(tmp_path))
    config = replace(config, paths=replace(config.paths, targets=(table,)))
    assert list(assemble(config, fit, planted.spaces).targets["region"]) == ["Planum", "Back"]


def test_without_an_atlas_the_dataset_speaks_or_the_way_is_told(placed, tmp_path):
    planted, fit = placed
    targets, notes = regions(planted.config, fit)
    assert set(targets["region"]) == {"n/a"}
    assert "--atlas NAME|FILE" in notes[0]
    (tmp_path / "said").mkdir()
    columns = {"Anatomy": ["STG", "n/a", "IFG ", ""]}
    planted, fit = fit_in(tmp_path / "said", "Other", columns=columns)
    targets, notes = regions(planted.config, fit)
    assert list(targets["region"]) == ["STG", "n/a", "IFG", "n/a"]
    assert notes == ("Regions are those of the column Anatomy of electrodes.tsv.",)


def test_pixels_make_no_claim(tmp_path):
    planted, fit = fit_in(tmp_path, "Pixels", columns={})
    targets, notes = regions(with_atlas(planted, write_atlas(tmp_path)), fit)
    assert set(targets["region"]) == {"n/a"}
    assert any("'Pixels' make no anatomical claim" in note for note in notes)


def test_only_the_atlas_changes_the_key_of_regions(placed, tmp_path):
    planted, fit = placed
    assert anatomy_inputs(planted.config, fit) is None
    path = write_atlas(tmp_path)
    first = anatomy_inputs(with_atlas(planted, path), fit)
    before = [response_path(planted.config, fit, r) for r in fit.recordings]
    assert first == anatomy_inputs(with_atlas(planted, path), fit)
    write_atlas(tmp_path, left="L Other")
    assert first != anatomy_inputs(with_atlas(planted, path), fit)
    after = [response_path(with_atlas(planted, path), fit, r) for r in fit.recordings]
    assert before == after


def test_the_participants_own_segmentation(tmp_path):
    planted, fit = fit_in(tmp_path, "ScanRAS", columns={})
    mri = tmp_path / "fs" / "sub-01" / "mri"
    config = replace(planted.config, anatomy=Anatomy(atlas="freesurfer"))
    paths = replace(config.paths, derivatives=(("freesurfer", tmp_path / "fs"),))
    config = replace(config, paths=paths)
    with pytest.raises(BrainAlignError, match="no segmentation of sub-01") as error:
        regions(config, fit)
    assert error.value.exit_code == ExitCode.MISSING_INPUT
    mri.mkdir(parents=True)
    data = np.zeros((80, 80, 80), dtype=np.int32)
    affine = np.array([[-2.0, 0, 0, 75], [0, 0, 2, -85], [0, -2, 0, 70], [0, 0, 0, 1]])
    grid = nibabel.affines.apply_affine(affine, np.moveaxis(np.indices(data.shape), 0, -1))
    data[grid[..., 0] < -40] = 11174  # ctx_lh_S_temporal_transverse... by FreeSurfer's table
    nibabel.save(nibabel.MGHImage(data, affine), mri / "aparc.a2009s+aseg.mgz")
    targets, notes = regions(config, fit)
    assert targets["region"].iloc[0].startswith(("G_", "S_"))
    assert targets["hemisphere"].iloc[0] == "L"
    assert list(targets["region"].iloc[1:3]) == ["unknown", "unknown"]
    assert any("scanner coordinates" in note for note in notes)


def test_a_named_atlas_that_is_absent_says_how_to_get_it(placed, tmp_path, monkeypatch):
    planted, fit = placed
    for variable in ("NILEARN_DATA", "NILEARN_SHARED_DATA", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "nothing"))
    with pytest.raises(BrainAlignError, match="destrieux: the atlas is not on") as error:
        regions(with_atlas(planted, "destrieux"), fit)
    assert error.value.exit_code == ExitCode.MISSING_INPUT
    assert "--allow-download" in error.value.fix


def test_a_named_atlas_is_read_from_nilearns_folder(placed, tmp_path, monkeypatch):
    """The files of Destrieux as nilearn leaves them, with blocks for content."""
    planted, fit = placed
    folder = tmp_path / "nilearn" / "destrieux_2009"
    folder.mkdir(parents=True)
    monkeypatch.setenv("NILEARN_DATA", str(tmp_path / "nilearn"))
    written = write_atlas(folder, name="destrieux2009_rois_lateralized.nii.gz")
    assert written.is_file()
    table = "index,name\n0,Background\n1,L G_temp_sup-Lateral\n2,R G_cuneus\n"
    (folder / "destrieux2009_rois_labels_lateralized.csv").write_text(table)
    (folder / "destrieux2009.rst").write_text("Blocks")
    targets, notes = regions(with_atlas(planted, "destrieux"), fit)
    assert list(targets["region"]) == ["G_temp_sup-Lateral", "unknown", "G_cuneus", "n/a"]
    assert targets["atlas"].iloc[0] == "destrieux"
    assert any("were moved to fsaverage" in note for note in notes)


def test_targets_between_two_contacts_get_the_region_where_they_lie(placed, tmp_path):
    planted, fit = placed
    config = with_atlas(planted, write_atlas(tmp_path))
    names = ["E00-E01", "E01-E02", "E02-E03", "E03-E04"]

    def read(column):
        responses = [load_response(response_path(config, fit, r)) for r in fit.recordings]
        between = [replace(r, targets=r.targets.assign(name=names)) for r in responses]
        return list(localised(column, fit, between)[0][0].targets["region"])

    assert read(config) == ["Front", "unknown", "Back", "n/a"]
    (tmp_path / "said").mkdir()
    columns = {"region": ["STG", "STG", "IFG", "IFG"]}
    planted, fit = fit_in(tmp_path / "said", "Other", columns=columns)
    config = planted.config
    assert read(config) == ["STG", "n/a", "IFG", "n/a"]
