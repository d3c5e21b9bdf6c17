"""TOML in and out of the configuration.

An overlay is a part of the configuration: top-level keys and tables of keys, with values already
of the type that `schema` asks for. Overlays are laid over each other and over the defaults.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from bids_brainalign.config.schema import Config
from bids_brainalign.errors import BrainAlignError, ExitCode

Overlay = Mapping[str, object]

_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def read_overlay(path: Path) -> dict[str, object]:
    """Read a TOML file.

    Parameters
    ----------
    path : Path
        Relative paths in it are relative to its folder.

    Raises
    ------
    BrainAlignError
        If it is absent (66), not TOML, or has an unknown key or a value of a wrong type (64).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BrainAlignError(
            f"Configuration file {path} can't be read: {error}.", exit_code=ExitCode.MISSING_INPUT
        ) from error
    return parse_overlay(text, source=str(path), folder=path.absolute().parent)


def parse_overlay(text: str, *, source: str, folder: Path) -> dict[str, object]:
    """Check TOML text against the schema; `source` is how messages call it."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BrainAlignError(
            f"{source} is not TOML: {error}.", exit_code=ExitCode.USAGE
        ) from error
    return _convert_table(content, Config, "", source, folder)


def merge(*overlays: Overlay) -> Config:
    """Lay overlays over the defaults, the later over the earlier.

    Tables are merged key by key; everything else is replaced.
    """
    merged: dict[str, Any] = {}
    for overlay in overlays:
        for key, value in overlay.items():
            if isinstance(value, Mapping):
                merged[key] = {**merged.get(key, {}), **value}
            else:
                merged[key] = value
    tables = {name: kind for name, kind in _fields(Config).items() if _is_table(kind)}
    return Config(**{k: tables[k](**v) if k in tables else v for k, v in merged.items()})


def dump(config: Config) -> str:
    """Write the whole configuration as TOML that `loads` reads back to an equal one."""
    return tomli_w.dumps(_plain(config))


def loads(text: str) -> Config:
    """Read a whole configuration, as `dump` wrote it."""
    return merge(parse_overlay(text, source="the configuration", folder=Path.cwd()))


def nearest(name: str, known: typing.Iterable[str]) -> str:
    """Text that names what was probably meant, or what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(names)}"


def _convert_table(
    content: Mapping[str, Any], kind: Any, prefix: str, source: str, folder: Path
) -> dict[str, object]:
    fields = _fields(kind)
    converted: dict[str, object] = {}
    for key, value in content.items():
        if key not in fields:
            raise _unknown(prefix, key, fields, source)
        converted[key] = _convert(value, fields[key], prefix + key, source, folder)
    return converted


def _convert(value: Any, kind: Any, key: str, source: str, folder: Path) -> object:
    """Turn a TOML value into what a field of type `kind` holds."""
    if isinstance(kind, types.UnionType):  # X | None: TOML has no null, the key is left out
        kind = next(part for part in kind.__args__ if part is not types.NoneType)
    if _is_table(kind) and isinstance(value, dict):
        return _convert_table(value, kind, f"{key}.", source, folder)
    pair = _pair_value(kind)
    if pair is not None and isinstance(value, dict):
        return tuple(
            (k, _convert(v, pair, f"{key}.{k}", source, folder)) for k, v in value.items()
        )
    if pair is None and typing.get_origin(kind) is tuple and isinstance(value, list):
        part = typing.get_args(kind)[0]
        return tuple(_convert(v, part, f"{key}[{i}]", source, folder) for i, v in enumerate(value))
    if kind is Path and isinstance(value, str) and value:
        return folder / Path(value).expanduser()
    if kind is float and type(value) is int:
        return float(value)
    if kind in _WORDS and type(value) is kind:
        return value
    raise BrainAlignError(
        f"{key} in {source} must be {_words(kind)}, not {value!r}.", exit_code=ExitCode.USAGE
    )


def _unknown(prefix: str, key: str, fields: Mapping[str, Any], source: str) -> BrainAlignError:
    close = difflib.get_close_matches(key, fields, n=1, cutoff=0.75)
    # Right key in the wrong table, before a vague likeness in this one.
    elsewhere = [
        f"{table}.{key}"
        for table, kind in _fields(Config).items()
        if _is_table(kind) and key in _fields(kind)
    ]
    if close or not elsewhere:
        fix = nearest(prefix + key, [prefix + name for name in fields])
    else:
        fix = f"did you mean {elsewhere[0]}?"
    what = "table or key" if not prefix else "key"
    return BrainAlignError(
        f"Unknown {what} {prefix}{key} in {source}.", fix=fix, exit_code=ExitCode.USAGE
    )


def _fields(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _is_table(kind: Any) -> bool:
    return dataclasses.is_dataclass(kind)


def _pair_value(kind: Any) -> Any:
    """For ``tuple[tuple[str, X], ...]``, which is a table in TOML, give X."""
    if typing.get_origin(kind) is not tuple:
        return None
    part = typing.get_args(kind)[0]
    if typing.get_origin(part) is tuple and Ellipsis not in typing.get_args(part):
        return typing.get_args(part)[1]
    return None


def _words(kind: Any) -> str:
    pair = _pair_value(kind)
    if pair is not None or _is_table(kind):
        return "a table"
    if typing.get_origin(kind) is tuple:
        inner = {str: "texts", float: "numbers"}.get(typing.get_args(kind)[0], "values")
        return f"a list of {inner}"
    return "a path" if kind is Path else _WORDS[kind]


def _plain(value: Any) -> Any:
    """Invert `_convert`; what is None is left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kinds = _fields(type(value))
        parts = {name: getattr(value, name) for name in kinds}
        return {
            name: _plain_field(part, kinds[name])
            for name, part in parts.items()
            if part is not None
        }
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value.absolute().as_posix() if isinstance(value, Path) else value


def _plain_field(value: Any, kind: Any) -> Any:
    pair = _pair_value(kind)
    if pair is not None:
        return {key: _plain_field(part, pair) for key, part in value}
    return _plain(value)
