"""What Whisper's decoder wrote down from decoded states, on a participant's page."""

from __future__ import annotations

import pandas as pd

from bids_brainalign.outputs.reading import read_sidecar
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.rendering import Album
from bids_brainalign.reports.section import Cells, Section, sentences_of
from bids_brainalign.reports.summary import number

TEXT = ("states", "fold", "stimulus", "said", "written")
NAMES = {
    "predicted": "Predicted from the electrodes",
    "shuffled": "Predicted for other windows",
    "mean": "Mean state of the training data",
    "true": "True states (the most that can come out)",
}
SHOWN = 3
"""Windows whose text is shown: those with the fewest, the middling and the most errors."""


def transcription_section(block: Block, album: Album) -> Section | None:
    """Show word error rates and a few windows' text; None where nothing was transcribed."""
    del album  # it has no figure
    path = block.main.file.path.with_name(f"{block.main.stem}_transcription.tsv")
    table = block.table(path, text=TEXT)
    if table is None:
        return None
    sums = table[table["fold"] == "all"].set_index("states")[["wer", "n_words", "n_errors"]]
    sidecar = read_sidecar(path.with_suffix(".json"))
    notes = sentences_of(sidecar, "Notes")
    windows = table[(table["fold"] != "all") & (table["states"] == "predicted")]
    return Section(
        "Transcription of decoded states",
        (_headline(sums, len(windows)), str(sidecar.get("Method", "")), *notes),
        (),
        (_rates(sums), *([_examples(windows)] if len(windows) else [])),
    )


def _sum(sums: pd.DataFrame, kind: str, column: str) -> float:
    return float(sums[column].astype(float)[kind])


def _headline(sums: pd.DataFrame, n_windows: int) -> str:
    if not n_windows:
        return "Nothing was transcribed: no held-out window has words and enough data."
    rate, other, best = (_sum(sums, k, "wer") for k in ("predicted", "shuffled", "true"))
    return (
        f"From states predicted on held-out data, Whisper's decoder wrote {n_windows} windows "
        f"with {_sum(sums, 'predicted', 'n_words'):.0f} words: its word error rate is "
        f"{number(rate)}, against {number(other)} for predictions of other windows and "
        f"{number(best)} for the true states. These are numbers beside controls, not a test."
    )


def _rates(sums: pd.DataFrame) -> Cells:
    rows = tuple(
        (name, number(_sum(sums, kind, "wer")), number(_sum(sums, kind, "n_errors"), 0))
        for kind, name in NAMES.items()
    )
    return Cells(
        ("States given to the decoder", "Word error rate", "Errors"),
        rows,
        caption=f"Of {_sum(sums, 'predicted', 'n_words'):.0f} words said; a rate above 1 means "
        "more errors than words.",
    )


def _examples(windows: pd.DataFrame) -> Cells:
    ranked = windows.sort_values("wer", kind="stable").fillna({"said": "", "written": ""})
    at = sorted({0, len(ranked) // 2, len(ranked) - 1})[:SHOWN]
    rows = tuple(
        (
            f"{row['stimulus']} {float(row['onset']):.0f}-{float(row['offset']):.0f} s",
            str(row["said"]),
            str(row["written"]) or "(nothing)",
            number(float(row["wer"])),
        )
        for _, row in ranked.iloc[at].iterrows()
    )
    return Cells(
        ("Window", "Said", "Written from predicted states", "Word error rate"),
        rows,
        caption="The windows with the fewest, the middling and the most errors.",
    )
