"""Rooms full of participants who publish encoded speech, from the Go program in ``loadgen/``.

    with LocalServer(find_or_build()) as server:
        load = Load(rooms=2, participants=50, talking_at_once=2, dtx=True)
        with LoadGenerator(server.url, server.api_key, server.api_secret, load) as generator:
            ...  # all have joined and published
        print(generator.truth.rooms["load-000"]["p-000"].segments)

``python benchmarks/load_generator.py`` builds the program and prints its path; ``-help`` makes the
program list its flags.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import platform
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec
from load_model import Load, Ready, Stopped, Truth
from rich.console import Console

from pmon.cli.child import Guard
from pmon.cli.go_build import build_once, cache_folder

SOURCE = Path(__file__).parent / "loadgen"
TRUTH, ERRORS = "truth.json", "errors.log"
STOP_TIMEOUT_S = 30.0


class LoadGeneratorError(RuntimeError):
    """The load generator did not do what it should; the message has its own words."""


class LoadGenerator:
    """One load generator process, a context manager, plain or asynchronous.

    Entering returns once all have joined and published; leaving stops it and reads the truth.
    ``start`` and ``stop`` block: from a coroutine call them through ``asyncio.to_thread``.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        api_secret: str,
        load: Load,
        *,
        binary: Path | None = None,
        ready_timeout_s: float = 60.0,
        prefix: tuple[str, ...] = (),
    ) -> None:
        """``prefix`` is put before the command, as ``("taskset", "-c", "0")``."""
        self.load = load
        self.ready: Ready | None = None
        self.stopped: Stopped | None = None
        self._truth: Truth | None = None
        self._binary = binary
        self._prefix = prefix
        self._timeout_s = ready_timeout_s
        self._credentials = {
            "LIVEKIT_URL": url,
            "LIVEKIT_API_KEY": api_key,
            "LIVEKIT_API_SECRET": api_secret,
        }
        self._process: subprocess.Popen[str] | None = None
        self._guard: Guard | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._last_errors = ""

    @property
    def truth(self) -> Truth:
        """Who takes part, and after ``stop`` what everybody did."""
        if self._truth is None:
            raise RuntimeError("the load generator was not started")
        return self._truth

    @property
    def pid(self) -> int:
        """Process id of the running program (of ``prefix``, should that not replace itself)."""
        if self._process is None:
            raise RuntimeError("the load generator is not running")
        return self._process.pid

    def start(self) -> None:
        """Start, built first if need be, and wait until all are there.

        Raises LoadGeneratorError or GoBuildError.
        """
        if self._process is not None:
            raise RuntimeError("the load generator is running already")
        binary = self._binary or find_or_build()
        self._folder = tempfile.TemporaryDirectory(prefix="pmon-loadgen-")
        folder = Path(self._folder.name)
        arguments = [*self.load.arguments(), f"-truth={folder / TRUTH}"]
        with (folder / ERRORS).open("wb") as errors:
            self._process = subprocess.Popen(
                [*self._prefix, str(binary), *arguments],
                env={**os.environ, **self._credentials},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        self._guard = Guard(self._process.pid)
        assert self._process.stdout is not None
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()
        try:
            self.ready = msgspec.json.decode(self._line("ready", self._timeout_s), type=Ready)
            self._truth = self._read_truth()
        except BaseException:
            self._kill()
            raise

    def stop(self) -> Truth:
        """Let everybody leave and return the truth. Raises LoadGeneratorError."""
        if self._process is None:
            return self.truth
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        return self.wait(STOP_TIMEOUT_S)

    def wait(self, timeout_s: float) -> Truth:
        """Wait until a load with a duration is over and return the truth."""
        if self._process is None:
            return self.truth
        try:
            self.stopped = msgspec.json.decode(self._line("stopped", timeout_s), type=Stopped)
            if self._guard is not None:
                self._guard.release()
            code = self._process.wait(STOP_TIMEOUT_S)
            if code:
                raise LoadGeneratorError(f"the load generator ended with {code}: {self.errors()}")
            self._truth = self._read_truth()
        finally:
            self._kill()
        return self._truth

    def errors(self) -> str:
        """What it complained about so far."""
        if self._folder is None:
            return self._last_errors
        return (Path(self._folder.name) / ERRORS).read_text(errors="replace").strip()

    def _read_truth(self) -> Truth:
        assert self._folder is not None
        text = (Path(self._folder.name) / TRUTH).read_bytes()
        return msgspec.json.decode(text, type=Truth)

    def _read(self, output: IO[str]) -> None:
        with output:
            for line in output:
                self._lines.put(line)
        self._lines.put(None)

    def _line(self, event: str, timeout_s: float) -> str:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                line = self._lines.get(timeout=max(deadline - time.monotonic(), 0))
            except queue.Empty:
                raise LoadGeneratorError(
                    f"the load generator was not {event} within {timeout_s:.0f} s: {self.errors()}"
                ) from None
            if line is None:
                raise LoadGeneratorError(
                    f"the load generator ended before it was {event}: {self.errors()}"
                )
            if f'"event":"{event}"' in line:
                return line

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        if self._guard is not None:
            self._guard.release()
        process.wait()
        if self._folder is not None:
            self._last_errors = self.errors()
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.stop()
        finally:
            self._kill()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)


def find_or_build(console: Console | None = None) -> Path:
    """Path of the load generator as its source is now, built into the cache once.

    Building takes one to three minutes. Raises GoBuildError.
    """
    digest = hashlib.sha256()
    for path in sorted(SOURCE.rglob("*")):
        if path.is_file() and not path.name.endswith(("_test.go", ".md")):
            digest.update(f"{path.relative_to(SOURCE)} {path.stat().st_size}\n".encode())
            digest.update(path.read_bytes())
    name = f"loadgen-{digest.hexdigest()[:16]}-{sys.platform}-{platform.machine()}"
    target = cache_folder() / name
    build_once(
        target,
        "loadgen",
        "loadgen (1 to 3 minutes)",
        ["install", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "."],
        console or Console(stderr=True),
        folder=SOURCE,
    )
    return target


if __name__ == "__main__":
    print(find_or_build())
