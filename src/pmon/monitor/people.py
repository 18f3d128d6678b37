"""The people of all rooms as they are now: each once, however many sessions watch them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pmon.monitor.events import IssueKind, ParticipantKind, QualityLevel
from pmon.monitor.quality import is_worse
from pmon.monitor.view import RoomView, SessionView


@dataclass
class Person:
    """Somebody who is in their room, as any of their sessions has them."""

    kind: ParticipantKind
    speaking: bool = False
    poor: bool = False
    """Whether the quality is under a session's threshold."""
    quality: QualityLevel = "unknown"
    issues: set[IssueKind] = field(default_factory=set)

    def add(self, session: SessionView) -> None:
        self.speaking |= session.speaking
        self.poor |= session.poor
        if self.quality == "unknown" or is_worse(session.quality, than=self.quality):
            self.quality = session.quality
        self.issues.update(issue.issue for issue in session.issues)


def people(rooms: Iterable[RoomView]) -> list[Person]:
    """Everybody who is watched and present."""
    found: dict[tuple[str, str], Person] = {}
    for room in rooms:
        for session in room.sessions:
            if session.present:
                key = room.room, session.participant
                found.setdefault(key, Person(session.participant_kind)).add(session)
    return list(found.values())
