import numpy as np
import pytest

from bids_brainalign.features.static_vectors import open_vectors
from bids_brainalign.simulate.word_vectors import draw_vectors, planted_scores

WORDS = tuple(f"word{i}" for i in range(40))


def test_they_are_written_as_glove_writes_them(tmp_path):
    vectors = draw_vectors(WORDS, seed=3, related=True)
    vectors.write(tmp_path / "vectors.txt")
    lines = (tmp_path / "vectors.txt").read_text().splitlines()
    assert [line.split(" ")[0] for line in lines] == list(WORDS)
    read = np.array([[float(x) for x in line.split(" ")[1:]] for line in lines])
    # Planted is what is written, not more digits of it.
    np.testing.assert_array_equal(read, vectors.values)
    assert read.shape == (40, 50)
    program = open_vectors(tmp_path / "vectors.txt")
    np.testing.assert_array_equal(program.find("word9"), read[9].astype(np.float32))
    np.testing.assert_array_equal(
        vectors.of(["word7", "word2"]), read[[7, 2]][:, list(vectors.informative)]
    )


def test_unrelated_ones_are_others(tmp_path):
    related, unrelated = (draw_vectors(WORDS, seed=3, related=which) for which in (True, False))
    assert len(set(related.informative)) == 5
    assert unrelated.informative == ()
    assert abs(np.corrcoef(related.values.ravel(), unrelated.values.ravel())[0, 1]) < 0.1


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_variance_is_as_asked_for(share):
    rng = np.random.default_rng(0)
    vectors = draw_vectors(WORDS, seed=1, related=True)
    content = np.tile(np.arange(40), 25)
    scores, weights = planted_scores(vectors.of(WORDS), content, 60, share=share, rng=rng)
    signal = (vectors.of(WORDS) @ weights)[content]
    np.testing.assert_allclose((vectors.of(WORDS) @ weights).std(axis=0), 1.0)
    r2 = [np.corrcoef(a, b)[0, 1] ** 2 for a, b in zip(signal.T, scores.T, strict=True)]
    assert np.mean(r2) == pytest.approx(share, abs=0.02)
    assert scores.var(axis=0).mean() == pytest.approx(1.0, abs=0.05)
