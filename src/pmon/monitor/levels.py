"""The server's verdicts on links, each told with what is known of its cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pmon.monitor.account import NO_ACCOUNT, is_low
from pmon.monitor.events import QualityLevel
from pmon.monitor.inputs import LinkReading
from pmon.monitor.participant import Participant
from pmon.monitor.path import DOUBT_S, Paths
from pmon.monitor.quality import is_worse
from pmon.monitor.reception import NOTHING
from pmon.monitor.session import Session

ASK_S = 2.0
"""A level that fell waits so long for a look at what is heard."""


class Levels:
    """Brings the server's levels to the sessions that watch, given by ``watching``.

    One that fell waits until what is heard has been looked at: the server may tell of a loss that
    began after the last look.
    """

    def __init__(
        self,
        participants: Mapping[str, Participant],
        watching: Callable[[Participant], list[Session]],
    ) -> None:
        self.paths = Paths(participants)
        self.blind = False
        """What the last ``look`` found."""
        self._participants = participants
        self._watching = watching
        self._fell: dict[str, float] = {}
        """Whose level fell, and when, that has not been told yet."""

    @property
    def waiting(self) -> bool:
        """Whether a level waits for a look."""
        return bool(self._fell)

    def told(self, participant: Participant, level: QualityLevel, now: float) -> None:
        """The server's word."""
        fell = is_worse(level, than=participant.quality)
        participant.quality = level
        if fell and self.paths.hears(participant.identity):
            self._fell[participant.identity] = now
        else:
            self._tell(participant, now, now, fell=fell)

    def received(
        self, readings: Mapping[str, dict[str, LinkReading]], rtt_s: float | None, now: float
    ) -> None:
        """What all receivers count, by identity and track sid."""
        receptions = self.paths.read(readings, rtt_s, now)
        self.look(now)
        doubted = self.paths.doubted(now)
        for participant in self._participants.values():
            for session in self._watching(participant):
                session.doubted = doubted
        for identity in readings:
            participant = self._participants[identity]
            for session in self._watching(participant):
                session.received(receptions.get(identity, NOTHING))
        for participant in self._participants.values():
            at = self._fell.get(participant.identity)
            if at is not None:
                # Of one who is not heard any more no other look will tell.
                looked = participant.identity in readings
                self._tell(participant, at, now, fell=True, looked=looked)
            elif is_low(participant.quality):
                participant.account = self.paths.account(participant)

    def look(self, now: float) -> bool:
        """Whether pictures may not come for a reason of our own. As that begins, nobody is seen."""
        was_blind, self.blind = self.blind, self.paths.blind or self.paths.dark(now)
        if self.blind and not was_blind:
            for participant in self._participants.values():
                for session in self._watching(participant):
                    session.lose_sight(now, now - DOUBT_S)
        return self.blind

    def tick(self, now: float) -> None:
        """What has waited long enough is told as it is."""
        for identity, at in list(self._fell.items()):
            if now - at >= ASK_S:
                self.flush(self._participants[identity], now)

    def flush(self, participant: Participant, now: float) -> None:
        """A fall of theirs that waits is told as it is."""
        at = self._fell.get(participant.identity)
        if at is not None:
            self._tell(participant, at, now, fell=True)

    def forget(self, participant: Participant) -> None:
        """Nothing is received of them any more, and the server says nothing more of their link."""
        self._fell.pop(participant.identity, None)
        self.paths.left(participant.identity)
        participant.quality = "unknown"
        participant.account = NO_ACCOUNT

    def suspend(self) -> None:
        """The connection is lost, and with it what was heard."""
        self._fell.clear()
        self.blind = False
        self.paths.forget()
        for participant in self._participants.values():
            participant.account = NO_ACCOUNT

    def _tell(
        self,
        participant: Participant,
        at: float,
        now: float,
        *,
        fell: bool = False,
        looked: bool = False,
    ) -> None:
        """Tell of a level since ``at``; ``looked`` if it fell and was looked at since."""
        self._fell.pop(participant.identity, None)
        if fell:  # what explained the level before does not explain this one
            participant.account = NO_ACCOUNT
        participant.account = self.paths.account(participant, fell=looked)
        for session in self._watching(participant):
            session.quality(participant.quality, at, "server")
            session.judge(now)
