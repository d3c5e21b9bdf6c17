"""What argparse does not say well: pasted dashes, near misses, lists that swallow what follows."""

from __future__ import annotations

import argparse
import re
import unicodedata
from collections.abc import Sequence
from typing import NoReturn

from bids_brainalign.config.toml import nearest
from bids_brainalign.errors import BrainAlignError, ExitCode

PROG = "bids-brainalign"
_LEVEL = "{participant,group}"
_MINUS_SIGN = "\u2212"
_EXAMPLE = f"{PROG} BIDS_DIR OUTPUT_DIR participant --participant-label 01 02"


class AppParser(argparse.ArgumentParser):
    """An argument parser that raises our error instead of leaving the program."""

    def error(self, message: str) -> NoReturn:
        """Raise the usage error that argparse found."""
        raise usage_error(f"{message[:1].upper()}{message[1:]}.", fix=f"see {PROG} --help")

    def parse_strictly(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parse; whatever is not understood is an error that says what was probably meant.

        Raises
        ------
        BrainAlignError
            With exit code 64.
        """
        words = [_hyphenated(word) for word in argv]
        options = words[: words.index("--")] if "--" in words else words
        self._check_dashes(options)
        self._check_known(options)
        try:
            namespace, extra = self.parse_known_args(words)
        except BrainAlignError as error:
            raise self._explain_missing(error, words) from None
        if extra:
            raise usage_error(f"Unexpected argument {extra[0]!r}.", fix=f"write {_EXAMPLE}")
        return namespace

    def _check_dashes(self, words: Sequence[str]) -> None:
        for word in words:
            start = word[:2]
            odd = [c for c in start if c == _MINUS_SIGN or unicodedata.category(c) == "Pd"]
            odd = [c for c in odd if c != "-"]
            if odd and (start[0] in {"-", odd[0]}):
                plain = "--" + re.sub(r"^\W+", "", word)
                raise usage_error(
                    f"{word!r} begins with a dash that is not the hyphen of the keyboard "
                    f"(U+{ord(odd[0]):04X}), probably pasted from a web page.",
                    fix=f"type {plain}",
                )

    def _check_known(self, words: Sequence[str]) -> None:
        known = {o for action in self._actions for o in action.option_strings}
        for word in words:
            name = word.partition("=")[0]
            if name.startswith("--") and name not in known:
                close = nearest(name, known)
                fix = close if close.startswith("did you mean") else f"see {PROG} --help"
                raise usage_error(f"There is no option {name}.", fix=fix)

    def _explain_missing(self, error: BrainAlignError, words: Sequence[str]) -> BrainAlignError:
        """Say why positionals are missing, where a list option may have taken them."""
        if not error.what.startswith("The following arguments are required"):
            return error
        missing = error.what.rpartition(": ")[2].rstrip(".").replace(_LEVEL, "the analysis level")
        lists = [o for a in self._actions if a.nargs == "+" for o in a.option_strings]
        greedy = [word for word in words if word.partition("=")[0] in lists]
        if not greedy:
            return usage_error(f"Missing: {missing}.", fix=f"write {_EXAMPLE}")
        return usage_error(
            f"Missing: {missing}. {greedy[-1]} takes every word that follows it as its value.",
            fix=f"put options after the three positional arguments ({_EXAMPLE}), "
            f"or end the list with -- ({greedy[-1]} … -- BIDS_DIR OUTPUT_DIR participant)",
        )


def usage_error(what: str, *, fix: str = "") -> BrainAlignError:
    """Give an error in how the program was called."""
    return BrainAlignError(what, fix=fix, exit_code=ExitCode.USAGE)


def _hyphenated(word: str) -> str:
    """Give ``--participant_label=x_y`` its hyphen: underscore spellings are accepted."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value
