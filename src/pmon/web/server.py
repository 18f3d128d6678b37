"""Health and metrics over HTTP."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping
from importlib.metadata import version
from typing import Protocol

from aiohttp import web
from aiohttp.http import HttpProcessingError

from pmon.settings import SettingsError


class WorkerState(Protocol):
    """What the pages tell of the worker."""

    @property
    def agent_name(self) -> str: ...
    @property
    def worker_type(self) -> str:
        """The type of its jobs, as the agent protocol calls it."""

    @property
    def worker_id(self) -> str:
        """The server's name for this registration, "" while there is none."""

    @property
    def active_jobs(self) -> int: ...
    @property
    def tiers(self) -> Mapping[str, str]: ...
    @property
    def load(self) -> float:
        """The load as it is reported to the server, 0 to 1."""

    @property
    def protocol_version(self) -> int:
        """The version of the agent protocol that the worker registers with."""

    @property
    def unready(self) -> str | None:
        """Why the worker takes no jobs ("not registered", "draining"); None when it does."""


class MetricsPage(Protocol):
    """Where the metrics come from."""

    def render(self) -> tuple[bytes, str]: ...


def make_app(state: WorkerState, metrics: MetricsPage) -> web.Application:
    """The pages ``/``, ``/ready``, ``/worker`` and ``/metrics``."""

    async def alive(_: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def ready(_: web.Request) -> web.Response:
        reason = state.unready
        return web.Response(text=reason or "OK", status=503 if reason else 200)

    async def worker(_: web.Request) -> web.Response:
        return web.json_response(
            {
                "worker_type": state.worker_type,
                "agent_name": state.agent_name,
                "worker_id": state.worker_id,
                "active_jobs": state.active_jobs,
                "worker_load": state.load,
                "media": state.tiers,
                "protocol_version": state.protocol_version,
                "sdk_version": version("livekit"),
                "pmon_version": version("pmon-livekit"),
            }
        )

    async def scrape(_: web.Request) -> web.Response:
        body, content_type = metrics.render()
        return web.Response(body=body, headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_get("/", alive)
    app.router.add_get("/ready", ready)
    app.router.add_get("/worker", worker)
    app.router.add_get("/metrics", scrape)
    return app


def _is_our_fault(record: logging.LogRecord) -> bool:
    """Whoever sends what is no HTTP must not fill the log with tracebacks."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_LOG = logging.getLogger("pmon.web")
_LOG.addFilter(_is_our_fault)


class WebError(SettingsError):
    """An address that cannot be listened on."""


class WebServer:
    """Serves the pages on one address."""

    def __init__(self, state: WorkerState, metrics: MetricsPage, host: str, port: int) -> None:
        app = make_app(state, metrics)
        self._host = host
        self._port = port
        # No access log: health checks would fill the log. A slow client delays no shutdown.
        self._runner = web.AppRunner(app, access_log=None, logger=_LOG, shutdown_timeout=1.0)

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
