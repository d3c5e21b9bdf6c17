"""No score across channels reaches a page without that of the train mean."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.reports.pages import write_group_page, write_index, write_participant_page
from bids_brainalign.reports.production.twin import HIDDEN, published, with_twin
from tests.reports.fake_production import write_group, write_speaker
from tests.reports.test_pages import Page

RAW = {"reconstruction": 0.71717, "wordscores": 0.72727, "penalties": 0.73737, "r2bins": 0.74,
       "group": 0.75757}  # fmt: skip
"""Numbers that nothing else on the pages shows."""


def tampered(folder: Path, pattern: str, change) -> None:
    paths = sorted(folder.rglob(pattern))
    assert paths
    for path in paths:
        table = pd.read_csv(path, sep="\t", na_values=["n/a"], keep_default_na=False)
        change(table).to_csv(path, sep="\t", index=False, na_rep="n/a")


def marked(table: pd.DataFrame, where: pd.Series, column: str, value: float) -> pd.DataFrame:
    table.loc[where, column] = value
    return table


def spread(n: int) -> np.ndarray:
    """Values whose SD is the number to look for, over each half of the table, too."""
    sign = np.where(np.arange(n) % 2, -1.0, 1.0)
    return sign * RAW["wordscores"] / np.std(sign[: n // 2], ddof=1)


def tree(folder: Path) -> None:
    """A participant and a group whose raw scores are told from all else."""
    write_speaker(folder, embeddings={"gpt2": 0.4}, mappings=("ridge", "elastic-net"))
    write_group(folder, {f"0{i}": {"gpt2": 0.4} for i in range(1, 7)})
    across = ["pcc", "r2"]
    tampered(folder / "sub-01", "*_reconstruction.tsv", lambda t: marked(
        t, t["score"].isin(across), "value", RAW["reconstruction"]))  # fmt: skip
    tampered(folder / "sub-01", "*_r2bins.tsv", lambda t: t.assign(share=RAW["r2bins"]))
    tampered(folder / "sub-01", "*_penalties.tsv", lambda t: t.assign(pcc=RAW["penalties"]))
    tampered(folder / "sub-01", "*_wordscores.tsv", lambda t: t.assign(pcc=spread(len(t))))
    tampered(folder / "group", "*_reconstruction.tsv", lambda t: marked(
        t, t["score"].isin(across), "mean", RAW["group"]))  # fmt: skip


def pages(folder: Path) -> dict[str, str]:
    write_participant_page(folder, "01")
    write_group_page(folder)
    write_index(folder)
    return {name: Page(folder / name).text for name in ("sub-01.html", "group.html", "index.html")}


def shown(texts: dict[str, str]) -> dict[str, bool]:
    """Which of the marked numbers the pages show."""
    mine, group = texts["sub-01.html"], texts["group.html"]
    return {
        "reconstruction": "0.717" in mine,
        "wordscores": "0.727" in mine,
        "penalties": "0.737" in mine,
        "r2bins": "74 |" in mine,
        "group": "0.758" in group,
    }


def test_with_their_twins_raw_scores_are_shown(tmp_path: Path):
    tree(tmp_path)
    texts = pages(tmp_path)
    assert shown(texts) == dict.fromkeys(RAW, True)
    assert HIDDEN not in texts["sub-01.html"]


@pytest.mark.parametrize("gone", ["column", "value"])
def test_without_the_twin_the_raw_score_is_not_shown_either(tmp_path: Path, gone: str):
    tree(tmp_path)
    twins = {
        "*_reconstruction.tsv": ["train_mean"], "*_r2bins.tsv": ["share_train_mean"],
        "*_penalties.tsv": ["pcc_train_mean", "r2_train_mean"],
        "*_wordscores.tsv": ["pcc_train_mean", "r2_train_mean"],
    }  # fmt: skip

    def without(columns: list[str]):
        if gone == "column":
            return lambda t: t.drop(columns=columns)
        return lambda t: t.assign(**dict.fromkeys(columns, np.nan))

    for pattern, columns in twins.items():
        tampered(tmp_path / "sub-01", pattern, without(columns))
    tampered(tmp_path / "group", "*_reconstruction.tsv", without(["mean_train_mean"]))
    texts = pages(tmp_path)
    assert shown(texts) == dict.fromkeys(RAW, False)
    for name in ("sub-01.html", "group.html"):
        assert HIDDEN in texts[name]
        assert "as they can't be read alone" in texts[name]
    assert "Evidence that gpt2 predicts" in texts["sub-01.html"]  # corrected scores still are
    assert not list(tmp_path.rglob("*_r2bins.svg"))


def test_only_pairs_pass():
    table = pd.DataFrame(
        {"value": [0.9, 0.8, np.nan, 0.7], "train_mean": [0.9, np.nan, 0.9, np.inf]},
        index=["pcc", "r2", "a", "b"],
    )
    assert list(with_twin(table, "value", "train_mean").index) == ["pcc"]
    assert published(table, "pcc") == (0.9, 0.9)
    assert published(table, "r2") is None
    assert published(table.drop(columns="train_mean"), "pcc") is None
    assert with_twin(None, "value", "train_mean").empty


def test_an_unreadable_sidecar_says_which(tmp_path: Path):
    folder = write_speaker(tmp_path, embeddings={"gpt2": 0.4})
    path = folder / "sub-01_task-wordProduction_desc-gpt2_reconstruction.json"
    path.write_text(json.dumps(["no object"]))
    with pytest.raises(BrainAlignError, match="not a JSON object"):
        write_participant_page(tmp_path, "01")
