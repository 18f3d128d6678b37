"""Trace files: bounded, private, complete or with a last line that says why not."""

from __future__ import annotations

import stat
import time
from pathlib import Path
from typing import Any

import pytest
from room_driver import EPOCH, microphone, person, watch
from sdk_stand_ins import Tier
from test_host import KEYS, job
from test_record import until

from pmon.app import messages as msg
from pmon.app import trace
from pmon.app.host import Host
from pmon.app.trace import Traces, _size, check_folder
from pmon.media.connection import RoomConnection
from pmon.monitor.clock import UtcAnchor
from pmon.monitor.room import RoomMonitor
from pmon.monitor.trace import Remark, replay
from pmon.settings import SettingsError, load_settings


def anchor() -> UtcAnchor:
    return UtcAnchor(0.0, EPOCH)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("trace-*.jsonl"))


def replayed(path: Path) -> list[Any]:
    with path.open("rb") as lines:
        return list(replay(lines))


def meet(monitor: RoomMonitor) -> list[Any]:
    """Somebody comes, speaks and is watched. Returns the events."""
    monitor.start_job("AJ_1", "AD_1", person("ann"), watch(), 0.0)
    monitor.connected("RM_1", [person("ann", microphone())], 1.0)
    monitor.speech("TR_mic", 0.01, True, 2.0)
    monitor.speech("TR_mic", 0.01, False, 3.0)
    return monitor.take_events()


async def test_each_room_has_a_file_that_tells_its_events_again(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    check_folder(str(folder))
    traces = Traces(str(folder))
    told = [meet(traces.record(name, anchor(), opt_out=True)) for name in ("one", "two")]
    await traces.aclose()
    assert [replayed(path) for path in files(folder)] == told
    for path in files(folder):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["../../escape", "a/b", "", "é" * 300, "x" * 255, ".", "a\0b\n"])
async def test_the_name_of_a_room_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    traces = Traces(str(tmp_path))
    told = meet(traces.record(name, anchor(), opt_out=True))
    await traces.aclose()
    [path] = files(tmp_path)
    assert replayed(path) == told


async def test_a_trace_that_is_full_stops_and_says_so(tmp_path: Path) -> None:
    """A room may live for months."""
    traces = Traces(str(tmp_path), trace_bytes=5000)
    monitor = traces.record("one", anchor(), opt_out=True)
    meet(monitor)
    for second in range(4, 2000):
        monitor.tick(float(second))
    await traces.aclose()
    [path] = files(tmp_path)
    assert 4500 < path.stat().st_size < 5200
    remark = replayed(path)[-1]
    assert isinstance(remark, Remark)
    assert "it has reached" in remark.text


async def test_a_full_folder_takes_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rooms come and go, and each leaves a file."""
    (tmp_path / "trace-old.jsonl").write_bytes(b"x" * 3000)
    traces = Traces(str(tmp_path), folder_bytes=8000)
    monitors = [traces.record(name, anchor(), opt_out=True) for name in ("one", "two")]
    for second in range(200):
        for monitor in monitors:
            monitor.tick(float(second))
    await traces.aclose()
    assert 7500 < _size(tmp_path) < 8500  # a last line each
    remarks = [replayed(path)[-1] for path in files(tmp_path)[:2]]
    assert ["full of traces" in remark.text for remark in remarks] == [True, True]
    again = Traces(str(tmp_path), folder_bytes=8000)
    for name in ("three", "four"):
        assert type(again.record(name, anchor(), opt_out=True)) is RoomMonitor
    await again.aclose()
    assert capsys.readouterr().out.count("no room is traced") == 1


async def test_a_disk_that_takes_nothing_stops_traces_at_the_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines may be lost at the end only: with some of the middle missing all after it is wrong."""
    monkeypatch.setattr(trace, "BACKLOG", 100)
    folder = tmp_path / "folder"
    check_folder(str(folder))
    traces = Traces(str(folder))
    monitor = traces.record("one", anchor(), opt_out=True)
    told = meet(monitor)
    await until(lambda: bool(files(folder)))
    path = files(folder)[0]
    folder.rename(tmp_path / "away")
    for second in range(4, 1000):
        monitor.tick(float(second))
    (tmp_path / "away").rename(folder)
    await traces.aclose()
    *events, remark = replayed(path)
    assert events == told
    assert "the disk does not take it" in remark.text
    assert path.read_bytes().count(b'"tick"') >= 90


async def test_what_is_seen_after_a_handover_is_not_in_the_trace(tmp_path: Path) -> None:
    """Nobody is told of it: the room is left, and another process goes on."""
    traces = Traces(str(tmp_path))
    monitor = traces.record("one", anchor(), opt_out=True)
    told = meet(monitor)
    traces.handed_over()
    monitor.suspend(5.0)
    monitor.end_all("shutdown", 6.0)
    await traces.aclose()
    *events, remark = replayed(files(tmp_path)[0])
    assert events == told
    assert "another process goes on" in remark.text


def test_a_folder_that_takes_no_files_is_a_bad_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"PMON_TRACE \(--trace\): .*Not a directory"):
        check_folder(str(tmp_path / "file" / "folder"))


@pytest.mark.parametrize("traced", [True, False])
async def test_a_host_traces_only_if_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, traced: bool
) -> None:
    """Without the setting the monitor is called directly: it costs nothing."""
    monkeypatch.setattr(RoomConnection, "start", lambda _: None)
    said: list[msg.FromHost] = []
    more = {"PMON_TRACE": str(tmp_path)} if traced else {}
    nobody: Any = None
    host = Host(load_settings({**KEYS, **more}), nobody, Tier(), said.append)
    host.handle(job(1))
    monitor = host._rooms["standup"].monitor
    assert (type(monitor) is RoomMonitor) is not traced
    monitor.connected("RM_1", [person("ann", microphone())], time.monotonic())
    host.handle(msg.EndJob(job="AJ_1", reason="job_terminated"))
    await host.leave()
    events = [message.event for message in said if isinstance(message, msg.Happened)]
    assert len(events) == 4
    assert [replayed(path) for path in files(tmp_path)] == ([events] if traced else [])
