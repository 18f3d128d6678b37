"""Health, metrics, API and dashboard over HTTP."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version

import msgspec
from aiohttp import web
from aiohttp.http import HttpProcessingError

from pmon.monitor.events import AnyEvent
from pmon.monitor.view import RoomView
from pmon.settings import SettingsError
from pmon.web import shapes
from pmon.web.access import SCOPE, Access
from pmon.web.board import Board
from pmon.web.live import Live
from pmon.web.pages import Pages
from pmon.web.state import MetricsPage, WorkerState
from pmon.web.stream import EventStream, chosen_room

LONGEST_FORM = 64 * 1024


def _is_our_fault(record: logging.LogRecord) -> bool:
    """Whoever sends what is no HTTP must not fill the log with tracebacks, nor with a body that
    cannot be decoded: aiohttp reads it even where no handler does.
    """
    theirs = (HttpProcessingError, web.RequestPayloadError)
    return not (record.exc_info and isinstance(record.exc_info[1], theirs))


_LOG = logging.getLogger("pmon.web")
_LOG.addFilter(_is_our_fault)
# It warns of every handshake that asks for a protocol, as whoever likes can send.
logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)


class WebError(SettingsError):
    """An address that cannot be listened on."""


class WebServer:
    """Serves the pages on one address. What goes on in the rooms comes to it as it happens."""

    def __init__(
        self,
        state: WorkerState,
        metrics: MetricsPage,
        access: Access,
        board: Board,
        host: str,
        port: int,
    ) -> None:
        self._state = state
        self._metrics = metrics
        self._board = board
        self._access = access
        self._stream = EventStream(access.still)
        self._live = Live(board, state, access.still)
        self._host = host
        self._port = port
        # No access log: health checks would fill the log. A slow client delays no shutdown. What
        # is packed stays so: a little of it may be a gigabyte, and is unpacked if nobody reads it.
        self._runner = web.AppRunner(
            self._app(),
            access_log=None,
            logger=_LOG,
            shutdown_timeout=1.0,
            lingering_time=1.0,  # for a body that nobody reads
            auto_decompress=False,
        )

    @property
    def port(self) -> int:
        """The port that is listened on, which a setting of 0 leaves to the system."""
        return int(self._runner.addresses[0][1])

    async def start(self) -> None:
        """Listen. Raises ``WebError`` when the address cannot be had."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except (OSError, UnicodeError) as error:  # the latter for what cannot be looked up
            await self._runner.cleanup()
            raise WebError(self._problem(error)) from None

    async def aclose(self) -> None:
        """Stop listening and close all connections."""
        await self._runner.cleanup()

    # --- what goes on in the rooms

    def event(self, event: AnyEvent) -> None:
        """An event, with its id."""
        try:
            self._board.event(event)
            self._stream.event(event)
            self._live.changed()
        except Exception:  # the rooms are not to suffer for it
            _LOG.exception("an event is not shown: %s", event.id)

    def rooms(self, views: Iterable[RoomView]) -> None:
        """How all rooms stood some seconds ago at most."""
        try:
            self._board.take(views)
            self._live.changed()
        except Exception:
            _LOG.exception("rooms are not shown")

    def levels(self, levels: Mapping[str, Mapping[str, float]]) -> None:
        """How loud those are who are looked at, in dBov, by room and identity."""
        self._board.hear(levels)
        self._live.heard()

    @property
    def visible(self) -> dict[str, list[str]]:
        """At whom anybody looks: identities by room."""
        return self._live.visible

    # --- pages

    def _app(self) -> web.Application:
        pages = Pages(self._access)
        app = web.Application(
            middlewares=[pages.answer_refused, self._access.guard], client_max_size=LONGEST_FORM
        )
        app.router.add_get("/", self._alive)
        app.router.add_get("/ready", self._ready)
        app.router.add_get("/worker", self._worker)
        app.router.add_get("/metrics", self._scrape)
        app.router.add_get("/api/rooms", self._rooms)
        app.router.add_get("/api/participants", self._participants)
        app.router.add_get("/api/events", self._stream.answer, allow_head=False)
        app.router.add_get("/api/live", self._live.answer, allow_head=False)
        pages.add_to(app)
        app.on_shutdown.append(self._let_go)
        return app

    async def _let_go(self, _: web.Application) -> None:
        self._stream.close()
        await self._live.close()

    async def _alive(self, _: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def _ready(self, _: web.Request) -> web.Response:
        reason = self._state.unready
        return web.Response(text=reason or "OK", status=503 if reason else 200)

    async def _worker(self, _: web.Request) -> web.Response:
        state = self._state
        return web.json_response(
            {
                "worker_type": state.worker_type,
                "agent_name": state.agent_name,
                "worker_id": state.worker_id,
                "active_jobs": state.active_jobs,
                "worker_load": state.load,
                "media": dict(state.tiers),
                "protocol_version": state.protocol_version,
                "sdk_version": version("livekit"),
                "pmon_version": version("pmon-livekit"),
            }
        )

    async def _scrape(self, _: web.Request) -> web.Response:
        body, content_type = self._metrics.render()
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _rooms(self, request: web.Request) -> web.Response:
        found = shapes.rooms(self._board, datetime.now(UTC), request[SCOPE].room)
        return _json({"rooms": found})

    async def _participants(self, request: web.Request) -> web.Response:
        found = shapes.participants(self._board, datetime.now(UTC), chosen_room(request))
        return _json({"participants": found})

    def _problem(self, error: OSError | UnicodeError) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        address = f"{host}:{self._port}"
        if isinstance(error, UnicodeError):
            return f"PMON_HTTP_HOST (--http-host): {self._host!r} is no host name or address"
        if error.errno == errno.EADDRINUSE:
            return f"PMON_HTTP_PORT (--http-port): {address} is in use; 0 takes any free port"
        if error.errno == errno.EACCES:
            return f"PMON_HTTP_PORT (--http-port): {address} needs rights that this user lacks"
        return (
            "PMON_HTTP_HOST (--http-host), PMON_HTTP_PORT (--http-port):"
            f" cannot listen on {address}: {error.strerror or error}"
        )


def _json(found: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(found), content_type="application/json")
