"""What one process has told a room, the next one neither tells again nor forgets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from noticed_room import Room

from pmon.app.told import told
from pmon.monitor.clock import UtcAnchor
from pmon.monitor.inputs import ParticipantInfo
from pmon.monitor.issues import Issues
from pmon.monitor.ledger import Ledger, TrackLedger
from pmon.monitor.session import SessionState
from pmon.monitor.talk import Talk
from pmon.monitor.video import Video

ANCHOR = UtcAnchor(0.0, datetime(2026, 3, 14, tzinfo=UTC))
BEGAN = datetime(2026, 3, 14, tzinfo=UTC).timestamp()


def state() -> SessionState:
    """Alice speaks over a poor connection, her camera is frozen, her microphone noisy."""
    talk, issues, ledger = Talk(100.0), Issues(), Ledger()
    talk.start("TR_A", 110.0)
    issues.observe("mic_noisy", True, 120.0, since=105.0)
    issues.observe("mic_quiet", True, 120.0)
    issues.observe("mic_quiet", False, 125.0)
    issues.observe("session_long", True, 120.0, since=-20_000.0)
    ledger.quality.change("poor")
    ledger.until_s = 30.0
    for sid, word in (("TR_F", "frozen"), ("TR_L", "live")):
        video = Video("camera", False, False, state=word)  # type: ignore[arg-type]
        ledger.tracks[sid] = TrackLedger(
            sid=sid, kind="video", source="camera", encrypted=False, muted=False, video=video
        )
    made = SessionState(
        id="s-alice",
        participant=ParticipantInfo(identity="alice", sid="PA_1", kind="standard"),
        started_at=100.0,
        talk=talk,
        issues=issues,
        ledger=ledger,
    )
    return msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=SessionState)


def test_what_stood_is_known() -> None:
    found = [msgspec.to_builtins(change) for change in told(state(), ANCHOR)]
    assert {change["timestamp"] for change in found} == {BEGAN + 130.0}
    kinds: dict[str, Any] = {change["type"]: change for change in found}
    assert len(kinds) == len(found) == 4
    assert kinds["speaking_detection"]["speaking"] is True
    assert kinds["connection_quality"]["quality"] == "poor"
    assert (kinds["video_state"]["track_sid"], kinds["video_state"]["state"]) == ("TR_F", "frozen")
    assert (kinds["issue"]["issue"], kinds["issue"]["since"]) == ("mic_noisy", BEGAN + 105.0)


def test_the_end_of_it_is_told_and_the_same_again_is_not() -> None:
    room = Room("alice", "bob")
    room.watch("alice")
    assert room.due() == []
    room.notices.resume("s-alice", told(state(), ANCHOR))
    room.quality("alice", "unknown", "poor")
    room.raises("alice", "mic_noisy")
    room.starts("alice")
    assert room.seconds(3) == []
    room.quality("alice", "poor", "good")
    room.resolves("alice", "mic_noisy")
    room.stops("alice")
    room.video("alice", "unknown", "live", "TR_F")
    ends = {message["type"]: message for message, _ in room.seconds(3)}
    assert ends["connection_quality"]["previous"] == "poor"
    assert ends["issue"]["action"] == "resolved"
    assert ends["speaking_detection"]["speaking"] is False
    assert (ends["video_state"]["previous"], ends["video_state"]["state"]) == ("frozen", "live")


def test_a_newcomer_learns_of_it_from_the_next_process() -> None:
    room = Room("alice", "bob")
    room.watch("alice")
    room.notices.resume("s-alice", told(state(), ANCHOR))
    assert [to for _, to in room.seconds(2)] == [["bob"]], "for all that this process knows"
    room.notices.joined("carol", False, room.now)
    [(message, to)] = room.seconds(2)
    assert to == ["carol"]
    assert [i["issue"] for i in message["participants"][0]["issues"]] == ["mic_noisy"]


def test_a_session_that_is_not_known_here_is_passed_over() -> None:
    room = Room("alice", "bob")
    room.notices.resume("s-alice", told(state(), ANCHOR))
    assert room.seconds(2) == []


def test_an_issue_that_two_sessions_have_had_is_over_when_neither_has_it() -> None:
    room = Room("alice", "bob")
    for session in ("s1", "s2"):
        room.watch("alice", session=session)
        room.notices.resume(session, told(state(), ANCHOR))
    room.seconds(2)
    room.resolves("alice", "mic_noisy", "s1")
    assert room.seconds(2) == []
    room.resolves("alice", "mic_noisy", "s2")
    assert [m["action"] for m, _ in room.seconds(2)] == ["resolved"]
