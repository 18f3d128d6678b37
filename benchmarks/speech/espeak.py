"""espeak-ng as a program of one voice: ``python -m speech.espeak VOICE WPM PITCH < texts``.

It reads JSON, a list of texts, and writes one ``.npy`` of int16 after the other, at 22050 Hz. A
process of its own makes the result a function of its input: the library keeps state of what it
said before. The library and its data come with PyPI's ``espeakng-loader``.
"""

from __future__ import annotations

import ctypes
import json
import sys

import espeakng_loader
import numpy as np

SAMPLE_RATE = 22_050
SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: to the callback, and espeak_Synth waits
UTF8 = 1
RATE, PITCH = 1, 3  # espeak_PARAMETER
CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class EspeakError(Exception):
    """The library refused."""


def main(voice: str, words_per_minute: str, pitch: str) -> None:
    """Say standard input's texts on standard output."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = str(espeakng_loader.get_data_path()).encode()
    _check(library.espeak_Initialize(SYNCHRONOUS, 0, data, 0) - SAMPLE_RATE, "sample rate")
    said: list[np.ndarray[tuple[int], np.dtype[np.int16]]] = []

    def hear(samples: ctypes._Pointer[ctypes.c_short], count: int, events: object) -> int:
        if samples and count:
            said.append(np.ctypeslib.as_array(samples, (count,)).astype(np.int16))
        return 0

    callback = CALLBACK(hear)
    library.espeak_SetSynthCallback(callback)
    _check(library.espeak_SetVoiceByName(voice.encode()), f"no voice {voice}")
    _check(library.espeak_SetParameter(RATE, int(words_per_minute), 0), "rate")
    _check(library.espeak_SetParameter(PITCH, int(pitch), 0), "pitch")
    for text in json.load(sys.stdin):
        said.clear()
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # else by the clock
        spoken = text.encode() + b"\0"
        _check(library.espeak_Synth(spoken, len(spoken), 0, 0, 0, UTF8, None, None), text)
        np.save(sys.stdout.buffer, np.concatenate(said))


def _check(result: int, what: str) -> None:
    if result != 0:
        raise EspeakError(f"{what}: {result}")


if __name__ == "__main__":
    main(*sys.argv[1:])
