"""What a simulated microphone picks up, frame by frame, and when it was really speech."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from pmon.media.phrases import Pcm, Phrase

SAMPLE_RATE = 16_000
FRAME_S = 0.01
FRAME = round(SAMPLE_RATE * FRAME_S)
FULL_SCALE = 32768.0
NOISE_S = 10
JOINED_S = 0.001  # frames follow each other up to rounding


class Voice:
    """Phrases one after the other over room noise; sans-IO, time is an argument.

    ``noise_dbov`` is the level of white room noise (None: digital silence between phrases),
    repeated every 10 s and the same for the same seed.
    """

    def __init__(self, *, noise_dbov: float | None = None, seed: int = 0) -> None:
        self.spoken: list[tuple[float, float]] = []
        """Start and end of the speech that was sent, on the clock of ``next_frame``."""
        self._queue: deque[tuple[Phrase, Callable[[], None]]] = deque()
        self._position = 0  # samples of the first phrase in the queue that are out
        self._noise_position = 0
        self._noise = _noise(noise_dbov, seed)

    @property
    def talk_time_s(self) -> float:
        """Seconds of speech that were sent."""
        return sum(end - start for start, end in self.spoken)

    def in_noise(self, noise_dbov: float | None, seed: int = 0) -> None:
        """The room sounds like this from now on; the parameters are those of the class."""
        self._noise = _noise(noise_dbov, seed)

    def say(self, phrase: Phrase, done: Callable[[], None]) -> None:
        """Say a phrase after those already waiting, then call ``done``."""
        if phrase.truth.sample_rate != SAMPLE_RATE:
            raise ValueError(f"a phrase has {SAMPLE_RATE} Hz, not {phrase.truth.sample_rate}")
        self._queue.append((phrase, done))

    def stop(self) -> None:
        """Fall silent, in the middle of a word if need be."""
        while self._queue:
            _, done = self._queue.popleft()
            done()
        self._position = 0

    def next_frame(self, now: float, *, heard: bool) -> Pcm:
        """The next 10 ms, which begin at ``now``; its speech is true speech only when heard."""
        start = self._noise_position
        self._noise_position = (start + FRAME) % len(self._noise)
        frame = self._noise[start : start + FRAME]
        if not self._queue:
            return frame
        phrase, done = self._queue[0]
        begin, end = self._position, self._position + FRAME
        said = phrase.samples[begin:end]
        if heard:
            self._note(phrase, begin, end, now)
        self._position = end
        if end >= len(phrase.samples):
            self._queue.popleft()
            self._position = 0
            done()
        mixed = frame.astype(np.int32)
        mixed[: len(said)] += said
        return np.clip(mixed, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)

    def _note(self, phrase: Phrase, begin: int, end: int, now: float) -> None:
        frame_start, frame_end = begin / SAMPLE_RATE, end / SAMPLE_RATE
        for segment_start, segment_end in phrase.truth.segments:
            start = now + max(segment_start, frame_start) - frame_start
            stop = now + min(segment_end, frame_end) - frame_start
            if stop - start < JOINED_S:
                continue
            if self.spoken and start - self.spoken[-1][1] < JOINED_S:
                self.spoken[-1] = (self.spoken[-1][0], stop)
            else:
                self.spoken.append((start, stop))


def _noise(dbov: float | None, seed: int) -> Pcm:
    if dbov is None:
        return np.zeros(NOISE_S * SAMPLE_RATE, dtype=np.int16)
    white = np.random.default_rng(seed).standard_normal(NOISE_S * SAMPLE_RATE)
    scaled = np.round(white * FULL_SCALE * 10 ** (dbov / 20))
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
