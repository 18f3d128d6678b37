"""Who watches: pmon, the SDK alone, livekit-agents, or nobody."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Protocol

import psutil
from livekit import api

from capacity.observed import Observed
from capacity.pages import told_of
from capacity.rows import Watch
from capacity.server import MeteredServer, free_port, read
from pmon.cli.child import Guard
from pmon.cli.worker_process import WorkerProcess

SCRAPE_S = 10.0
STOP_S = 12.0
REGISTER_S = 60.0
SPAWN_S = 20.0
BENCHMARKS = Path(__file__).parents[1]
AGENTS: dict[str, int | None] = {"agents": None, "agents 100 ms": 100}
"""How long its frames are; None for its own 10 ms."""
AGENTS_PYTHON = BENCHMARKS.parent / "build" / "agents" / "bin" / "python"


class Watcher(Protocol):
    """Started on a core of its own; watches the rooms until it is stopped."""

    observed: Observed

    async def start(self, rooms: list[str]) -> None: ...
    def processes(self) -> list[psutil.Process]: ...
    async def stop(self) -> None: ...


def make(watch: Watch, server: MeteredServer) -> Watcher:
    """The watcher of a row."""
    if watch.kind == "pmon":
        return Pmon(watch, server)
    if watch.kind == "nobody":
        return Nobody()
    return Script(watch, server)


class Nobody:
    """What the server does by itself."""

    def __init__(self) -> None:
        self.observed = Observed()

    async def start(self, rooms: list[str]) -> None:
        """Do nothing."""
        self.observed.asked = time.time()

    def processes(self) -> list[psutil.Process]:
        """None."""
        return []

    async def stop(self) -> None:
        """Do nothing."""


class Dispatches:
    """One dispatch a room, which are deleted afterwards."""

    def __init__(self, server: MeteredServer, agent_name: str) -> None:
        self._server, self._name = server, agent_name
        self._made: list[api.AgentDispatch] = []

    async def make(self, rooms: list[str]) -> None:
        """Dispatch the agent to each room."""
        server = self._server
        async with api.LiveKitAPI(server.http_url, server.api_key, server.api_secret) as lkapi:
            for room in rooms:
                request = api.CreateAgentDispatchRequest(room=room, agent_name=self._name)
                self._made.append(await lkapi.agent_dispatch.create_dispatch(request))

    async def delete(self) -> None:
        """Else the next one who comes to a room starts a job for nobody."""
        server = self._server
        async with api.LiveKitAPI(server.http_url, server.api_key, server.api_secret) as lkapi:
            for made in self._made:
                with contextlib.suppress(api.TwirpError):  # the room may be gone
                    await lkapi.agent_dispatch.delete_dispatch(made.id, made.room)
        self._made.clear()


class Pmon:
    """A pmon-worker whose metrics are read now and then."""

    def __init__(self, watch: Watch, server: MeteredServer) -> None:
        self.observed = Observed()
        self._port = free_port()
        name = f"pmon-{watch.name.replace(' ', '-')}"
        self._dispatches = Dispatches(server, name)
        settings = {
            "LIVEKIT_URL": server.url,
            "LIVEKIT_API_KEY": server.api_key,
            "LIVEKIT_API_SECRET": server.api_secret,
            "LIVEKIT_AGENT_NAME": name,
            "PMON_HTTP_PORT": str(self._port),
        }
        self._worker = WorkerProcess(settings | watch.settings, self.observed.event)
        self._scraping: asyncio.Task[None] | None = None

    async def start(self, rooms: list[str]) -> None:
        """Start, register, and dispatch to the rooms."""
        await self._worker.start()
        self._scraping = asyncio.create_task(self._scrape())
        self.observed.asked = time.time()
        await self._dispatches.make(rooms)

    def processes(self) -> list[psutil.Process]:
        """The supervisor and its media processes."""
        main = psutil.Process(self._worker.pid)
        return [main, *main.children(recursive=True)]

    async def stop(self) -> None:
        """With the summaries of all sessions; then nobody is dispatched any more."""
        if self._scraping is not None:
            self._scraping.cancel()
            await asyncio.gather(self._scraping, return_exceptions=True)
        try:
            await self._worker.stop()
        finally:
            await self._worker.close()
            await self._dispatches.delete()

    async def _scrape(self) -> None:
        while True:
            await asyncio.sleep(SCRAPE_S)
            with contextlib.suppress(OSError):  # busy: a scrape is lost, as with Prometheus
                pages = [await asyncio.to_thread(read, self._url(p)) for p in ("metrics", "worker")]
                self.observed.told = told_of(*pages)

    def _url(self, page: str) -> str:
        return f"http://127.0.0.1:{self._port}/{page}"


class Script:
    """A Python program that tells what it hears in lines of JSON."""

    def __init__(self, watch: Watch, server: MeteredServer) -> None:
        self.observed = Observed()
        self._kind, self._server = watch.kind, server
        self._dispatches = Dispatches(server, "peer")
        self._registered = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._guard: Guard | None = None
        self._reader: asyncio.Task[None] | None = None
        self._last = ""

    async def start(self, rooms: list[str]) -> None:
        """Start, and dispatch to the rooms if it waits for jobs."""
        agents = self._kind in AGENTS
        if agents:
            await self._run(
                AGENTS_PYTHON, "capacity.agents_worker", "peer", frame_ms=AGENTS[self._kind]
            )
        else:
            how, _, policy = self._kind.partition(" ")
            batch = ["--batch"] if policy == "batch" else []
            python = Path(sys.executable)
            await self._run(python, "capacity.stock_watcher", *batch, how, *rooms)
        await asyncio.wait_for(self._registered.wait(), REGISTER_S)
        self.observed.asked = time.time()
        for room in rooms if agents else ():
            # A worker that starts a process on a full core is late to answer for the next job, and
            # LiveKit gives that to nobody.
            await self._dispatches.make([room])
            await self._watched(room)

    async def _watched(self, room: str) -> None:
        """Wait until somebody in the room is watched, or too long."""
        deadline = time.monotonic() + SPAWN_S
        while room not in {name for name, _ in self.observed.present}:
            self.processes()  # it says so if it has ended
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(0.1)

    async def _run(
        self, python: Path, module: str, *arguments: str, frame_ms: int | None = None
    ) -> None:
        server = self._server
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PMON_", "LIVEKIT_"))}
        self._process = await asyncio.create_subprocess_exec(
            str(python),
            "-m",
            module,
            *arguments,
            cwd=BENCHMARKS,
            env={
                **kept,
                "PYTHONPATH": str(BENCHMARKS),
                "LIVEKIT_URL": server.url,
                "LIVEKIT_API_KEY": server.api_key,
                "LIVEKIT_API_SECRET": server.api_secret,
                # By the environment: the processes of its jobs inherit that.
                **({} if frame_ms is None else {"FRAME_MS": str(frame_ms)}),
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            limit=1 << 20,
        )
        self._guard = Guard(self._process.pid)
        self._reader = asyncio.create_task(self._read(self._process))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            try:
                facts = json.loads(line)
            except ValueError:  # a word of the SDK
                self._last = line.decode(errors="replace").strip() or self._last
                continue
            if isinstance(facts, dict):
                self.observed.line(facts)
                if facts.get("registered"):
                    self._registered.set()

    def processes(self) -> list[psutil.Process]:
        """All of the program; RuntimeError with its last words if it ended."""
        if self._process is None or self._process.returncode is not None:
            raise RuntimeError(f"{self._kind} ended: {self._last}")
        main = psutil.Process(self._process.pid)
        return [main, *main.children(recursive=True)]

    async def stop(self) -> None:
        """Ask it to end, and insist."""
        process, self._process = self._process, None
        if process is None:
            return
        family: list[psutil.Process] = []
        if process.returncode is None:
            main = psutil.Process(process.pid)
            family = [main, *main.children(recursive=True)]
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOP_S)
        if self._guard is not None:
            self._guard.release()
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        await process.wait()
        if self._reader is not None:
            await asyncio.wait([self._reader])
        await self._dispatches.delete()
