"""A pmon-worker in a process of its own, watched through the lines of its log."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import TypeVar

import msgspec

from pmon.cli.child import Guard
from pmon.monitor.events import AnyEvent

REGISTERED = "registered worker"
"""What the worker logs once the server may send it jobs."""

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 25.0  # more than the worker's own drain timeout
LONGEST_LINE = 1 << 20
MAIN = "from pmon.cli.worker import main; main(prog_name='pmon-worker')"
COMMAND = (sys.executable, "-P", "-c", MAIN)  # -P: what lies in the current folder is not ours


T = TypeVar("T")


class WorkerFailedError(RuntimeError):
    """The worker ended, or did not do what it should; the message has its last lines."""


class _Line(msgspec.Struct):
    """What every line of the JSON log may have."""

    message: str = ""
    v: int | None = None
    """The version of the event; other lines have none."""


class WorkerProcess:
    """Start with ``start``, then events come to ``on_event`` until ``stop``.

    ``settings`` are environment variables by name, the secrets among them: what goes by
    environment does not show in the process list.
    """

    def __init__(
        self, settings: Mapping[str, str], on_event: Callable[[AnyEvent], None] = lambda event: None
    ) -> None:
        self.lines: deque[str] = deque(maxlen=30)
        self._settings = settings
        self._on_event = on_event
        self._registered = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[int] | None = None

    @property
    def pid(self) -> int:
        """Of the running worker."""
        if self._process is None:
            raise RuntimeError("the worker was not started")
        return self._process.pid

    async def start(self) -> None:
        """Start the worker and wait until it is registered. Raises WorkerFailedError."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PMON_", "LIVEKIT_"))}
        self._process = await asyncio.create_subprocess_exec(
            *COMMAND,
            env={**inherited, "PMON_LOG_FORMAT": "json", **self._settings},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            limit=LONGEST_LINE,
        )
        guard = Guard(self._process.pid)
        self._reader = asyncio.create_task(self._read(self._process))
        self._reader.add_done_callback(lambda _: guard.release())
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self.unless_it_ends(self._registered.wait())
        except TimeoutError:
            raise self.failed("did not register with the server") from None

    async def unless_it_ends(self, work: Coroutine[None, None, T]) -> T:
        """What the coroutine gives back; WorkerFailedError as soon as the worker ends."""
        reader = self._running()
        task = asyncio.create_task(work)
        try:
            await asyncio.wait({task, reader}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            reader.result()  # what went wrong while reading, if anything did
            raise self.failed("ended")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def stop(self) -> int:
        """SIGTERM, then wait for its summaries and its exit code; killed when it takes too long."""
        reader = self._running()
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                return await asyncio.shield(reader)
        except TimeoutError:
            await self.close()
            raise self.failed(f"did not stop within {STOP_TIMEOUT_S:.0f} s") from None

    async def close(self) -> None:
        """Make sure that it is gone, at once."""
        self._signal(signal.SIGKILL)
        if self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    def _running(self) -> asyncio.Task[int]:
        if self._reader is None:
            raise RuntimeError("the worker was not started")
        return self._reader

    async def _read(self, process: asyncio.subprocess.Process) -> int:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            self.lines.append(line.decode(errors="replace").rstrip())
            self._on_line(line)
        return await process.wait()

    def _on_line(self, line: bytes) -> None:
        try:
            known = msgspec.json.decode(line, type=_Line)
        except msgspec.MsgspecError:  # a traceback, a word of the SDK
            return
        if known.v is not None:
            self._on_event(msgspec.json.decode(line, type=AnyEvent))
        elif known.message == REGISTERED:
            self._registered.set()

    def failed(self, what: str) -> WorkerFailedError:
        """An error that shows the worker's last lines."""
        tail = "\n".join(self.lines)
        return WorkerFailedError(f"pmon-worker {what}; its last lines:\n{tail}")
