"""Organisation: what is said of clusters, and order only where places say something."""

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.phonemes.organisation import organise
from bids_brainalign.phonemes.selectivity import Tokens

N_PHONES = 6
MEMBERS = np.zeros((0, N_PHONES), dtype=bool)


def tokens(kind, n_targets=16, n=1600):
    """Responses to phones: every electrode alike, or two halves that prefer other phones."""
    rng = np.random.default_rng(0)
    phone = rng.integers(0, N_PHONES, n)
    profiles = np.tile(rng.standard_normal(N_PHONES), (n_targets, 1))
    if kind == "two":
        profiles[n_targets // 2 :] *= -1
    responses = 0.6 * profiles[:, phone].T + rng.standard_normal((n, n_targets))
    names = tuple("ptkaiu")
    return Tokens(responses, phone, names, np.zeros(n, dtype=int), np.arange(n) // 100)


def places(n=16, **columns):
    x = np.arange(n, dtype=float)
    table = pd.DataFrame({"x": x, "y": 0.0, "z": 0.0, "region": "n/a", "device": "n/a"})
    return table.assign(**columns)


def organised(kind="two", targets=None, **options):
    targets = places() if targets is None else targets
    return organise(tokens(kind), MEMBERS, targets, rng=np.random.default_rng(1), **options)


def test_two_profiles_are_not_one():
    found = organised()
    assert found.informative.all()
    assert found.clusters.k == 2
    (said,) = [text for text in found.sentences if "groups" in text]
    assert said.startswith("Electrodes do not all share one profile of phones (p = 0.0")
    assert "best partition has 2 groups: Ward" in said
    assert "gradual change" in said


def test_one_profile_is_not_called_an_absence_of_clusters():
    found = organised("one")
    assert found.clusters.k == 1
    assert "is not rejected" in " ".join(found.sentences)


def test_how_far_voltage_is_shared_is_told():
    assert (
        "Neighbouring electrodes are no more alike than others in what"
        in organised().sentences[-1]
    )


def test_order_is_not_tested_where_coordinates_give_no_distances():
    why = "coordinates in space 'Pixels' (unit pixels) give no distances in the brain"
    found = organised(no_distances=why)
    assert found.coherence is None
    assert found.sentences[-1] == f"Their anatomical order is not tested: {why}."
    assert organised().coherence is not None


@pytest.mark.parametrize("nowhere", ["n/a", "unknown"])
def test_devices_stand_in_where_no_region_is_known(nowhere):
    halves = np.repeat(["A", "B"], 8)
    found = organised(targets=places(region=nowhere, device=halves))
    assert found.parts == "devices"
    assert found.coherence.ami == pytest.approx(1.0)
    assert organised(targets=places(region=halves)).parts == "regions"


def test_electrodes_beyond_the_atlas_share_no_region():
    region = np.array(["A"] * 4 + ["unknown"] * 4 + ["B"] * 4 + ["unknown"] * 4)
    found = organised(targets=places(region=region))
    assert found.coherence.ami == pytest.approx(1.0)
