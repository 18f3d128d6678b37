"""What was heard of a microphone in one stretch of time."""

from __future__ import annotations

import math

import msgspec

from pmon._dsp import active_level
from pmon.monitor.inputs import MicReading

THRESHOLDS = 15


class Stretch(msgspec.Struct):
    """Sums over a stretch of time; those of two stretches add up."""

    heard_s: float = 0.0
    energy: float = 0.0
    active_s: tuple[float, ...] = (0.0,) * THRESHOLDS
    rail_s: float = 0.0
    silent_s: float = 0.0
    speech_s: float = 0.0
    """Speech as the session's detector found it, and the energy of that."""
    speech_energy: float = 0.0
    since: float | None = None
    """When it begins; None while it is empty."""

    @classmethod
    def between(cls, before: MicReading | None, after: MicReading) -> Stretch:
        """What was heard between two readings; ``before`` is None if nothing was known."""
        if before is None or before.heard_s > after.heard_s:  # another meter, from its start
            before = NOTHING
        heard_s = after.heard_s - before.heard_s
        return cls(
            heard_s=heard_s,
            energy=after.energy - before.energy,
            active_s=tuple([b - a for a, b in zip(before.active_s, after.active_s, strict=True)]),
            rail_s=after.rail_s - before.rail_s,
            silent_s=after.silent_s - before.silent_s,
            since=after.heard_until - heard_s,
        )

    def add(self, other: Stretch) -> None:
        """Go on with what was heard next."""
        self.heard_s += other.heard_s
        self.energy += other.energy
        self.active_s = tuple([a + b for a, b in zip(self.active_s, other.active_s, strict=True)])
        self.rail_s += other.rail_s
        self.silent_s += other.silent_s
        self.speech_s += other.speech_s
        self.speech_energy += other.speech_energy
        if self.since is None:
            self.since = other.since

    @property
    def active(self) -> tuple[float, float] | None:
        """Active speech level in dBov (ITU-T P.56), and how many seconds are active."""
        return active_level(self.energy, self.active_s)

    @property
    def speech_dbov(self) -> float | None:
        """The level of the speech in it, in dBov; None without any.

        Noise between the words that is less than 16 dB under them makes the level of P.56 a mean
        of both. The detector's is free of that, so the higher of the two is nearer the truth.
        """
        active = self.active
        if active is None or self.speech_s <= 0 or self.speech_energy <= 0:
            return None
        return max(active[0], 10 * math.log10(self.speech_energy / self.speech_s))

    @property
    def clipped_ratio(self) -> float | None:
        """The share of its active part that is in the last decibel under full scale; None if
        nothing is active.
        """
        active = self.active
        return None if active is None else self.rail_s / active[1]


NOTHING = MicReading(
    heard_s=0.0,
    heard_until=0.0,
    energy=0.0,
    active_s=(0.0,) * THRESHOLDS,
    rail_s=0.0,
    silent_s=0.0,
    floor_dbov=None,
    loudest_dbov=None,
    dc=0.0,
)
