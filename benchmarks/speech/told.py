"""How soon pmon tells that somebody has begun to speak, fed in blocks of 10 ms as in a call.

Every true onset with at least 0.3 s of silence before it counts. Where no run is stated to begin
within 0.3 s of it, since it was missed, stated elsewhere or joined to the speech before, it is
told infinitely late: quantiles over those alone that were told well would promise too much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pmon._dsp import SpeakingDetector
from speech.detectors import THRESHOLD
from speech.material import Clip, pool

APART_S = NEAR_S = 0.3


def of_clips(clips: Sequence[Clip], processes: int) -> dict[str, list[float]]:
    """By condition, the seconds from each onset to the block with which it is told, or infinity."""
    with pool(processes) as executor:
        found: dict[str, list[float]] = {clip.condition: [] for clip in clips}
        for clip, delays in zip(clips, executor.map(of_clip, clips, chunksize=4), strict=True):
            found[clip.condition] += delays
    return found


def of_clip(clip: Clip) -> list[float]:
    """The same of one clip."""
    rate, samples = clip.sample_rate, clip.samples
    detector, block = SpeakingDetector(rate, 1, THRESHOLD), rate // 100
    told: list[tuple[float, float]] = []
    for end in range(block, len(samples) + 1, block):
        if detector.process(samples[end - block : end]):
            told += [(at / rate, end / rate) for speaking, at in detector.take() if speaking]
    delays, silent_since = [], -APART_S
    for onset, end_s in clip.segments:
        near = (when - onset for stated, when in told if abs(stated - onset) <= NEAR_S)
        if onset - silent_since >= APART_S:
            delays.append(next(near, math.inf))
        silent_since = end_s
    return delays
