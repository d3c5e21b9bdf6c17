"""Every comparison with other tools, one table: `python benchmarks/all.py > table.md`.

Under 20 minutes on two cores with nothing else running. Rows are written as cases end, so
that a run that is interrupted has given some. `--json`: what each script gives, a line each.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from tables import Row, head, line

HERE = Path(__file__).parent
CASES = (
    ("ridge.py", "--minutes", "4", "--targets", "50"),
    ("ridge.py", "--minutes", "20", "--targets", "100"),
    # Of himalaya's two, the one that it advises: by kernels where rows are fewer than features.
    ("ridge_voxels.py", "--samples", "3000", "--targets", "20000", "--many", "4096",
     "--tools", "bids_brainalign", "himalaya KernelRidgeCV"),
    ("ridge_voxels.py", "--samples", "9000", "--targets", "90000", "--many", "4096",
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
    if not given.json:
        print(head(f"1 (voxels: {THREADS})"), flush=True)
    failed = []
    for script, *options in CASES:
        start = time.monotonic()
        threads = ["--threads", str(THREADS)] if script == "ridge_voxels.py" else []
        done = subprocess.run(  # noqa: S603 - our own scripts
            [sys.executable, str(HERE / script), *options, *threads, "--json"],
            stdout=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        told = f"{time.monotonic() - start:.0f} s"
        if done.returncode:
            failed.append(script)
            told = f"failed with {done.returncode} after {told}"
        elif given.json:
            print(done.stdout.strip(), flush=True)
        else:
            rows = [Row(**row) for row in json.loads(done.stdout)["rows"]]
            print("\n".join(map(line, rows)), flush=True)
        print(f"{script}: {told}", file=sys.stderr, flush=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
