"""The rooms of one process: jobs come in and events go out, as messages.

The host owns everything between the two: the room connections, the monitors that they feed, and
the notices. It knows nothing of the worker's websocket and writes to no durable output.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import structlog
from livekit import api

from pmon.app.load import Usage, cpu_quota, cpu_share
from pmon.app.messages import (
    PREPARE_ROOM_S,
    Begin,
    Drain,
    Drained,
    EndDispatch,
    EndJob,
    FromHost,
    HandedOver,
    HandOver,
    HostLoad,
    HostStatus,
    JobEnded,
    LevelsNow,
    Prepare,
    Prepared,
    ShowLevels,
    StartJob,
    ToHost,
    Workers,
)
from pmon.app.trace import Traces
from pmon.app.watched_room import WatchedRoom
from pmon.media.listener import Listener
from pmon.media.tap import AudioTier
from pmon.monitor.clock import UtcAnchor
from pmon.monitor.events import EndReason
from pmon.monitor.inputs import ADOPTS_ATTRIBUTE, AGENT_ATTRIBUTE, WORKERS_ATTRIBUTE
from pmon.monitor.listening.plan import Listening
from pmon.monitor.view import view
from pmon.monitor.watch import resolve
from pmon.settings import Settings

TICK_S = 0.5
"""How often time is told to pass; the shortest timer of the monitor is a second."""
STATUS_S = 5.0
LOAD_S = 1.0
PREPARE_S = 10.0
SHOW_S = 3.0
"""Levels are told for so long; whoever still looks asks again before."""
CLOCK_STEP_S = 0.5
"""The wall clock is believed anew when it is off by more than this; slewing stays below."""

log = structlog.get_logger("pmon.host")


class Host:
    """Takes messages with ``handle`` and gives messages to ``emit``, both on the loop."""

    def __init__(
        self,
        settings: Settings,
        server: api.LiveKitAPI,
        tier: AudioTier,
        emit: Callable[[FromHost], None],
    ) -> None:
        self._settings = settings
        self._server = server
        self._tier = tier
        plan = Listening(
            settings.listen,
            settings.video,
            load_threshold=settings.load_threshold,
            cores=cpu_share(cpu_quota(), settings.workers),
        )
        self._listener = Listener(plan)
        self._usage = Usage()
        self._load_at = float("-inf")
        self._emit = emit
        self.drained = asyncio.Event()
        """Everything is over that ``Drain`` or ``HandOver`` asked for."""
        self._anchor = UtcAnchor(time.monotonic(), datetime.now(UTC))
        self._traces = Traces(settings.trace) if settings.trace else None
        self._rooms: dict[str, WatchedRoom] = {}
        self._room_of_job: dict[str, WatchedRoom] = {}
        self._workers: list[str] = []
        self._prepared: dict[str, float] = {}
        """Rooms that were joined before their jobs come, and until when they are kept so."""
        self._status_at = float("-inf")
        self._shown: dict[str, list[str]] = {}
        """At whose levels somebody looks, by room, and until when that is so."""
        self._shown_until = float("-inf")
        self._background: set[asyncio.Task[None]] = set()
        self._ticking: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._ticking = asyncio.create_task(self._tick(), name="host tick")

    def handle(self, message: ToHost) -> None:
        """Act on one message of the supervisor."""
        now = time.monotonic()
        match message:
            case Begin():
                raise ValueError("the host has begun already")
            case Workers(ids=ids):
                self._workers = ids
            case StartJob():
                self._start_job(message, now)
            case EndJob(job=job, reason=reason):
                room = self._room_of_job.get(job)
                if room is not None:
                    self._end(room, reason, job=job, now=now)
            case EndDispatch(room=name, dispatch=dispatch, reason=reason):
                if name in self._rooms:
                    self._end(self._rooms[name], reason, dispatch=dispatch, now=now)
            case Prepare(rooms=names):
                self._in_background(self._prepare(names))
            case ShowLevels(identities=identities):
                self._shown, self._shown_until = identities, now + SHOW_S
            case HandOver():
                self._each_room(lambda room: room.hand_over(now))
                if self._traces is not None:
                    self._traces.handed_over()
                self._emit(HandedOver())
                self._in_background(self._leave_and_say_so())
            case Drain():
                self._each_room(lambda room: room.end(now))
                self._in_background(self._leave_and_say_so())

    # --- inside

    def _start_job(self, message: StartJob, now: float) -> None:
        room = self._room(message.room)
        room.connection.read(now)  # what was heard before is nothing of its sessions
        self._room_of_job[message.job] = room
        watch = resolve(message.metadata, self._settings)
        room.start(message, watch, now)
        room.connection.jobs_changed()
        room.flush()

    def _room(self, name: str) -> WatchedRoom:
        """The room of this name, joined if need be."""
        room = self._rooms.get(name)
        if room is not None and room.connection.over:
            self._close_empty(room)  # it was closed just now, and this is another one
            room = None
        return self._open(name) if room is None else room

    def _open(self, name: str) -> WatchedRoom:
        room = self._rooms[name] = WatchedRoom(
            name,
            self._settings,
            self._server,
            self._tier,
            self._listener,
            self._anchor,
            self._attributes,
            self._from_room,
            self._traces,
        )
        room.connection.start()
        return room

    def _attributes(self) -> dict[str, str]:
        """By these other workers know whose connection it is."""
        return {
            AGENT_ATTRIBUTE: self._settings.agent_name,
            WORKERS_ATTRIBUTE: ",".join(self._workers),
            ADOPTS_ATTRIBUTE: "yes" if self._settings.reconcile else "no",
        }

    def _end(
        self, room: WatchedRoom, reason: EndReason, now: float, *, job: str = "", dispatch: str = ""
    ) -> None:
        room.last_word(now)  # before the summary
        if job:
            room.monitor.end_job(job, reason, now)
        else:
            room.monitor.end_dispatch(dispatch, reason, now)
        room.connection.jobs_changed()
        room.flush()
        self._close_empty(room)

    def _from_room(self, message: FromHost) -> None:
        if isinstance(message, JobEnded):
            self._room_of_job.pop(message.job, None)
        self._emit(message)

    def _close_empty(self, room: WatchedRoom) -> None:
        """Leave a room with the last job that was there for it."""
        name = room.monitor.room
        if not room.monitor.has_jobs and self._rooms.get(name) is room:
            del self._rooms[name]
            self._prepared.pop(name, None)
            log.info("leaving the room", room=name)
            self._in_background(room.aclose())

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now, utc = time.monotonic(), datetime.now(UTC)
            if abs((self._anchor.at(now) - utc).total_seconds()) > CLOCK_STEP_S:
                log.warning("the wall clock stepped; timestamps follow it")
                self._anchor.renew(now, utc)
            self._tick_rooms(now)
            self._tell_levels(now)
            if now - self._load_at >= LOAD_S:
                self._load_at = now
                self._tell_load(now)
            if now - self._status_at >= STATUS_S:
                self._status_at = now
                self._tell_status(now)

    def _tick_rooms(self, now: float) -> None:
        for room in list(self._rooms.values()):
            try:
                room.tick(now)
                if self._prepared.get(room.monitor.room, now) <= now:
                    self._close_empty(room)
            except Exception:
                log.exception("room failed", room=room.monitor.room)

    def _tell_load(self, now: float) -> None:
        self._usage.sample(time.process_time(), now)
        try:
            plan = self._listener.plan
            plan.load(now, self._usage.cores)
            self._listener.settle()
            status = plan.status(now)
            self._emit(
                HostLoad(
                    reported=plan.shedding.reported,
                    one_more=plan.shedding.one_more,
                    refuse_jobs=status.refuse_jobs,
                    microphones=status.microphones,
                    audible=status.audible,
                    heard=status.heard,
                    rooms=status.rooms,
                    rooms_adaptive=status.rooms_adaptive,
                    looks=status.looks,
                    overdue=status.overdue,
                )
            )
        except Exception:
            log.exception("no load this time")

    def _tell_levels(self, now: float) -> None:
        if now >= self._shown_until:
            return
        levels = {
            name: self._rooms[name].connection.levels(identities)
            for name, identities in self._shown.items()
            if name in self._rooms
        }
        if levels:
            self._emit(LevelsNow(levels=levels))

    def _tell_status(self, now: float) -> None:
        self._each_room(lambda room: room.connection.read(now))
        try:
            self._emit(self.status(now))
        except Exception:
            log.exception("no status this time")
        self._each_room(lambda room: room.checkpoint(room.monitor.sessions.all()))

    def _each_room(self, work: Callable[[WatchedRoom], None]) -> None:
        """One room that fails must not take the others with it."""
        for room in self._rooms.values():
            try:
                work(room)
            except Exception:
                log.exception("room failed", room=room.monitor.room)

    def status(self, now: float) -> HostStatus:
        rooms = self._rooms.values()
        return HostStatus(rooms=[view(r.monitor, now, r.connection.levels()) for r in rooms])

    async def _prepare(self, names: list[str]) -> None:
        rooms = [self._room(name) for name in names]
        deadline = time.monotonic() + PREPARE_S + PREPARE_ROOM_S * len(names)
        self._prepared |= dict.fromkeys(names, deadline + PREPARE_S)
        while missing := [room.monitor.room for room in rooms if _is_awaited(room)]:
            if time.monotonic() >= deadline:
                break
            await asyncio.sleep(0.1)
        self._emit(Prepared(missing=missing))

    async def _leave_and_say_so(self) -> None:
        await self.leave()
        self.drained.set()
        self._emit(Drained())

    async def leave(self) -> None:
        """Leave all rooms without a word of their sessions."""
        self._listener.close()
        rooms, self._rooms = list(self._rooms.values()), {}
        await asyncio.gather(*(room.aclose() for room in rooms))
        others = self._background - {asyncio.current_task()}
        if others:
            await asyncio.wait(others)
        if self._ticking is not None:
            self._ticking.cancel()
        if self._traces is not None:
            await self._traces.aclose()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _is_awaited(room: WatchedRoom) -> bool:
    """It is not joined yet, and may still be."""
    return not room.connection.connected and not room.connection.over
