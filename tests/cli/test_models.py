"""From ``--models`` to a local folder."""

from pathlib import Path

import pytest

from bids_brainalign.cli.models import model_sources, resolve_models
from bids_brainalign.config.toml import merge
from bids_brainalign.errors import BrainAlignError, ExitCode


def config(tmp_path: Path, source: str, **control: bool):
    return merge(
        {
            "level": "participant",
            "paths": {
                "bids_dir": tmp_path,
                "output_dir": tmp_path / "out",
                "work_dir": tmp_path / "work",
                "model_dir": tmp_path / "models",
            },
            "features": {"models": (("m", source),)},
            "control": control,
        }
    )


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(b"")
    return path


def resolved(given) -> Path:
    return Path(resolve_models(given).features.models[0][1])


def test_names_and_sources():
    words = ["a=x/y", "lab/model-b", "c=./here"]
    assert model_sources(words) == (("a", "x/y"), ("model-b", "lab/model-b"), ("c", "./here"))
    for wrong in ("data/bids/more", "/data", "./x"):
        with pytest.raises(BrainAlignError, match="is not NAME=SOURCE"):
            model_sources([wrong])


def test_a_folder_comes_before_model_dir_and_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    fetched = folder(tmp_path / "models" / "lab--model")
    assert resolved(config(tmp_path, "lab/model")) == fetched
    here = folder(tmp_path / "lab" / "model")
    assert resolved(config(tmp_path, "lab/model")) == here


def test_what_was_downloaded_into_the_work_folder_is_found_again(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    there = folder(tmp_path / "work" / "models" / "lab--model")
    assert resolved(config(tmp_path, "lab/model")) == there


def test_the_hugging_face_cache_is_looked_into(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    commit = "0" * 40
    repository = cache / "models--lab--model"
    snapshot = folder(repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    assert resolved(config(tmp_path, "lab/model")) == snapshot


def test_nothing_is_downloaded_unasked(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    asked = []

    def fetch(source, model_dir):
        asked.append(source)
        return folder(model_dir / "made")

    monkeypatch.setattr("bids_brainalign.cli.models.fetch_model", fetch)
    with pytest.raises(BrainAlignError, match="nothing is downloaded unasked") as caught:
        resolve_models(config(tmp_path, "lab/model"))
    assert caught.value.exit_code == ExitCode.MISSING_INPUT
    assert "models/lab--model" in caught.value.where
    assert asked == []
    # Another model that happens to have the NAME is not what was asked for.
    folder(tmp_path / "models" / "m")
    given = config(tmp_path, "lab/model", allow_download=True)
    assert resolved(given) == tmp_path / "models" / "made"
    assert asked == ["lab/model"]


def test_a_folder_with_a_bin_only_is_told_how_to_convert_it(tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    (old / "config.json").write_text("{}")
    (old / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(BrainAlignError, match=r"brainalign fetch \S+old --model-dir DIR converts"):
        resolve_models(config(tmp_path, str(old)))


def test_a_table_of_word_vectors_is_a_file_looked_at_before_any_work(tmp_path):
    table = tmp_path / "glove.txt"
    table.write_text("the 1 2 3\n")
    assert resolved(config(tmp_path, str(table))) == table
    table.write_text("the cat sat on the mat\n")
    with pytest.raises(BrainAlignError, match="no word vectors that can be read"):
        resolve_models(config(tmp_path, str(table)))
    packed = tmp_path / "glove.zip"
    packed.write_bytes(b"PK")
    with pytest.raises(BrainAlignError, match="no table of word vectors by its name") as caught:
        resolve_models(config(tmp_path, str(packed)))
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("source", ["models/cc.nl.300.bin", "glove.txt", "a/b/c/wiki.nl.vec"])
def test_a_file_of_word_vectors_that_is_not_there_is_called_a_file(tmp_path, source):
    with pytest.raises(BrainAlignError, match="there is no file") as caught:
        resolve_models(config(tmp_path, source))
    assert caught.value.exit_code == ExitCode.MISSING_INPUT
    assert str(Path(source).absolute()) in caught.value.where
    assert "fetch" not in caught.value.fix
    assert "unpacked" in caught.value.fix
