"""How soon speech is told: an event must come within 150 ms of its onset."""

from __future__ import annotations

import numpy as np
import pytest
from dsp_material import RATE, noise, silence

from pmon._dsp import SpeakingDetector
from pmon.media.phrases import phrases

BLOCK = RATE // 100


def delays(name: str, dbov: float) -> list[float]:
    """Seconds from the true onset of each segment to the block with which it is told."""
    spoken = phrases()[name]
    stream = np.concatenate([silence(2), spoken.samples.astype(float), silence(1)])
    stream += noise(len(stream) / RATE, dbov)
    detector = SpeakingDetector(RATE)
    found = []
    for first in range(0, len(stream) - BLOCK + 1, BLOCK):
        detector.process(np.round(stream[first : first + BLOCK]).astype(np.int16))
        told = (first + BLOCK) / RATE
        for speaking, position in detector.take():
            if speaking:
                onsets = [2 + start for start, _ in spoken.truth.segments]
                true = min(onsets, key=lambda onset: abs(onset - position / RATE))
                found.append(told - true)
    return found


@pytest.mark.parametrize("dbov", [-70, -60, -50])
def test_an_onset_is_told_within_150_ms(dbov: float) -> None:
    """As fed in blocks, the way the native tier feeds; in the median, and hardly one is later."""
    late = [delay for name in phrases() for delay in delays(name, dbov)]
    assert len(late) >= len(phrases())
    assert float(np.median(late)) <= 0.12
    assert float(np.quantile(late, 0.9)) <= 0.15
