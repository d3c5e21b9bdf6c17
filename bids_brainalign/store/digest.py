"""Digests: of files, of settings and of the code a result depends on."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from bids_brainalign.store.atomic import write_json

_PACKAGE = "bids_brainalign"
_PACKAGE_DIR = Path(__file__).resolve().parents[1]
_NUMERIC_LIBRARIES = ("numpy", "scipy", "torch", "transformers")
# Keys of these git-annex backends are digests of the content; URL and WORM keys are not.
_CONTENT_KEY = re.compile(r"^(SHA|MD5|BLAKE|SKEIN)")
_POINTER_MAX_BYTES = 32_768
# A file changed within this time of being read may change again without a new time stamp.
_SETTLED_S = 2.0


def annex_key(path: Path) -> str | None:
    """Give the git-annex key of a file.

    Parameters
    ----------
    path : Path
        A symbolic link into ``.git/annex/objects``, or a small pointer file.

    Returns
    -------
    str or None
        None for a plain file.
    """
    if path.is_symlink():
        target = path.readlink().as_posix()
        return target.rsplit("/", 1)[-1] if ".git/annex/objects/" in target else None
    if not path.is_file() or path.stat().st_size > _POINTER_MAX_BYTES:
        return None
    with path.open("rb") as stream:
        if not stream.read(15) == b"/annex/objects/":
            return None
        return stream.readline().decode("utf-8", errors="replace").strip().rsplit("/", 1)[-1]


def file_digest(path: Path, memo_dir: Path) -> str:
    """Digest of an input file.

    Parameters
    ----------
    path : Path
        The file.
    memo_dir : Path
        Where digests of unchanged files (same path, size, modification time and inode) are kept.

    Returns
    -------
    str
        ``annex:KEY`` of a git-annex file (downloaded or not: the same content), else
        ``sha256:HEX``.
    """
    key = annex_key(path)
    if key is not None and (_CONTENT_KEY.match(key) or not path.exists()):
        return f"annex:{key}"
    stat = path.stat()
    identity = [str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ino]
    memo = memo_dir / f"{hashlib.sha256(str(identity[0]).encode()).hexdigest()[:32]}.json"
    known = _read_memo(memo)
    if known.get("identity") == identity:
        return str(known["digest"])
    digest = f"sha256:{sha256_of(path)}"
    after = path.stat()
    unchanged = [after.st_size, after.st_mtime_ns] == [stat.st_size, stat.st_mtime_ns]
    if unchanged and abs(time.time() - stat.st_mtime) > _SETTLED_S:
        write_json(memo, {"identity": identity, "digest": digest})
    return digest


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(obj: object) -> str:
    """Hexadecimal sha256 of settings.

    Parameters
    ----------
    obj : object
        Whatever JSON can hold; also dataclasses, paths, sets and numpy scalars. The order of
        keys and list against tuple make no difference.

    Raises
    ------
    TypeError
        If a part has no stable text, such as a function.
    """
    text = json.dumps(_plain(obj), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(obj: object) -> object:
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        return {f.name: _plain(getattr(obj, f.name)) for f in dataclasses.fields(obj)}
    if isinstance(obj, Mapping):
        return {_plain_key(key): _plain(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        return [_plain(value) for value in obj]
    if isinstance(obj, set | frozenset):
        return sorted((_plain(value) for value in obj), key=repr)
    if isinstance(obj, Path):
        return obj.as_posix()
    if type(obj).__module__ == "numpy" and getattr(obj, "shape", None) == ():
        return obj.item()  # type: ignore[attr-defined]
    return obj


def _plain_key(key: object) -> str:
    # json would make 1 and "1" the same key.
    if not isinstance(key, str):
        raise TypeError(f"keys must be text, not {type(key).__name__}: {key!r}")
    return key


def code_digest(modules: Sequence[str], *, root: Path = _PACKAGE_DIR) -> str:
    """Digest of the code that a result depends on.

    Parameters
    ----------
    modules : sequence of str
        Full names such as ``bids_brainalign.encoding.ridge``.
    root : Path
        Folder of the package ``bids_brainalign``.

    Returns
    -------
    str
        sha256 over the sources of these modules, of every module of this package that they import
        (read, not executed), and over the versions of the numeric libraries.
    """
    sources: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in sources:
            continue
        path = _source_of(name, root)
        if path is None:
            raise ValueError(f"no module {name} in {root}")
        source = path.read_text(encoding="utf-8")
        sources[name] = hashlib.sha256(source.encode()).hexdigest()
        is_package = path.name == "__init__.py"
        waiting += [
            imported
            for imported in _imports(source, name, is_package=is_package)
            if _source_of(imported, root) is not None
        ]
    return digest_of({"sources": sources, "libraries": _library_versions()})


@lru_cache(maxsize=2048)
def _imports(source: str, module: str, *, is_package: bool) -> tuple[str, ...]:
    """Names of this package that a module may import, also inside its functions.

    Kept, as every step of a run asks for the same modules.
    """
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module, is_package=is_package)
            # `from a.b import c`: c is a module or a name in a/b.
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        found += [name for name in names if name.startswith(f"{_PACKAGE}.")]
    return tuple(found)


def _absolute(node: ast.ImportFrom, module: str, *, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parents = module.split(".")
    parents = parents[: len(parents) - node.level + (1 if is_package else 0)]
    return ".".join([*parents, node.module] if node.module else parents)


def _source_of(name: str, root: Path) -> Path | None:
    path = root.joinpath(*name.split(".")[1:])
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file() and name.split(".")[0] == _PACKAGE:
            return candidate
    return None


def _library_versions() -> dict[str, str]:
    versions = {}
    for name in _NUMERIC_LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return versions


def _read_memo(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
