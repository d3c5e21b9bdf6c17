"""Our surrogates beside variogram-matched ones of brainsmash."""

import numpy as np
import pytest
from scipy.stats import spearmanr

pytest.importorskip("brainsmash")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_dozen_maps_get_the_same_answers():
    from scripts.phoneme_surrogates import compare

    found = compare(("untuned", "scattered", "grouped"), 60, range(4))
    tuned, grouped = found["kind"] != "untuned", found["kind"] == "grouped"
    for statistic in ("agreement", "ami"):
        ours, theirs = found[f"{statistic}_ours"], found[f"{statistic}_variogram"]
        np.testing.assert_array_equal(ours[tuned] < 0.05, grouped[tuned])
        np.testing.assert_array_equal(theirs[tuned] < 0.05, grouped[tuned])
        assert spearmanr(ours[tuned], theirs[tuned]).statistic > 0.3
        # Forced clusters of pure noise follow what neighbours share: ours know, theirs don't.
        assert (ours[~tuned] < 0.05).sum() <= 1
    assert np.isfinite(found.filter(like="_ours")).all(axis=None)


def test_ami_is_that_of_scikit_learn():
    from sklearn.metrics import adjusted_mutual_info_score

    from bids_brainalign.phonemes.clusters import partition
    from bids_brainalign.phonemes.coherence import neighbours, statistics_of

    rng = np.random.default_rng(0)
    profiles, positions = rng.standard_normal((50, 12)), rng.uniform(0, 40, (50, 3))
    regions = rng.choice(["a", "b", "c", "n/a"], 50)
    known = regions != "n/a"
    found = statistics_of(profiles[None], neighbours(positions), regions, 4)[0, 2]
    labels = partition(profiles, 4)
    assert found == pytest.approx(adjusted_mutual_info_score(regions[known], labels[known]))
