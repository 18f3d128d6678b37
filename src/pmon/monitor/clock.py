"""From the monotonic clock that the monitor reckons in to the UTC that its events show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class UtcAnchor:
    """One pair of readings of the two clocks; the shell renews it when the wall clock steps.

    Only timestamps follow the wall clock. Durations never do: they are differences of monotonic
    seconds, so a stepped clock cannot make a turn negative or a session a day long.
    """

    def __init__(self, monotonic: float, utc: datetime) -> None:
        self.renew(monotonic, utc)

    def renew(self, monotonic: float, utc: datetime) -> None:
        """Take a new pair of readings: seconds of ``time.monotonic`` and an aware datetime."""
        self._monotonic = monotonic
        self._utc = utc.astimezone(UTC)

    @property
    def readings(self) -> tuple[float, datetime]:
        """The pair that holds now."""
        return self._monotonic, self._utc

    def at(self, monotonic: float) -> datetime:
        """The UTC time of a monotonic reading."""
        return self._utc + timedelta(seconds=monotonic - self._monotonic)
