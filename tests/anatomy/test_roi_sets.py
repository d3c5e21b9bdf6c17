"""Named sets in the spellings that atlases come with."""

import pytest

from bids_brainalign.anatomy.roi_sets import check_roi_sets, families, family_of_labels, resolve
from bids_brainalign.config.schema import Rois
from bids_brainalign.errors import BrainAlignError, ExitCode

GLASSER = "A1 PBelt MBelt LBelt RI A4 PFm PGs PGi TPOJ2 TPOJ3 44 45 55b V1 V2 TA2 PGp".split()


def named(resolved):
    return {roi.name: set(roi.labels) for roi in resolved.rois}


def test_the_sets_of_the_paper():
    """Table 1 of multi-brain-tuning, as read in the paper; their code's late language differs."""
    sets = families()["hcp-mmp1"].sets
    parts = {n: set(sets[n]) for n in ("AG", "LTC", "IFG", "MFG")}
    assert sorted(map(len, parts.values())) == [1, 4, 5, 13]
    assert set(sets["late-language"]) == set.union(*parts.values())
    assert len(sets["late-language"]) == 23
    assert set(sets["early-auditory"]) == {"A1", "PBelt", "MBelt", "LBelt", "RI", "A4"}
    code = set(sets["late-language-code"])
    assert len(code) == 16
    assert code - set(sets["late-language"]) == {"PGp", "TA2"}
    assert "55b" not in code


@pytest.mark.parametrize(
    "spelling", ["L_{}_ROI", "{}_L", "R_{}", "lh_L_{}_ROI-lh", "{}", "ctx-lh-{}"]
)
def test_spellings_of_hcp_mmp1(spelling):
    found = named(resolve([spelling.format(n) for n in GLASSER], sets=(), own={}))
    assert {label.removesuffix("_ROI") for label in found["early-auditory"]} == set(GLASSER[:6])
    assert len(found["A1"]) == 1
    assert {label.removesuffix("_ROI") for label in found["IFG"]} == {"44", "45"}


@pytest.mark.parametrize(
    ("labels", "title", "auditory"),
    [
        (["L G_temp_sup-G_T_transv", "R S_temporal_transverse", "L G_cuneus"], "Destrieux",
         {"G_temp_sup-G_T_transv", "S_temporal_transverse"}),
        (["ctx_lh_G_temp_sup-G_T_transv", "ctx_lh_S_calcarine"], "Destrieux",
         {"G_temp_sup-G_T_transv"}),
        (["ctx-lh-transversetemporal", "ctx-rh-bankssts"], "Desikan", {"transversetemporal"}),
        (["Heschl's Gyrus (includes H1 and H2)", "Planum Temporale", "Angular Gyrus"], "Harvard",
         {"Heschl's Gyrus (includes H1 and H2)", "Planum Temporale"}),
        (["17Networks_LH_SomMotB_Aud_1", "17Networks_RH_SomMotB_Aud_12", "17Networks_LH_TempPar"],
         "17 networks", {"17Networks_SomMotB_Aud_1", "17Networks_SomMotB_Aud_12"}),
        (["Heschl_L", "Heschl_R", "Temporal_Sup_L", "Frontal_Inf_Tri_R"], "AAL", {"Heschl"}),
    ],
)  # fmt: skip
def test_other_atlases(labels, title, auditory):
    assert title in family_of_labels(labels).title
    resolved = resolve(labels, sets=(), own={})
    assert named(resolved)["early-auditory"] == auditory
    assert any("an approximation" in note for note in resolved.notes)


def test_seven_networks_have_no_auditory_cortex_of_their_own():
    labels = ["7Networks_LH_SomMot_1", "7Networks_LH_Default_Temp_1", "7Networks_RH_Default_Par_1"]
    resolved = resolve(labels, sets=("early-auditory", "LTC"), own={})
    assert named(resolved) == {"LTC": {"7Networks_Default_Temp_1"}}
    assert any("early-auditory is left out: it has no counterpart" in n for n in resolved.notes)


def test_what_an_atlas_lacks_is_named():
    resolved = resolve(["L_A1_ROI", "L_44_ROI", "L_???"], sets=("A1", "MFG", "IFG"), own={})
    assert named(resolved) == {"A1": {"A1_ROI"}, "IFG": {"44_ROI"}}
    notes = " ".join(resolved.notes)
    assert "ROI MFG is left out" in notes
    assert "none of 55b here" in notes
    assert "ROI IFG lacks 45, IFJa, IFSp" in notes


def test_sets_of_ones_own_and_unknown_atlases():
    labels = ["left foo 1", "left foo 2", "right bar"]
    resolved = resolve(labels, sets=("A1",), own={"mine": ("foo*",), "none": ("baz",)})
    assert named(resolved) == {"mine": {"foo 1", "foo 2"}}
    notes = " ".join(resolved.notes)
    assert "ROI sets A1 are left out: the atlas' labels (left foo 1" in notes
    assert "ROI none is left out: the atlas has none of baz" in notes


def test_no_background_nor_medial_wall():
    labels = ["???", "Unknown", "Medial_wall", "FreeSurfer_Defined_Medial_Wall", "Background"]
    assert resolve(labels, sets=(), own={"all": ("*",)}).rois == ()


@pytest.mark.parametrize(
    ("rois", "what"),
    [
        (Rois(sets=("late-langage",)), "did you mean late-language?"),
        (Rois(own=(("A1", ("x",)),)), "A1 is the name of a set that comes with the program"),
    ],
)
def test_names_of_sets_are_checked(rois, what):
    with pytest.raises(BrainAlignError, match="rois") as caught:
        check_roi_sets(rois)
    assert what in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE
