"""Talk time of one person: the union of the runs of speech on all their microphones."""

from __future__ import annotations

import msgspec

TURN_GAP_S = 0.3
"""A pause under this belongs to the turn; it is no talk time all the same."""


class Turn(msgspec.Struct, frozen=True):
    """A finished run of speech, in monotonic seconds."""

    started_at: float
    ended_at: float

    @property
    def duration_s(self) -> float:
        return self.ended_at - self.started_at


class Talk(msgspec.Struct):
    """Bills each moment once, however many microphones hear it, and never bills backwards.

    Runs are named by what heard them (a track sid), so that a stop ends only its own run.
    """

    since: float
    turns: int = 0
    """Runs that lie less than ``TURN_GAP_S`` apart are one."""
    _billed_until: float = float("-inf")
    _started_at: float = float("-inf")
    _latest_end: float = float("-inf")
    _open: set[str] = set()
    _talk_time_s: float = 0.0
    _goes_on: bool = False
    """The open run belongs to the turn before."""

    @property
    def speaking(self) -> bool:
        return bool(self._open)

    @property
    def sources(self) -> frozenset[str]:
        """What hears speech at present."""
        return frozenset(self._open)

    def start(self, source: str, at: float) -> float | None:
        """A run began on ``source``. Returns when the turn began, if that is news."""
        # An onset is dated back, so it may lie before the end of the turn before or the session,
        # and before the onset that another microphone told first.
        began_at = max(at, self._billed_until, self.since)
        is_news = not self._open or began_at < self._started_at
        if not self._open:
            self._latest_end = began_at
        self._open.add(source)
        if not is_news:
            return None
        self._started_at = began_at
        self._goes_on = began_at - self._billed_until < TURN_GAP_S
        return began_at

    def stop(self, source: str, at: float) -> Turn | None:
        """The run on ``source`` ended. Returns the turn, if it ended with it."""
        if source not in self._open:
            return None
        self._open.discard(source)
        self._latest_end = max(self._latest_end, at)
        if self._open:
            return None
        turn = Turn(self._started_at, self._latest_end)
        self._billed_until = turn.ended_at
        self._talk_time_s += turn.duration_s
        if not self._goes_on:
            self.turns += 1
        return turn

    def talk_time_s(self, now: float | None = None) -> float:
        """Seconds of speech so far; with ``now``, those of the open turn included."""
        if not self._open or now is None:
            return self._talk_time_s
        return self._talk_time_s + max(0.0, now - self._started_at)
