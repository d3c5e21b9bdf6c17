"""Every comparison with other tools, one table: `python benchmarks/all.py > table.md`.

Under 20 minutes on two cores with nothing else running; `--json` gives the rows instead.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from tables import Row, show

HERE = Path(__file__).parent
CASES = (
    ("ridge.py", "--minutes", "4", "--targets", "50"),
    ("ridge_voxels.py", "--samples", "3000", "--targets", "20000"),
    ("ridge_voxels.py", "--samples", "9000", "--targets", "90000",
     "--tools", "bids_brainalign", "bids_brainalign, bf16 scoring", "himalaya RidgeCV"),
    ("sliding.py", "--seconds", "60", "--windows", "3"),
    ("indexing.py",),
    ("tuning.py", "--kinds", "clips", "windows", "--rows-per-story", "24"),
)  # fmt: skip
THREADS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows: list[Row] = []
    for script, *options in CASES:
        start = time.monotonic()
        threads = ["--threads", str(THREADS)] if script == "ridge_voxels.py" else []
        done = subprocess.run(  # noqa: S603 - our own scripts
            [sys.executable, str(HERE / script), *options, *threads, "--json"],
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        rows += [Row(**row) for row in json.loads(done.stdout)["rows"]]
        print(f"{script}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    show(rows, threads=THREADS, as_json=given.json)


if __name__ == "__main__":
    main()
