"""Labels of electrodes, against atlases whose answer is known by construction."""

import nibabel
import numpy as np
import pandas as pd
import pytest
from nilearn.datasets import load_mni152_gm_mask

from bids_brainalign.anatomy.atlas import Atlas, read_atlas, read_lookup, region_and_side
from bids_brainalign.anatomy.electrodes import read_electrodes
from bids_brainalign.anatomy.labelling import Limits, label_electrodes
from bids_brainalign.anatomy.spaces import MNI305_TO_MNI152, apply_affine, family_of, moved
from bids_brainalign.errors import BrainAlignError, ExitCode

OBLIQUE = np.array(
    [
        [-0.98, 0.17, 0.0, 90.0],
        [0.16, 0.97, -0.17, -126.0],
        [0.03, 0.17, 0.98, -72.0],
        [0, 0, 0, 1],
    ]
)
"""First axis to the left, all turned by about ten degrees: about 1 mm voxels."""
NAMES = {1: "L Slab", 2: "R Slab", 3: "Unknown"}


def slab(space="MNI152NLin2009cAsym", affine=OBLIQUE, shape=(180, 220, 180)):
    """Label 1 where x < -40 mm, 2 where x > 40 mm, both for |z| < 20; elsewhere nothing."""
    grid = np.moveaxis(np.indices(shape), 0, -1).reshape(-1, 3)
    x, _, z = apply_affine(affine, grid).T
    value = np.where(np.abs(z) < 20, np.where(x < -40, 1, np.where(x > 40, 2, 0)), 0)
    value[np.abs(x) < 10] = 3
    return Atlas("slab", value.reshape(shape).astype(np.int32), affine, NAMES, space)


@pytest.fixture(scope="module")
def atlas():
    return slab()


def electrodes(x, *, y=0.0, z=0.0, space="MNI152NLin2009cAsym", device="G", hemisphere=None):
    x = np.atleast_1d(np.asarray(x, dtype=float))
    side = np.where(x < 0, "L", "R") if hemisphere is None else hemisphere
    names = [f"E{i}" for i in range(len(x))]
    return pd.DataFrame(
        {"name": names, "x": x, "y": y, "z": z, "space": space, "device": device,
         "hemisphere": side}
    )  # fmt: skip


def test_label_distance_and_limit(atlas):
    # The slab begins at 40 mm: these are 5 mm inside, and 2, 4, 6, 20 mm short of it.
    found, notes = label_electrodes(
        electrodes([-45, -38, -36, -34, -20, 38]), atlas, limits=Limits()
    )
    assert list(found["region"]) == ["Slab", "Slab", "Slab", "unknown", "unknown", "Slab"]
    np.testing.assert_allclose(found["label_distance_mm"], [0, 2, 4, 6, 20, 2], atol=0.8)
    assert list(found["hemisphere"]) == ["L"] * 5 + ["R"]
    assert found["label_probability"][[0, 1]].tolist() == [1.0, 1.0]
    assert set(found["atlas"]) == {"slab"}
    assert any("2 electrodes lie farther than 5 mm" in note for note in notes)
    assert any("MNI152" in note and "1 to 3 mm" in note for note in notes) is False


def test_strips_may_be_farther(atlas):
    found, _ = label_electrodes(electrodes([-34.0, -28.0], device="S"), atlas, limits=Limits())
    assert list(found["region"]) == ["Slab", "unknown"]
    found, _ = label_electrodes(electrodes([-34.0], device="strip 2"), atlas, limits=Limits())
    assert list(found["region"]) == ["Slab"]


def test_probability_is_the_share_in_the_sphere():
    volume = np.ones((41, 41, 41), dtype=np.int32)
    volume[20:] = 2
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = [-60, 0, 0]
    atlas = Atlas("halves", volume, affine, {1: "A", 2: "B"}, "MNI152")
    # Voxel 18 lies at x = -42; the sphere of 4 mm reaches two voxels into B.
    found, _ = label_electrodes(electrodes([-42.0], y=20, z=20), atlas, limits=Limits())
    offsets = np.moveaxis(np.indices((9, 9, 9)) - 4, 0, -1).reshape(-1, 3)
    inside = offsets[(offsets**2).sum(axis=1) <= 16]
    assert found["region"][0] == "A"
    assert found["label_probability"][0] == pytest.approx(np.mean(inside[:, 0] < 2))


@pytest.mark.parametrize("space", ["Pixels", "Other", "n/a", "Talairach", "fsaverageSym", "ACPC"])
def test_no_claim_where_the_space_allows_none(atlas, space):
    found, notes = label_electrodes(electrodes([-45.0], space=space), atlas, limits=Limits())
    assert list(found["region"]) == ["n/a"]
    assert found["label_distance_mm"].isna().all()
    assert any(f"'{space}'" in note for note in notes)


def test_another_mni_template_is_said(atlas):
    found, notes = label_electrodes(
        electrodes([-45.0], space="MNI152NLin2009aSym"), atlas, limits=Limits()
    )
    assert list(found["region"]) == ["Slab"]
    assert any("MNI152NLin2009aSym" in n and "1 to 3 mm" in n for n in notes)


def test_mni305_is_moved_by_the_known_affine():
    # The worked example of FreeSurfer's wiki: (10, -20, 35) in MNI305.
    there = moved(np.array([[10.0, -20.0, 35.0]]), "mni305", "mni152")
    np.testing.assert_allclose(there, [[10.695, -18.409, 36.137]], atol=5e-3)
    back = moved(there, "mni152", "mni305")
    np.testing.assert_allclose(back, [[10, -20, 35]], atol=1e-9)
    assert np.linalg.det(MNI305_TO_MNI152) > 0
    assert moved(there, "scanner", "mni152") is None


def test_a_label_of_the_other_side_is_refused(atlas):
    found, notes = label_electrodes(
        electrodes([-45.0, -46.0], hemisphere="R"), atlas, limits=Limits()
    )
    assert list(found["region"]) == ["unknown", "unknown"]
    assert any("check left and right" in note and "E0, E1" in note for note in notes)


def test_electrodes_without_place_stay_without_label(atlas):
    found, _ = label_electrodes(electrodes([np.nan, -45.0]), atlas, limits=Limits())
    assert list(found["region"]) == ["n/a", "Slab"]


def test_freesurfer_volumes_in_scanner_and_surface_coordinates(tmp_path):
    """tkRAS and scanner coordinates differ by the offset of the volume's centre."""
    data = np.zeros((64, 64, 64), dtype=np.int32)
    data[10:20, 30:40, 30:40] = 11111
    affine = np.array([[-1.0, 0, 0, 40], [0, 0, 1, -25], [0, -1, 0, 50], [0, 0, 0, 1]])
    path = tmp_path / "aparc+aseg.mgz"
    nibabel.save(nibabel.MGHImage(data, affine), path)
    atlas = read_atlas(path, space="ScanRAS", names={11111: "ctx_lh_G_cuneus"})
    middle = np.array([[14.2, 34.2, 34.2]])
    scanner = apply_affine(affine, middle)[0]
    surface = apply_affine(nibabel.load(path).header.get_vox2ras_tkr(), middle)[0]
    assert np.linalg.norm(scanner - surface) > 10
    for space, (x, y, z) in (("ScanRAS", scanner), ("tkRAS", surface)):
        at = electrodes([x], y=y, z=z, space=space, hemisphere="n/a")
        found, _ = label_electrodes(at, atlas, limits=Limits())
        assert list(found["region"]) == ["G_cuneus"]
        assert list(found["hemisphere"]) == ["L"]
        assert found["label_distance_mm"][0] == 0
    wrong = electrodes([surface[0]], y=surface[1], z=surface[2], space="ScanRAS")
    assert label_electrodes(wrong, atlas, limits=Limits())[0]["region"][0] != "G_cuneus"


def write(path, *, dtype=np.uint8, data=None):
    data = np.ones((4, 4, 4), dtype=dtype) if data is None else data
    nibabel.save(nibabel.Nifti1Image(data, np.eye(4)), path)
    return path


def test_tables_of_all_three_kinds(tmp_path):
    tsv = tmp_path / "a.tsv"
    tsv.write_text("index\tname\tabbreviation\n1\tLeft Cuneus\tLC\n", encoding="utf-8-sig")
    csv = tmp_path / "b.csv"
    csv.write_text("index,name\n0,Background\n1,L G_cuneus\n")
    lut = tmp_path / "c.txt"
    lut.write_text(
        "# No Label R G B A\n0  Unknown 0 0 0 0\n11111 ctx_lh_G_cuneus 25 10 10 0\n7 Two words\n"
    )
    assert read_lookup(tsv) == {1: "Left Cuneus"}
    assert read_lookup(csv) == {0: "Background", 1: "L G_cuneus"}
    assert read_lookup(lut) == {0: "Unknown", 11111: "ctx_lh_G_cuneus", 7: "Two words"}


def test_the_table_is_found_beside_the_image_and_the_space_in_its_name(tmp_path):
    image = write(tmp_path / "tpl-MNI152NLin2009cAsym_res-01_atlas-X_dseg.nii.gz")
    (tmp_path / "tpl-MNI152NLin2009cAsym_atlas-X_dseg.tsv").write_text("index\tname\n1\tA\n")
    (tmp_path / "tpl-MNI152NLin2009cAsym_atlas-Y_dseg.tsv").write_text("index\tname\n1\tB\n")
    atlas = read_atlas(image)
    assert atlas.names == {1: "A"}
    assert atlas.space == "MNI152NLin2009cAsym"
    assert atlas.notes == ()
    plain = write(tmp_path / "mine.nii")
    (tmp_path / "mine.txt").write_text("1 A\n")
    assert "MNI152 assumed" in read_atlas(plain).notes[0]


def test_bad_atlases_are_refused(tmp_path):
    alone = write(tmp_path / "alone.nii")
    with pytest.raises(BrainAlignError, match="no table of labels beside alone") as error:
        read_atlas(alone)
    assert error.value.exit_code == ExitCode.MISSING_INPUT
    shares = write(tmp_path / "p.nii", data=np.full((4, 4, 4), 0.3, dtype=np.float32))
    with pytest.raises(BrainAlignError, match="no image of labels"):
        read_atlas(shares)
    (tmp_path / "t.tsv").write_text("nr\tname\n1\tA\n")
    with pytest.raises(BrainAlignError, match="no columns index"):
        read_lookup(tmp_path / "t.tsv")
    (tmp_path / "broken.nii").write_text("nothing")
    with pytest.raises(BrainAlignError, match="can't be read as an image"):
        read_atlas(tmp_path / "broken.nii")


def test_sides_in_names():
    assert region_and_side("7Networks_LH_Vis_1") == ("7Networks_Vis_1", "L")
    assert region_and_side("ctx-rh-superiortemporal") == ("superiortemporal", "R")
    assert region_and_side("Heschl_R") == ("Heschl", "R")
    assert region_and_side("Lateral Occipital Cortex") == ("Lateral Occipital Cortex", "n/a")
    assert region_and_side("Brain-Stem") == ("Brain-Stem", "n/a")


@pytest.mark.shared
def test_real_coordinates_lie_in_the_grey_matter_of_the_template(shared):
    """ds005574 in MNI152NLin2009aSym against nilearn's own grey matter mask, cut into sides."""
    mask = load_mni152_gm_mask(resolution=2)
    grey = np.asarray(mask.dataobj) > 0
    x = np.moveaxis(np.indices(grey.shape), 0, -1) @ mask.affine[0, :3] + mask.affine[0, 3]
    volume = np.where(grey, np.where(x < 0, 1, 2), 0).astype(np.int32)
    atlas = Atlas("grey", volume, mask.affine, {1: "L grey", 2: "R grey"}, "MNI152NLin2009aSym")
    n, unknown, sides = 0, 0, []
    for path in sorted((shared / "data" / "ds005574").rglob("*_space-MNI152*_electrodes.tsv")):
        table = read_electrodes(path, next(path.parent.glob("*_space-MNI152*_coordsystem.json")))
        found, _ = label_electrodes(table, atlas, limits=Limits())
        n, unknown = n + len(found), unknown + int((found["region"] == "unknown").sum())
        sides.append(((found["hemisphere"] == "L").sum(), (found["hemisphere"] == "R").sum()))
        assert set(found["region"]) <= {"grey", "unknown"}
    assert n == 1330
    # Left and right of each participant, counted in the coordinates themselves; x of one electrode
    # of sub-05 is 0, and it has the side of its label.
    assert sides == [(0, 103), (95, 0), (213, 51), (77, 78), (158, 2), (171, 0), (119, 0),
                     (75, 0), (188, 0)]  # fmt: skip
    assert unknown < 0.1 * n


def test_families():
    assert family_of("MNIColin27") == "mni305"
    assert family_of("ScanRAS") == "scanner"
    assert family_of("ICBM452AirSpace") == ""
