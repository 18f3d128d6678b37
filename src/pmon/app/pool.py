"""The media processes: a room stays in one, and one that is gone is replaced."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from pmon.app import messages as msg
from pmon.app.place import MediaError, Place
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
            Place(f"media-{number}", settings, self._heard) for number in range(settings.workers)
        ]
        self._place_of_room: dict[str, Place] = {}
        self._prepared: dict[str, float] = {}
        """Rooms that were joined before their jobs come, and until when they are kept for them."""
        self._rooms: dict[Place, list[RoomView]] = {}
        self._loads: dict[Place, msg.HostLoad] = {}

    @property
    def rooms(self) -> list[RoomView]:
        """How the rooms of all processes stood some seconds ago at most."""
        return [room for rooms in self._rooms.values() for room in rooms]

    @property
    def loads(self) -> list[msg.HostLoad]:
        """How busy each process was a second ago."""
        return list(self._loads.values())

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
                self._place_of(room).ask(message)
            case msg.Prepare(rooms=rooms):
                for room in rooms:
                    self._place_of(room).ask(msg.Prepare(rooms=[room]))
                    self._prepared[room] = time.monotonic() + PREPARED_S
            case msg.Workers():
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
        """Replace what has grown beyond ``max_rss`` bytes; the SDK leaks a little a connection."""
        for place in self._places:
            # While a room is away, nobody could tell what became of its participants meanwhile.
            settled = all(room.connected for room in self._rooms.get(place, ()))
            with suppress(psutil.Error):  # it died just now
                if place.process is not None and settled:
                    rss = place.process.memory_info().rss
                    if rss > max_rss:
                        place.recycle(f"{rss >> 20} MiB are more than PMON_MAX_RSS")

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
            # The fewest jobs: what a job costs shows only later.
            place = min(self._places, key=lambda p: len(p.slot.jobs))
            self._place_of_room[room] = place
        return place

    def _heard(self, place: Place, message: msg.FromHost) -> None:
        if isinstance(message, msg.HostStatus):
            self._rooms[place] = message.rooms
        if isinstance(message, msg.HostLoad):
            self._loads[place] = message
        if isinstance(message, msg.JobEnded):
            now = time.monotonic()
            self._prepared = {r: until for r, until in self._prepared.items() if until > now}
            rooms = {*place.slot.rooms, *self._prepared}
            for room in [r for r, p in self._place_of_room.items() if p is place]:
                if room not in rooms:
                    del self._place_of_room[room]
        self._on_message(message)
