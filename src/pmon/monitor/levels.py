"""The server's verdicts on links, each told with what is known of its cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pmon.monitor.account import is_low
from pmon.monitor.events import QualityLevel
from pmon.monitor.inputs import LinkReading
from pmon.monitor.participant import Participant
from pmon.monitor.path import Paths
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
            self._tell(participant, now, now)

    def received(
        self, readings: Mapping[str, dict[str, LinkReading]], rtt_s: float | None, now: float
    ) -> None:
        """What all receivers count, by identity and track sid."""
        receptions = self.paths.read(readings, rtt_s, now)
        for identity in readings:
            participant = self._participants[identity]
            for session in self._watching(participant):
                session.received(receptions.get(identity, NOTHING))
            at = self._fell.get(identity)
            if at is not None:
                self._tell(participant, at, now, fell=True)
            elif is_low(participant.quality):
                participant.account = self.paths.account(participant)

    def tick(self, now: float) -> None:
        """What has waited long enough is told as it is."""
        for identity, at in list(self._fell.items()):
            participant = self._participants.get(identity)
            if participant is None:  # who left meanwhile, and is waited for by nobody
                del self._fell[identity]
            elif now - at >= ASK_S:
                self._tell(participant, at, now)

    def suspend(self) -> None:
        """The connection is lost, and with it what was heard."""
        self._fell.clear()
        self.paths.forget()

    def _tell(self, participant: Participant, at: float, now: float, *, fell: bool = False) -> None:
        self._fell.pop(participant.identity, None)
        participant.account = self.paths.account(participant, fell=fell)
        for session in self._watching(participant):
            session.quality(participant.quality, at, "server")
            session.judge(now)
