"""In-room notices: which data packets a room's participants get, and when. Sans-IO."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from pmon.metadata import Alert, NotificationPreferences, Recipients
from pmon.monitor import events as ev

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


@dataclass(eq=False)
class _Session:
    identity: str
    preferences: NotificationPreferences
    welcomed: bool = False
    connected_at: float | None = None
    """UTC seconds at which the session saw its participant in the room."""


@dataclass
class _Change:
    """A state that waits to be told; ``previous`` is the one that was told before."""

    state: str | bool
    previous: str | bool
    timestamp: float
    recipients: set[Recipients] = field(default_factory=set)


_Key = tuple[Alert, str]


class Notices:
    """Plans the notices of one room.

    Tell it of sessions, of who can receive data, and of events; take packets with ``due``.
    While a change waits for its turn, a newer one of the same kind and participant replaces it,
    and one that leads back to what was told last cancels it.
    """

    def __init__(
        self, enabled: bool, is_monitored: Callable[[str], bool] = lambda identity: True
    ) -> None:
        """``is_monitored`` tells who has not opted out: nobody else is told that they are."""
        self._enabled = enabled
        self._is_monitored = is_monitored
        self._sessions: dict[str, _Session] = {}
        self._by_identity: dict[str, list[_Session]] = {}
        self._active: dict[str, bool] = {}
        """Who can receive data, and whether they are an agent."""
        self._welcomes: dict[str, float] = {}
        self._welcomed: dict[str, set[str]] = {}
        """Who was told that an identity is watched, as long as it is."""
        self._told: dict[_Key, str | bool] = {}
        """The last state of an identity that was told or waits to be."""
        self._changes: dict[_Key, _Change] = {}
        self._sent_at: deque[float] = deque(maxlen=SENDS)
        self._welcome_next = True

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
        session = self._sessions.get(session_id)
        if session is None:
            session = self._sessions[session_id] = _Session(identity, preferences, welcomed)
            self._by_identity.setdefault(identity, []).append(session)
        session.preferences = preferences

    def resume(self, identity: str) -> None:
        """A process before this one has told that somebody speaks."""
        if self._enabled:
            self._told["speaking_alerts", identity] = True

    def joined(self, identity: str, is_agent: bool, now: float) -> None:
        """Somebody in the room can receive data from ``now`` on."""
        self._active[identity] = is_agent
        self._ask_for_welcome(identity)

    def left(self, identity: str) -> None:
        """Somebody left, or cannot be reached for now."""
        self._active.pop(identity, None)
        self._welcomes.pop(identity, None)

    def event(self, event: ev.AnyEvent, now: float) -> None:
        """An event of one of the sessions; others' are ignored."""
        session = self._sessions.get(event.session)
        if session is None:
            return
        if isinstance(event, ev.ParticipantConnected):
            session.connected_at = event.time.timestamp()
        self._ask_for_welcome(session.identity)  # whoever opts in again shows by any event
        match event:
            case ev.SpeakingStarted():
                self._change("speaking_alerts", session, True, False, event)
            case ev.SpeakingStopped():
                self._change("speaking_alerts", session, False, False, event)
            case ev.ConnectionQuality(to="unknown"):
                self._forget_quality(session.identity)
            case ev.ConnectionQuality():
                self._change("quality_alerts", session, event.to, event.from_, event)
            case ev.SessionEnded():
                self._end(event, session)

    def due(self, now: float) -> list[Packet]:
        """The packets to send now; they count as sent."""
        packets: list[Packet] = []
        while (self._welcomes or self._changes) and self._free_at() <= now:
            packet = self._next_packet()
            if packet is not None:
                packets.append(packet)
                self._sent_at.append(now)
        return packets

    # --- inside

    def _free_at(self) -> float:
        return self._sent_at[0] + PER_S if len(self._sent_at) == SENDS else float("-inf")

    def _of(self, identity: str) -> list[_Session]:
        return self._by_identity.get(identity, [])

    def _ask_for_welcome(self, identity: str) -> None:
        if identity not in self._active or not self._is_monitored(identity):
            return
        for session in self._of(identity):
            if session.connected_at is not None and not session.welcomed:
                self._welcomes.setdefault(identity, session.connected_at)

    def _change(
        self,
        alert: Alert,
        session: _Session,
        state: str | bool,
        previous: str | bool,
        event: ev.AnyEvent,
    ) -> None:
        if session.preferences.recipients_of(alert) == "none":
            return
        key = (alert, session.identity)
        previous = self._told.get(key, previous)
        if state == previous:  # another session of the same identity said so before
            return
        self._told[key] = state
        waiting = self._changes.pop(key, None)
        if waiting is not None and state == waiting.previous:
            return
        self._changes[key] = _Change(
            state,
            previous if waiting is None else waiting.previous,
            event.time.timestamp(),
            {s.preferences.recipients_of(alert) for s in self._of(session.identity)},
        )

    def _forget_quality(self, identity: str) -> None:
        """Unknown is no verdict: nothing is said, and what waits is not true any more."""
        key: _Key = ("quality_alerts", identity)
        waiting = self._changes.pop(key, None)
        if waiting is not None:
            self._told[key] = waiting.previous

    def _end(self, event: ev.SessionEnded, session: _Session) -> None:
        identity = session.identity
        if self._of(identity) == [session]:
            # Nobody will say any more that a turn is over. Changes that wait are still told.
            self._change("speaking_alerts", session, False, False, event)
        del self._sessions[event.session]
        self._by_identity[identity].remove(session)
        if not self._of(identity):
            del self._by_identity[identity]
            self._welcomes.pop(identity, None)
            self._welcomed.pop(identity, None)
            self._told.pop(("speaking_alerts", identity), None)
            self._told.pop(("quality_alerts", identity), None)

    def _next_packet(self) -> Packet | None:
        """The oldest welcome and the oldest change in turn, so that neither waits for ever."""
        welcome = bool(self._welcomes) and (self._welcome_next or not self._changes)
        self._welcome_next = not welcome
        return self._next_welcome() if welcome else self._next_change()

    def _next_welcome(self) -> Packet | None:
        identity, timestamp = next(iter(self._welcomes.items()))
        del self._welcomes[identity]
        if not self._is_monitored(identity):
            return None
        recipients: set[Recipients] = set()
        for session in self._of(identity):
            if session.connected_at is not None and not session.welcomed:
                session.welcomed = True
                recipients.add(session.preferences.recipients_of("welcome"))
        told = self._welcomed.setdefault(identity, set())
        destinations = self._resolve(recipients, identity) - told
        told |= destinations
        message = {
            "type": "participant_monitoring",
            "action": "welcome",
            "participant": identity,
            "message": WELCOME,
            "timestamp": timestamp,
        }
        return _packet(message, destinations)

    def _next_change(self) -> Packet | None:
        key = next(iter(self._changes))
        change = self._changes.pop(key)
        alert, identity = key
        message: dict[str, object] = {"participant": identity, "timestamp": change.timestamp}
        if alert == "speaking_alerts":
            message = {"type": "speaking_detection", **message, "speaking": change.state}
        else:
            message = {
                "type": "connection_quality",
                **message,
                "quality": change.state,
                "previous": change.previous,
            }
        return _packet(message, self._resolve(change.recipients, identity))

    def _resolve(self, recipients: set[Recipients], identity: str) -> set[str]:
        """Identities behind the words, of those who can receive data and are no agents."""
        people = {name for name, is_agent in self._active.items() if not is_agent}
        found: set[str] = set()
        if recipients & {"others", "all"}:
            found |= people - {identity}
        if recipients & {"participant", "all"}:
            found |= people & {identity}
        return found


def _packet(message: dict[str, object], destinations: set[str]) -> Packet | None:
    if not destinations:
        return None
    return Packet(TOPIC, msgspec.json.encode(message), sorted(destinations))
