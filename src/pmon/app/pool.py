"""The media processes: a room stays in one, and one that is gone is replaced."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Set
from contextlib import suppress

import psutil

from pmon.app import messages as msg
from pmon.app.place import MediaError, Place
from pmon.app.reserved import PEOPLE_A_ROOM, Reserved
from pmon.monitor.listening.load import SERVER_CUT
from pmon.monitor.view import RoomView
from pmon.settings import Settings

READY_S = 30.0
PREPARED_S = 25.0
"""A little more than a media process stays in a room that no job comes for."""


class Pool:
    """``PMON_WORKERS`` media processes. What they say comes to ``on_message``, on the loop."""

    def __init__(self, settings: Settings, on_message: Callable[[msg.FromHost], None]) -> None:
        self._on_message = on_message
        self._places = [
            Place(f"media-{number}", settings, self._heard, self._gone)
            for number in range(settings.workers)
        ]
        self._place_of_room: dict[str, Place] = {}
        self._prepared: dict[str, float] = {}
        """Rooms that were joined before their jobs come, and until when they are kept for them."""
        self._rooms: dict[Place, list[RoomView]] = {}
        self._loads: dict[Place, msg.HostLoad] = {}
        self._anew: set[Place] = set()
        """Those whose process is gone and the next has said nothing yet."""
        self._lost: dict[Place, set[str]] = {}
        """The rooms that were lost with a process, until the next one is in them."""
        self._reserved = {place: Reserved() for place in self._places}

    @property
    def rooms(self) -> list[RoomView]:
        """How the rooms of all processes stood some seconds ago at most."""
        return [room for rooms in self._rooms.values() for room in rooms]

    @property
    def unwatched(self) -> int:
        """How many people nobody watches because their process died."""
        return sum(
            len(place.slot.people(room)) for place, lost in self._lost.items() for room in lost
        )

    @property
    def loads(self) -> list[msg.HostLoad]:
        """How busy each process was a second ago."""
        return [load for place, load in self._loads.items() if place not in self._anew]

    @property
    def shares(self) -> list[float]:
        """The load of each process for LiveKit, with what it was given since it told of it."""
        now = time.monotonic()
        return [self._load(place, now) for place in self._loads]

    def full(self, room: str) -> bool:
        """Whether the process that watches the room can take no more, whatever others can."""
        place = self._place_of_room.get(room)
        if place is None or place not in self._loads:
            return False
        return self._load(place, time.monotonic()) >= SERVER_CUT

    @property
    def works(self) -> bool:
        """Whether any process does."""
        return any(place.works for place in self._places)

    @property
    def processes(self) -> dict[str, psutil.Process]:
        """The running ones by the name of their place."""
        return {p.slot.name: p.process for p in self._places if p.process is not None}

    @property
    def tiers(self) -> dict[str, str]:
        """How audio comes in, by the name of the process."""
        return {place.slot.name: place.tier for place in self._places}

    async def start(self) -> None:
        """Start all of them. Raises MediaError if one does not come up."""
        for place in self._places:
            place.start()
        try:
            async with asyncio.timeout(READY_S):
                for place in self._places:
                    await place.came_up()
        except TimeoutError:
            raise MediaError(f"a media process did not start within {READY_S:.0f} s") from None

    def handle(self, message: msg.ToHost) -> None:
        """Bring a message to the process whose business it is."""
        match message:
            case msg.StartJob(room=room):
                place = self._place_of(room)
                place.ask(message)
                if not place.works and place in self._lost:
                    self._lost[place].add(room)  # nobody joins it just now
                self._reserved[place].add(time.monotonic(), _microphones(message))
            case msg.Prepare(rooms=rooms):
                for room in rooms:
                    self._place_of(room).ask(msg.Prepare(rooms=[room]))
                    self._prepared[room] = time.monotonic() + PREPARED_S
            case msg.Workers() | msg.ShowLevels():
                for place in self._places:
                    place.ask(message)
            case msg.EndDispatch(room=room):
                if room in self._place_of_room:
                    self._place_of_room[room].ask(message)
            case msg.EndJob(job=job):
                for place in self._places:
                    if job in place.slot.jobs:
                        place.ask(message)

    def jobs_in(self, room: str) -> list[msg.StartJob]:
        """The jobs of a room."""
        place = self._place_of_room.get(room)
        jobs = () if place is None else place.slot.jobs.values()
        return [job for job in jobs if job.room == room]

    def recycle(self, max_rss: int) -> None:
        """Replace what has grown beyond ``max_rss`` bytes; the SDK leaks a little a connection.

        One at a time, the largest first: each needs the memory of two meanwhile.
        """
        if any(place.is_replaced for place in self._places):
            return
        sizes = {place: _rss(place) for place in self._places}
        for place in sorted(sizes, key=lambda place: sizes[place], reverse=True):
            rss = sizes[place]
            away = {room.room for room in self._rooms.get(place, ()) if not room.connected}
            reason = f"{rss >> 20} MiB are more than PMON_MAX_RSS"
            if rss > max_rss and place.recycle(reason, away):
                return

    def look_after(self, now: float) -> None:
        """See that no process hangs."""
        for place in self._places:
            place.look_after(now)

    async def drain(self) -> None:
        """End all sessions, and wait until every process is gone."""
        await asyncio.gather(*(place.drain() for place in self._places))

    def kill(self) -> None:
        """End the processes at once; nothing of what they watch is told."""
        for place in self._places:
            place.kill()

    def _place_of(self, room: str) -> Place:
        place = self._place_of_room.get(room)
        if place is None:
            now = time.monotonic()
            place = min(self._places, key=lambda place: self._busyness(place, now))
            self._place_of_room[room] = place
        return place

    def _load(self, place: Place, now: float) -> float:
        """While its process is replaced, what it had to do is still to be done.

        If one dies after another, another worker had better have the next job.
        """
        if place.slot.is_unsound(now):
            return 1.0
        load = self._loads[place]
        return min(1.0, load.reported + load.one_more * self._reserved[place].count(now))

    def _busyness(self, place: Place, now: float) -> tuple[bool, float, int]:
        """The next room goes where this is least.

        Loads that hardly differ count as equal: what a room will cost shows only later. Of a
        process that has just begun anew nothing is known but that its rooms come back.
        """
        prepared = (r for r in self._prepared_until(now) if self._place_of_room.get(r) is place)
        empty = len(set(prepared).difference(place.slot.rooms))
        load = 0.0
        if place in self._loads:
            coming = self._loads[place].one_more * PEOPLE_A_ROOM * empty
            load = round(self._load(place, now) + coming, 1)
        return place in self._anew, load, len(place.slot.jobs) + empty

    def _prepared_until(self, now: float) -> dict[str, float]:
        """The rooms that are kept for jobs that may still come."""
        self._prepared = {r: until for r, until in self._prepared.items() if until > now}
        return self._prepared

    def _gone(self, place: Place, kept: Set[str]) -> None:
        """The process is gone: another one goes on with its jobs, and is in the ``kept`` rooms."""
        self._anew.add(place)
        self._rooms[place] = [room for room in self._rooms.get(place, ()) if room.room in kept]
        self._lost[place] = set(place.slot.rooms) - kept
        if self._lost[place]:
            self._on_message(msg.HostStatus(rooms=[]))  # it would say so if it could

    def _heard(self, place: Place, message: msg.FromHost) -> None:
        if isinstance(message, msg.HostStatus):
            self._rooms[place] = message.rooms
            self._watched_again(place)
        if isinstance(message, msg.HostLoad):
            self._heard_load(place, message)
        if isinstance(message, msg.JobEnded):
            rooms = {*place.slot.rooms, *self._prepared_until(time.monotonic())}
            for room in [r for r, p in self._place_of_room.items() if p is place]:
                if room not in rooms:
                    del self._place_of_room[room]
        self._on_message(message)

    def _watched_again(self, place: Place) -> None:
        """What is joined, or nobody asks for any more, is not unwatched."""
        joined = {room.room for room in self._rooms[place] if room.connected}
        self._lost[place] = (self._lost.get(place, set()) & set(place.slot.rooms)) - joined

    def _heard_load(self, place: Place, load: msg.HostLoad) -> None:
        if place in self._anew:  # it has none of its microphones yet
            self._anew.discard(place)
            expected = sum(_microphones(job) for job in place.slot.jobs.values())
            self._reserved[place].gone(time.monotonic(), expected)
        self._loads[place] = load
        self._reserved[place].counted(load.microphones)


def _microphones(job: msg.StartJob) -> int:
    """How many a job is likely to bring: its participant's, or those of everybody."""
    return 1 if job.participant else PEOPLE_A_ROOM


def _rss(place: Place) -> int:
    """In bytes; nothing where no process is there."""
    with suppress(psutil.Error):  # it died just now
        if place.process is not None:
            return int(place.process.memory_info().rss)
    return 0
