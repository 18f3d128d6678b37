"""Who is watched in a room, for which sessions, and what the room knows of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

from pmon.metadata import Alert, NotificationPreferences, Recipients
from pmon.outputs.notices import shapes
from pmon.outputs.notices.facts import Fact

ALERTS: tuple[Alert, ...] = tuple(set(get_args(Alert)) - {"welcome"})
OTHERS: set[Recipients] = {"others", "all"}


@dataclass(eq=False)
class Session:
    id: str
    preferences: NotificationPreferences
    welcomed: bool = False
    connected_at: float | None = None
    """UTC seconds at which the session saw its participant in the room."""


@dataclass(eq=False)
class Subject:
    """Somebody who is watched."""

    identity: str
    sessions: dict[str, Session] = field(default_factory=dict)
    facts: dict[str, Fact] = field(default_factory=dict)
    """By ``name_of`` what changes."""
    welcomed: set[str] = field(default_factory=set)
    """Who was told that they are watched."""
    present: bool = True
    """As far as the monitor believes: while its connection is away, they are not."""

    def recipients_of(self, alert: Alert) -> set[Recipients]:
        return {s.preferences.recipients_of(alert) for s in self.sessions.values()}

    @property
    def for_others(self) -> bool:
        """Whether anything of them is for others at all."""
        return any(self.recipients_of(alert) & OTHERS for alert in ALERTS)

    def left(self) -> None:
        """When they come back, all that is so of them is news again."""
        self.present = False
        self.facts.pop("connection_quality", None)
        for fact in self.facts.values():
            fact.forgotten = True

    def told_others(self) -> list[shapes.Change]:
        """What has been said of them to others, and stands."""
        return [
            fact.told
            for fact in self.facts.values()
            if fact.told is not None and self.recipients_of(fact.alert) & OTHERS
        ]
