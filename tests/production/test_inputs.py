"""Preparation of embeddings: components and weights of parts, by training words alone."""

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.elastic import ElasticNet
from bids_brainalign.production.inputs import Part, Preparation
from bids_brainalign.production.mapping import map_words
from bids_brainalign.production.ridge import Ridge
from tests.production.planted import folds_of, planted

TRAIN = np.arange(0, 40, 2)
HELD_OUT = np.setdiff1d(np.arange(40), TRAIN)
BOTH = Preparation(parts=(Part(6), Part(30, explained=0.9)))


def joined(seed=0):
    """6 columns of one embedding, and 30 correlated ones of another, in other units."""
    rng = np.random.default_rng(seed)
    text = rng.standard_normal((40, 6)) * 50 + 7
    sound = rng.standard_normal((40, 5)) @ rng.standard_normal((5, 30))
    return np.concatenate([text, 1e-3 * (sound + rng.standard_normal((40, 30)))], axis=1)


def test_every_part_has_its_own_components_and_the_same_weight():
    x = joined()
    found = BOTH.apply(x, TRAIN)
    oracle = ColumnTransformer(
        [
            ("text", StandardScaler(), slice(0, 6)),
            (
                "sound",
                make_pipeline(StandardScaler(), PCA(n_components=0.9, svd_solver="full")),
                slice(6, 36),
            ),
        ]
    ).fit(x[TRAIN])
    expected = oracle.transform(x)
    n_kept = expected.shape[1] - 6
    assert found.shape == expected.shape
    assert 1 < n_kept < 20
    text, sound = np.split(found, [6], axis=1)
    of_text, of_sound = np.split(expected, [6], axis=1)
    # Up to the sign of components, and one factor for each part.
    factors = []
    for ours, theirs in ((text, of_text), (np.abs(sound), np.abs(of_sound))):
        factor = np.linalg.norm(ours) / np.linalg.norm(theirs)
        np.testing.assert_allclose(ours, factor * theirs, atol=1e-9)
        factors.append(factor)
    assert factors[0] > 1.3 * factors[1]
    variances = [part[TRAIN].var(axis=0).sum() for part in (text, sound)]
    np.testing.assert_allclose(variances[0], variances[1])
    np.testing.assert_allclose(
        sum(variances), expected[TRAIN].var(axis=0).sum()
    )  # penalties mean what they mean without parts


def test_without_components_a_part_is_divided_by_the_root_of_its_dimensions():
    x = joined()
    found = Preparation(parts=(Part(6), Part(30))).apply(x, TRAIN)
    plain = StandardScaler().fit(x[TRAIN]).transform(x)
    expected = np.sqrt(18) * plain / np.sqrt(np.repeat([6, 30], [6, 30]))
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_one_part_is_no_part():
    x = joined()[:, 6:]
    alone = Preparation(explained=0.9).apply(x, TRAIN)
    np.testing.assert_allclose(
        Preparation(parts=(Part(30, explained=0.9),)).apply(x, TRAIN), alone, rtol=1e-12
    )


@pytest.mark.parametrize("preparation", [BOTH, Preparation(explained=0.9)])
def test_words_held_out_change_neither_components_nor_weights(preparation):
    x = joined()
    before = preparation.apply(x, TRAIN)
    changed = x.copy()
    changed[HELD_OUT] = 1e3 * joined(seed=1)[HELD_OUT] + 5
    after = preparation.apply(changed, TRAIN)
    np.testing.assert_array_equal(after[TRAIN], before[TRAIN])
    assert not np.allclose(after[HELD_OUT], before[HELD_OUT])
    trained = x.copy()
    trained[TRAIN[0]] *= 3
    assert not np.allclose(preparation.apply(trained, TRAIN)[TRAIN[1:], :1], before[TRAIN[1:], :1])


def test_a_part_that_is_still_in_training_leaves_the_others_alone():
    x = joined()
    x[TRAIN, :6] = 3.0
    found = BOTH.apply(x, TRAIN)
    assert not found[TRAIN, :6].any()
    assert np.isfinite(found).all()
    alone = Preparation(explained=0.9).apply(x[:, 6:], TRAIN)
    np.testing.assert_allclose(found[:, 6:], alone, rtol=1e-12)


@pytest.mark.parametrize("how", [Ridge(), ElasticNet(n_alphas=5, ratios=(0.5,))])
def test_a_wide_part_of_noise_drowns_a_narrow_one_less_where_parts_weigh_the_same(how):
    x, y = planted(0.8, 0, n_words=60, n_channels=6, n_dims=5)
    noise = np.random.default_rng(1).standard_normal((60, 400))
    folds = folds_of(60, n_folds=3, n_inner=3)
    wide = np.concatenate([x, noise], axis=1)

    def missed(preparation):
        found = map_words(wide, y, folds, how, preparation=preparation)
        return np.mean((found.model - y) ** 2 / (found.train_mean - y).var(axis=0))

    equal = missed(Preparation(parts=(Part(5), Part(400))))
    assert equal < 0.8 * missed(Preparation())


def test_parts_that_are_not_all_columns_are_refused():
    with pytest.raises(BrainAlignError, match=r"6 \+ 20 columns are no embedding of 36"):
        Preparation(parts=(Part(6), Part(20))).apply(joined(), TRAIN)
    with pytest.raises(BrainAlignError, match=r"1\.5 of the variance"):
        Part(3, explained=1.5)
    with pytest.raises(ValueError, match="the parts say"):
        Preparation(explained=0.9, parts=(Part(3),))
