"""Who is there and gives no sign of life, where somebody asked for that."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from room_driver import Meeting, camera, microphone, person, seconds

from pmon.monitor import events as ev
from pmon.monitor.idle import UNSEEN_S, Idle
from pmon.monitor.inputs import TrackInfo, VideoReading


def meeting(*tracks: TrackInfo, idle_after_s: float | None = 60.0, **changes: Any) -> Meeting:
    room = Meeting()
    room.connected(person("ann", *(tracks or (microphone(),))))
    room.job("AJ_1", "ann", idle_after_s=idle_after_s, **changes)
    return room


def issues(room: Meeting) -> list[tuple[str, int]]:
    """What was raised and resolved, and in which second."""
    told: list[ev.IssueRaised | ev.IssueResolved] = []
    told += room.of(ev.IssueRaised)
    told += room.of(ev.IssueResolved)
    assert {event.issue for event in told} <= {"participant_idle"}
    return sorted(((event.type, int(seconds(event))) for event in told), key=lambda e: e[1])


def look(room: Meeting, until: float, fps: int, sid: str = "TR_cam") -> None:
    """The receiver's counters, every two seconds."""
    track = room.monitor.sessions.all()[0].ledger.tracks[sid]
    assert track.video is not None
    total = track.video.motion.counters.frames
    while room.now < until:
        room.to(room.now + 2.0)
        total += 2 * fps
        room.monitor.video(sid, VideoReading(frames=total, freezes=0), room.now)


def test_nobody_is_called_idle_unless_that_was_asked_for() -> None:
    room = meeting(idle_after_s=None)
    room.to(3600.0)
    assert issues(room) == []


def test_silence_without_a_picture_is_idle_until_the_next_word() -> None:
    room = meeting()
    room.speak(10.0, 12.0)
    room.to(100.0)
    assert issues(room) == [("issue_raised", 72)]
    (raised,) = room.of(ev.IssueRaised)
    assert (raised.severity, (raised.time - raised.since).total_seconds()) == ("info", 60.0)
    room.speak(130.0, 131.0)
    room.to(150.0)
    assert issues(room) == [("issue_raised", 72), ("issue_resolved", 130)]
    (resolved,) = room.of(ev.IssueResolved)
    assert resolved.duration_s == pytest.approx(118.0, abs=0.5)
    assert resolved.reason == "recovered"
    room.to(300.0)
    assert issues(room)[2:] == [("issue_raised", 191)]


@pytest.mark.parametrize("sign", ["data", "publish", "unmute"])
def test_other_signs_of_life(sign: str) -> None:
    room = meeting(microphone(muted=True))
    for minute in range(1, 10):
        room.to(50.0 * minute)
        match sign:
            case "data":
                room.monitor.data("ann", room.now)
            case "publish":
                room.monitor.track_published("ann", camera(f"TR_{minute}", muted=True), room.now)
            case "unmute":
                room.monitor.track_muted("TR_mic", minute % 2 == 0, room.now)
    assert issues(room) == []
    room.to(520.0)
    assert len(issues(room)) == 1


def test_a_picture_that_moves_is_a_sign_of_life_and_a_frozen_one_is_none() -> None:
    room = meeting(microphone(), camera())
    look(room, 200.0, fps=15)
    assert not room.of(ev.IssueRaised)
    look(room, 300.0, fps=0)
    raised = [(e.issue, seconds(e)) for e in room.of(ev.IssueRaised)]
    assert [issue for issue, _ in raised] == ["video_frozen", "participant_idle"]
    assert raised[1][1] == pytest.approx(264.0, abs=4.0)


@pytest.mark.parametrize(
    ("tracks", "changes"),
    [
        pytest.param([microphone()], {"monitoring_type": "connection"}, id="nobody listens"),
        pytest.param([microphone(), camera()], {}, id="a camera that nobody has looked at"),
        pytest.param([camera()], {"pictures": False}, id="PMON_VIDEO=off"),
        pytest.param([camera(encrypted=True)], {}, id="an encrypted picture"),
    ],
)
def test_what_is_not_known_is_not_idle(tracks: list[TrackInfo], changes: dict[str, Any]) -> None:
    room = meeting(*tracks, **changes)
    room.to(600.0)
    assert issues(room) == []


def test_who_publishes_nothing_is_idle() -> None:
    room = Meeting()
    room.connected(person("ann"))
    room.job("AJ_1", "ann", idle_after_s=60.0)
    room.to(100.0)
    assert issues(room) == [("issue_raised", 60)]


def test_a_microphone_that_only_looks_can_tell_of_is_not_known() -> None:
    room = meeting()
    room.monitor.listening("TR_mic", "sampled", 0.0)
    room.to(600.0)
    assert issues(room) == []


def test_the_server_knows_of_an_encrypted_voice() -> None:
    room = meeting(microphone(encrypted=True))
    room.to(50.0)
    room.monitor.speakers(["ann"], 50.0)
    room.monitor.speakers([], 55.0)
    room.to(105.0)
    assert issues(room) == []
    room.to(130.0)
    assert len(issues(room)) == 1


def test_an_outage_neither_raises_nor_resolves_it() -> None:
    room = meeting()
    room.to(50.0)
    room.monitor.suspend(50.0)
    room.to(100.0)
    room.monitor.resumed(100.0)
    room.to(150.0)
    assert issues(room) == []
    room.to(170.0)
    assert issues(room) == [("issue_raised", 160)]
    room.monitor.suspend(170.0)
    room.to(200.0)
    room.monitor.resumed(200.0)
    room.to(230.0)
    assert len(issues(room)) == 1


def test_being_away_is_not_being_idle() -> None:
    room = meeting()
    room.to(50.0)
    room.monitor.participant_left("ann", "client_initiated", 50.0)
    room.to(200.0)
    room.monitor.participant_joined(person("ann", microphone("TR_2"), sid="PA_2"), 200.0)
    room.to(250.0)
    assert issues(room) == []
    room.to(270.0)
    assert issues(room) == [("issue_raised", 260)]
    room.monitor.participant_left("ann", "client_initiated", 270.0)
    room.to(280.0)
    assert [e.reason for e in room.of(ev.IssueResolved)] == ["participant_left"]


def test_it_goes_on_in_another_process() -> None:
    room = meeting()
    room.to(70.0)
    assert len(issues(room)) == 1
    other = room.handed_over(gap_s=3.0)
    other.connected(person("ann", microphone()))
    other.to(200.0)
    assert issues(other) == []
    other.speak(210.0, 211.0)
    other.to(220.0)
    assert issues(other) == [("issue_resolved", 210)]


@given(
    st.lists(
        st.tuples(st.sampled_from([False, False, False, True, None, "did"]), st.integers(1, 6)),
        min_size=5,
        max_size=60,
    )
)
def test_idle_is_said_where_so_long_was_seen_without_a_sign_and_nowhere_else(
    steps: list[tuple[bool | str | None, int]],
) -> None:
    """Time that nobody has seen does not count, nor that of which nothing is known."""
    idle, now, quiet_since, looked_at, did = Idle(), 0, 0, -100, False
    for step, wait_s in steps:
        now += wait_s
        if isinstance(step, str):
            idle.active(now)
            quiet_since, did = now, True
            continue
        if step is not False or (now - looked_at > UNSEEN_S and not did):
            quiet_since = now
        said = idle.look(step, 10.0, now)
        if step or did:
            assert said is False
        else:
            assert said is (True if step is False and now - quiet_since >= 10 else None)
        looked_at, did = now, False
