import mne
import numpy as np
import pandas as pd
import pytest

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.responses.referencing import Rereferenced, derivations, derived_targets


def targets(names, *, xyz=None, device=None, kind="ECOG"):
    """Contacts as read_electrodes gives them."""
    table = pd.DataFrame({"name": names, "type": kind, "hemisphere": "L", "region": "n/a"})
    table[["x", "y", "z"]] = np.nan if xyz is None else np.asarray(xyz, dtype=float)
    table["device"] = "n/a" if device is None else device
    return table


def reread(data, table, kind):
    derived, _ = derivations(kind, table)
    return derived, Rereferenced(data).read(derived)


def shaft(stem, n, *, first=(30.0, 0, 0), step=(3.5, 0, 0)):
    names = [f"{stem}{i}" for i in range(1, n + 1)]
    return names, np.array(first) + np.arange(n)[:, None] * np.array(step)


def grid(n_rows=3, n_columns=4, spacing=10.0):
    """Numbered along rows; bent, as on a brain."""
    rows, columns = np.divmod(np.arange(n_rows * n_columns), n_columns)
    bend = 0.4 * (columns - 1.5) ** 2
    return [f"G{i + 1}" for i in range(n_rows * n_columns)], np.stack(
        [bend, columns * spacing, rows * spacing], axis=1
    )


def test_common_average_removes_what_is_common():
    rng = np.random.default_rng(0)
    own = rng.standard_normal((8, 500))
    own -= own.mean(axis=0)
    common = 1e3 * rng.standard_normal(500)
    _, found = reread(own + common, targets([f"A{i}" for i in range(8)]), "car")
    np.testing.assert_allclose(found, own, atol=1e-9)


def test_none_changes_nothing():
    data = np.arange(12.0).reshape(3, 4)
    derived, found = reread(data, targets(["a", "b", "c"]), "none")
    np.testing.assert_array_equal(found, data)
    assert [d.name for d in derived] == ["a", "b", "c"]


def test_float32_is_averaged_in_double_precision():
    data = np.full((3, 2), 1.0, dtype=np.float32)
    data[0] = 2**25
    _, found = reread(data, targets(["a", "b", "c"]), "car")
    np.testing.assert_array_equal(found[1], np.full(2, 1 - (2**25 + 2) / 3))


def test_average_per_device_is_mnes_average_of_each_device():
    rng = np.random.default_rng(1)
    data = rng.standard_normal((7, 300))
    table = targets(
        ["A1", "B1", "A2", "B2", "A3", "C1", "X"],
        device=["A", "B", "A", "B", "A", "C", "n/a"],
    )
    derived, found = reread(data, table, "car-device")
    for members in ([0, 2, 4], [1, 3]):
        raw = mne.io.RawArray(
            data[members], mne.create_info(len(members), 100.0, "seeg"), verbose="error"
        ).set_eeg_reference("average", ch_type="seeg", verbose="error")
        np.testing.assert_allclose(found[members], raw.get_data(), atol=1e-12)
    np.testing.assert_array_equal(found[[5, 6]], data[[5, 6]])
    _, notes = derivations("car-device", table)
    assert "with no other channel on their device (2): C1, X." in " ".join(notes)
    assert [d.name for d in derived] == table["name"].tolist()


def test_bipolar_is_mnes_and_lies_midway():
    rng = np.random.default_rng(2)
    names, xyz = shaft("RA", 6)
    # RA4 is bad, so it is not in the table: RA3 and RA5 are no neighbours.
    kept = [0, 1, 2, 4, 5]
    table = targets(np.array(names)[kept], xyz=xyz[kept], device="D", kind="SEEG")
    data = rng.standard_normal((5, 200))
    derived, found = reread(data, table, "bipolar")
    assert [d.name for d in derived] == ["RA1-RA2", "RA2-RA3", "RA5-RA6"]
    raw = mne.io.RawArray(
        data, mne.create_info(table["name"].tolist(), 100.0, "seeg"), verbose="error"
    )
    pairs = mne.set_bipolar_reference(
        raw, ["RA1", "RA2", "RA5"], ["RA2", "RA3", "RA6"], verbose="error"
    )
    np.testing.assert_allclose(found, pairs.get_data(["RA1-RA2", "RA2-RA3", "RA5-RA6"]))
    placed = derived_targets(table, derived)
    np.testing.assert_allclose(placed["x"], [31.75, 35.25, 45.75])
    assert placed["name"].tolist() == ["RA1-RA2", "RA2-RA3", "RA5-RA6"]
    assert set(placed["type"]) == {"SEEG"}


def test_bipolar_follows_rows_of_a_grid_but_not_around_their_ends():
    names, xyz = grid()
    derived, _ = derivations("bipolar", targets(names, xyz=xyz, device="G"))
    found = [d.name for d in derived]
    assert "G3-G4" in found
    assert "G5-G6" in found
    assert "G4-G5" not in found
    assert len(found) == 9


def test_laplacian_of_a_grid_uses_the_four_sides():
    names, xyz = grid()
    derived, _ = derivations("laplacian", targets(names, xyz=xyz, device="G"))
    near = {d.name: {names[i] for i in d.minus} for d in derived}
    assert near["G6"] == {"G2", "G5", "G7", "G10"}
    assert near["G1"] == {"G2", "G5"}


@pytest.mark.parametrize("with_coordinates", [True, False])
def test_laplacian_of_two_shafts_of_one_group(with_coordinates):
    """``group`` is D for all depths of ds005574; the names tell the shafts."""
    first, xyz_first = shaft("A", 4)
    second, xyz_second = shaft("B", 3, first=(30.0, 3.0, 0))
    xyz = np.concatenate([xyz_first, xyz_second]) if with_coordinates else None
    table = targets(first + second, xyz=xyz, device="D", kind="SEEG")
    data = np.random.default_rng(3).standard_normal((7, 50))
    derived, found = reread(data, table, "laplacian")
    assert [d.name for d in derived] == first + second
    np.testing.assert_allclose(found[1], data[1] - (data[0] + data[2]) / 2)
    np.testing.assert_allclose(found[4], data[4] - data[5])


def test_numbers_alone_do_not_tell_the_neighbours_on_a_grid():
    names = [f"G{i}" for i in range(1, 65)] + ["S1", "S2"]
    table = targets(names)
    for kind, expected in (("bipolar", ["S1-S2"]), ("laplacian", ["S1", "S2"])):
        derived, notes = derivations(kind, table)
        assert [d.name for d in derived] == expected
        assert "can't be told without coordinates (64): G1, G2" in " ".join(notes)


def test_names_without_numbers_go_by_coordinates():
    xyz = [(0, 0, 0), (20, 0, 0), (10, 0, 0), (60, 0, 0)]
    derived, notes = derivations("bipolar", targets(["first", "third", "second", "far"], xyz=xyz))
    assert {frozenset(d.name.split("-")) for d in derived} == {
        frozenset({"first", "second"}),
        frozenset({"second", "third"}),
    }
    assert "no good neighbour on their device (1): far." in " ".join(notes)


def test_pixels_have_no_depth():
    names, xyz = shaft("A", 3)
    xyz[:, 2] = np.nan
    derived, _ = derivations("bipolar", targets(names, xyz=xyz))
    placed = derived_targets(targets(names, xyz=xyz), derived)
    assert placed["x"].tolist() == [31.75, 35.25]
    assert placed["z"].isna().all()


def test_sides_that_differ_are_not_claimed():
    table = targets(["A1", "A2"], xyz=[(-1, 0, 0), (2, 0, 0)])
    table["hemisphere"] = ["L", "R"]
    derived, _ = derivations("bipolar", table)
    assert derived_targets(table, derived)["hemisphere"].tolist() == ["n/a"]


def test_common_average_says_what_it_spreads():
    _, notes = derivations("car", targets([f"A{i}" for i in range(40)]))
    assert "puts about 1/40 of every electrode's signal into each of the others" in notes[0]


def test_refusals():
    with pytest.raises(BrainAlignError, match="no reference 'median'") as caught:
        derivations("median", targets(["a", "b"]))
    assert caught.value.exit_code == ExitCode.USAGE
    with pytest.raises(BrainAlignError, match="at least two good channels") as caught:
        derivations("car", targets(["a"]))
    assert "--reference none" in caught.value.fix
    with pytest.raises(BrainAlignError, match="No electrode has a device") as caught:
        derivations("car-device", targets(["a", "b"]))
    assert "--reference car" in caught.value.fix
    for kind in ("bipolar", "laplacian"):
        with pytest.raises(BrainAlignError, match=f"--reference {kind} has no target"):
            derivations(kind, targets(["A1", "A3", "B1"]))


@pytest.mark.parametrize("kind", ["bipolar", "laplacian"])
def test_a_contact_without_a_place_does_not_stop_its_grid(kind):
    names, xyz = grid(n_rows=8, n_columns=8)
    whole, _ = derivations(kind, targets(names, xyz=xyz, device="G"))
    xyz[20] = np.nan
    derived, _ = derivations(kind, targets(names, xyz=xyz, device="G"))
    lost = names[20]
    expected = {d.name for d in whole if lost not in d.name.split("-")}
    assert {d.name for d in derived} == expected
    if kind == "laplacian":
        assert all(20 not in d.minus for d in derived)
