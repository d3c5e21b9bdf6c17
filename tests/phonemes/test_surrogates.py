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
    grouped = found["kind"] == "grouped"
    for statistic in ("agreement", "ami"):
        ours, theirs = found[f"{statistic}_ours"], found[f"{statistic}_variogram"]
        assert (ours[grouped] < 0.05).all()
        assert (theirs[grouped] < 0.05).all()
        assert ((ours < 0.05) == (theirs < 0.05)).mean() >= 0.75
        assert spearmanr(ours, theirs).statistic > 0.3
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
