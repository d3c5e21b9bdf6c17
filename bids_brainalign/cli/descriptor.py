"""The Boutiques descriptor of the BIDS app, made from its parser.

Platforms (CBRAIN, Clowdr, Boutiques' own ``bosh``) read it to offer the app with all its options.

References
----------
Glatard et al. 2018, GigaScience 7, giy016, doi:10.1093/gigascience/giy016; the rules for BIDS apps
are those that ``bosh validate --bids`` checks.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from typing import Any

from bids_brainalign import __version__
from bids_brainalign.cli.arguments import PROG
from bids_brainalign.cli.options import build_parser
from bids_brainalign.config.checks import LEVELS
from bids_brainalign.errors import ExitCode

SCHEMA_VERSION = "0.5"
FIRST_KEYS = (
    "[BIDS_DIR]",
    "[OUTPUT_DIR]",
    "[ANALYSIS_LEVEL]",
    "[PARTICIPANT_LABEL]",
    "[SESSION_LABEL]",
)
"""How the command line of every BIDS app begins."""
FILE_METAVARS = {"BIDS_DIR", "DIR", "FILE", "JSON", "MASK", "TOML", "TSV"}
"""What is a path as a whole: platforms mount it. ``NAME=PATH`` is text to them."""
ERROR_CODES = {
    ExitCode.OK: "Done.",
    ExitCode.SOME_FAILED: "Some participants failed; logs/status.tsv tells which.",
    ExitCode.INVALID_INPUT: "A file contradicts its sidecar, or dataset_description.json is "
    "missing or unreadable.",
    ExitCode.UNKNOWN_LEVEL: "Unknown analysis level.",
    ExitCode.NOTHING_SELECTED: "The filters selected nothing.",
    ExitCode.USAGE: "A wrong option.",
    ExitCode.DATA_ERROR: "Data that can't be read, or too little of it.",
    ExitCode.MISSING_INPUT: "Something is missing: dataset, derivative, model, stimulus, or a "
    "file that is not downloaded.",
    ExitCode.INTERNAL: "The program's own fault; the crash file named at the end tells more.",
    ExitCode.CANNOT_CREATE: "The output can't be created there.",
    ExitCode.IO_ERROR: "Reading or writing failed.",
    ExitCode.TEMPORARY: "Temporary: may succeed if run again, e.g. out of memory.",
}
OUTPUTS = {
    "index.html": "where to begin: links to all pages",
    "sub-*.html": "report of a participant",
    "group.html": "report of the group",
    "sub-*/**/*_scores.tsv": "scores per target, layer and fold",
    "group/*_layers.tsv": "layer curves over participants",
    "logs/status.tsv": "what was done and what failed",
}
RESOURCES = {"cpu-cores": 4, "ram": 16, "disk-space": 20, "walltime-estimate": 7200}
"""To begin with, for one participant and a small model without GPU; GB and s."""


def descriptor_text() -> str:
    """Give the descriptor as the text of ``descriptors/bids-brainalign.json``."""
    return json.dumps(describe(build_parser()), indent=2, ensure_ascii=False) + "\n"


def describe(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """Describe a BIDS app with Boutiques.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Its first three positionals are the dataset, the output folder and the analysis level.

    Returns
    -------
    dict
        Boutiques descriptor, schema 0.5.
    """
    inputs = [one for action in _described(parser) for one in _inputs(parser, action)]
    rest = [one["value-key"] for one in inputs if one["value-key"] not in FIRST_KEYS]
    command = [f"mkdir -p [OUTPUT_DIR]; {PROG}", *FIRST_KEYS, *rest]
    return {
        "name": PROG,
        "description": f"{parser.description} Folders in NAME=PATH options must be mounted by "
        "hand; the others are mounted by Boutiques. Weights of models are never in the image.",
        "tool-version": __version__,
        "schema-version": SCHEMA_VERSION,
        "command-line": " ".join(command),
        "container-image": {
            "type": "docker",
            "image": f"{PROG}:{__version__}",
            "entrypoint": True,
        },
        "inputs": inputs,
        "groups": list(_groups(parser)),
        "output-files": [
            {
                "id": "output",
                "name": "Output folder",
                "description": "BIDS derivative dataset: "
                + "; ".join(f"{path}, {what}" for path, what in OUTPUTS.items()),
                "path-template": "[OUTPUT_DIR]",
                "optional": False,
            }
        ],
        "error-codes": [
            {"code": int(code), "description": text} for code, text in ERROR_CODES.items()
        ],
        "suggested-resources": RESOURCES,
        "tags": {"domain": ["neuroinformatics", "iEEG", "fMRI", "speech"], "standard": "BIDS"},
        # Boutiques wants one output file of a BIDS app, the folder: here is what lies in it.
        "custom": {"outputs": OUTPUTS},
    }


def _described(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Give what has a meaning for a platform: not the options that only print something."""
    printing = (argparse._HelpAction, argparse._VersionAction)
    return [action for action in parser._actions if not isinstance(action, printing)]


def _inputs(parser: argparse.ArgumentParser, action: argparse.Action) -> Iterator[dict[str, Any]]:
    one = _input(parser, action)
    if one["id"] != "output_dir":
        yield one
        return
    # Boutiques' rule for BIDS apps: two inputs for one place in the command line, a name or a
    # folder that exists. The name comes first because bosh (0.5.33) empties the place when the
    # first of the two has no value, whatever the second is.
    yield one | {"type": "String", "optional": True}
    yield one | {
        "id": "output_dir_existing",
        "name": "existing output dir",
        "description": f"{one['description']}: a folder that exists, for platforms that mount it "
        "(bosh itself wants output_dir)",
        "type": "File",
        "optional": True,
    }


def _input(parser: argparse.ArgumentParser, action: argparse.Action) -> dict[str, Any]:
    """Describe one argument of the parser."""
    identifier = _identifier(action)
    described: dict[str, Any] = {
        "id": identifier,
        "name": identifier.replace("_", " "),
        "description": _help(parser, action),
        "type": _type(action),
        "value-key": f"[{identifier.upper()}]",
        "optional": not action.required,
    }
    if action.option_strings:
        described["command-line-flag"] = _flag(action)
    if described["type"] == "Number":
        described["integer"] = action.type is int
    if _is_list(action):
        described["list"] = True
        described["min-list-entries"] = 0 if action.nargs == "*" else 1
    choices = LEVELS if identifier == "analysis_level" else action.choices
    if choices is not None:
        described["value-choices"] = list(choices)
    return described


def _identifier(action: argparse.Action) -> str:
    if action.dest == "level":
        return "analysis_level"
    if action.option_strings and _flag(action).startswith("--"):
        return _flag(action).removeprefix("--").replace("-", "_")
    return action.dest.rpartition(".")[2]


def _flag(action: argparse.Action) -> str:
    """Give the first long spelling, or the short one if there is no other."""
    long = [name for name in action.option_strings if name.startswith("--")]
    return (long or list(action.option_strings))[0]


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    text = (action.help or "") % (vars(action) | {"prog": parser.prog})
    metavar = "" if action.option_strings == [] else str(action.metavar or "")
    form = f" ({metavar})" if re.search(r"[=|]", metavar) else ""
    others = [name for name in action.option_strings if name != _flag(action)]
    return text + form + (f"; also {', '.join(others)}" if others else "")


def _type(action: argparse.Action) -> str:
    """Give Boutiques' name of the type: Flag, Number, File or String."""
    if action.nargs == 0:
        return "Flag"
    if action.type in (int, float):
        return "Number"
    kinds = str(action.metavar or "").split("|")
    return "File" if all(kind in FILE_METAVARS for kind in kinds) else "String"


def _is_list(action: argparse.Action) -> bool:
    return action.nargs in ("+", "*") or (isinstance(action.nargs, int) and action.nargs > 1)


def _groups(parser: argparse.ArgumentParser) -> Iterator[dict[str, Any]]:
    """Give the sections of the help, and what excludes one another."""
    yield {
        "id": "output_dir_options",
        "name": "output folder",
        "description": "Where derivatives go: one of the two.",
        "members": ["output_dir", "output_dir_existing"],
        "mutually-exclusive": True,
        "one-is-required": True,
    }
    described = _described(parser)
    for section in parser._action_groups:
        members = [
            _identifier(action)
            for action in section._group_actions
            if action in described and action.option_strings
        ]
        title = str(section.title)
        if members:
            yield {
                "id": f"{re.sub(r'[^a-z0-9]+', '_', title.lower())}_options",
                "name": title,
                "members": members,
            }
    for exclusive in parser._mutually_exclusive_groups:
        members = [_identifier(action) for action in exclusive._group_actions]
        yield {
            "id": f"one_of_{'_or_'.join(members)}",
            "name": f"one of {', '.join(members)}",
            "members": members,
            "mutually-exclusive": True,
            "one-is-required": exclusive.required,
        }
