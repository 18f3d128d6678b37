"""The trace of a room: what goes in is written down whole, and gives the same events again.

``conftest`` replays every meeting of the other tests besides.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from room_driver import EPOCH, Meeting, Trace, camera, microphone, person, watch

from pmon.monitor import events as ev
from pmon.monitor.clock import UtcAnchor
from pmon.monitor.room import RoomMonitor
from pmon.monitor.trace import INPUTS, Remark, TraceError, recorded, replay

QUERIES = {"take_events", "take_ended_jobs", "take_stirred", "is_monitored", "owner"}
"""They tell something and change nothing that a later event depends on."""


def meeting() -> Meeting:
    room = Meeting()
    room.job("AJ_1", "alice")
    room.connected(person("alice", microphone(), camera()))
    room.speak(5.0, 7.0)
    return room


def whats(room: Meeting) -> list[str]:
    return [json.loads(line)["what"] for line in room.trace.lines]


# --- what is written down


def test_every_public_method_is_written_down_or_known_to_change_nothing() -> None:
    """An input that is not in the trace makes the replay another meeting."""
    public = {name for name, _ in inspect.getmembers(RoomMonitor, inspect.isfunction)}
    assert set(INPUTS) == {name for name in public if not name.startswith("_")} - QUERIES


def test_all_that_a_monitor_is_made_with_is_in_the_header() -> None:
    """A new argument of the constructor has to go into ``Header``, ``recorded`` and ``replay``."""
    assert list(inspect.signature(RoomMonitor).parameters) == ["room", "anchor", "opt_out"]


def test_the_header_tells_version_room_and_anchor() -> None:
    header = json.loads(meeting().trace.lines[0])
    assert header["v"] == 1
    assert header["room"] == "standup"
    assert (header["monotonic"], header["utc"]) == (0.0, "2026-01-01T00:00:00Z")


def test_what_the_monitor_calls_itself_is_not_written_down() -> None:
    """On replay it would happen twice."""
    room = meeting()
    assert whats(room).count("connected") == 1
    assert "track_published" not in whats(room)


def test_the_people_found_in_the_room_may_come_from_a_generator() -> None:
    """Whoever goes through it first would leave nothing for the other."""
    room = Meeting()
    room.job("AJ_1", "alice")
    room.monitor.connected("RM_1", (person(name) for name in ("alice", "bob")), room.now)
    assert "participant_connected" in room.types()
    assert len(json.loads(room.trace.lines[-1])["present"]) == 2


def test_a_session_from_another_process_is_in_the_trace_as_it_came() -> None:
    """The monitor goes on with the very object, which is another one a moment later."""
    room = meeting().handed_over(gap_s=2.0)
    room.connected(person("alice", microphone()))
    room.speak(10.0, 13.0)
    [line] = [line for line in room.trace.lines if b'"start_job"' in line]
    assert msgspec.json.decode(line, type=INPUTS["start_job"]).state  # type: ignore[attr-defined]
    room.replay()
    assert room.summary().talk_time_s == 5.0


def test_timestamps_follow_a_wall_clock_that_stepped() -> None:
    anchor, trace = UtcAnchor(0.0, EPOCH), Trace()
    monitor = recorded("standup", anchor, trace)
    monitor.connected("RM_1", (), 0.0)
    monitor.start_job("AJ_1", "AD_1", person("alice"), watch(), 1.0)
    anchor.renew(2.0, EPOCH + timedelta(hours=1))
    monitor.participant_joined(person("alice"), 3.0)
    told = monitor.take_events()
    assert told[1].time - told[0].time == timedelta(hours=1)
    assert list(replay(trace.lines)) == told


def test_what_cannot_be_written_down_ends_the_trace_and_not_the_monitor() -> None:
    room = meeting()
    room.monitor.renamed(object())  # type: ignore[arg-type]
    room.speak(8.0, 9.0)
    assert len(room.of(ev.SpeakingStopped)) == 2
    *events, remark = replay(room.trace.lines)
    assert isinstance(remark, Remark)
    assert "renamed cannot be written down" in remark.text
    assert not remark.failed
    assert events == room.events[: len(events)]
    Meeting.made.clear()  # it is replayed no further than this


# --- what is refused


def changed(line: bytes, **fields: Any) -> bytes:
    return json.dumps(json.loads(line) | fields).encode() + b"\n"


NOW = b'{"what":"tick","now":'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [], "line 1: no trace of pmon"),
        (lambda lines: lines[1:], "line 1: no trace of pmon"),
        (lambda lines: [b"RIFF\xff\xfe", *lines], "line 1: no trace of pmon"),
        (lambda lines: [changed(lines[0], v=2), *lines[1:]], "line 1: it is of version 2"),
        (lambda lines: [*lines, lines[0]], "line {after}: .*trace"),
        (lambda lines: [*lines, b"\n"], "line {after}: "),
        (lambda lines: [*lines, b'{"what":"dance","now":1}\n'], "line {after}: .*dance"),
        (lambda lines: [*lines, NOW + b"null}\n"], "line {after}: .*float.*now"),
        (lambda lines: [*lines, NOW + b'1,"x":1}\n'], "line {after}: .*unknown field `x`"),
        (lambda lines: [*lines, NOW + b"\xff}\n"], "line {after}: "),
        (lambda lines: [*lines, b'{"what":"audio"\n', *lines[1:]], "line {after}: "),
    ],
)
def test_a_trace_that_is_not_understood_is_refused_by_line(
    change: Callable[[list[bytes]], list[bytes]], message: str
) -> None:
    """Passed over, a line would make the replay another meeting without a word."""
    lines = meeting().trace.lines
    with pytest.raises(TraceError, match="^" + message.format(after=len(lines) + 1)):
        list(replay(change(lines)))


def test_a_state_that_is_not_understood_is_refused_by_line() -> None:
    room = meeting().handed_over(gap_s=2.0)
    lines = [changed(x, state="AAAA") if b'"state"' in x else x for x in room.trace.lines]
    with pytest.raises(TraceError, match=r"^line 2: "):
        list(replay(lines))


def test_a_last_line_that_a_crash_cut_off_is_the_end() -> None:
    room = meeting()
    *events, remark = replay([*room.trace.lines, NOW])
    assert events == room.events
    assert isinstance(remark, Remark)
    assert (remark.line, remark.failed) == (len(room.trace.lines) + 1, False)
    assert "cut off" in remark.text


def test_a_monitor_that_fails_is_told_and_the_rest_is_replayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The shell logs an exception and goes on, so the replay has to."""
    monkeypatch.setattr(RoomMonitor, "quality", fail)
    room = meeting()
    with pytest.raises(ZeroDivisionError):
        room.monitor.quality("alice", "poor", room.now)
    failed = len(room.trace.lines)
    room.speak(8.0, 9.0)
    told = list(replay(room.trace.lines))
    [remark] = [one for one in told if isinstance(one, Remark)]
    assert remark.line == failed
    assert "quality raised ZeroDivisionError" in remark.text
    assert remark.failed
    assert [one for one in told if one is not remark] == room.events
    Meeting.made.clear()  # it has been replayed


def fail(self: RoomMonitor, identity: str, level: str, now: float) -> None:
    raise ZeroDivisionError
