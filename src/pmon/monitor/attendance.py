"""Who of those in the room is listened to: what a conversation has to know about its hearers."""

from __future__ import annotations

from collections.abc import Iterable

from pmon.monitor.conversation import LATE_S
from pmon.monitor.coverage import DEPENDENT
from pmon.monitor.participant import Participant
from pmon.monitor.sessions import Sessions

UNHEARD_S = 10.0
"""Who is not listened to for so long makes figures partial; a job takes some seconds to come."""


class Attendance:
    """Looks around in the room at every tick, and has the conversation settle what is past."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._listening = False
        self._unheard: dict[str, float] = {}
        """Who might speak unheard, and since when."""

    def tick(self, participants: Iterable[Participant], connected: bool, now: float) -> None:
        """Look who is there, unless the connection is down.

        A process that is to take the room over joins it some seconds before it gets the jobs: as
        long as it watches nobody, nobody goes unheard.
        """
        if connected and self._sessions.any():
            self._look(participants, now)
        elif connected:
            self.pause(now)
        self._sessions.settle(now - LATE_S)

    def pause(self, now: float) -> None:
        """The connection is down, or nobody is watched: what is not known is no silence."""
        self._unheard.clear()
        self._listen(False, now)

    def _look(self, participants: Iterable[Participant], now: float) -> None:
        unheard, listening = {}, False
        for participant in participants:
            if not participant.present or participant.left_at is not None:
                continue
            if self._sessions.listened_to(participant):
                listening = listening or participant.in_call
            elif participant.kind not in DEPENDENT and participant.may_speak:
                since = unheard[participant.identity] = self._unheard.get(participant.identity, now)
                if now - since >= UNHEARD_S:
                    self._sessions.conversation.partial(now)
        self._unheard = unheard
        self._listen(listening, now)

    def _listen(self, listening: bool, now: float) -> None:
        if listening != self._listening:
            self._listening = listening
            self._sessions.conversation.listening(listening, now)
