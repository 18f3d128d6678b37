"""When a room's notices are sent, and to whom."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from pmon.metadata import NotificationPreferences, Recipients
from pmon.monitor import events as ev
from pmon.outputs.notices import shapes
from pmon.outputs.notices.facts import (
    Fact,
    Value,
    alert_of,
    changes_of,
    name_of,
    unknown_now,
    value,
)
from pmon.outputs.notices.newcomers import Newcomers
from pmon.outputs.notices.subjects import Session, Subject

TOPIC = "pmon"
SENDS = 2
"""Packets a room gets within ``PER_S`` at most."""
PER_S = 1.0
WELCOME = (
    "Your speaking time, connection quality and video state are being measured. "
    "The monitor stores no audio and no video."
)


class Packet(msgspec.Struct, frozen=True):
    """One data packet to send. There is always somebody to send it to: an empty list of
    destinations would mean the whole room to LiveKit."""

    topic: str
    payload: bytes
    destination_identities: list[str]


class Notices:
    """Plans the notices of one room.

    Tell it of sessions, of who can receive data, and of events. Take packets with ``due``, each
    once the one before it was ``sent``.
    """

    def __init__(
        self, enabled: bool, is_monitored: Callable[[str], bool] = lambda identity: True
    ) -> None:
        """``is_monitored`` tells who has not opted out: nobody else is told that they are."""
        self._enabled = enabled
        self._is_monitored = is_monitored
        self._subjects: dict[str, Subject] = {}
        self._of_session: dict[str, Subject] = {}
        self._active: dict[str, bool] = {}
        """Who can receive data, and whether they are an agent."""
        self._welcomes: dict[str, float] = {}
        self._newcomers = Newcomers(self._subjects, is_monitored)
        self._changes: dict[tuple[str, str], Fact] = {}
        """What waits to be said, the oldest first, by identity and ``name_of``."""
        self._newest_at = 0.0
        """UTC seconds of the newest event."""
        self._sent_at: deque[float] = deque(maxlen=SENDS)
        self._turns = deque((self._next_welcome, self._next_snapshot, self._next_change))

    def session(
        self,
        session_id: str,
        identity: str,
        preferences: NotificationPreferences,
        *,
        welcomed: bool = False,
    ) -> None:
        """A session began, or goes on with the preferences of another job; ``welcomed`` if another
        process has said so of it.
        """
        if not self._enabled:
            return
        subject = self._subjects.setdefault(identity, Subject(identity))
        self._of_session[session_id] = subject
        session = subject.sessions.setdefault(
            session_id, Session(session_id, preferences, welcomed)
        )
        session.preferences = preferences

    def resume(self, session_id: str, told: Iterable[shapes.Change]) -> None:
        """A process before this one has said so of a session."""
        subject = self._of_session.get(session_id)
        if subject is None:
            return
        for change in told:
            fact = self._fact(subject, change, None)
            fact.known, fact.told = value(change), change
            if isinstance(change, shapes.Issue):
                fact.sessions.add(session_id)

    def joined(self, identity: str, is_agent: bool, now: float) -> None:
        """Somebody in the room can receive data from ``now`` on."""
        if identity not in self._active and not is_agent:
            self._newcomers.joined(identity)
        self._active[identity] = is_agent
        self._ask_for_welcome(identity)

    def left(self, identity: str) -> None:
        """Somebody left, or cannot be reached for now."""
        self._active.pop(identity, None)
        self._welcomes.pop(identity, None)
        self._newcomers.left(identity)

    def event(self, event: ev.AnyEvent, now: float) -> None:
        """An event of one of the sessions; others' are ignored."""
        subject = self._of_session.get(event.session)
        if subject is None:
            return
        session = subject.sessions[event.session]
        self._newest_at = max(self._newest_at, event.time.timestamp())
        if isinstance(event, ev.ParticipantConnected):
            session.connected_at = event.time.timestamp()
            subject.present = True
        self._ask_for_welcome(subject.identity)  # whoever opts in again shows by any event
        for change, before in changes_of(event):
            self._change(subject, session, change, before)
        unknown = unknown_now(event)
        if unknown is not None:
            self._forget_waiting(subject, unknown)
        if isinstance(event, ev.ParticipantDisconnected):
            subject.left()
        if isinstance(event, ev.SessionEnded):
            self._end(event, subject, session)

    def due(self, now: float) -> Packet | None:
        """The packet to send now. Whatever it says is known from here on."""
        return self._next_packet() if self.free_at <= now else None

    def sent(self, now: float) -> None:
        """It is out by now: however long that took, the next are counted from here."""
        self._sent_at.append(now)

    @property
    def free_at(self) -> float:
        """Before this nothing is due."""
        return self._sent_at[0] + PER_S if len(self._sent_at) == SENDS else float("-inf")

    # --- what to say

    def _ask_for_welcome(self, identity: str) -> None:
        subject = self._subjects.get(identity)
        if subject is None or identity not in self._active or not self._is_monitored(identity):
            return
        for session in subject.sessions.values():
            if session.connected_at is not None and not session.welcomed:
                self._welcomes.setdefault(identity, session.connected_at)

    def _change(
        self, subject: Subject, session: Session, change: shapes.Change, before: Value
    ) -> None:
        if session.preferences.recipients_of(alert_of(change)) == "none":
            return
        fact = self._fact(subject, change, before)
        fact.take(change, session.id)
        key = (subject.identity, name_of(change))
        if fact.waiting is None:
            self._changes.pop(key, None)
            if fact.over:
                del subject.facts[name_of(change)]
            return
        fact.recipients = subject.recipients_of(fact.alert)
        self._changes.setdefault(key, fact)  # a newer one keeps the place of the older

    def _fact(self, subject: Subject, change: shapes.Change, before: Value) -> Fact:
        """The fact that changes; what still waits of an earlier monitoring is the same one."""
        name = name_of(change)
        fact = subject.facts.get(name) or self._changes.get((subject.identity, name))
        if fact is None:
            fact = Fact(alert_of(change), before)
        subject.facts[name] = fact
        return fact

    def _forget_waiting(self, subject: Subject, name: str) -> None:
        """Unknown is no verdict: nothing is said, and what waits is not true any more."""
        fact = self._changes.pop((subject.identity, name), None)
        if fact is not None:
            fact.waiting = None
            if fact.over:
                subject.facts.pop(name, None)

    def _end(self, event: ev.SessionEnded, subject: Subject, session: Session) -> None:
        if len(subject.sessions) == 1:
            # Nobody will say any more that a turn is over. Changes that wait are still told.
            silent = shapes.SpeakingDetection(
                participant=subject.identity, timestamp=event.time.timestamp(), speaking=False
            )
            self._change(subject, session, silent, False)
        del self._of_session[session.id], subject.sessions[session.id]
        for fact in subject.facts.values():
            fact.sessions.discard(session.id)
        subject.facts.pop("talk_time", None)  # another session has counted from another time
        if not subject.sessions:
            del self._subjects[subject.identity]
            self._welcomes.pop(subject.identity, None)

    # --- when to say it, and to whom

    def _next_packet(self) -> Packet | None:
        """Of each kind in turn, so that none waits for ever."""
        for _ in range(len(self._turns)):
            self._turns.rotate(-1)
            packet = self._turns[-1]()
            if packet is not None:
                return packet
        return None

    def _next_welcome(self) -> Packet | None:
        while self._welcomes:
            identity, timestamp = next(iter(self._welcomes.items()))
            del self._welcomes[identity]
            subject = self._subjects[identity]
            if not self._is_monitored(identity):
                continue
            recipients: set[Recipients] = set()
            for session in subject.sessions.values():
                if session.connected_at is not None and not session.welcomed:
                    session.welcomed = True
                    recipients.add(session.preferences.recipients_of("welcome"))
            destinations = self._resolve(recipients, identity) - subject.welcomed
            subject.welcomed |= destinations
            welcome = shapes.Welcome(participant=identity, message=WELCOME, timestamp=timestamp)
            if destinations:
                return _packet(welcome, destinations)
        return None

    def _next_snapshot(self) -> Packet | None:
        found = self._newcomers.next(self._people(), self._newest_at)
        return None if found is None else _packet(*found)

    def _next_change(self) -> Packet | None:
        while self._changes:
            identity, name = key = next(iter(self._changes))
            fact = self._changes.pop(key)
            destinations = self._resolve(fact.recipients, identity)
            change = fact.say()
            subject = self._subjects.get(identity)
            if subject is not None and fact.over:
                subject.facts.pop(name, None)
            if destinations:
                return _packet(change, destinations)
        return None

    def _people(self) -> set[str]:
        """Who can receive data and is no agent."""
        return {name for name, is_agent in self._active.items() if not is_agent}

    def _resolve(self, recipients: set[Recipients], identity: str) -> set[str]:
        """The identities behind the words."""
        people = self._people()
        found: set[str] = set()
        if recipients & {"others", "all"}:
            found |= people - {identity}
        if recipients & {"participant", "all"}:
            found |= people & {identity}
        return found


def _packet(notice: shapes.AnyNotice, destinations: set[str]) -> Packet:
    return Packet(TOPIC, msgspec.json.encode(notice), sorted(destinations))
