"""Where runs of speech begin and end, beside a plain model of the rules over NumPy's levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from dsp_material import RATE, Signal, detect, falling_noise, noise, phrase, silence, tone
from test_dsp_score import Levels, in_windows, levels, measured, summed

from pmon.media.phrases import phrases

Bools = npt.NDArray[np.bool_]
BLOCK = RATE // 100
STANDS_OUT = 3 * 48
LEAST_MOVEMENT = 2 * 8 * 4 * 8
"""4 dB in steps of 1/8 dB, of the sum of eight bands over two blocks."""


@dataclass
class Run:
    start: int
    end: int
    quiet: int = 0
    loudest: float = 0.0
    softest: float = np.inf
    strongest: float = 0.0
    accepted: bool = False


class Model:
    """The rules of ``_speaking_runs.pxi``, a block at a time; all positions are in blocks."""

    def __init__(self, samples: Signal, threshold: float) -> None:
        level = levels(samples, RATE)
        self.loud = _loud(level)
        self.mean = level[:-1].sum(axis=0)
        count = level.shape[1]
        power = samples[: count * BLOCK].reshape(count, BLOCK).var(axis=1) / 32768.0**2
        self.loudness = np.convolve(power, np.ones(10) / 10)[:count]
        self.score = measured(samples, RATE)
        self.least_power = threshold**2
        self.runs: list[tuple[int, int]] = []
        self._ended = 0
        self._run: Run | None = None
        for t in range(count):
            self._take(t)
        self._close()

    def _take(self, t: int) -> None:
        if self._run is not None:
            self._go_on(self._run, t)
        elif self.score[t] > 0.4:
            self._open(t)
        if self._run is not None:
            self._watch(self._run, t, 2)
            self._judge(self._run, t)

    def _stood_out(self, t: int, ago: int) -> bool:
        return t - ago >= 0 and bool(self.loud[t - ago])

    def _open(self, t: int) -> None:
        first, gap = -1, 0
        for ago in range(6, 14):
            if gap > 3:
                break
            first, gap = (ago, 0) if self._stood_out(t, ago) else (first, gap + 1)
        if first < 0:
            first = next((ago for ago in range(5, -1, -1) if self._stood_out(t, ago)), -1)
        first = min(first, t - self._ended)
        if first < 0:
            return
        start = t - first
        loud = [b for b in range(start, t + 1) if self.loud[b]]
        self._run = Run(start, loud[-1] + 1 if loud else start)
        for ago in range(first - 2, 2, -1):
            self._watch(self._run, t, ago)

    def _go_on(self, run: Run, t: int) -> None:
        run.quiet = run.quiet + 1 if self.score[t] < 0 else 0
        if self.loud[t]:
            run.end = t + 1
        if run.quiet >= (20 if self.loud[t] else 8):
            self._close()

    def _watch(self, run: Run, t: int, ago: int) -> None:
        around = range(ago - 2, ago + 2)
        if t - ago - 2 < run.start or not all(self._stood_out(t, i) for i in around):
            return
        level = self.mean[t - ago] + self.mean[t - ago - 1]
        run.softest, run.strongest = min(run.softest, level), max(run.strongest, level)

    def _judge(self, run: Run, t: int) -> None:
        run.loudest = max(run.loudest, self.loudness[t])
        moves = run.strongest - run.softest >= LEAST_MOVEMENT
        run.accepted = run.accepted or (moves and run.loudest >= self.least_power)

    def _close(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            self._ended = run.end
            if run.accepted:
                self.runs.append((run.start, run.end))


def _loud(level: Levels) -> Bools:
    """Which blocks stand out of the floor, in the three bands where they do the most."""
    floor = in_windows(np.floor(summed(level, 10) / 10), 9, least=True)
    over = np.sort((level - floor)[:-1], axis=0)[-3:].sum(axis=0)
    return np.asarray(over >= STANDS_OUT)


def found(samples: Signal, threshold: float) -> list[tuple[int, int]]:
    at = [position / BLOCK for _, position in detect(samples, threshold=threshold).take()]
    return [(round(a), round(b)) for a, b in zip(at[::2], at[1::2], strict=True)]


def gapless(seed: int) -> Signal:
    """Bursts of noise and tones of any length and level."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(40):
        seconds, dbov = rng.uniform(0.02, 0.6), rng.uniform(-60, -15)
        kind = rng.integers(3)
        if kind == 0:
            parts.append(noise(seconds, dbov, int(rng.integers(1000))))
        elif kind == 1:
            parts.append(tone(seconds, rng.uniform(100, 4000), dbov))
        else:
            parts.append(falling_noise(max(seconds, 0.1), dbov, 1.0))
    return np.concatenate(parts)


@pytest.mark.parametrize("threshold", [0.001, 0.03])
@pytest.mark.parametrize("dbov", [-70, -50, -40])
@pytest.mark.parametrize("name", list(phrases()))
def test_runs_of_speech_are_where_the_rules_have_them(
    name: str, dbov: int, threshold: float
) -> None:
    stream = np.concatenate([silence(1), phrase(name), silence(0.4), phrase(name), silence(1)])
    stream = np.round(stream + noise(len(stream) / RATE, dbov))
    stream = np.clip(stream, -32768, 32767)
    assert found(stream, threshold) == Model(stream, threshold).runs


@pytest.mark.parametrize("seed", range(20))
def test_runs_of_anything_else_are_where_the_rules_have_them(seed: int) -> None:
    stream = np.clip(np.round(gapless(seed) + noise(60, -75)[: len(gapless(seed))]), -32768, 32767)
    stream = stream[: len(stream) // BLOCK * BLOCK]
    assert found(stream, 0.001) == Model(stream, 0.001).runs
