"""One recording through the meters of the live path."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Protocol

import msgspec
import numpy as np

from pmon._dsp import SILENCE_DBOV, MicMeter, active_level
from pmon.cli.analyze.audio import Recording, Samples
from pmon.cli.analyze.verdicts import TICK_S, Issue, Verdicts

PIECE_S = TICK_S
COLUMN_S = 0.1
"""Pieces where there is something to draw."""
FULL_SCALE = 32768.0


class Detector(Protocol):
    """What ``pmon._dsp.SpeakingDetector`` is. Positions are samples per channel."""

    def process(self, samples: Any, /) -> int: ...
    def take(self) -> list[tuple[bool, int]]: ...
    def end_run(self) -> None: ...
    @property
    def speech_samples(self) -> int: ...


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """How loud a recording is. Levels are dBov: a full-scale square wave is 0 (ITU-T G.100.1)."""

    dbov: float | None
    """Of everything, offset removed; None for digital silence."""
    loudest_dbov: float | None
    """Of the loudest 100 ms, which the threshold is compared with; None if there are none."""
    peak: float
    """Largest sample, 0 to 1."""
    active_dbov: float | None
    """Active speech level (ITU-T P.56), of whatever is active; None if nothing is."""
    activity: float
    """The part of the time that is active, 0 to 1."""
    floor_dbov: float | None
    """Noise floor: half of the time the quietest 100 ms of 5 s are under it."""
    snr_db: float | None
    """Active speech level over the noise floor, noise taken off."""
    dc: float
    """Offset, -1 to 1."""
    clipped_s: float
    """Samples in the last decibel under full scale, as time, of the channel with the most."""
    silent_s: float
    """Time near digital silence, under -97 dBov."""


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in one file; one line of ``--json``."""

    file: str
    duration_s: float
    talk_time_s: float
    segments: list[tuple[float, float]]
    """Speech, from and to, in seconds."""
    level: Level
    issues: list[Issue]
    """Of the microphone."""


@dataclass
class Curve:
    """What there is to draw: one column for each 100 ms."""

    at_s: list[float] = field(default_factory=list)
    """Where each begins."""
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    """The extremes of the waveform, -1 to 1."""
    dbov: list[float] = field(default_factory=list)
    floor_dbov: list[float] = field(default_factory=list)

    def add(self, at_s: float, samples: Samples, level: float | None, floor: float | None) -> None:
        self.at_s.append(at_s)
        self.low.append(float(samples.min()) / FULL_SCALE)
        self.high.append(float(samples.max()) / FULL_SCALE)
        self.dbov.append(SILENCE_DBOV if level is None else level)
        self.floor_dbov.append(math.nan if floor is None else floor)


def analyse(
    recording: Recording,
    detector: Detector,
    threshold: float,
    curve: Curve | None = None,
    on_progress: Callable[[int], None] = lambda frames: None,
) -> Analysis:
    """Read a recording to its end. Raises AudioError.

    ``threshold`` is the detector's; the issues rest on it whatever the detector is.
    ``on_progress`` is told how many frames have been read since the last time.
    """
    loudness = _Loudness(recording.sample_rate, recording.num_channels)
    verdicts = Verdicts(recording.sample_rate, recording.num_channels, threshold)
    transitions: list[tuple[bool, int]] = []
    for samples in recording.pieces(PIECE_S if curve is None else COLUMN_S):
        loudness.process(samples)
        verdicts.process(samples)
        detector.process(samples)
        transitions += detector.take()
        if curve is not None:
            at_s = verdicts.now - len(samples) / recording.num_channels / recording.sample_rate
            curve.add(at_s, samples, loudness.level_dbov, loudness.floor_dbov)
        on_progress(len(samples) // recording.num_channels)
    detector.end_run()
    transitions += detector.take()
    return Analysis(
        file=recording.name,
        duration_s=round(recording.duration_s, 3),
        talk_time_s=round(detector.speech_samples / recording.sample_rate, 3),
        segments=_segments(transitions, recording.sample_rate),
        level=loudness.level(),
        issues=verdicts.finish(),
    )


def _segments(transitions: list[tuple[bool, int]], sample_rate: int) -> list[tuple[float, float]]:
    """Starts and ends alternate, and after ``end_run`` none is open."""
    at_s = [round(position / sample_rate, 3) for _, position in transitions]
    return list(zip(at_s[::2], at_s[1::2], strict=True))


class _Loudness:
    """The meters besides the detector."""

    def __init__(self, sample_rate: int, num_channels: int) -> None:
        self._microphone = MicMeter(sample_rate, num_channels)
        self._num_channels = num_channels
        self._offsets = np.zeros(num_channels, np.int64)
        self._frames = 0
        self._peak = 0
        self._floors: list[float] = []

    @property
    def level_dbov(self) -> float | None:
        return self._microphone.level_dbov

    @property
    def floor_dbov(self) -> float | None:
        return self._microphone.floor_dbov

    def process(self, samples: Samples) -> None:
        self._microphone.process(samples)
        self._offsets += samples.reshape(-1, self._num_channels).sum(axis=0, dtype=np.int64)
        self._frames += len(samples) // self._num_channels
        self._peak = max(self._peak, int(samples.max()), -int(samples.min()))
        if self._microphone.floor_dbov is not None:
            self._floors.append(self._microphone.floor_dbov)

    def level(self) -> Level:
        heard_s, energy, active_s, rail_s, silent_s = self._microphone.totals()
        active = active_level(energy, active_s)
        floor = median(self._floors) if self._floors else None
        offset = max(self._offsets / self._frames, key=abs) / FULL_SCALE
        return Level(
            dbov=_rounded(10 * math.log10(energy / heard_s) if energy > 0 else None),
            loudest_dbov=_rounded(self._microphone.loudest_dbov),
            peak=round(self._peak / FULL_SCALE, 4),
            active_dbov=_rounded(None if active is None else active[0]),
            activity=0.0 if active is None else round(min(1.0, active[1] / heard_s), 3),
            floor_dbov=_rounded(floor),
            snr_db=_rounded(None if active is None or floor is None else _snr(active[0], floor)),
            dc=round(float(offset), 5),
            clipped_s=round(rail_s, 4),
            silent_s=round(silent_s, 2),
        )


def _snr(signal_dbov: float, floor_dbov: float) -> float | None:
    """10 log10((signal - noise) / noise) of their powers; None if there is nothing but noise, or
    none at all.
    """
    over = 10 ** ((signal_dbov - floor_dbov) / 10) - 1
    # Under a tenth of the noise nothing is left of the signal but the two figures' errors.
    return 10 * math.log10(over) if over > 0.1 and floor_dbov > SILENCE_DBOV else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
