"""The meters of one audio track, shared by everyone who watches it.

Samples go in with the time they arrived at; readings and transitions come out, in monotonic
seconds. Positions in the audio are reckoned in samples, so talk time is exact to the block. The
meters themselves are compiled: see ``pmon._tap``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from pmon._tap import MOST_THRESHOLDS, Meters
from pmon.monitor.inputs import AudioReading, MicReading

if TYPE_CHECKING:
    from pmon._dsp import Samples

DRY_AFTER_S = 0.5
"""Without samples for so long, speech has ended, whatever the detector would still wait for."""

QUIET_DBOV = -50.0
"""A noise floor under which the server, that calls -35 dBov speech, means a voice."""


class Transition(NamedTuple):
    """Speech began or ended at ``at``, for those who listen with ``threshold``."""

    threshold: float
    speaking: bool
    at: float


class TrackMeters:
    """A microphone's level and health, and a speaking detector for each distinct threshold."""

    def __init__(self, sample_rate: int, num_channels: int, thresholds: Iterable[float]) -> None:
        self.meters = Meters(sample_rate, num_channels)
        """What a native feeder feeds."""
        self.listen(thresholds)

    def listen(self, thresholds: Iterable[float]) -> list[Transition]:
        """Look for speech over these thresholds from here on, and over no others.

        More than 64 on one track are nothing but a mistake; the least ones are kept.
        """
        wanted = sorted(set(thresholds))[:MOST_THRESHOLDS]
        return [Transition(*t) for t in self.meters.listen(wanted)]

    def feed(self, samples: Samples, now: float) -> list[Transition]:
        """Take interleaved int16 samples that arrived at ``now``."""
        return [Transition(*t) for t in self.meters.feed(samples, now)]

    def take(self) -> list[Transition]:
        """What a native feeder has found."""
        return [Transition(*t) for t in self.meters.take()]

    def expect(self) -> None:
        """The server says that they speak: believe it of what is heard next, unless the noise that
        was heard last time is what the server may take for a voice.
        """
        floor = self.meters.floor_dbov
        if floor is None or floor < QUIET_DBOV:
            self.meters.expect()

    def expire(self, now: float) -> list[Transition]:
        """End speech on a stream that has run dry."""
        return [Transition(*t) for t in self.meters.stop(now - DRY_AFTER_S)]

    def stop(self) -> list[Transition]:
        """End speech at its last block: mute, unsubscribe, dry. Feeding may go on afterwards."""
        return [Transition(*t) for t in self.meters.stop()]

    def readings(self) -> list[AudioReading]:
        """The running totals, one reading per threshold."""
        return [
            AudioReading(
                threshold=threshold,
                heard_s=heard_s,
                heard_until=heard_until,
                speech_s=speech_s,
                speech_until=speech_until,
                speech_power=speech_power,
            )
            for (
                threshold,
                heard_s,
                heard_until,
                speech_s,
                speech_until,
                speech_power,
            ) in self.meters.readings()
        ]

    def microphone(self) -> MicReading:
        """The running totals of the microphone's health, one for all thresholds."""
        (
            heard_s,
            heard_until,
            energy,
            active_s,
            rail_s,
            silent_s,
            floor_dbov,
            loudest_dbov,
            dc,
        ) = self.meters.microphone()
        return MicReading(
            heard_s=heard_s,
            heard_until=heard_until,
            energy=energy,
            active_s=active_s,
            rail_s=rail_s,
            silent_s=silent_s,
            floor_dbov=floor_dbov,
            loudest_dbov=loudest_dbov,
            dc=dc,
        )
