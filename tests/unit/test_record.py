"""The record: whole lines, in order, through crashes, full disks and midnight."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from event_samples import base, every_type

from pmon.monitor import events as ev
from pmon.outputs.record import Record, RecordError
from pmon.settings import SettingsError

DAY = datetime(2026, 3, 14, 23, 59, tzinfo=UTC)
NAME = "pmon-2026-03-14.jsonl"


def record(folder: Path, **more: Any) -> Record:
    return Record(str(folder), **{"utc_now": lambda: DAY, "retry_s": 0.02, **more})


def numbered(n: int) -> ev.AnyEvent:
    return ev.SpeakingStarted(**{**base(), "id": f"i-{n}"})


def lines(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    assert data.endswith(b"\n") or not data
    return [json.loads(line) for line in data.splitlines()]


def written(path: Path) -> int:
    """Whole lines; the last one may be on its way."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def ids(path: Path) -> list[str]:
    return [line["id"] for line in lines(path)]


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


async def test_every_event_is_one_line(tmp_path: Path) -> None:
    out = record(tmp_path / "made" / "on the way")
    await out.start()
    for event in every_type():
        out.event(event)
    await out.aclose()
    path = tmp_path / "made" / "on the way" / NAME
    found = [msgspec.json.decode(line, type=ev.AnyEvent) for line in path.read_bytes().splitlines()]
    assert found == every_type()
    assert out.dropped == 0


async def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    """It says who talked to whom."""
    out = record(tmp_path / "folder")
    await out.start()
    await out.aclose()
    assert stat.S_IMODE((tmp_path / "folder" / NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o700


async def test_a_new_day_is_a_new_file(tmp_path: Path) -> None:
    now = [DAY]
    out = record(tmp_path, utc_now=lambda: now[0])
    await out.start()
    out.event(numbered(1))
    await until(lambda: written(tmp_path / NAME) == 1)
    now[0] += timedelta(minutes=2)
    out.event(numbered(2))
    await out.aclose()
    assert ids(tmp_path / NAME) == ["i-1"]
    assert ids(tmp_path / "pmon-2026-03-15.jsonl") == ["i-2"]


async def test_a_line_that_a_crash_cut_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b'{"id":"i-0"}\n{"id":"i-')
    out = record(tmp_path)
    await out.start()
    out.event(numbered(1))
    await out.aclose()
    found = (tmp_path / NAME).read_bytes().splitlines()
    assert found[:2] == [b'{"id":"i-0"}', b'{"id":"i-']
    assert json.loads(found[2])["id"] == "i-1"


async def test_a_file_that_was_moved_away_is_made_again(tmp_path: Path) -> None:
    """Log rotation must not make events vanish into a deleted file."""
    out = record(tmp_path)
    await out.start()
    out.event(numbered(1))
    await until(lambda: written(tmp_path / NAME) == 1)
    (tmp_path / NAME).rename(tmp_path / "moved")
    out.event(numbered(2))
    await out.aclose()
    assert ids(tmp_path / "moved") == ["i-1"]
    assert ids(tmp_path / NAME) == ["i-2"]


async def test_a_folder_that_takes_no_files_stops_the_start(tmp_path: Path) -> None:
    """One hears of it at once and not when the record is needed."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match=r"PMON_RECORD \(--record\).*Not a directory") as caught:
        await record(tmp_path / "file" / "folder").start()
    assert isinstance(caught.value, SettingsError)  # so the command exits with 2


async def test_events_wait_while_the_disk_is_full(tmp_path: Path) -> None:
    """/dev/full takes every open and refuses every write, as a full disk does."""
    out = record(tmp_path)
    (tmp_path / NAME).symlink_to("/dev/full")
    await out.start()
    for n in range(1200):
        out.event(numbered(n))
    await asyncio.sleep(0.1)
    (tmp_path / NAME).unlink()
    await until(lambda: written(tmp_path / NAME) == 1200)
    await out.aclose()
    assert ids(tmp_path / NAME) == [f"i-{n}" for n in range(1200)]
    assert out.dropped == 0


async def test_the_newest_events_wait_and_the_others_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Memory stays bounded however long the disk fails."""
    out = record(tmp_path, backlog=10)
    (tmp_path / NAME).symlink_to("/dev/full")
    await out.start()
    for n in range(25):
        out.event(numbered(n))
    await until(lambda: out.dropped == 15)
    (tmp_path / NAME).unlink()
    await out.aclose()
    kept = ids(tmp_path / NAME)
    assert len(kept) == 10
    assert kept[-1] == "i-24"
    assert capsys.readouterr().out.count("the oldest go") == 1  # not once an event


async def test_closing_with_a_full_disk_ends_and_says_what_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = record(tmp_path, retry_s=30.0)
    (tmp_path / NAME).symlink_to("/dev/full")
    await out.start()
    for n in range(3):
        out.event(numbered(n))
    await until(lambda: "cannot be written" in capsys.readouterr().out)
    started = time.monotonic()
    await out.aclose()
    assert time.monotonic() - started < 2.0
    assert out.dropped == 3
    assert "record is incomplete" in capsys.readouterr().out
    out.event(numbered(4))
    assert out.dropped == 4


async def test_a_hanging_disk_holds_up_neither_events_nor_the_exit(tmp_path: Path) -> None:
    """Writing to a full pipe blocks, as a dead network file system does."""
    out = record(tmp_path)
    await out.start()
    (tmp_path / NAME).unlink()
    os.mkfifo(tmp_path / NAME)
    reader = os.open(tmp_path / NAME, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for n in range(2000):  # more than a pipe holds
            out.event(numbered(n))
        started = time.monotonic()
        await out.aclose(deadline_s=0.2)
        assert 0.1 < time.monotonic() - started < 2.0
        assert out.dropped > 0
        [writer] = [thread for thread in threading.enumerate() if thread.name == "record"]
        assert writer.daemon
    finally:
        while any(thread.name == "record" for thread in threading.enumerate()):
            with suppress(BlockingIOError):
                os.read(reader, 65_536)
        os.close(reader)


LIMITED = f"""
import asyncio, resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_record
from pathlib import Path
async def main():
    out = test_record.record(Path(sys.argv[1]))
    await out.start()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    for n in range(20):
        out.event(test_record.numbered(n))
    await asyncio.sleep(0.2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    await out.aclose()
    print(out.dropped)
asyncio.run(main())
"""


def test_a_disk_that_fills_in_the_middle_of_a_line_leaves_no_half_line(tmp_path: Path) -> None:
    """The size limit makes the write come back short, at byte 1000. A limit holds for a whole
    process, so it is another one."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ids(tmp_path / NAME) == [f"i-{n}" for n in range(20)]
    assert done.stdout.splitlines()[-1] == "0"
    assert "cannot be written" in done.stdout


async def test_two_workers_with_one_folder_mix_no_lines(tmp_path: Path) -> None:
    both = [record(tmp_path), record(tmp_path)]
    for out in both:
        await out.start()
    for n in range(300):
        for out in both:
            out.event(numbered(n))
        await asyncio.sleep(0)
    for out in both:
        await out.aclose()
    assert sorted(ids(tmp_path / NAME)) == sorted(f"i-{n}" for n in range(300) for _ in both)
