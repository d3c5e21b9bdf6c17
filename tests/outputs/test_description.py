import json

from bids_brainalign.outputs.description import write_dataset_description, write_descriptions


def test_source_licence_and_doi_are_passed_on(tmp_path):
    source = tmp_path / "bids"
    source.mkdir()
    text = {"Name": "Stories", "License": "CC0", "DatasetDOI": "doi:10.1/x"}
    (source / "dataset_description.json").write_text(json.dumps(text), encoding="utf-8-sig")
    write_dataset_description(tmp_path / "out", source)
    ours = json.loads((tmp_path / "out" / "dataset_description.json").read_text())
    assert ours["DatasetType"] == "derivative"
    assert ours["License"] == "CC0"
    assert ours["SourceDatasets"] == [{"DOI": "doi:10.1/x"}]
    ignored = (tmp_path / "out" / ".bidsignore").read_text().splitlines()
    assert not any(line.endswith("/") for line in ignored)


def test_labels_of_earlier_runs_stay(tmp_path):
    write_descriptions(tmp_path, {"whisperbase": "layers of whisper-base"})
    path = write_descriptions(tmp_path, {"lowlevel": "envelope"})
    assert path.read_text() == (
        "desc_id\tdescription\ndesc-lowlevel\tenvelope\ndesc-whisperbase\tlayers of whisper-base\n"
    )
