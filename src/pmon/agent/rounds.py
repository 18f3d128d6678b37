"""When to look at which room, and when whom nobody watches is adopted. Times are monotonic."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from pmon.agent.reconcile import Attendee, Judgement, Key, ListedDispatch

ROUND_S = 5.0
SOON_S = 1.0
"""Until the next round while there is something left to do."""
GRACE_S = 5.0
"""A job is on its way for up to 5 s, so who seems unwatched is adopted after so long."""
RARELY_S = 30.0
"""Between two looks at a room in which all is well."""
ELSEWHERE_S = 60.0
"""Between two looks at a room without a dispatch for us."""
LOOKS_A_ROUND = 50
"""Each is two requests: many rooms take several rounds."""
ADOPTIONS_A_ROUND = 50
"""What they cost shows in the load a moment later."""


class RoomCount(msgspec.Struct, frozen=True):
    """A room of the server's list."""

    name: str
    sid: str
    participants: int


class _Known(msgspec.Struct):
    sid: str
    counts: tuple[int, int] = (-1, -1)
    due: float = 0.0
    ours: bool = True
    """It has a dispatch for us, as far as is known."""
    since: dict[Key, float] = {}
    """When somebody was first seen unwatched, whoever is to adopt them."""
    unwatched: set[Key] = set()
    """Whom we are to adopt and have not."""


class Rounds:
    """What is known of the server's rooms. Each round: ``rooms``, and for each ``looked``."""

    def __init__(self) -> None:
        self._rooms: dict[str, _Known] = {}
        self._unwelcome: dict[str, None] = {}
        self._left = ADOPTIONS_A_ROUND
        self.pressing = False
        """There is something left to do, so the next round is to be soon."""

    @property
    def unwatched(self) -> int:
        """How many people nobody watches who should be, as the last looks found."""
        return sum(
            len({key.participant for key in room.unwatched}) for room in self._rooms.values()
        )

    def rooms(
        self, listed: Iterable[RoomCount], watched: Mapping[str, int], now: float
    ) -> list[str]:
        """Begin a round: the rooms to look at, given how many each has and we watch of them."""
        self._left, self.pressing = ADOPTIONS_A_ROUND, False
        known, self._rooms = self._rooms, {}
        due: list[tuple[float, str]] = []
        for room in listed:
            state = known.get(room.name)
            if state is None or state.sid != room.sid:
                state = _Known(room.sid)
            self._rooms[room.name] = state
            counts = room.participants, watched.get(room.name, 0)
            if state.ours and counts != state.counts:
                state.due = min(state.due, now)
            state.counts = counts
            if state.due <= now and room.sid not in self._unwelcome:
                due.append((state.due, room.name))
        self.pressing = len(due) > LOOKS_A_ROUND
        return [name for _, name in sorted(due)[:LOOKS_A_ROUND]]

    def registered(self, now: float) -> None:
        """The worker was away and has another id: what came meanwhile shows in no count."""
        for state in self._rooms.values():
            state.due = min(state.due, now)

    def changed(self, room: str, now: float) -> None:
        """Somebody came, whose job may go elsewhere."""
        if room in self._rooms:
            state = self._rooms[room]
            state.due = min(state.due, now + GRACE_S)

    def removed(self, room_sid: str) -> None:
        """An administrator removed us from this room, so we do not come back."""
        self._unwelcome[room_sid] = None
        if len(self._unwelcome) > 1024:
            del self._unwelcome[next(iter(self._unwelcome))]

    def unanswered(self, room: str, now: float) -> None:
        """The server did not say, so all that is known of the room stands."""
        if room in self._rooms:
            self._rooms[room].due = now + ROUND_S

    def nothing(self, room: str, now: float) -> None:
        """The room has no dispatch for us."""
        if room in self._rooms:
            state = self._rooms[room]
            state.due, state.ours = now + ELSEWHERE_S, False
            state.since, state.unwatched = {}, set()

    def looked(
        self,
        room: str,
        judgement: Judgement,
        now: float,
        *,
        allowed: int,
        adopted: Collection[Key],
    ) -> list[tuple[ListedDispatch, Attendee]]:
        """Take what was made of a look. Returns who is to be adopted now, at most ``allowed``; or,
        if the judgement is to join, for whom that is to be done now.

        ``adopted`` are those of the room who were adopted before.
        """
        state = self._rooms[room]
        state.ours = True
        state.since = {key: state.since.get(key, now) for key in judgement.unwatched}
        state.unwatched = set()
        ripe: list[tuple[ListedDispatch, Attendee]] = []
        for dispatch, attendee in judgement.adopt:
            key = Key(dispatch.id, attendee.identity)
            due = now - state.since[key] >= GRACE_S or key in judgement.orphans
            taken = due and len(ripe) < min(allowed, self._left)
            if taken:
                ripe.append((dispatch, attendee))
            if judgement.join or not taken:
                state.unwatched.add(key)
        self._left -= 0 if judgement.join else len(ripe)
        soon = judgement.shared or judgement.join or adopted or judgement.adopt
        state.due = now + (ROUND_S if soon else RARELY_S)
        if state.unwatched and allowed:
            state.due, self.pressing = now + SOON_S, True
        return ripe
