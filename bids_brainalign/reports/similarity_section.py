"""The page's section on the likeness of layers and responses, without fitted weights."""

from __future__ import annotations

import pandas as pd

from bids_brainalign.outputs.reading import UNTRAINED, read_sidecar
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.figures.probe_curves import Curve, value_curves
from bids_brainalign.reports.rendering import Album
from bids_brainalign.reports.section import Section, said_instead
from bids_brainalign.reports.summary import number

TITLE = "Likeness of layers and responses"
_TEXT = ("model", "target", "metric")
MAX_PANELS = 6


def similarity_section(block: Block, album: Album) -> Section | None:
    """Show CKA over the layers, by group of targets; None without the table."""
    path = block.main.file.path.with_name(f"{block.main.stem}_similarity.tsv")
    table = block.table(path, text=_TEXT)
    if table is None:
        return said_instead(block, path, TITLE)
    rows = table[table["metric"] == "cka"]
    targets = list(dict.fromkeys(rows["target"]))
    panels = [(name, "debiased CKA", _curves(rows[rows["target"] == name]))
              for name in targets[:MAX_PANELS]]  # fmt: skip
    picture = album.add(
        f"{block.name}_similarity",
        value_curves(panels),
        alt="Likeness of every layer and the responses.",
        caption="Linear CKA (unbiased HSIC). Bands: 95 % intervals (jackknife over ten blocks of "
        "time); dashed: random weights; dotted: mean over shifts in time. RSA is in the table.",
    )
    return Section(TITLE, _sentences(block, rows), (picture,))


def _curves(rows: pd.DataFrame) -> list[Curve]:
    curves = []
    for model, part in rows.groupby("model", sort=False):
        part = part.sort_values("layer")
        columns = ("layer", "value", "ci_low", "ci_high", "chance")
        layer, value, low, high, chance = (part[c].to_numpy(dtype=float) for c in columns)
        twin = str(model).endswith(UNTRAINED)
        label = str(model).replace(UNTRAINED, ", random weights")
        curves.append(Curve(label, layer, value, low, high, chance, dashed=twin))
    return curves


def _sentences(block: Block, rows: pd.DataFrame) -> tuple[str, ...]:
    mine = rows[rows["model"] == block.main.model]
    targets = list(dict.fromkeys(mine["target"]))
    best = mine.sort_values("value", ascending=False).iloc[0]
    told = [
        f"{block.main.model}: the highest likeness is CKA = {number(best['value'])} "
        f"(layer {int(best['layer'])}, {best['target']})."
    ]
    if mine["p_max"].isna().all():
        told.append("No test: the responses last less than 50 of their decorrelation times.")
    else:
        found = mine[mine["p_max"] < 0.05]["target"].nunique()
        told.append(
            f"In {found} of {len(targets)} groups of targets some layer is more alike than after "
            "shifts in time (p < .05, corrected over layers, not over groups)."
        )
    path = block.main.file.path.with_name(f"{block.main.stem}_similarity.json")
    sidecar = read_sidecar(path)
    method = sidecar.get("Method")
    return (*told, *([str(method)] if method else []))
