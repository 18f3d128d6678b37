"""The committed speech: short phrases and when in them somebody really speaks."""

from __future__ import annotations

import io
import wave
from functools import cache
from importlib import resources

import msgspec
import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.int16]
"""Mono samples, shape (n,)."""


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What speech.json says of one phrase."""

    text: str
    voice: str
    sample_rate: int
    duration_s: float
    segments: tuple[tuple[float, float], ...]
    """Start and end of speech in seconds; pauses under 0.2 s are part of it."""


class Phrase(msgspec.Struct, frozen=True, kw_only=True):
    """Something to say, and the truth about it."""

    samples: Pcm
    truth: Truth


@cache
def phrases() -> dict[str, Phrase]:
    """All phrases by name, 16 kHz mono at -26 dBov, without background noise."""
    folder = resources.files("pmon") / "speech"
    truths = msgspec.json.decode((folder / "speech.json").read_bytes(), type=dict[str, Truth])
    return {
        name: Phrase(samples=_pcm((folder / f"{name}.wav").read_bytes()), truth=truth)
        for name, truth in truths.items()
    }


def _pcm(wav: bytes) -> Pcm:
    with wave.open(io.BytesIO(wav)) as recording:
        return np.frombuffer(recording.readframes(recording.getnframes()), dtype="<i2").astype(
            np.int16
        )
