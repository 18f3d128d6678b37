"""Where speech is, read off the dry signal before noise, room and codec come to it.

As in hand-labelled sets, what is labelled is the utterance and not each vowel: gaps shorter than
0.2 s inside it belong to it, longer ones do not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]
Segments = list[tuple[float, float]]

FRAME_S = 0.01
BELOW_ACTIVE_DB = 35.0
"""How far under the utterance's level speech still is. Vowels lie within 15 dB of it and voiceless
fricatives some 20 to 30 dB under the vowels (the first phone of "hello", the last of "off"); what
is under 35 dB is decay, breath and the noise of the recording."""
BELOW_PEAK_DB = 40.0
JOINED_GAP_S = 0.2
SHORTEST_S = 0.03
"""A burst that stands alone and is shorter than this is a click and not speech."""


def frame_power(samples: Samples, sample_rate: int) -> Samples:
    """Mean square of each whole 10 ms, which may begin between two samples at odd rates."""
    count = int(len(samples) / (sample_rate * FRAME_S))
    edges = np.round(np.arange(count + 1) * sample_rate * FRAME_S).astype(int)
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples))])
    return np.asarray(np.diff(energy[edges]) / np.diff(edges))


def active_frames(samples: Samples, sample_rate: int) -> npt.NDArray[np.bool_]:
    """The 10 ms frames of an utterance with speech in them; none if all is silent.

    The level is the mean power of the frames within 40 dB of the loudest one; speech is what lies
    within 35 dB of that level.
    """
    power = frame_power(samples, sample_rate)
    if not len(power) or power.max() <= 0.0:
        return np.zeros(len(power), dtype=bool)
    level = power[power >= power.max() * 10 ** (-BELOW_PEAK_DB / 10)].mean()
    return np.asarray(power >= level * 10 ** (-BELOW_ACTIVE_DB / 10))


def segments(active: npt.NDArray[np.bool_]) -> Segments:
    """(start, end) in seconds of what is active, short gaps filled, then lone clicks dropped."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(np.int8), [0]])))
    found: Segments = []
    for first, behind in edges.reshape(-1, 2):
        start, end = round(int(first) * FRAME_S, 2), round(int(behind) * FRAME_S, 2)
        if found and start - found[-1][1] < JOINED_GAP_S - 1e-9:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return [(start, end) for start, end in found if end - start >= SHORTEST_S - 1e-9]


def frames(found: Segments, count: int) -> npt.NDArray[np.bool_]:
    """Which of ``count`` 10 ms frames have their middle in a segment."""
    speech = np.zeros(count, dtype=bool)
    for start, end in found:
        speech[max(0, round(start / FRAME_S)) : max(0, round(end / FRAME_S))] = True
    return speech
