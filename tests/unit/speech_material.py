"""What the tests of the speech benchmark hear: bursts of a tone whose place is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from speech import background, noises
from speech.conditions import Dry
from speech.voices import Part

RATE = 16_000


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def dbov(samples: npt.NDArray[np.float64]) -> float:
    return float(10 * np.log10(np.mean(np.square(samples))))


def dry(part: Part = "quick", rate: int = RATE) -> Dry:
    """Two bursts of a voice-like tone with a pause between them."""
    t = np.arange(6 * rate) / rate
    segments = [(1.0, 2.5), (4.0, 5.5)]
    samples = np.zeros(len(t))
    for start, end in segments:
        samples[round(start * rate) : round(end * rate)] = 1.0
    samples *= np.sin(2 * np.pi * 150 * t) + 0.5 * np.sin(2 * np.pi * 900 * t)
    shared = {"white": noises.white, "pink": noises.pink, "babble": noises.pink}
    kinds = shared | noises.KINDS[part]
    return Dry(samples, rate, segments, kinds, background.LIVES[part])
