"""Our reader against what FastText itself gives for the same files."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.features.fasttext_binary import FastTextBinary, fnv1a, n_grams

ORACLE = Path(__file__).resolve().parents[1] / "oracles" / "fasttext"
EXPECTED = json.loads((ORACLE / "fasttext_small.json").read_text(encoding="utf-8"))
KNOWN = {"the", "sailor", "café", "straße", "東京", "</s>"}


@pytest.mark.parametrize("word", list(EXPECTED["small"]))
def test_vectors_are_those_of_fasttext(word):
    model = FastTextBinary(ORACLE / "fasttext_small.bin")
    found = model.find(word)
    assert (found is not None) == (word in KNOWN)
    if found is None:
        found = model.compose(word)
    np.testing.assert_allclose(found, EXPECTED["small"][word], rtol=1e-6, atol=1e-8)
    assert np.linalg.norm(found) > 0.01


@pytest.mark.parametrize("word", list(EXPECTED["plain"]))
def test_a_model_without_n_grams_knows_its_words_alone(word):
    model = FastTextBinary(ORACLE / "fasttext_plain.bin")
    assert model.compose(word) is None
    found = model.find(word)
    expected = np.array(EXPECTED["plain"][word], dtype=np.float32)
    if word in KNOWN:
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    else:
        assert found is None
        assert not expected.any()  # FastText gives zeros for what it does not know


@pytest.mark.parametrize("word", ["the", "café", "東京"])
def test_n_grams_are_fasttexts_and_in_its_order(word):
    grams = list(n_grams(word, shortest=2, longest=4))
    assert [word, *grams] == EXPECTED["small subwords"][word]


def test_the_hash_is_fnv1a_of_signed_bytes():
    # Published test vectors of 32-bit FNV-1a (isthe.com/chongo/tech/comp/fnv): ASCII.
    assert fnv1a(b"") == 0x811C9DC5
    assert fnv1a(b"foobar") == 0xBF9CF968
    # Bytes from 0x80 on set the upper bits, unlike in FNV-1a proper.
    proper = ((0x811C9DC5 ^ 0xC3) * 16777619) % 2**32
    assert fnv1a(b"\xc3") != proper
    assert fnv1a(b"\xc3") == ((0x811C9DC5 ^ 0xFFFFFFC3) * 16777619) % 2**32


def changed(tmp_path, change):
    content = bytearray((ORACLE / "fasttext_small.bin").read_bytes())
    path = tmp_path / "model.bin"
    path.write_bytes(bytes(change(content)))
    return path


def quantised(content):
    n_entries, n_words, _, _, n_pruned = struct.unpack_from("<3i2q", content, 64)
    assert (n_entries, n_words, n_pruned) == (24, 24, -1)
    place = 64 + 28
    for _ in range(n_entries):
        place = content.index(b"\0", place) + 10
    content[place] = 1
    return content


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda c: c[:-4], "cut off"),
        (lambda c: c[:90], "cut off"),
        (lambda c: c[:20], "cut off"),
        (lambda c: b"PK" + c[2:], "does not begin as FastText's models do"),
        (quantised, "quantised"),
    ],
)
def test_other_files_are_refused(tmp_path, change, what):
    path = changed(tmp_path, change)
    if what == "cut off" and path.stat().st_size > 3000:
        # The output matrix comes last and is never read: cut further, into the input matrix.
        path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(BrainAlignError, match=what):
        FastTextBinary(path)
