"""The official BIDS validator, where it is installed: its findings are warnings."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

_LOG = logging.getLogger(__name__)
_PROGRAM = "bids-validator-deno"
_MOST_LINES = 20
_TIMEOUT_S = 300


def warn_of_invalid(bids_dir: Path) -> None:
    """Run ``bids-validator-deno`` if it is installed, and log one line per kind of finding.

    Nothing here stops a run: what we need of the dataset is checked where it is read.
    """
    # Beside our own Python too: a virtual environment need not be activated.
    program = shutil.which(_PROGRAM) or shutil.which(_PROGRAM, path=Path(sys.executable).parent)
    if program is None:
        _LOG.debug("no %s installed", _PROGRAM)
        return
    command = [program, "--format", "json", "--ignoreWarnings", "--ignoreNiftiHeaders"]
    try:
        done = subprocess.run(  # noqa: S603 (a list, no shell; the path is made absolute)
            [*command, str(bids_dir.absolute())],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        issues = json.loads(done.stdout)["issues"]["issues"]
        errors = [issue for issue in issues if issue.get("severity") == "error"]
        first = {str(issue["code"]): issue.get("location", "") for issue in reversed(errors)}
        counts = Counter(str(issue["code"]) for issue in errors)
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        _LOG.warning("%s gave no result: %s", _PROGRAM, error)
        return
    for code, count in counts.most_common(_MOST_LINES):
        _LOG.warning("BIDS validator: %s, %d times, first in %s", code, count, first[code])
