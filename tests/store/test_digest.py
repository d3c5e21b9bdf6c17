import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bids_brainalign.store import digest
from bids_brainalign.store.digest import annex_key, code_digest, digest_of, file_digest

KEY = "SHA256E-s3--" + hashlib.sha256(b"abc").hexdigest() + ".edf"


def test_dangling_annex_link_is_its_key(tmp_path: Path) -> None:
    link = tmp_path / "sub-01_ieeg.edf"
    link.symlink_to(f"../.git/annex/objects/Xk/9W/{KEY}/{KEY}")
    assert annex_key(link) == KEY
    assert file_digest(link, tmp_path / "memo") == f"annex:{KEY}"


def test_pointer_file_is_its_key(tmp_path: Path) -> None:
    pointer = tmp_path / "a.wav"
    pointer.write_text(f"/annex/objects/{KEY}\n")
    assert file_digest(pointer, tmp_path / "memo") == f"annex:{KEY}"


def test_downloaded_file_with_a_key_that_is_no_digest_is_hashed(tmp_path: Path) -> None:
    content = tmp_path / ".git/annex/objects/URL--x"
    content.parent.mkdir(parents=True)
    content.write_bytes(b"abc")
    link = tmp_path / "a.wav"
    link.symlink_to(".git/annex/objects/URL--x")
    expected = "sha256:" + hashlib.sha256(b"abc").hexdigest()
    assert file_digest(link, tmp_path / "memo") == expected


def test_plain_link_and_file_are_hashed(tmp_path: Path) -> None:
    plain = tmp_path / "a.bin"
    plain.write_bytes(b"abc")
    link = tmp_path / "b.bin"
    link.symlink_to(plain)
    assert annex_key(link) is None
    expected = "sha256:" + hashlib.sha256(b"abc").hexdigest()
    assert file_digest(plain, tmp_path / "memo") == expected
    assert file_digest(link, tmp_path / "memo") == expected


def test_digest_is_remembered_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, memo = tmp_path / "a.bin", tmp_path / "memo"
    path.write_bytes(b"abc")
    os.utime(path, (1_000_000, 1_000_000))
    first = file_digest(path, memo)
    with monkeypatch.context() as patch:
        patch.setattr(digest, "sha256_of", lambda _: pytest.fail("hashed again"))
        assert file_digest(path, memo) == first
    path.write_bytes(b"abd")
    assert file_digest(path, memo) == "sha256:" + hashlib.sha256(b"abd").hexdigest()


def test_fresh_file_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    file_digest(path, tmp_path / "memo")
    assert not (tmp_path / "memo").exists()


def test_broken_memo_is_ignored(tmp_path: Path) -> None:
    path, memo = tmp_path / "a.bin", tmp_path / "memo"
    path.write_bytes(b"abc")
    os.utime(path, (1_000_000, 1_000_000))
    expected = file_digest(path, memo)
    for entry in memo.iterdir():
        entry.write_text("[1,")
    assert file_digest(path, memo) == expected


def test_digest_of_settings() -> None:
    @dataclasses.dataclass
    class Slice:
        lag: float
        names: tuple[str, ...]

    same = [{"a": 1, "b": [1.5, "x"]}, {"b": (np.float64(1.5), "x"), "a": 1}]
    assert digest_of(same[0]) == digest_of(same[1])
    assert digest_of(Slice(0.1, ("a",))) == digest_of({"lag": 0.1, "names": ["a"]})
    different = [1, 1.0, "1", None, [], {}, [1], True, 0.1 + 0.2, 0.3]
    assert len({digest_of(x) for x in different}) == len(different)
    with pytest.raises(TypeError):
        digest_of({"work": print})
    with pytest.raises(TypeError, match="keys must be text"):
        digest_of({1: "a"})


@pytest.fixture
def package(tmp_path: Path) -> Path:
    root = tmp_path / "bids_brainalign"
    files = {
        "__init__.py": "",
        "errors.py": "",
        "a/__init__.py": "",
        "a/top.py": "def f():\n    from bids_brainalign.b import low\n",
        "b/__init__.py": "from . import lower\n",
        "b/low.py": "import os\nimport bids_brainalign.errors\n",
        "b/lower.py": "raise RuntimeError('executed')\n",
        "b/aside.py": "",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("changed", "matters"),
    [
        ("a/top.py", True),
        ("b/low.py", True),
        ("b/__init__.py", True),
        ("b/lower.py", True),
        ("errors.py", True),
        ("b/aside.py", False),
    ],
)
def test_code_digest_follows_imports(package: Path, changed: str, matters: bool) -> None:
    before = code_digest(["bids_brainalign.a.top"], root=package)
    with (package / changed).open("a") as stream:
        stream.write("x = 1\n")
    assert (code_digest(["bids_brainalign.a.top"], root=package) != before) is matters


def test_code_digest_depends_on_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_digest(["bids_brainalign.errors"])
    monkeypatch.setattr(digest.metadata, "version", lambda name: f"{name} 99")
    assert code_digest(["bids_brainalign.errors"]) != before


def test_code_digest_refuses_unknown_modules() -> None:
    with pytest.raises(ValueError, match=r"no module bids_brainalign\.nothing"):
        code_digest(["bids_brainalign.nothing"])


def test_code_digest_is_the_same_in_another_process() -> None:
    code = (
        "from bids_brainalign.store.digest import code_digest;"
        "import sys; print(code_digest(['bids_brainalign.store.steps']));"
        "assert 'bids_brainalign.store.steps' not in sys.modules"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == code_digest(["bids_brainalign.store.steps"])
