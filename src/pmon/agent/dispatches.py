"""Which jobs end because their dispatch was deleted.

LiveKit terminates the jobs of a deleted dispatch one by one, slowly, and only those that it still
knows: the jobs of an earlier registration it has forgotten. It never says why it terminates one.
So pmon asks which dispatches the room has. A server that restarted has forgotten the dispatches
that were made over its API; that is no reason to end anything, and shows by the room's new sid.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable

import aiohttp
import msgspec
import structlog
from google.protobuf.message import DecodeError
from livekit import api

from pmon.agent.actions import JobAssigned
from pmon.monitor.events import EndReason

_REMEMBERED = 1024  # dispatches known to be deleted
FAILURES = (api.ServerError, aiohttp.ClientError, OSError, DecodeError)

log = structlog.get_logger("pmon.agent")


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """One job has to end, or with ``job`` None all jobs of the dispatch in the room."""

    room: str
    dispatch: str
    job: str | None
    reason: EndReason


def ending_of(task: JobAssigned, listed: Collection[str] | None) -> Ending:
    """What a terminated job means, given the dispatches of its room (None: not known)."""
    if listed is None or task.dispatch in listed:
        return Ending(room=task.room, dispatch=task.dispatch, job=task.job, reason="job_terminated")
    return Ending(room=task.room, dispatch=task.dispatch, job=None, reason="dispatch_deleted")


def endings_in(
    tasks: Iterable[JobAssigned], listed: Collection[str], room_sid: str
) -> list[Ending]:
    """Which dispatches of one room's jobs were deleted, given the dispatches and sid it has now.

    A room has another sid than the one a job was dispatched in when the server restarted or the
    room was closed and made anew: a dispatch that is missing then was forgotten, not deleted.
    """
    gone = {task.dispatch: task for task in tasks if task.dispatch not in listed}
    return [ending_of(task, listed) for task in gone.values() if task.room_sid == room_sid]


class DispatchWatch:
    """Asks the server which dispatches there are, and no more often than needed."""

    def __init__(self, server: api.LiveKitAPI) -> None:
        self._server = server
        self._asking: dict[tuple[str, str], asyncio.Task[set[str] | None]] = {}
        self._deleted: dict[tuple[str, str], None] = {}  # in order of age

    async def terminated(self, task: JobAssigned) -> Ending:
        """What ends with a job that the server terminated; never raises for the server's sake.

        Terminations of one dispatch that come while the server is being asked share its answer.
        """
        key = task.room, task.dispatch
        if key in self._deleted:
            return ending_of(task, ())
        if key not in self._asking:
            asking = asyncio.create_task(self.ask(task.room))
            self._asking[key] = asking
            asking.add_done_callback(lambda _: self._asking.pop(key))
        # Shielded, because others may wait for the same answer when one of them is cancelled.
        ending = ending_of(task, await asyncio.shield(self._asking[key]))
        if ending.job is None:
            self._remember(ending)
        return ending

    async def sweep(self, tasks: Iterable[JobAssigned]) -> list[Ending]:
        """What ends among jobs that the server no longer knows; call it every 30 s.

        Asks once a room, one room after the other. Where the server gives no answer the jobs stay.
        """
        rooms: dict[str, list[JobAssigned]] = {}
        for task in tasks:
            rooms.setdefault(task.room, []).append(task)
        endings: list[Ending] = []
        # A question about a room that is not there takes the server 3 s to refuse.
        for room in await self._sids(list(rooms)) if rooms else ():
            listed = await self.ask(room)
            if listed is None or all(task.dispatch in listed for task in rooms[room]):
                continue
            # The sid is asked for after the dispatches. The other way round, a restart between
            # the two would pair the old sid with a list that the server has just lost.
            sids = await self._sids([room])
            endings += endings_in(rooms[room], listed, sids.get(room, ""))
        for ending in endings:
            self._remember(ending)
        return endings

    async def ask(self, room: str) -> set[str] | None:
        """The ids of the room's dispatches, or None when the server does not say."""
        try:
            return {found.id for found in await self._server.agent_dispatch.list_dispatch(room)}
        except FAILURES as error:
            log_failure("cannot list dispatches", error, room=room)
            return None

    async def _sids(self, rooms: list[str]) -> dict[str, str]:
        """The sids of those rooms that exist; none when the server does not say."""
        try:
            found = await self._server.room.list_rooms(api.ListRoomsRequest(names=rooms))
        except FAILURES as error:
            log_failure("cannot list rooms", error)
            return {}
        return {room.name: room.sid for room in found.rooms}

    def _remember(self, ending: Ending) -> None:
        self._deleted[ending.room, ending.dispatch] = None
        if len(self._deleted) > _REMEMBERED:
            del self._deleted[next(iter(self._deleted))]


def log_failure(message: str, error: Exception, **fields: str) -> None:
    """Say in the log why the server did not answer."""
    problem = error.message if isinstance(error, api.ServerError) else str(error)
    log.warning(message, problem=problem or type(error).__name__, **fields)
