"""A session goes on in another process: nothing is told twice, nothing is lost but the gap."""

from __future__ import annotations

import pytest
from room_driver import Meeting, camera, microphone, person, seconds

from pmon.monitor import events as ev
from pmon.monitor.inputs import VideoReading


def meeting() -> Meeting:
    """Alice, who has spoken for 2 s, 20 s into it."""
    room = Meeting()
    room.job("AJ_1", "alice")
    room.connected(person("alice", microphone(), camera()))
    room.monitor.quality("alice", "excellent", 1.0)
    room.speak(5.0, 7.0)
    room.to(20.0)
    return room


def test_it_is_the_same_session_and_says_nothing_twice() -> None:
    before = meeting()
    room = before.handed_over(gap_s=2.0)
    room.connected(person("alice", microphone(), camera()))
    room.to(30.0)
    # Quality and video are unknown until they are told anew; that is all that is new.
    assert room.types() == ["connection_quality"]
    assert {event.session for event in room.events} == {before.events[0].session}
    room.monitor.quality("alice", "excellent", room.now)
    room.speak(31.0, 34.0)
    summary = room.summary()
    assert summary.started_at == before.events[0].time
    assert (summary.talk_time_s, summary.turns) == (5.0, 2)
    assert summary.duration_s == 34.0
    assert summary.coverage.unobserved_s == pytest.approx(2.0)
    assert summary.quality_s["excellent"] == pytest.approx(19.0 + 4.0)


def test_a_turn_that_was_open_ends_with_the_checkpoint() -> None:
    before = meeting()
    before.monitor.speech("TR_mic", 0.01, True, 18.0)
    before.to(21.0)
    room = before.handed_over(gap_s=3.0)
    (stopped,) = room.of(ev.SpeakingStopped)
    assert (seconds(stopped), stopped.turn_s, stopped.talk_time_s) == (21.0, 3.0, 5.0)
    room.connected(person("alice", microphone()))
    room.speak(25.0, 26.0)
    assert room.summary().talk_time_s == 6.0


def test_who_left_in_between_is_told_after_the_settling_time() -> None:
    room = meeting().handed_over(gap_s=2.0)
    room.connected()
    room.to(60.0)
    (left,) = room.of(ev.ParticipantDisconnected)
    assert seconds(left) == 20.0


def test_who_was_waited_for_is_still_waited_for() -> None:
    before = Meeting()
    before.job("AJ_1", "alice", join_timeout_s=60.0)
    before.connected()
    before.to(50.0)
    room = before.handed_over(gap_s=5.0)
    room.connected()
    room.to(60.0)
    assert room.ended == []
    room.to(66.0)
    assert [job.error for job in room.ended] == ["participant connection timeout"]


def test_what_happened_to_tracks_in_between_is_told() -> None:
    room = meeting().handed_over(gap_s=2.0)
    room.connected(person("alice", microphone(muted=True), microphone("TR_new")))
    room.to(60.0)
    assert [e.track_sid for e in room.of(ev.TrackUnpublished)] == ["TR_cam"]
    assert [e.track_sid for e in room.of(ev.TrackPublished)] == ["TR_new"]
    assert [e.track_sid for e in room.of(ev.TrackMuted)] == ["TR_mic"]


def test_an_open_issue_goes_on_and_is_resolved_once() -> None:
    before = meeting()
    before.monitor.quality("alice", "poor", before.now)
    before.to(40.0)
    assert len(before.of(ev.IssueRaised)) == 1
    room = before.handed_over(gap_s=2.0)
    room.connected(person("alice", microphone()))
    room.monitor.quality("alice", "poor", room.now)
    room.to(60.0)
    assert room.of(ev.IssueRaised) == []
    room.monitor.quality("alice", "excellent", room.now)
    room.to(80.0)
    (resolved,) = room.of(ev.IssueResolved)
    assert resolved.duration_s == pytest.approx(40.0, abs=1.0)
    assert [issue.open for issue in room.summary().issues] == [False]


def test_an_issue_of_a_picture_is_not_taken_back() -> None:
    """Nothing was wrong with the old process's path: the camera did stand still."""
    before = meeting()
    for second in range(20, 36):
        before.to(second)
        frames = 15 * min(second, 24)
        before.monitor.video("TR_cam", VideoReading(frames=frames, freezes=0), before.now)
    before.collect()
    assert [e.issue for e in before.of(ev.IssueRaised)] == ["video_frozen"]
    room = before.handed_over(gap_s=2.0)
    room.connected(person("alice", microphone(), camera()))
    assert not room.of(ev.IssueResolved)
    for second in (38, 40):
        room.to(second)
        room.monitor.video("TR_cam", VideoReading(frames=15 * second, freezes=0), room.now)
    room.collect()
    assert [e.reason for e in room.of(ev.IssueResolved)] == ["recovered"]
    assert not room.of(ev.IssueRaised)


def test_frames_are_counted_on() -> None:
    before = meeting()
    for second in (21, 23, 25):
        before.to(second)
        before.monitor.video("TR_cam", VideoReading(frames=15 * second, freezes=1), before.now)
    frames = before.monitor.sessions.all()[0].ledger.tracks["TR_cam"].summary().frames
    room = before.handed_over(gap_s=2.0)
    room.connected(person("alice", microphone(), camera()))
    for second in (29, 31):
        room.to(second)
        room.monitor.video("TR_cam", VideoReading(frames=15 * (second - 29), freezes=0), room.now)
    [track] = [t for t in room.summary().tracks if t.track_sid == "TR_cam"]
    assert frames is not None
    assert track.frames == frames + 30
    assert track.freezes == 1


def test_a_room_that_is_joined_already_takes_over_at_once() -> None:
    """Make before break: the new process sits in the room when the old one hands over."""
    before = meeting()
    room = Meeting()
    room.now = 19.0
    room.connected(person("alice", microphone(muted=True), camera()))
    room.to(20.0)
    handed = before.handed_over(gap_s=0.0)
    [session] = handed.monitor.sessions.all()
    state = session.state()
    room.monitor.start_job("AJ_1", "AD_1", person("alice"), session.watch, 20.2, state)
    room.to(25.0)
    assert "session_started" not in room.types()
    assert "participant_connected" not in room.types()
    room.monitor.track_muted("TR_mic", False, 25.0)
    room.speak(26.0, 27.0)
    assert room.summary().talk_time_s == 3.0


def test_a_track_in_doubt_is_not_lost_with_the_process() -> None:
    """It was reported gone within the second before: by somebody, or by an outage of ours."""
    before = meeting()
    before.monitor.track_unpublished("TR_cam", 20.0)
    room = before.handed_over(gap_s=1.0)
    room.connected(person("alice", microphone()))
    room.to(60.0)
    assert [(e.track_sid, seconds(e)) for e in room.of(ev.TrackUnpublished)] == [("TR_cam", 20.0)]

    back = before.handed_over(gap_s=1.0)
    back.connected(person("alice", microphone(), camera()))
    back.to(60.0)
    assert back.of(ev.TrackUnpublished) == []
    assert back.of(ev.TrackPublished) == []
    for track in back.summary().tracks:
        assert track.published_s == pytest.approx(59.0, abs=1.5)


@pytest.mark.parametrize("reported", [True, False])
def test_a_track_that_went_is_told_where_the_room_is_joined_already(reported: bool) -> None:
    before = meeting()
    if reported:
        before.monitor.track_unpublished("TR_cam", 20.0)
    room = Meeting()
    room.now = 20.0
    room.connected(person("alice", microphone()))
    [session] = before.monitor.sessions.all()
    state = before.handed_over(gap_s=0.0).monitor.sessions.all()[0].state()
    state.lost = session.state().lost
    room.monitor.start_job("AJ_1", "AD_1", person("alice"), session.watch, 20.2, state)
    room.to(25.0)
    assert [e.track_sid for e in room.of(ev.TrackUnpublished)] == ["TR_cam"]


def test_a_share_is_not_told_where_talk_was_forgotten() -> None:
    """Who left before the process died is not known to the next one."""
    room = meeting().handed_over(gap_s=1.0)
    assert room.summary().talk_share is None
