"""Getting models for offline use: commit pinned, checksums recorded, weights as safetensors."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.text_folder import PREPROCESSOR, reads_text
from bids_brainalign.store.digest import sha256_of

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
SOURCE_FILE = "brainalign_source.json"
_WEIGHTS = re.compile(r"(model|pytorch_model)(-\d+-of-\d+)?\.(safetensors|bin)")
_SMALL = re.compile(r"[^/]+\.(json|txt)|LICENSE[^/]*|README\.md")


def folder_name(model: str) -> str:
    """Name of a model's folder below ``--model-dir``: ``openai--whisper-base``."""
    return model.strip("/").replace("/", "--")


def fetch_model(model: str, model_dir: Path, *, revision: str | None = None) -> Path:
    """Download a model from the Hugging Face hub, or convert a local folder.

    Parameters
    ----------
    model : str
        Hub id (``openai/whisper-base``), or a local folder whose weights are a ``.bin``.
    model_dir : Path
        The model gets a folder of its own in it.
    revision : str, optional
        Branch, tag or commit; the commit it stands for is recorded.

    Returns
    -------
    Path
        Folder with ``config.json``, ``preprocessor_config.json`` or (of a language model) a
        tokenizer, weights as safetensors, and
        ``brainalign_source.json``: source, commit and the sha256 of every file.

    Raises
    ------
    BrainAlignError
        Neither a folder nor a hub id (64), no such model or no usable weights (66), no network
        (75), a checksum that differs (74).
    """
    source = Path(model).expanduser()
    if source.is_dir():
        target, commit = model_dir / source.resolve().name, None
        if target.resolve() == source.resolve():
            raise BrainAlignError(
                f"{source} would be converted into itself.",
                fix="give another folder with --model-dir",
                exit_code=ExitCode.USAGE,
            )
    elif HUB_ID.fullmatch(model):
        target = model_dir / folder_name(model)
        commit, files = _look_up(model, revision)
        if _is_complete(target, commit):
            return target
    else:
        raise BrainAlignError(
            f"{model} is neither a folder nor the id of a model on the Hugging Face hub.",
            fix="write an id such as openai/whisper-base or facebook/wav2vec2-base",
            exit_code=ExitCode.USAGE,
        )
    _require_ours(target, source)
    model_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=model_dir, prefix=".fetching-") as name:
        folder = Path(name) / "model"
        if commit is None:
            shutil.copytree(source, folder, ignore=_not_needed)
        else:
            _download(model, commit, files, folder)
        converted = _to_safetensors(folder)
        _require_weights(folder, model)
        _record(folder, model=model if commit else source.name, commit=commit, converted=converted)
        if target.exists():
            shutil.rmtree(target)
        folder.replace(target)
    return target


def _require_ours(target: Path, source: Path) -> None:
    """Refuse to replace a folder that fetching did not make."""
    inside = source.is_dir() and source.resolve().is_relative_to(target.resolve())
    is_empty = not target.exists() or (target.is_dir() and not any(target.iterdir()))
    if inside or not (is_empty or (target / SOURCE_FILE).is_file()):
        raise BrainAlignError(
            f"{target} is there already, and brainalign fetch did not make it.",
            fix="give another folder with --model-dir, or move that one away",
            exit_code=ExitCode.USAGE,
        )


def wanted_files(names: Sequence[str]) -> list[str]:
    """Choose what is needed of a repository: settings, and weights in one format.

    Raises
    ------
    BrainAlignError
        No weights of PyTorch among them (66).
    """
    weights = [name for name in names if _WEIGHTS.fullmatch(name)]
    safe = [name for name in weights if name.endswith(".safetensors")]
    if not weights:
        raise BrainAlignError(
            "The repository holds no model.safetensors and no pytorch_model.bin.",
            where=f"it holds {', '.join(sorted(names)[:12]) or 'nothing'}",
            fix="choose a repository with PyTorch weights",
            exit_code=ExitCode.MISSING_INPUT,
        )
    return sorted({name for name in names if _SMALL.fullmatch(name)} | set(safe or weights))


def _look_up(model: str, revision: str | None) -> tuple[str, dict[str, str | None]]:
    """Commit, and the wanted files with the checksum that the hub states."""
    from huggingface_hub import HfApi

    with _hub_errors(model):
        info: Any = HfApi().model_info(model, revision=revision, files_metadata=True)
        stated = {s.rfilename: (s.lfs.sha256 if s.lfs else None) for s in info.siblings}
        return str(info.sha), {name: stated[name] for name in wanted_files(list(stated))}


def _download(model: str, commit: str, files: dict[str, str | None], folder: Path) -> None:
    from huggingface_hub import hf_hub_download

    with _hub_errors(model):
        for name in files:
            hf_hub_download(model, name, revision=commit, local_dir=folder)
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    for name, stated in files.items():
        path = folder / name
        if not path.is_file() or (stated is not None and sha256_of(path) != stated):
            raise BrainAlignError(
                f"{name} of {model} did not arrive whole.",
                where=f"its sha256 should be {stated}",
                fix="run brainalign fetch again",
                exit_code=ExitCode.IO_ERROR,
            )


class _hub_errors:
    """Turn the hub's exceptions into messages that mend."""

    def __init__(self, model: str) -> None:
        self.model = model

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            OfflineModeIsEnabled,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        if isinstance(error, GatedRepoError):
            raise BrainAlignError(
                f"{self.model} asks for its licence to be accepted.",
                fix="accept it on its page, then set HF_TOKEN",
                exit_code=ExitCode.MISSING_INPUT,
            ) from error
        if isinstance(error, OfflineModeIsEnabled):
            raise BrainAlignError(
                f"{self.model} can't be downloaded: HF_HUB_OFFLINE forbids it.",
                fix="set HF_HUB_OFFLINE=0 (container: -e HF_HUB_OFFLINE=0, and a network)",
                exit_code=ExitCode.USAGE,
            ) from error
        if isinstance(error, RepositoryNotFoundError | RevisionNotFoundError):
            raise BrainAlignError(
                f"The hub has no model {self.model}, or not this revision of it.",
                fix="check the spelling; for a private model set HF_TOKEN",
                exit_code=ExitCode.MISSING_INPUT,
            ) from error
        # The client library raises its own errors of transport; its name changes with versions.
        transport = error is not None and type(error).__module__.startswith("httpx")
        if transport or isinstance(error, HfHubHTTPError | OSError):
            raise BrainAlignError(
                f"{self.model} can't be downloaded: {error}",
                fix="run brainalign fetch on a machine with network, and copy the folder",
                exit_code=ExitCode.TEMPORARY,
            ) from error


def _is_complete(folder: Path, commit: str) -> bool:
    """Whether a folder holds this commit with the checksums once recorded."""
    try:
        record = json.loads((folder / SOURCE_FILE).read_text(encoding="utf-8"))
        return record["commit"] == commit and all(
            sha256_of(folder / name) == digest for name, digest in record["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _not_needed(folder: str, names: list[str]) -> set[str]:
    keep = re.compile(f"{_WEIGHTS.pattern}|{_SMALL.pattern}")
    return {name for name in names if not keep.fullmatch(name)}


def _to_safetensors(folder: Path) -> bool:
    """Convert ``.bin`` weights, which are pickles, once and with pickling restricted."""
    files = sorted(folder.glob("pytorch_model*.bin"))
    if not files or any(folder.glob("model*.safetensors")):
        return False
    import torch
    from safetensors.torch import save_file

    where: dict[str, str] = {}
    for number, path in enumerate(files, start=1):
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, ValueError, EOFError, OSError, UnpicklingError) as error:
            raise BrainAlignError(
                f"{path.name} holds more than weights, or is damaged: {error}",
                fix="choose a repository with safetensors",
            ) from error
        tensors = {
            key: value.detach().clone().contiguous()
            for key, value in state.items()
            if isinstance(value, torch.Tensor)
        }
        name = (
            "model.safetensors"
            if len(files) == 1
            else f"model-{number:05d}-of-{len(files):05d}.safetensors"
        )
        save_file(tensors, folder / name, metadata={"format": "pt"})
        where |= dict.fromkeys(tensors, name)
        path.unlink()
    for index in folder.glob("*.bin.index.json"):
        index.unlink()
    if len(files) > 1:
        text = json.dumps({"metadata": {}, "weight_map": where}, indent=1)
        (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")
    return True


def _require_weights(folder: Path, model: str) -> None:
    lacking = [
        text
        for text, pattern in (
            ("config.json", "config.json"),
            ("preprocessor_config.json or tokenizer.json", "preprocessor_config.json"),
            ("weights", "model*.safetensors"),
        )
        if not any(folder.glob(pattern)) and not (pattern == PREPROCESSOR and reads_text(folder))
    ]
    if lacking:
        raise BrainAlignError(
            f"{model} has no {' and no '.join(lacking)}: it is no speech or language model as "
            "transformers saves them.",
            fix="choose the original repository of the model",
            exit_code=ExitCode.MISSING_INPUT,
        )


def _record(folder: Path, *, model: str, commit: str | None, converted: bool) -> None:
    files = {p.name: sha256_of(p) for p in sorted(folder.iterdir()) if p.is_file()}
    record = {
        "source": model,
        "commit": commit or "local folder",
        "converted_to_safetensors": converted,
        "files": files,
    }
    (folder / SOURCE_FILE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
