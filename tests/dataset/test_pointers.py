import hashlib

import pytest

from bids_brainalign.dataset.pointers import (
    annex_key,
    content_sha256,
    is_pointer,
    require_content,
)
from bids_brainalign.errors import BrainAlignError, ExitCode
from tests.dataset.trees import write

KEY = "SHA256E-s5--" + hashlib.sha256(b"sound").hexdigest() + ".edf"
NAME = "sub-01/ieeg/sub-01_task-story_ieeg.edf"


def locked(root, *, present=False):
    path = root / NAME
    path.parent.mkdir(parents=True)
    path.symlink_to(f"../../.git/annex/objects/aa/bb/{KEY}/{KEY}")
    if present:
        write(root / f".git/annex/objects/aa/bb/{KEY}/{KEY}", "sound")
    return path


def unlocked(root):
    return write(root / NAME, f"/annex/objects/{KEY}\n")


@pytest.mark.parametrize("make", [locked, unlocked])
def test_pointers_are_named_with_the_command_that_gets_them(tmp_path, make):
    path = make(tmp_path)
    assert is_pointer(path)
    assert annex_key(path) == KEY
    with pytest.raises(BrainAlignError) as caught:
        require_content(path, tmp_path)
    assert str(caught.value) == (
        f"{NAME} is not downloaded (DataLad pointer). Run: datalad get {NAME}"
    )
    assert caught.value.exit_code == ExitCode.MISSING_INPUT


def test_downloaded_annex_files_are_content(tmp_path):
    path = locked(tmp_path, present=True)
    assert not is_pointer(path)
    require_content(path, tmp_path)


def test_the_digest_of_a_key_is_that_of_the_bytes(tmp_path):
    assert content_sha256(locked(tmp_path, present=True)) == hashlib.sha256(b"sound").hexdigest()
    plain = write(tmp_path / "plain.wav", "sound")
    assert content_sha256(plain) == hashlib.sha256(b"sound").hexdigest()


def test_a_key_without_sha256_is_not_mistaken_for_one(tmp_path):
    key = "MD5E-s5--" + "0" * 32 + ".wav"
    content = write(tmp_path / f".git/annex/objects/aa/bb/{key}/{key}", "sound")
    path = tmp_path / "a.wav"
    path.symlink_to(content.relative_to(tmp_path))
    assert content_sha256(path) == hashlib.sha256(b"sound").hexdigest()


def test_empty_absent_and_broken_files_are_told_apart(tmp_path):
    (tmp_path / "link.edf").symlink_to("gone.edf")
    cases = {
        write(tmp_path / "e.edf"): "e.edf is empty",
        tmp_path / "x.edf": "x.edf does not exist",
        tmp_path / "link.edf": "link.edf is a broken link",
    }
    for path, message in cases.items():
        assert not is_pointer(path)
        with pytest.raises(BrainAlignError, match=message) as caught:
            require_content(path, tmp_path)
        assert caught.value.exit_code == ExitCode.MISSING_INPUT
        assert "datalad" not in str(caught.value)
