import json

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.outputs.tables import format_table, write_tsv


def test_missing_is_never_zero():
    table = pd.DataFrame({"r": [np.nan, 0.0], "x": [np.inf, 1 / 3], "s": ["a", None]})
    assert format_table(table) == "r\tx\ts\nn/a\tn/a\ta\n0\t0.333333\tn/a\n"


def test_sidecar_describes_every_column(tmp_path):
    table = pd.DataFrame({"r": [1.0]})
    path, sidecar = write_tsv(tmp_path / "a" / "x.tsv", table, {"r": "score"}, extra={"M": 1})
    assert path.read_text() == "r\n1\n"
    assert json.loads(sidecar.read_text()) == {"M": 1, "r": {"Description": "score"}}
    with pytest.raises(ValueError, match="without a description"):
        write_tsv(tmp_path / "y.tsv", table, {})
