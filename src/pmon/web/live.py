"""``/api/live``: what the dashboard shows, over a websocket.

First everything comes, then what has changed, a few times a second at most. Whoever is slow gets
fewer and larger changes, and nothing is kept for them. The page says which rows are on the screen,
and twice a second gets the levels of those; they are recorded nowhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from pmon.monitor.events import ParticipantKind, QualityLevel, VideoStateName
from pmon.monitor.view import MicrophoneState, OpenIssue
from pmon.web.access import SCOPE, RefusedError
from pmon.web.bell import Bell
from pmon.web.board import Board
from pmon.web.rows import RECENT, Row
from pmon.web.state import Capacity, WorkerState
from pmon.web.tokens import Scope

MOST_VIEWERS = 20
MOST_VISIBLE = 200
PACE_S = 0.1
"""Between two messages; an eye sees no more."""
WORKER_S = 1.0
SEND_S = 10.0
"""Who does not take a message for so long is gone."""
CLOSE_S = 1.0
HEARTBEAT_S = 20.0
CHECK_S = 15.0
LONGEST = 64 * 1024
"""Of what the page says."""


class LiveRow(msgspec.Struct, frozen=True, kw_only=True):
    """One session. Times are seconds since 1970."""

    id: str
    room: str
    who: str
    kind: ParticipantKind
    present: bool
    speaking: bool
    talk_s: float
    """As of the message's ``now``; it grows while they speak."""
    quality: QualityLevel
    microphone: MicrophoneState
    heard: str | None
    video: VideoStateName | None
    fps: float | None
    issues: list[OpenIssue]
    turns: list[tuple[float, float | None]]
    """Those of the last minutes; the last one has no end while they speak."""


class LiveRoom(msgspec.Struct, frozen=True, kw_only=True):
    """One room."""

    room: str
    connected: bool
    gone_s: float | None
    """Talk time of those who have no session any more; None if it is not known."""


class LiveMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the page is told; what is missing has not changed."""

    now: float
    anew: bool = False
    """It is everything: what the page had before is to be forgotten."""
    rooms: list[LiveRoom] = []
    rows: list[LiveRow] = []
    gone: list[str] = []
    """Sessions."""
    gone_rooms: list[str] = []
    worker: Capacity | None = None
    levels: dict[str, float | None] = {}
    """dBov by session, of the rows that are on the screen; None for who is not heard."""


class Visible(msgspec.Struct, frozen=True):
    """What the page says: the sessions whose rows are on its screen."""

    visible: list[str]


class Viewer:
    """One page that is open."""

    def __init__(self, scope: Scope, heard: int) -> None:
        self.scope = scope
        self.visible: list[str] = []
        self.seen: int | None = None
        """The version of the board that it has; None while it has none."""
        self.heard = heard
        """How often levels have been told, up to what it was sent last."""
        self.worker: Capacity | None = None


def _can_open(ws: web.WebSocketResponse, request: web.Request) -> bool:
    try:
        return ws.can_prepare(request).ok
    except ValueError:  # headers that are no ASCII
        return False


class Live:
    """Shows the board to all who look; ``answer`` is the handler of the page.

    ``scope`` says again and again whether they may still see it, by raising RefusedError.
    """

    def __init__(
        self, board: Board, worker: WorkerState, scope: Callable[[web.Request], Scope]
    ) -> None:
        self._board = board
        self._worker = worker
        self._scope = scope
        self._bell = Bell()
        self._viewers: dict[web.WebSocketResponse, Viewer] = {}
        self._heard = 0
        """Rises with each word about levels."""

    # --- from the worker

    def changed(self) -> None:
        """There is something new on the board."""
        self._bell.ring()

    def heard(self) -> None:
        """There are new levels on the board."""
        self._heard += 1
        self._bell.ring()

    @property
    def visible(self) -> dict[str, list[str]]:
        """At whom anybody looks: identities by room."""
        rows = {s for viewer in self._viewers.values() for s in viewer.visible}
        found: dict[str, set[str]] = {}
        for session in rows:
            row = self._board.row(session)
            if row is not None:
                found.setdefault(row.room, set()).add(row.view.participant)
        return {room: sorted(identities) for room, identities in found.items()}

    async def close(self) -> None:
        """Let all of them go."""
        farewells = [ws.close(code=WSCloseCode.GOING_AWAY, drain=False) for ws in self._viewers]
        await asyncio.gather(*farewells, return_exceptions=True)

    # --- from the page

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if len(self._viewers) >= MOST_VIEWERS:
            raise RefusedError(503, f"there are {MOST_VIEWERS} open dashboards already", 10.0)
        ws = web.WebSocketResponse(
            timeout=CLOSE_S, heartbeat=HEARTBEAT_S, max_msg_size=LONGEST, compress=False
        )
        if not _can_open(ws, request):
            raise RefusedError(400, "this is for a websocket")
        viewer = self._viewers[ws] = Viewer(request[SCOPE], self._heard)
        tasks: list[asyncio.Task[None]] = []
        try:
            await ws.prepare(request)
            tasks = [
                asyncio.create_task(self._listen(ws, viewer)),
                asyncio.create_task(self._tell(ws, viewer)),
                asyncio.create_task(self._check(request)),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._viewers[ws]
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            await _part(request, ws, end)
        return ws

    async def _listen(self, ws: web.WebSocketResponse, viewer: Viewer) -> None:
        async for message in ws:
            if message.type is not WSMsgType.TEXT:
                continue
            try:
                said = msgspec.json.decode(message.data, type=Visible)
            except (msgspec.DecodeError, RecursionError):  # the latter for a thousand brackets
                await ws.close(code=WSCloseCode.UNSUPPORTED_DATA)
                return
            viewer.visible = [s for s in said.visible[:MOST_VISIBLE] if self._may_see(viewer, s)]

    async def _tell(self, ws: web.WebSocketResponse, viewer: Viewer) -> None:
        while not ws.closed:
            message = self._news(viewer)
            if message is not None:
                async with asyncio.timeout(SEND_S):
                    await ws.send_frame(msgspec.json.encode(message), WSMsgType.TEXT)
                await asyncio.sleep(PACE_S)
            else:
                await self._bell.wait(WORKER_S)

    async def _check(self, request: web.Request) -> None:
        """Ends, by raising RefusedError, when a token has expired or its owner has logged out."""
        while True:
            await asyncio.sleep(CHECK_S)
            self._scope(request)

    # --- what is new

    def _news(self, viewer: Viewer) -> LiveMessage | None:
        now = datetime.now(UTC)
        told: dict[str, Any] = self._changes(viewer, now)
        if viewer.scope.room is None:
            capacity = self._worker.capacity
            if capacity != viewer.worker:
                told["worker"] = viewer.worker = capacity
        if viewer.heard != self._heard:
            viewer.heard = self._heard
            if viewer.visible:
                told["levels"] = self._levels(viewer)
        return LiveMessage(now=now.timestamp(), **told) if told else None

    def _changes(self, viewer: Viewer, now: datetime) -> dict[str, Any]:
        board, seen = self._board, viewer.seen
        if seen == board.version:
            return {}
        gone = None if seen is None else board.gone(seen)
        since = -1 if gone is None or seen is None else seen
        viewer.seen = board.version
        opens = viewer.scope.opens
        rows = [row for row in board.rows(viewer.scope.room) if row.version > since]
        rooms = [r for r in board.rooms.values() if opens(r.room) and r.version > since]
        told: dict[str, Any] = {
            "rows": [_row(row, now) for row in rows],
            "rooms": [LiveRoom(room=r.room, connected=r.connected, gone_s=r.gone_s) for r in rooms],
        }
        if gone is None:
            return told | {"anew": True}
        mine = [(room, session) for room, session in gone if opens(room)]
        told["gone"] = [s for _, s in mine if s and board.row(s) is None]
        told["gone_rooms"] = [r for r, s in mine if not s and r not in board.rooms]
        return told if any(told.values()) else {}

    def _levels(self, viewer: Viewer) -> dict[str, float | None]:
        levels: dict[str, float | None] = {}
        for session in viewer.visible:
            row = self._board.row(session)
            if row is not None:
                levels[session] = self._board.levels.get(row.room, {}).get(row.view.participant)
        return levels

    def _may_see(self, viewer: Viewer, session: str) -> bool:
        row = self._board.row(session)
        return row is not None and viewer.scope.opens(row.room)


async def _part(request: web.Request, ws: web.WebSocketResponse, end: BaseException | None) -> None:
    """Go apart for a reason."""
    match end:
        case RefusedError():
            await ws.close(code=WSCloseCode.POLICY_VIOLATION, message=b"log in again")
        case TimeoutError() if request.transport is not None:
            request.transport.abort()  # it would not take a farewell either
        case None | asyncio.CancelledError() | TimeoutError() | ConnectionError():
            pass
        case _:
            raise end


def _row(row: Row, now: datetime) -> LiveRow:
    view = row.view
    recent = [t for t in row.turns if t.end is None or t.end > now - RECENT]
    return LiveRow(
        id=view.session,
        room=row.room,
        who=view.participant,
        kind=view.participant_kind,
        present=view.present,
        speaking=view.speaking,
        talk_s=round(row.talk_time_s(now), 3),
        quality=view.quality,
        microphone=view.microphone,
        heard=view.heard,
        video=view.video,
        fps=view.fps,
        issues=view.issues,
        turns=[
            (round(t.start.timestamp(), 2), None if t.end is None else round(t.end.timestamp(), 2))
            for t in recent
        ],
    )
