"""Runs espeak-ng in a process of its own: ``python -m bids_brainalign.simulate.espeak_worker``.

espeak-ng keeps global state (the voice's noise generator, the last text's prosody) and is under
the GPL: a process per text makes speech the same whatever came before, and keeps the library out
of the program. Reads ``{"text", "voice", "speed", "pitch"}`` as JSON from stdin, writes ``.npz``
to stdout.
"""

from __future__ import annotations

import ctypes
import io
import json
import sys
from typing import Any

import numpy as np

AUDIO_OUTPUT_SYNCHRONOUS = 2
CHARS_UTF8 = 1
PHONEME_EVENTS, PHONEMES_AS_IPA = 1, 2
SPEECH_RATE, PITCH = 1, 3
RANDOM_SEED = 1  # else espeak-ng seeds the breath of its voices with the second of the day
EVENT_LIST_TERMINATED, EVENT_WORD, EVENT_END, EVENT_PHONEME = 0, 1, 5, 7


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    """``espeak_EVENT`` of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def speak(text: str, voice: str, speed: int, pitch: int) -> dict[str, Any]:
    """Synthesise one text.

    Returns
    -------
    dict
        ``pcm`` (int16), ``rate_hz``; ``events``, per word ``sample``, ``position`` (first
        character, 0 based), ``length`` (characters; 0 for the end of a clause);
        ``phone_samples`` and ``phone_names`` (IPA with stress marks; empty for a pause).
    """
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate_hz = library.espeak_Initialize(
        AUDIO_OUTPUT_SYNCHRONOUS,
        0,
        espeakng_loader.get_data_path().encode(),
        PHONEME_EVENTS | PHONEMES_AS_IPA,
    )
    library.espeak_ng_SetRandSeed(ctypes.c_long(RANDOM_SEED))
    pieces: list[Any] = []
    events: list[tuple[int, int, int]] = []
    phones: list[tuple[int, str]] = []

    def collect(pcm: Any, n_samples: int, event: Any) -> int:
        index = 0
        while event[index].type != EVENT_LIST_TERMINATED:
            this = event[index]
            if this.type == EVENT_WORD:
                events.append((this.sample, this.text_position - 1, this.length))
            elif this.type == EVENT_END:
                events.append((this.sample, this.text_position - 1, 0))
            elif this.type == EVENT_PHONEME:
                # Eight bytes at most: a longer name may end in half a character.
                phones.append((this.sample, this.id.string.decode(errors="ignore")))
            index += 1
        if pcm and n_samples > 0:
            pieces.append(np.ctypeslib.as_array(pcm, (n_samples,)).copy())
        return 0

    callback = _CALLBACK(collect)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise ValueError(f"espeak-ng has no voice {voice}")
    library.espeak_SetParameter(SPEECH_RATE, speed, 0)
    library.espeak_SetParameter(PITCH, pitch, 0)
    encoded = text.encode()
    library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, CHARS_UTF8, None, None)
    library.espeak_Synchronize()
    table = np.array(events, dtype=np.int64).reshape(-1, 3)
    return {
        "pcm": np.concatenate(pieces),
        "rate_hz": rate_hz,
        "events": table,
        "phone_samples": np.array([sample for sample, _ in phones], dtype=np.int64),
        "phone_names": np.array([name for _, name in phones], dtype="<U8"),
    }


def main() -> int:
    """Serve one request."""
    request = json.load(sys.stdin)
    buffer = io.BytesIO()
    try:
        np.savez(buffer, **speak(**request))
    except (ValueError, ImportError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(buffer.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(main())
