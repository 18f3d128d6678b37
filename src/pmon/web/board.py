"""All rooms as they stand now, for whoever looks: snapshots every few seconds, events in between.

What changed has a number, so that each onlooker gets what is new to them and no more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from pmon.monitor import events as ev
from pmon.monitor.view import RoomView
from pmon.web.rows import Row

GONE = 5000
"""So many ended sessions are remembered for those who look; who is further behind begins anew."""


class Room:
    """One room, without its sessions."""

    def __init__(self, room: str, room_sid: str) -> None:
        self.room = room
        self.room_sid = room_sid
        self.connected = True
        self.rows: dict[str, Row] = {}
        self.gone_s: float | None = 0.0
        """Talk time of those who have no session any more; None if it is not known."""
        self.view: RoomView | None = None
        """The last snapshot."""
        self.version = 0


class Board:
    """``is_adopted`` tells the jobs that the server knows nothing of."""

    def __init__(self, is_adopted: Callable[[str], bool] = lambda job: False) -> None:
        self.is_adopted = is_adopted
        self.rooms: dict[str, Room] = {}
        self.version = 0
        """Rises with each change."""
        self.levels: dict[str, dict[str, float]] = {}
        """Of those who are looked at, by room and identity; not part of any version."""
        self._rows: dict[str, Row] = {}
        self._gone: deque[tuple[int, str, str]] = deque(maxlen=GONE)
        """Version, room and session; a room that is gone is there without a session."""

    # --- what goes in

    def take(self, views: Iterable[RoomView]) -> None:
        """The last snapshots of all media processes, the same objects while there are no newer:
        those of a process that has said nothing since are behind its events.
        """
        listed = {view.room: view for view in views}
        for name, room in list(self.rooms.items()):
            if name not in listed and room.view is not None:
                self._drop_room(room)
        for view in listed.values():
            known = self.rooms.get(view.room)
            if known is None or known.view is not view:
                self._take_room(view)

    def event(self, event: ev.AnyEvent) -> None:
        """One event, in the order in which the supervisor numbers them."""
        row = self._rows.get(event.session)
        if row is None:
            if not isinstance(event, ev.SessionStarted):
                return
            row = Row.of(event)
            room = self._room(event.room, event.room_sid)
            room.rows[event.session] = self._rows[event.session] = row
        if isinstance(event, ev.SessionEnded):
            room = self.rooms[row.room]
            if room.gone_s is not None and not self._others(room, row):
                room.gone_s += event.summary.talk_time_s
            self._drop(room, event.session)
            if not room.rows and room.view is None:
                self._drop_room(room)
            return
        row.event(event)
        self._touch(row)

    def hear(self, levels: Mapping[str, Mapping[str, float]]) -> None:
        """Levels of one media process, in place of those it told of the same rooms before."""
        self.levels |= {room: dict(found) for room, found in levels.items()}

    # --- what comes out

    def row(self, session: str) -> Row | None:
        return self._rows.get(session)

    def rows(self, room: str | None = None) -> list[Row]:
        """Of one room or all."""
        if room is None:
            return list(self._rows.values())
        return list(self.rooms[room].rows.values()) if room in self.rooms else []

    def gone(self, since: int) -> list[tuple[str, str]] | None:
        """Room and session of what ended after that version; None if not all of it is known."""
        if len(self._gone) == GONE and self._gone[0][0] > since:
            return None
        return [(room, session) for version, room, session in self._gone if version > since]

    # --- inside

    def _take_room(self, view: RoomView) -> None:
        room = self._room(view.room, view.room_sid)
        told = {session.session for session in view.sessions}
        for gone in room.rows.keys() - told:
            self._drop(room, gone)
        for session in view.sessions:
            row = room.rows.get(session.session)
            if row is None:
                row = self._rows[session.session] = Row(view.room, session, view.time)
                room.rows[session.session] = row
                self._touch(row)
            elif row.take(session, view.time):
                self._touch(row)
        before = room.connected, room.room_sid, room.gone_s
        room.view, room.connected, room.room_sid = view, view.connected, view.room_sid
        room.gone_s = None
        if view.talk_s is not None:
            room.gone_s = round(max(0.0, view.talk_s - _talk_s(room, view.time)), 1)
        if before != (room.connected, room.room_sid, room.gone_s):
            room.version = self._next()

    def _room(self, name: str, room_sid: str) -> Room:
        room = self.rooms.get(name)
        if room is None:
            room = self.rooms[name] = Room(name, room_sid)
            room.version = self._next()
        return room

    def _others(self, room: Room, row: Row) -> bool:
        """Whether another session watches the same person, whose talk it counts."""
        who = row.view.participant
        return any(r is not row and r.view.participant == who for r in room.rows.values())

    def _touch(self, row: Row) -> None:
        row.version = self._next()

    def _drop(self, room: Room, session: str) -> None:
        del room.rows[session], self._rows[session]
        self._gone.append((self._next(), room.room, session))

    def _drop_room(self, room: Room) -> None:
        for session in list(room.rows):
            self._drop(room, session)
        del self.rooms[room.room]
        self.levels.pop(room.room, None)
        self._gone.append((self._next(), room.room, ""))

    def _next(self) -> int:
        self.version += 1
        return self.version


def talk_by_person(room: Room, now: datetime) -> dict[str, float]:
    """Two sessions of one person hear the same."""
    talk: dict[str, float] = {}
    for row in room.rows.values():
        who = row.view.participant
        talk[who] = max(talk.get(who, 0.0), row.talk_time_s(now))
    return talk


def _talk_s(room: Room, now: datetime) -> float:
    return sum(talk_by_person(room, now).values())
