"""Traces: what goes into the monitors of a process, one file for each room connection.

They hold identities and attributes as the server tells them, no audio and no secrets.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import tempfile
import weakref
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import structlog

from pmon.monitor.clock import UtcAnchor
from pmon.monitor.room import RoomMonitor
from pmon.monitor.trace import Stopped, encode, recorded
from pmon.outputs.appender import Line, append_lines
from pmon.outputs.batches import BatchWriter
from pmon.settings import SettingsError

TRACE_BYTES = 64 << 20
"""One trace; a lively room of ten writes a megabyte in some minutes."""
FOLDER_BYTES = 1 << 30
"""All traces of a folder, as this process last found them, and what it has written since."""
BACKLOG = 20_000
"""Lines that wait while the disk fails; a trace with a gap would be worth nothing, so they stop."""

_log = structlog.get_logger("pmon.trace")
_numbers = count(1)


def check_folder(folder: str) -> None:
    """Make the folder, and see that it takes files. Raises SettingsError if it does not."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise SettingsError(
            f"PMON_TRACE (--trace): cannot write to {folder}: {error.strerror}"
        ) from None


class Traces:
    """The traces of one process, which one thread writes."""

    def __init__(
        self, folder: str, *, trace_bytes: int = TRACE_BYTES, folder_bytes: int = FOLDER_BYTES
    ) -> None:
        self._folder = Path(folder)
        self._trace_bytes = trace_bytes
        self._folder_bytes = folder_bytes
        self._left = folder_bytes
        self._told_full = False
        self._sinks: weakref.WeakSet[_Sink] = weakref.WeakSet()
        self._version = importlib.metadata.version("pmon-livekit")
        # Twice: of those that stop, each has a last line.
        self._writer: BatchWriter[Line] = BatchWriter("trace", append_lines, backlog=2 * BACKLOG)
        self._writer.start()

    def record(self, room: str, anchor: UtcAnchor, *, opt_out: bool) -> RoomMonitor:
        """The monitor of a room, whose inputs are written down while there is place."""
        self._left = self._folder_bytes - _size(self._folder)
        if self._left <= 0:
            if not self._told_full:
                _log.warning("the folder is full of traces; no room is traced")
            self._told_full = True
            return RoomMonitor(room, anchor, opt_out=opt_out)
        self._told_full = False
        path = self._folder / _name(room)
        _log.info("tracing a room", room=room, path=str(path))
        sink = _Sink(self, room, path)
        self._sinks.add(sink)
        return recorded(room, anchor, sink, opt_out=opt_out, version=self._version)

    def refusal(self, size: int) -> str | None:
        """Why a trace that has this size must stop."""
        if size > self._trace_bytes:
            return f"it has reached {self._trace_bytes >> 20} MiB"
        if self._left < 0:
            return "the folder is full of traces"
        if self._writer.waiting > BACKLOG:
            return "the disk does not take it"
        return None

    def append(self, path: Path, line: bytes) -> None:
        self._left -= len(line)
        self._writer.add((lambda: path, line))

    def handed_over(self) -> None:
        """Another process tells of all rooms from here on, and what this one sees is not told."""
        for sink in list(self._sinks):
            sink.stop("another process goes on from here")

    async def aclose(self) -> None:
        """Write what waits, for some seconds at most."""
        await self._writer.aclose()


class _Sink:
    """One trace; ``monitor.trace`` tells what its lines are."""

    def __init__(self, traces: Traces, room: str, path: Path) -> None:
        self.open = True
        self._traces = traces
        self._room = room
        self._path = path
        self._size = 0

    def line(self, line: bytes) -> None:
        self._size += len(line)
        refusal = self._traces.refusal(self._size)
        if refusal is None:
            self._traces.append(self._path, line)
        else:
            self.stop(refusal)

    def stop(self, reason: str) -> None:
        if self.open:
            self.open = False
            self._traces.append(self._path, encode(Stopped(reason)))
            _log.info("the trace of a room stops", room=self._room, reason=reason)


def _size(folder: Path) -> int:
    """Bytes of all its traces."""
    size = 0
    for path in folder.glob("trace-*.jsonl"):
        with suppress(FileNotFoundError):  # somebody tidies up
            size += path.stat().st_size
    return size


def _name(room: str) -> str:
    """Room names are anything, and may come from people who want to be elsewhere in the tree."""
    started = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", room)[:40]
    return f"trace-{started}-{os.getpid()}-{next(_numbers)}-{readable}.jsonl"
