import json
from pathlib import Path

import numpy as np
import pytest

from bids_brainalign.anatomy.electrodes import locate, read_electrodes
from bids_brainalign.errors import BrainAlignError, ExitCode


def write(folder, text, *, space="MNI152NLin2009aSym", units="mm", encoding="utf-8"):
    electrodes = folder / "sub-01_electrodes.tsv"
    electrodes.write_text(text, encoding=encoding)
    coordsystem = folder / "sub-01_coordsystem.json"
    coordsystem.write_text(
        json.dumps({"iEEGCoordinateSystem": space, "iEEGCoordinateUnits": units}), encoding="utf-8"
    )
    return electrodes, coordsystem


TABLE = """name\tx\ty\tz\tsize\tgroup
A1\t-40\t10\t5.5\t4\tG
A2\t0\t1\t2\t4\tS
A3\tn/a\tn/a\tn/a\t4\tS
A4\t31\t1\t2\t4\tD
"""


def test_table_and_sides(tmp_path):
    table = read_electrodes(*write(tmp_path, TABLE, encoding="utf-8-sig"))
    assert table.columns.tolist() == ["name", "x", "y", "z", "device", "hemisphere", "space"]
    assert table["name"].tolist() == ["A1", "A2", "A3", "A4"]
    assert table["hemisphere"].tolist() == ["L", "n/a", "n/a", "R"]
    assert table["device"].tolist() == ["G", "S", "S", "D"]
    assert table["z"].iloc[0] == 5.5
    assert np.isnan(table["x"].iloc[2])


@pytest.mark.parametrize(("units", "factor"), [("m", 1000), ("cm", 10), ("mm", 1), ("n/a", 1)])
def test_units_become_mm(tmp_path, units, factor):
    table = read_electrodes(*write(tmp_path, TABLE, units=units))
    np.testing.assert_allclose(table[["x", "y", "z"]].iloc[0], np.array([-40, 10, 5.5]) * factor)


@pytest.mark.parametrize("space", ["Pixels", "Other", "fsaverageSym", "individual"])
def test_no_anatomical_claim_where_x_is_not_right(tmp_path, space):
    table = read_electrodes(*write(tmp_path, TABLE, space=space, units="pixels"))
    assert set(table["hemisphere"]) == {"n/a"}
    assert table["x"].iloc[0] == -40
    assert set(table["space"]) == {space}


@pytest.mark.parametrize("space", ["MNI305", "fsaverage", "Talairach", "ACPC", "ScanRAS"])
def test_spaces_with_sides(tmp_path, space):
    table = read_electrodes(*write(tmp_path, TABLE, space=space))
    assert table["hemisphere"].tolist() == ["L", "n/a", "n/a", "R"]


def test_hemisphere_column_wins(tmp_path):
    text = "name\tx\ty\tz\themisphere\nA1\t-40\t1\t2\tright\nA2\t-4\t1\t2\tn/a\n"
    table = read_electrodes(*write(tmp_path, text))
    assert table["hemisphere"].tolist() == ["R", "L"]
    assert table["device"].tolist() == ["n/a", "n/a"]


def test_without_coordsystem(tmp_path):
    electrodes, _ = write(tmp_path, TABLE)
    table = read_electrodes(electrodes, None)
    assert set(table["hemisphere"]) == {"n/a"}
    assert set(table["space"]) == {"n/a"}


def test_join_by_name_reports_both_ways(tmp_path):
    electrodes = read_electrodes(*write(tmp_path, TABLE))
    located, notes = locate(["A4", "B1", "A1"], electrodes, unused=["A3"])
    assert located["name"].tolist() == ["A4", "B1", "A1"]
    assert located["hemisphere"].tolist() == ["R", "n/a", "L"]
    assert located["x"].iloc[0] == 31
    assert np.isnan(located["x"].iloc[1])
    assert notes == (
        "Channels without a row in electrodes.tsv (1): B1.",
        "Electrodes without a row in channels.tsv (1): A2.",
    )
    assert locate(["A1", "A2", "A3", "A4"], electrodes)[1] == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\tx\ty\nA1\t1\t2\n", "no column z"),
        ("name\tx\ty\tz\nA1\t1\t2\t3\nA1\t1\t2\t3\n", "more than once: A1"),
        ("name\tx\ty\tz\nA1\t1\ttwo\t3\n", "y of electrode A1 is 'two'"),
    ],
)
def test_broken_tables(tmp_path, text, message):
    with pytest.raises(BrainAlignError, match=message) as caught:
        read_electrodes(*write(tmp_path, text))
    assert caught.value.exit_code == ExitCode.DATA_ERROR


def test_broken_coordsystem(tmp_path):
    electrodes, coordsystem = write(tmp_path, TABLE)
    coordsystem.write_text("{not json", encoding="utf-8")
    with pytest.raises(BrainAlignError, match=r"sub-01_coordsystem\.json can't be read"):
        read_electrodes(electrodes, coordsystem)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("participant", "right", "left"),
    # research/intracranial-speech.md, section 7: hemispheres of ds005574 (LH/RH).
    [("01", 103, 0), ("02", 0, 95), ("03", 51, 213), ("04", 78, 77), ("06", 0, 171)],
)
def test_real_hemispheres(shared, participant, right, left):
    stem = (
        shared
        / "data"
        / "ds005574"
        / f"sub-{participant}"
        / "ieeg"
        / f"sub-{participant}_space-MNI152NLin2009aSym"
    )
    table = read_electrodes(Path(f"{stem}_electrodes.tsv"), Path(f"{stem}_coordsystem.json"))
    assert (table["hemisphere"] == "R").sum() == right
    assert (table["hemisphere"] == "L").sum() == left
