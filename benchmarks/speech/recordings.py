"""People, recorded: the prompts of a telephone exchange as Debian packages them.

Studio recordings with nothing behind the voice, so that the truth can be read off their level like
off a synthesizer's. What the files are called tells that somebody speaks; beeps and music are
left out by name.
"""

from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from speech.voices import Voice

ROOT = Path("/usr/share/asterisk/sounds")
SPOKEN = ("agent-", "conf-", "demo-", "dir-", "priv-", "queue-", "vm-")
LONGEST_S = 15.0
G722_BYTES_PER_S = 8000
G722_SAMPLE_RATE = 16_000
FULL_SCALE = 32768.0


def read(voice: Voice, count: int) -> tuple[int, list[npt.NDArray[np.float64]]]:
    """Sample rate in Hz and ``count`` recordings of the voice, from the shortest to the longest."""
    found = sorted(_files(voice.name), key=lambda file: (file.stat().st_size, file.name))
    chosen = [found[i * (len(found) - 1) // max(count - 1, 1)] for i in range(count)]
    if voice.synthesizer.endswith("g722"):
        return G722_SAMPLE_RATE, [_g722(file) for file in chosen]
    with wave.open(str(chosen[0])) as first:
        return first.getframerate(), [_wav(file) for file in chosen]


def _files(directory: str) -> list[Path]:
    suffixes = {".g722": G722_BYTES_PER_S, ".wav": 16_000}
    return [
        file
        for file in (ROOT / directory).iterdir()
        if file.name.startswith(SPOKEN)
        and file.suffix in suffixes
        and file.stat().st_size < LONGEST_S * suffixes[file.suffix]
    ]


def _g722(file: Path) -> npt.NDArray[np.float64]:
    decoder = av.CodecContext.create("g722", "r")
    decoder.sample_rate, decoder.layout = G722_SAMPLE_RATE, "mono"
    frames = [*decoder.decode(av.Packet(file.read_bytes())), *decoder.decode(None)]
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]) / FULL_SCALE


def _wav(file: Path) -> npt.NDArray[np.float64]:
    with wave.open(str(file)) as recording:
        data = recording.readframes(recording.getnframes())
    return np.frombuffer(data, dtype="<i2") / FULL_SCALE
