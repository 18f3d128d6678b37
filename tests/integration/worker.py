"""A real pmon-worker in a process of its own, and what it says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil

Line = dict[str, Any]


class Worker:
    """Starts ``pmon-worker`` and keeps every line of its log.

    Events are the lines with a ``type``; ``wait_for`` returns as soon as one that matches has
    been said, now or before, and fails with what was said instead.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        api_secret: str,
        *,
        inside: Sequence[str] = (),
        **settings: str,
    ) -> None:
        self._inside = inside
        """A command that runs another one in some other place, such as a network namespace."""
        kept = ["PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH"]
        kept += ["LD_PRELOAD", "PYTHONMALLOC", "ASAN_OPTIONS", "UBSAN_OPTIONS"]
        self._env = {name: os.environ[name] for name in kept if name in os.environ}
        self._env |= {
            "LIVEKIT_URL": url,
            "LIVEKIT_API_KEY": api_key,
            "LIVEKIT_API_SECRET": api_secret,
            "PMON_HTTP_PORT": "0",
            "PYTHONWARNINGS": "default",
            # The rooms of earlier tests are there for some seconds more, with their dispatches.
            "PMON_RECONCILE": "false",
            **settings,
        }
        self._secret = api_secret
        self.lines: list[Line] = []
        self.stderr = ""
        self._said = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Worker:
        self._process = await asyncio.create_subprocess_exec(
            *self._inside,
            str(Path(sys.executable).with_name("pmon-worker")),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._env,
            limit=1 << 24,
        )
        self._readers = [
            asyncio.create_task(self._read_lines()),
            asyncio.create_task(self._read_errors()),
        ]
        await self.wait_for(lambda line: line["message"] == "registered worker")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            # One that stands still would go on when nobody waits for it, and hold the pipes open.
            children = psutil.Process(self.process.pid).children()
            self.process.kill()
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        await self.process.wait()
        await asyncio.gather(*self._readers)
        said = self.stderr + "".join(map(str, self.lines))
        assert self._secret not in said, "the API secret was logged"
        assert "Traceback" not in said, said

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    @property
    def http_port(self) -> int:
        return next(int(line["http_port"]) for line in self.lines if "http_port" in line)

    @property
    def events(self) -> list[Line]:
        return [line for line in self.lines if "type" in line]

    def of(self, kind: str, /, **fields: object) -> list[Line]:
        """The events of a type whose fields have these values."""
        return [line for line in self.events if _matches(line, {"type": kind} | fields)]

    async def wait(
        self, kind: str, /, count: int = 1, *, within_s: float = 20, **fields: object
    ) -> Line:
        """Wait until that many such events were said; returns the last of them."""
        await self._wait(lambda: len(self.of(kind, **fields)) >= count, within_s, (kind, fields))
        return self.of(kind, **fields)[count - 1]

    async def wait_for(self, wanted: Callable[[Line], bool], within_s: float = 20) -> Line:
        """Wait for a line of the log, whatever its kind."""
        await self._wait(lambda: any(map(wanted, self.lines)), within_s, wanted)
        return next(line for line in self.lines if wanted(line))

    async def stop(self, number: int = signal.SIGTERM, within_s: float = 20) -> int:
        """Send a signal, and wait for the end and for the last line. Returns the exit code."""
        self.process.send_signal(number)
        code = await asyncio.wait_for(self.process.wait(), within_s)
        await asyncio.gather(*self._readers)
        return code

    async def _wait(self, done: Callable[[], bool], within_s: float, what: object) -> None:
        async with self._said:
            with contextlib.suppress(TimeoutError):
                over = self._said.wait_for(lambda: done() or self._readers[0].done())
                await asyncio.wait_for(over, within_s)
        if not done():
            said = "\n".join(str(line) for line in self.lines[-40:])
            raise AssertionError(f"never said: {what}\n{said}\n{self.stderr}")

    async def _read_lines(self) -> None:
        assert self.process.stdout is not None
        async for raw in self.process.stdout:
            self.lines.append(msgspec.json.decode(raw))
            async with self._said:
                self._said.notify_all()

    async def _read_errors(self) -> None:
        assert self.process.stderr is not None
        async for raw in self.process.stderr:
            self.stderr += raw.decode(errors="replace")


def _matches(line: Line, fields: dict[str, object]) -> bool:
    return all(line.get(name) == value for name, value in fields.items())
