"""Pronounces words with espeak-ng: ``python -m bids_brainalign.phonemes.espeak_pronouncer``.

A process of its own keeps the library, which is under the GPL, out of the program. Reads
``{"voice", "words"}`` as JSON from stdin; writes lists of IPA phones, one per word, to stdout.
"""

from __future__ import annotations

import ctypes
import json
import sys

AUDIO_OUTPUT_SYNCHRONOUS = 2
CHARS_UTF8 = 1
IPA = 0x02
SEPARATOR = "_"


def pronounce(voice: str, words: list[str]) -> list[list[str]]:
    """IPA of every word, phone by phone, with stress marks; empty for what can't be said.

    Raises
    ------
    ValueError
        espeak-ng has no such voice.
    """
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_Initialize(
        AUDIO_OUTPUT_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0
    )
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise ValueError(f"espeak-ng has no voice {voice}")
    mode = IPA | (ord(SEPARATOR) << 8)
    found = []
    for word in words:
        rest = ctypes.c_char_p(word.encode())
        phones: list[str] = []
        while rest.value:
            said = library.espeak_TextToPhonemes(ctypes.byref(rest), CHARS_UTF8, mode)
            # Names of other languages' voices stand in brackets: (en)wɔ_k(nl).
            if said and b"(" not in said:
                phones += said.decode().replace(" ", SEPARATOR).split(SEPARATOR)
        found.append([phone for phone in phones if phone])
    return found


def main() -> int:
    """Serve one request."""
    request = json.loads(sys.stdin.buffer.read())
    try:
        answer = pronounce(request["voice"], request["words"])
    except (ValueError, ImportError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(json.dumps(answer).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
