"""Retention: what is old goes, hour by hour, and nothing else does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from history_samples import meeting, put, sqlite_url, stored

from pmon.app.outputs import Outputs
from pmon.outputs.record import Record
from pmon.outputs.retention import Keeper, Retention
from pmon.settings import load_settings

NOW = datetime(2026, 3, 14, 15, 0, tzinfo=UTC)
DAY_S = 86_400.0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a thread knows nothing of the loop
            await asyncio.sleep(0.01)


class Kept:
    """Remembers what it was asked to forget."""

    name = "kept"

    def __init__(self, fails: bool = False) -> None:
        self.asked: list[datetime] = []
        self.twice = threading.Event()
        self._fails = fails

    def forget(self, before: datetime) -> int:
        self.asked.append(before)
        if len(self.asked) == 2:
            self.twice.set()
        if self._fails:
            raise OSError("the disk is on fire")
        return 1


def test_all_are_asked_again_and_again_though_one_fails(
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken, well = Kept(fails=True), Kept()
    retention = Retention([broken, well], DAY_S, every_s=0.01, utc_now=lambda: NOW)
    retention.start()
    assert well.twice.wait(10)
    assert broken.twice.wait(10)
    retention.close()
    assert well.asked[0] == NOW - timedelta(days=1)
    assert "the disk is on fire" in capsys.readouterr().out


def test_for_ever_is_for_ever() -> None:
    """A retention of zero is no retention, and must delete nothing."""
    kept, before = Kept(), set(threading.enumerate())
    retention = Retention([kept], 0.0, every_s=0.01)
    retention.start()
    retention.close()
    assert set(threading.enumerate()) <= before
    assert kept.asked == []


def test_files_of_days_that_are_over_go(tmp_path: Path) -> None:
    record = Record(str(tmp_path))
    assert isinstance(record, Keeper)
    names = [f"pmon-2026-03-{day:02}.jsonl" for day in (11, 12, 13, 14)]
    others = ["pmon-2026-03-01.jsonl.gz", "pmon-notes.jsonl", "2026-03-01.jsonl"]
    for name in names + others:
        (tmp_path / name).write_text("{}\n")
    # The 12th ended at the midnight before the 13th, at 15:00 of which the limit is.
    assert record.forget(NOW - timedelta(days=1)) == 2
    assert {path.name for path in tmp_path.iterdir()} == {*names[2:], *others}
    assert record.forget(NOW - timedelta(days=1)) == 0


async def test_a_worker_deletes_what_is_too_old_when_it_starts(tmp_path: Path) -> None:
    """What record and history keep is in the hands of one setting."""
    url, folder = sqlite_url(tmp_path), tmp_path / "record"
    put(url, meeting())  # of a day in March
    folder.mkdir()
    old = folder / "pmon-2020-01-01.jsonl"
    old.write_text("{}\n")
    keys = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "secret"}
    places = {"PMON_DATABASE": url, "PMON_RECORD": str(folder), "PMON_RETENTION": "1d"}
    outputs = Outputs(load_settings({**keys, **places}))
    await outputs.start()
    await until(lambda: not old.exists() and not any(stored(url).values()))
    await outputs.aclose()
    assert outputs.dropped() == {"record": 0, "history": 0}
    assert len(list(folder.iterdir())) == 1  # today's
