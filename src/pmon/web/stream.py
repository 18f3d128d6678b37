"""``/api/events``: events as they come, as server-sent events.

Everybody reads from the same ring at their own pace, so that a slow reader costs nobody anything;
one who falls so far behind that the ring has moved on is dropped, and told of the gap when they
come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from aiohttp import web

from pmon.monitor.events import AnyEvent
from pmon.settings import EVENT_TYPES
from pmon.web.access import SCOPE, RefusedError
from pmon.web.bell import Bell
from pmon.web.ring import Ring
from pmon.web.tokens import Scope

MOST_READERS = 50
BATCH = 200
HEARTBEAT_S = 15.0
WRITE_S = 10.0
"""Who does not take anything for so long is gone."""
RETRY = b"retry: 2000\n\n"


class EventStream:
    """Give it every event; ``answer`` is the handler of the page.

    ``scope`` says again and again whether the reader may still see it, by raising RefusedError.
    """

    def __init__(
        self,
        scope: Callable[[web.Request], Scope],
        ring: Ring | None = None,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._scope = scope
        self._ring = ring or Ring()
        self._bell = Bell()
        self._heartbeat_s = heartbeat_s
        self._readers = 0
        self._closed = False

    def event(self, event: AnyEvent) -> None:
        self._ring.add(event)
        self._bell.ring()

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        self._bell.ring()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """``?room=`` and ``?types=`` choose; a scope for one room has chosen already."""
        room, types = chosen_room(request), _types(request)
        if self._readers >= MOST_READERS:
            raise RefusedError(503, f"there are {MOST_READERS} readers of events already", 10.0)
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        self._readers += 1
        try:
            await response.prepare(request)
            await self._follow(request, response, room, types)
        except RefusedError:  # a token has expired, or its owner has logged out
            pass
        except (ConnectionError, TimeoutError):  # gone, or as good as gone
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._readers -= 1
        return response

    async def _follow(
        self,
        request: web.Request,
        response: web.StreamResponse,
        room: str | None,
        types: frozenset[str],
    ) -> None:
        loop = asyncio.get_running_loop()
        check_at = beat_at = loop.time() + self._heartbeat_s
        place, greeting = self._begin(request)
        await _write(response, greeting)
        while not self._closed:
            if loop.time() >= check_at:
                check_at = loop.time() + self._heartbeat_s
                self._scope(request)
            if place < self._ring.start:
                raise TimeoutError  # what it should get next is gone
            entries = self._ring.since(place, BATCH)
            place += len(entries)
            wanted = [
                b"id: %b\nevent: %b\ndata: %b\n\n"
                % (entry.event.id.encode(), entry.event.type.encode(), entry.json)
                for entry in entries
                if (room is None or entry.event.room == room) and entry.event.type in types
            ]
            # What goes on in other rooms is no sign of life, and only writing shows who has left.
            if not wanted and loop.time() >= beat_at:
                wanted = [b": still here\n\n"]
            if wanted:
                await _write(response, b"".join(wanted))
                beat_at = loop.time() + self._heartbeat_s
            elif not entries:
                await self._bell.wait(max(0.0, beat_at - loop.time()))

    def _begin(self, request: web.Request) -> tuple[int, bytes]:
        """Where to go on, and what to say first."""
        last = request.headers.get("Last-Event-ID") or request.query.get("last_event_id")
        if not last:
            return self._ring.end, RETRY
        place = self._ring.after(last)
        if place is not None:
            return place, RETRY
        oldest = self._ring.since(self._ring.start, 1)
        last = last[:100].encode(errors="replace").decode()  # a header may hold any bytes
        gap = {"wanted": last, "next": oldest[0].event.id if oldest else None}
        return self._ring.start, RETRY + b"event: gap\ndata: %b\n\n" % msgspec.json.encode(gap)


def chosen_room(request: web.Request) -> str | None:
    """The room that was asked for, or the only one that may be seen. Raises RefusedError."""
    scope, room = request[SCOPE], request.query.get("room")
    if not room:
        return scope.room
    if not scope.opens(room):
        raise RefusedError(403, "the token is for another room")
    return room


def _types(request: web.Request) -> frozenset[str]:
    given = request.query.get("types")
    if not given:
        return frozenset(EVENT_TYPES)
    types = frozenset(word.strip() for word in given.split(","))
    if types - set(EVENT_TYPES):
        raise RefusedError(
            400, "types should be some of " + ", ".join(EVENT_TYPES) + ", with commas"
        )
    return types


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(WRITE_S):
        await response.write(data)
