"""One participant in the files of the record."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from pmon.outputs.appender import open_locked
from pmon.outputs.personal.subject import StandIns, Subject, erased
from pmon.outputs.record import days


def find(folder: Path, subject: Subject) -> Iterator[dict[str, Any]]:
    """Each event of theirs, with its place. Raises OSError."""
    for path, _ in days(folder):
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                event = _decoded(line)
                if event is not None and event.get("participant") in subject.names:
                    yield {"file": path.name, "line": number, "event": event}


def erase(folder: Path, subject: Subject, stand_ins: StandIns, *, dry_run: bool) -> tuple[int, int]:
    """Write the files anew without who it was; returns how many lines in how many files change.

    A file is put in the place of the old one as a whole, while no worker writes to it. Raises
    OSError.
    """
    for path, _ in days(folder):
        _learn(path, subject)
    named = {path: _look(path, subject, stand_ins) for path, _ in days(folder)}
    changed = {path: lines for path, lines in named.items() if lines}
    if not dry_run:
        changed = {path: _rewrite(path, subject, stand_ins) for path in changed}
    return sum(changed.values()), len(changed)


def others(folder: Path) -> list[str]:
    """Files in the folder that are none of the record's, such as compressed ones."""
    ours = {path for path, _ in days(folder)}
    return sorted(path.name for path in folder.iterdir() if path not in ours)


def _learn(path: Path, subject: Subject) -> None:
    """Who was in which room."""
    with path.open("rb") as file:
        for event in filter(None, map(_decoded, file)):
            subject.learn(event.get("room") or "", event.get("participant") or "")


def _look(path: Path, subject: Subject, stand_ins: StandIns) -> int:
    """In how many lines they are named."""
    lines = 0
    with path.open("rb") as file:
        for line in file:
            event = _decoded(line)
            if _is_named(event, line, subject):
                lines += 1
                if event is not None:
                    stand_ins.learn(event.get("session") or "", event.get("room_sid") or "")
    return lines


def _rewrite(path: Path, subject: Subject, stand_ins: StandIns) -> int:
    """Returns the number of lines that changed."""
    with os.fdopen(open_locked(path), "rb") as old:
        fd, name = tempfile.mkstemp(prefix=".pmon-", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(fd, "wb") as new:
                _give_to_owner_of(old, new)
                changed = _copy(old, new, subject, stand_ins)
                new.flush()
                os.fsync(new.fileno())
            os.replace(name, path)
            return changed
        finally:
            Path(name).unlink(missing_ok=True)


def _give_to_owner_of(old: BinaryIO, new: BinaryIO) -> None:
    """Whoever erases may be another than the worker, which is to go on writing."""
    of_old = os.fstat(old.fileno())
    os.fchown(new.fileno(), of_old.st_uid, of_old.st_gid)
    os.fchmod(new.fileno(), stat.S_IMODE(of_old.st_mode))


def _copy(old: BinaryIO, new: BinaryIO, subject: Subject, stand_ins: StandIns) -> int:
    changed = 0
    old.seek(0)
    for line in old:
        event = _decoded(line)
        if not _is_named(event, line, subject):
            new.write(line)
            continue
        changed += 1
        if event is not None:  # else a crash cut it, and nobody can read it
            new.write(msgspec.json.encode(erased(event, subject, stand_ins)) + b"\n")
    return changed


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _is_named(event: dict[str, Any] | None, line: bytes, subject: Subject) -> bool:
    if event is None:
        return subject.in_line(line)
    return subject.in_event(event)
