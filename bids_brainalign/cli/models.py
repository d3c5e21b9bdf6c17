"""``--models``: from what was typed to a local folder that holds a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bids_brainalign.cli.arguments import usage_error
from bids_brainalign.config.checks import LABEL
from bids_brainalign.config.schema import DOWNLOADS, Config
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.fetch import HUB_ID, fetch_model, folder_name
from bids_brainalign.features.static_vectors import SUFFIXES, require_vectors


def model_sources(words: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Split ``NAME=SOURCE`` words; a hub id alone is named by its second half.

    Parameters
    ----------
    words : sequence of str
        ``whisper=/path/to/folder``, ``whisper=openai/whisper-base`` or ``openai/whisper-base``.

    Returns
    -------
    tuple of (name, source)
    """
    found: dict[str, str] = {}
    for word in words:
        name, equals, source = word.partition("=")
        if not equals and HUB_ID.fullmatch(word):
            name, source = word.rpartition("/")[2], word
        if not source or not LABEL.fullmatch(name):
            raise usage_error(
                f"--models: {word!r} is not NAME=SOURCE.",
                fix="write --models NAME=/path/to/folder or NAME=openai/whisper-base; a NAME has "
                "letters, digits, '.', '_' and '-'; put options after BIDS_DIR OUTPUT_DIR "
                "participant",
            )
        if name in found:
            raise usage_error(f"--models: {name} is given twice.", fix="give each its own name")
        found[name] = source
    return tuple(found.items())


def resolve_models(config: Config) -> Config:
    """Replace every source by a local folder or file; download only with ``--allow-download``.

    Raises
    ------
    BrainAlignError
        A model is not on this machine, or its folder holds no model (66).
    """
    if config.level != "participant":
        return config
    models = tuple(
        (name, str(_folder(config, name, source))) for name, source in config.features.models
    )
    for name, source in models:
        if Path(source).is_file():
            require_vectors(Path(source))
        else:
            _check_folder(name, Path(source))
    return replace(config, features=replace(config.features, models=models))


def _folder(config: Config, name: str, source: str) -> Path:
    path = Path(source).expanduser()
    if path.is_dir() or (path.is_file() and path.suffix in SUFFIXES):
        return path.absolute()
    if path.is_file():
        raise BrainAlignError(
            f"--models {name}: {path} is no folder, and no table of word vectors by its name.",
            fix="give the folder of a Hugging Face model, or an unpacked file of GloVe or "
            f"FastText ({', '.join(SUFFIXES)})",
            exit_code=ExitCode.USAGE,
        )
    if path.suffix in SUFFIXES and not path.exists():
        raise BrainAlignError(
            f"--models {name}: there is no file {path}.",
            where=f"looked for {path.absolute()}",
            fix="give the path of an unpacked file of GloVe or FastText "
            f"({', '.join(SUFFIXES)}); what ends in .gz or .zip must be unpacked first",
            exit_code=ExitCode.MISSING_INPUT,
        )
    downloads = config.paths.work_dir / DOWNLOADS
    model_dir = config.paths.model_dir or downloads
    for place in (model_dir, downloads):
        for below in (folder_name(source), source):
            if (place / below / "config.json").is_file():
                return place / below
    if not HUB_ID.fullmatch(source):
        raise BrainAlignError(
            f"--models {name}: there is no folder {path}.",
            fix="give a local folder with config.json and *.safetensors, or the id of a model on "
            "the Hugging Face hub, e.g. openai/whisper-base",
            exit_code=ExitCode.MISSING_INPUT,
        )
    cached = _cached(source)
    if cached is not None:
        return cached
    if config.control.allow_download:
        return fetch_model(source, model_dir)
    looked = [f"a folder {path}", f"{model_dir / folder_name(source)}"]
    raise BrainAlignError(
        f"--models {name}: {source} is not on this machine, and nothing is downloaded unasked.",
        where=f"looked for {', '.join([*looked, 'the Hugging Face cache'])}",
        fix=f"where there is network: brainalign fetch {source} --model-dir DIR, then here "
        "--model-dir DIR; or add --allow-download",
        exit_code=ExitCode.MISSING_INPUT,
    )


def _cached(source: str) -> Path | None:
    """Find a snapshot with safetensors in the user's Hugging Face cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(source, local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError):
        return None
    usable = (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))
    return folder if usable else None


def _check_folder(name: str, folder: Path) -> None:
    needed = {"config.json": "config.json", "weights (*.safetensors)": "*.safetensors"}
    lacking = [text for text, pattern in needed.items() if not any(folder.glob(pattern))]
    if not lacking:
        return
    has_bin = any(folder.glob("*.bin"))
    fix = f"brainalign fetch {folder} --model-dir DIR converts its .bin, or " if has_bin else ""
    present = sorted(path.name for path in folder.iterdir())[:8]
    raise BrainAlignError(
        f"--models {name}: {folder} holds no {' and no '.join(lacking)}.",
        where=f"Looked for config.json and *.safetensors; it holds: "
        f"{', '.join(present) or 'nothing'}",
        fix=f"{fix}give the folder of a Hugging Face model saved as safetensors",
        exit_code=ExitCode.MISSING_INPUT,
    )
