"""Downloading, converting and recording of models; against a hub on this machine."""

import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModel, HubertConfig, Wav2Vec2FeatureExtractor

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.fetch import SOURCE_FILE, fetch_model, folder_name, wanted_files
from bids_brainalign.features.language_model import LanguageModel
from bids_brainalign.features.waveform import WaveformLayers

from .hub import COMMIT, hub
from .test_language_model import write_gpt2
from .test_waveform import SIZES, noise


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """One repository with safetensors, one with a .bin only, as old ones are."""
    safe, old = tmp_path_factory.mktemp("safe"), tmp_path_factory.mktemp("old")
    torch.manual_seed(0)
    model = AutoModel.from_config(HubertConfig(**SIZES))
    model.save_pretrained(safe)
    Wav2Vec2FeatureExtractor().save_pretrained(safe)
    shutil.copytree(safe, old, dirs_exist_ok=True)
    (old / "model.safetensors").unlink()
    torch.save(model.state_dict(), old / "pytorch_model.bin")
    (safe / "pytorch_model.bin").write_bytes(b"not wanted beside safetensors")
    (safe / "flax_model.msgpack").write_bytes(b"never wanted")
    return {"lab/safe": safe, "lab/old": old}


@pytest.fixture
def reach(monkeypatch, tmp_path):
    """Point huggingface_hub, which reads its settings at import, to another hub."""
    from huggingface_hub import constants, hf_api

    def to(url):
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            url + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr(hf_api.constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))

    return to


@pytest.mark.parametrize("name", ["lab/safe", "lab/old"])
def test_a_model_arrives_pinned_and_serves(published, reach, tmp_path, name):
    with hub(published) as url:
        reach(url)
        folder = fetch_model(name, tmp_path / "models")
    assert folder == tmp_path / "models" / folder_name(name)
    names = {p.name for p in folder.iterdir()}
    assert names == {"config.json", "preprocessor_config.json", "model.safetensors", SOURCE_FILE}
    record = json.loads((folder / SOURCE_FILE).read_text())
    assert record["commit"] == COMMIT
    assert record["converted_to_safetensors"] == (name == "lab/old")
    assert set(record["files"]) == names - {SOURCE_FILE}
    original = WaveformLayers(published["lab/safe"]).extract(noise(2)).layers[3]
    np.testing.assert_array_equal(WaveformLayers(folder).extract(noise(2)).layers[3], original)


def test_a_second_time_downloads_nothing_and_a_damaged_file_again(published, reach, tmp_path):
    with hub(published) as url:
        reach(url)
        folder = fetch_model("lab/safe", tmp_path)
        weights = folder / "model.safetensors"
        before = weights.stat().st_mtime_ns
        fetch_model("lab/safe", tmp_path)
        assert weights.stat().st_mtime_ns == before
        whole = weights.read_bytes()
        weights.write_bytes(whole[:-4] + b"oops")
        fetch_model("lab/safe", tmp_path)
        assert weights.read_bytes() == whole
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_checksum_that_differs_is_refused(published, reach, tmp_path):
    with hub(published, lie_about="model.safetensors") as url:
        reach(url)
        with pytest.raises(BrainAlignError, match=r"model\.safetensors of lab/safe did not") as e:
            fetch_model("lab/safe", tmp_path)
    assert e.value.exit_code == ExitCode.IO_ERROR
    assert list(tmp_path.iterdir()) == []


def test_unknown_model_and_no_network(published, reach, tmp_path, monkeypatch):
    with hub(published) as url:
        reach(url)
        with pytest.raises(BrainAlignError, match="The hub has no model lab/none") as caught:
            fetch_model("lab/none", tmp_path)
        assert caught.value.exit_code == ExitCode.MISSING_INPUT
    with pytest.raises(BrainAlignError, match="lab/safe can't be downloaded") as caught:
        fetch_model("lab/safe", tmp_path)
    assert caught.value.exit_code == ExitCode.TEMPORARY
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BrainAlignError, match="HF_HUB_OFFLINE forbids it") as caught:
        fetch_model("lab/safe", tmp_path)
    assert caught.value.exit_code == ExitCode.USAGE
    with pytest.raises(BrainAlignError, match="neither a folder nor the id") as caught:
        fetch_model("whisper base", tmp_path)
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_local_folder_is_converted_shard_by_shard(published, tmp_path):
    source = tmp_path / "mine"
    shutil.copytree(published["lab/old"], source)
    state = torch.load(source / "pytorch_model.bin", weights_only=True)
    (source / "pytorch_model.bin").unlink()
    keys = sorted(state)
    for number, part in enumerate((keys[::2], keys[1::2]), start=1):
        path = source / f"pytorch_model-{number:05d}-of-00002.bin"
        torch.save({key: state[key] for key in part}, path)
    folder = fetch_model(str(source), tmp_path / "models")
    assert json.loads((folder / SOURCE_FILE).read_text())["commit"] == "local folder"
    original = WaveformLayers(published["lab/safe"]).extract(noise(1)).layers[2]
    np.testing.assert_array_equal(WaveformLayers(folder).extract(noise(1)).layers[2], original)
    with pytest.raises(BrainAlignError, match="converted into itself"):
        fetch_model(str(source), tmp_path)


class _Harmful:
    def __reduce__(self):
        return (print, ("executed",))


def test_a_pickle_with_code_is_refused_and_not_run(published, tmp_path, capsys):
    source = tmp_path / "mine"
    shutil.copytree(published["lab/old"], source)
    (source / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": _Harmful()}, protocol=2))
    with pytest.raises(BrainAlignError, match="holds more than weights, or is damaged"):
        fetch_model(str(source), tmp_path / "models")
    assert "executed" not in capsys.readouterr().out
    assert not (tmp_path / "models" / "mine").exists()


def test_what_is_wanted_of_a_repository():
    names = [
        "config.json", "model.safetensors", "model.fp32-00001-of-00002.safetensors",
        "pytorch_model.bin", "tf_model.h5", "onnx/model.onnx", "vocab.json", "merges.txt",
        "README.md", ".gitattributes", "sub/config.json",
    ]  # fmt: skip
    assert wanted_files(names) == [
        "README.md", "config.json", "merges.txt", "model.safetensors", "vocab.json",
    ]  # fmt: skip
    assert wanted_files(["config.json", "pytorch_model.bin"])[-1] == "pytorch_model.bin"
    with pytest.raises(BrainAlignError, match=r"it holds tf_model\.h5"):
        wanted_files(["tf_model.h5"])


def test_a_folder_of_somebody_else_is_not_replaced(published, tmp_path):
    inside = tmp_path / "models" / "whisper" / "whisper"
    shutil.copytree(published["lab/old"], inside)
    (tmp_path / "models" / "whisper" / "notes.txt").write_text("mine")
    with pytest.raises(BrainAlignError, match="brainalign fetch did not make it") as caught:
        fetch_model(str(inside), tmp_path / "models")
    assert caught.value.exit_code == ExitCode.USAGE
    assert (tmp_path / "models" / "whisper" / "notes.txt").is_file()
    other = tmp_path / "elsewhere"
    shutil.copytree(published["lab/old"], other)
    folder = fetch_model(str(other), tmp_path / "new")
    assert fetch_model(str(other), tmp_path / "new") == folder  # its own may be made again


def test_a_language_model_needs_a_tokenizer_in_place_of_a_preprocessor(reach, tmp_path):
    repository = write_gpt2(tmp_path / "gpt2")
    with hub({"lab/gpt2": repository}) as url:
        reach(url)
        folder = fetch_model("lab/gpt2", tmp_path / "models")
        assert LanguageModel(folder).n_layers == 3
        (repository / "tokenizer.json").unlink()
        with pytest.raises(BrainAlignError, match=r"preprocessor_config\.json or tokenizer\.json"):
            fetch_model("lab/gpt2", tmp_path / "again")
