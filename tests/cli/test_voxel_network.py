"""A network of voxels from the command line to the page and the group level."""

import pandas as pd
import pytest

from tests.cli.simulated import run, simulate
from tests.cli.test_end_to_end import closing

pytestmark = pytest.mark.cli

CONFIG = """\
[mlp]
hidden = 16
epochs = 5
seeds = 2
patience = 2
"""

TOLD = "of voxels take a part"
"""What is said of each fold when its networks have been trained."""


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("mlp"), ieeg_s=(), fmri_s=(150.0,) * 4)


def arguments(planted):
    (planted.root / "mlp.toml").write_text(CONFIG)
    return (
        planted.bids, planted.root / "out", "participant", "--models", planted.model,
        "--no-untrained", "--encoder", "mlp", "--config-file", planted.root / "mlp.toml",
    )  # fmt: skip


@pytest.fixture(scope="module")
def outputs(planted):
    done = run(*arguments(planted), "-v", cwd=planted.root)
    assert done.returncode == 0, done.stderr[-3000:]
    assert TOLD in done.stderr
    return planted.root / "out"


def read(path):
    return pd.read_csv(path, sep="\t", na_values="n/a", dtype={"layer": str, "fold": str})


def test_tables_and_maps_are_written_beside_those_of_ridge(outputs):
    (path,) = outputs.glob("sub-01/func/*_desc-smallMlp_scores.tsv")
    rows = read(path).query("fold == 'all'").set_index("target")
    assert {"whole", "left", "right"} <= set(rows.index)
    assert rows.p_delta_ridge.notna().all()
    stats = {p.name.split("_stat-")[1].split("_")[0]
             for p in outputs.glob("sub-01/func/*_desc-smallMlp_statmap.nii.gz")}  # fmt: skip
    assert stats == {"r", "q", "rDelta", "qDelta"}
    page = (outputs / "sub-01.html").read_text()
    assert "A small network and ridge" in page
    assert "one hidden layer of 16 units" in page
    assert "smallMlp_difference" in page


def test_a_second_run_has_nothing_to_do_and_a_deleted_table_costs_no_training(planted, outputs):
    again = run(*arguments(planted), cwd=planted.root)
    assert closing(again.stdout + again.stderr).startswith("done: 0 ")
    (path,) = outputs.glob("sub-01/func/*_desc-smallMlp_scores.tsv")
    before = path.read_bytes()
    path.unlink()
    again = run(*arguments(planted), "-v", cwd=planted.root)
    assert closing(again.stdout + again.stderr).startswith("done: 1 ")
    assert TOLD not in again.stderr
    assert path.read_bytes() == before


def test_the_group_has_a_curve_of_it(planted, outputs):
    done = run(planted.bids, outputs, "group", cwd=planted.root)
    assert done.returncode == 0, done.stderr[-3000:]
    (path,) = outputs.glob("group/desc-smallMlp_layers.tsv")
    table = read(path)
    assert set(table.encoder) == {"mlp"}
    assert {"all", "L", "R"} <= set(table.region)
