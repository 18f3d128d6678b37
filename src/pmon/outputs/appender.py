"""Appends lines to files: whole lines, in order, through full disks and rotation."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from pmon.outputs.batches import WriteError

Line = tuple[Callable[[], Path], bytes]
"""Which file it belongs to at the time it is written, and the line with its end."""


def append_lines(lines: Sequence[Line]) -> int:
    """Append those that belong to the file of the first; returns how many these are. It is what a
    ``BatchWriter`` writes with.
    """
    path, of_file = next(groupby(lines, lambda line: line[0]()))
    together = [line for _, line in of_file]
    try:
        append(path, b"".join(together))
    except OSError as error:
        raise WriteError(error.strerror) from error
    return len(together)


def append(path: Path, data: bytes) -> None:
    """Append whole lines or nothing.

    The file is opened anew for each batch, so a file that was rotated away or a folder that was
    mounted again is no trouble. The lock keeps two workers with one folder apart.
    """
    fd = open_locked(path)
    try:
        end = os.fstat(fd).st_size
        if end and os.pread(fd, 1, end - 1) != b"\n":  # a writer died in the middle of a line
            data = b"\n" + data
        try:
            _write_all(fd, data)
        except OSError:
            with suppress(OSError):
                os.ftruncate(fd, end)
            raise
    finally:
        os.close(fd)


def open_locked(path: Path) -> int:
    """The file of that name, and nobody else writes to it until it is closed."""
    while True:
        fd = open_for_owner(path)
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(fd, fcntl.LOCK_EX)
        if _is_at(fd, path):
            return fd
        os.close(fd)  # another one was put in its place while we waited


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def open_for_owner(path: Path) -> int:
    """A file to append to, made if need be; nobody else may read it."""
    return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
