import pytest

from bids_brainalign.anatomy.electrodes import locate, read_electrodes
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.responses.channels import choose_channels

TABLE = """name\ttype\tunits\tstatus\tstatus_description
G1\tECOG\tuV\tgood\tn/a
G2\tecog\tn/a\tgood\tn/a
G3\tECOG\tuV\tbad\tnoisy psd
G4\tECOG\tuV\tbad\tnoisy psd
D1\tSEEG\t\u00b5V\tgood\tn/a
OSAT\tECOG\t%\tbad\tn/a
PR\tECOG\tbpm\tgood\tn/a
DC1\tMISC\tuV\tgood\tn/a
EKG1\tECG\tuV\tgood\tn/a
EDF Annotations\tECOG\tn/a\tgood\tn/a
"""


def write(folder, text, encoding="utf-8"):
    path = folder / "sub-01_channels.tsv"
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_choice_and_reasons(tmp_path, encoding):
    choice = choose_channels(write(tmp_path, TABLE, encoding), recording_name="sub-01")
    assert choice.kept["name"].tolist() == ["G1", "G2", "D1"]
    assert choice.kept["type"].tolist() == ["ECOG", "ECOG", "SEEG"]
    assert dict(choice.dropped) == {
        "G3": "has status bad (noisy psd)",
        "G4": "has status bad (noisy psd)",
        "OSAT": "is in %, not in volts",
        "PR": "is in bpm, not in volts",
        "DC1": "has type MISC, not ECOG or SEEG",
        "EKG1": "has type ECG, not ECOG or SEEG",
        "EDF Annotations": "is the annotation track, not a signal",
    }
    assert "2 channels dropped, each has status bad (noisy psd): G3, G4." in choice.notes


def test_without_status_all_are_good(tmp_path):
    choice = choose_channels(
        write(tmp_path, "name\ttype\tunits\nG1\tECOG\tuV\n"), recording_name="sub-01"
    )
    assert choice.kept["name"].tolist() == ["G1"]
    assert "no status" in choice.notes[0]


def test_no_table_is_missing_input(tmp_path):
    for path in (None, tmp_path / "none_channels.tsv"):
        with pytest.raises(BrainAlignError, match=r"sub-01_task-a has no channels\.tsv") as caught:
            choose_channels(path, recording_name="sub-01_task-a")
        assert caught.value.exit_code == ExitCode.MISSING_INPUT
        assert "type (ECOG or SEEG)" in caught.value.fix


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\tunits\nG1\tuV\n", "no column type"),
        ("name\ttype\tunits\nG1\tECOG\tuV\nG1\tECOG\tuV\n", "more than once: G1"),
        ("name\ttype\tunits\nG1\tEEG\tuV\n", "leaves no channel"),
    ],
)
def test_broken_tables(tmp_path, text, message):
    with pytest.raises(BrainAlignError, match=message) as caught:
        choose_channels(write(tmp_path, text), recording_name="sub-01")
    assert caught.value.exit_code == ExitCode.DATA_ERROR


# research/intracranial-speech.md, section 8.
REAL_COUNTS = dict(
    zip(
        ("01", "02", "03", "04", "05", "06", "07", "08", "09"),
        (99, 90, 235, 143, 159, 166, 116, 72, 188),
        strict=True,
    )
)


@pytest.mark.shared
@pytest.mark.parametrize(("participant", "count"), REAL_COUNTS.items())
def test_real_good_channels_all_have_coordinates(shared, participant, count):
    folder = shared / "data" / "ds005574" / f"sub-{participant}" / "ieeg"
    choice = choose_channels(
        folder / f"sub-{participant}_task-podcast_channels.tsv",
        recording_name=f"sub-{participant}",
    )
    assert len(choice.kept) == count
    stem = f"sub-{participant}_space-MNI152NLin2009aSym"
    electrodes = read_electrodes(
        folder / f"{stem}_electrodes.tsv", folder / f"{stem}_coordsystem.json"
    )
    located, _ = locate(choice.kept["name"].tolist(), electrodes)
    assert located[["x", "y", "z"]].notna().all(axis=None)
