"""The meters of one audio track, shared by everyone who watches it. Sans-IO.

Samples go in with the time they arrived at; readings and transitions come out, in monotonic
seconds. Positions in the audio are reckoned in samples, so talk time is exact to the block.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from pmon._dsp import LevelMeter, SpeakingDetector
from pmon.monitor.inputs import AudioReading

if TYPE_CHECKING:
    from pmon._dsp import Samples

DRY_AFTER_S = 0.5
"""Without samples for so long, speech has ended, whatever the detector would still wait for."""


class Transition(NamedTuple):
    """Speech began or ended at ``at``, for those who listen with ``threshold``."""

    threshold: float
    speaking: bool
    at: float


class StreamClock:
    """When a sample was played, from its position and the arrival times of what came before.

    Arrival times jitter with the event loop, always to the late side, so the smallest delay seen
    is the true one. A stream that lost samples stays late, and is set anew after a while.
    """

    LATE_S = 0.25
    LATE_FOR_S = 1.0

    def __init__(self) -> None:
        self._zero: float | None = None
        """The arrival time of position 0, as far as is known."""
        self._late_since: float | None = None
        self._paused = False

    def restart(self) -> None:
        """The stream pauses: positions will go on where they are, but time goes on meanwhile."""
        self._paused = True

    def arrived(self, position_s: float, now: float) -> None:
        """Everything up to ``position_s`` has arrived."""
        zero = now - position_s
        if self._zero is None or self._paused or zero <= self._zero:
            self._zero = zero
            self._late_since = None
            self._paused = False
        elif zero - self._zero < self.LATE_S:
            self._late_since = None
        elif self._late_since is None:
            self._late_since = now
        elif now - self._late_since >= self.LATE_FOR_S:
            self._zero = zero
            self._late_since = None

    def at(self, position_s: float) -> float:
        return position_s if self._zero is None else self._zero + position_s


class TrackMeters:
    """One level meter, and one speaking detector for each distinct threshold."""

    def __init__(self, sample_rate: int, num_channels: int, thresholds: Iterable[float]) -> None:
        self.sample_rate = sample_rate
        self.num_channels = num_channels
        self.level = LevelMeter(sample_rate, num_channels)
        self._detectors: dict[float, SpeakingDetector] = {}
        self._offsets: dict[float, int] = {}
        self._clock = StreamClock()
        self._heard_at = float("-inf")
        self._dry = True
        self.listen(thresholds)

    def listen(self, thresholds: Iterable[float]) -> list[Transition]:
        """Look for speech over these thresholds from here on, and over no others."""
        wanted = set(thresholds)
        for threshold in wanted - set(self._detectors):
            self._detectors[threshold] = SpeakingDetector(
                self.sample_rate, self.num_channels, threshold
            )
            self._offsets[threshold] = self.level.samples_per_channel
        unwanted = set(self._detectors) - wanted
        for threshold in unwanted:
            self._detectors[threshold].end_run()
        ended = self._take() if unwanted else []
        for threshold in unwanted:
            del self._detectors[threshold], self._offsets[threshold]
        return ended

    def feed(self, samples: Samples, now: float) -> list[Transition]:
        """Take interleaved int16 samples that arrived at ``now``."""
        self.level.process(samples)
        self._heard_at = now
        self._dry = False
        self._clock.arrived(self.level.samples_per_channel / self.sample_rate, now)
        changed = False
        for detector in self._detectors.values():
            changed |= detector.process(samples) > 0
        return self._take() if changed else []

    def expire(self, now: float) -> list[Transition]:
        """End speech on a stream that has run dry."""
        if self._dry or now - self._heard_at < DRY_AFTER_S:
            return []
        return self.stop()

    def stop(self) -> list[Transition]:
        """End speech at its last block: mute, unsubscribe, dry. Feeding may go on afterwards."""
        self._dry = True
        for detector in self._detectors.values():
            detector.end_run()
        ended = self._take()
        self._clock.restart()
        return ended

    def readings(self) -> list[AudioReading]:
        """The running totals, one reading per threshold."""
        heard = self.level.samples_per_channel
        readings = []
        for threshold, detector in self._detectors.items():
            dbov = detector.speech_dbov
            readings.append(
                AudioReading(
                    threshold=threshold,
                    heard_s=heard / self.sample_rate,
                    heard_until=self._clock.at(heard / self.sample_rate),
                    speech_s=detector.speech_samples / self.sample_rate,
                    speech_until=self._at(threshold, detector.last_speech),
                    speech_power=0.0 if dbov is None else 10.0 ** (dbov / 10.0),
                )
            )
        return readings

    def _take(self) -> list[Transition]:
        return [
            Transition(threshold, speaking, self._at(threshold, position))
            for threshold, detector in self._detectors.items()
            for speaking, position in detector.take()
        ]

    def _at(self, threshold: float, position: int) -> float:
        """The time of a detector's position; a detector may be younger than the stream."""
        return self._clock.at((self._offsets[threshold] + position) / self.sample_rate)
