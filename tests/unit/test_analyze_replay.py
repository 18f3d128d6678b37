"""``pmon analyze --replay``: the same events, whichever process tells them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from recordings import run
from room_driver import Meeting, camera, microphone, person

from pmon.monitor import events as ev

PROGRAM = ("-c", "from pmon.cli.main import main; main(prog_name='pmon')", "analyze", "--replay")


def meeting() -> Meeting:
    """One in which many things happen at once, in an order that a set would lose."""
    room = Meeting()
    room.job("AJ_1", "alice")
    cameras = [camera(f"TR_{number}") for number in range(20)]
    room.connected(person("alice", microphone(), *cameras))
    room.speak(5.0, 7.0)
    room.connected(person("alice", microphone()))
    room.to(30.0)
    room.speak(31.0, 33.0)
    room.monitor.end_all("shutdown", room.now)
    room.collect()
    return room


def written(room: Meeting, folder: Path) -> Path:
    path = folder / "trace.jsonl"
    path.write_bytes(b"".join(room.trace.lines))
    return path


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_same_events_come_from_any_process(tmp_path: Path, seed: str) -> None:
    """The order of a set of strings differs from one start of Python to the next."""
    room = meeting()
    done = subprocess.run(
        [sys.executable, *PROGRAM, str(written(room, tmp_path))],
        capture_output=True,
        timeout=60,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    told = [msgspec.json.decode(line, type=ev.AnyEvent) for line in done.stdout.splitlines()]
    assert len(told) > 45
    assert told == room.events


def test_a_broken_line_is_named_and_what_came_before_is_told(tmp_path: Path) -> None:
    room = meeting()
    room.trace.lines[10] = b"{}\n"
    done = run("--replay", written(room, tmp_path))
    assert done.exit_code == 1
    assert "trace.jsonl: line 11: " in done.stderr
    assert done.stdout.count("\n") > 20
    Meeting.made.clear()  # it cannot be replayed


def test_where_a_trace_stops_is_told(tmp_path: Path) -> None:
    room = meeting()
    room.trace.stop("it has reached 64 MiB")
    done = run("--replay", written(room, tmp_path))
    assert done.exit_code == 0
    assert f"line {len(room.trace.lines)}: it stops here: it has reached 64 MiB" in done.stderr
    assert done.stdout.count("\n") == len(room.events)
    Meeting.made.clear()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"", "line 1: no trace of pmon"),
        (b"RIFF\x24\x00\x00\x00WAVE", "line 1: no trace of pmon"),
        (b'{"what":"trace","v":7}\n', "line 1: it is of version 7"),
    ],
)
def test_what_is_no_trace_is_refused(tmp_path: Path, data: bytes | None, message: str) -> None:
    path = tmp_path / "trace.jsonl"
    if data is not None:
        path.write_bytes(data)
    done = run("--replay", path)
    assert (done.exit_code, done.stdout) == (1, "")
    assert message in done.stderr
