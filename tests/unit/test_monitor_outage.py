"""Our own connection comes and goes: what was known before it holds or goes on behind it."""

from __future__ import annotations

import pytest
from room_driver import Meeting, camera, microphone, person, seconds

from pmon.monitor import events as ev
from pmon.monitor.inputs import AudioReading
from pmon.monitor.watch import Watch


def reading(heard_s: float, until: float) -> AudioReading:
    return AudioReading(
        threshold=0.01,
        heard_s=heard_s,
        heard_until=until,
        speech_s=heard_s / 2,
        speech_until=until,
        speech_power=0.01,
    )


@pytest.fixture
def meeting() -> Meeting:
    """Alice, 20 s in the room, all of them heard."""
    room = Meeting()
    room.job("AJ_1", "alice")
    room.connected(person("alice", microphone(), camera()))
    room.monitor.quality("alice", "poor", 1.0)
    room.to(20.0)
    room.monitor.audio("TR_mic", reading(20.0, 20.0))
    return room


def test_a_resume_brings_the_quality_back(meeting: Meeting) -> None:
    """The server repeats no quality for subscriptions that it never lost."""
    meeting.monitor.suspend(20.0)
    meeting.to(23.0)
    meeting.monitor.resumed(23.0)
    meeting.to(30.0)
    levels = [(e.to, seconds(e)) for e in meeting.of(ev.ConnectionQuality)]
    assert levels == [("poor", 1.0), ("unknown", 20.0), ("poor", 23.0)]
    meeting.monitor.quality("alice", "excellent", 30.0)
    meeting.to(40.0)
    (resolved,) = meeting.of(ev.IssueResolved)
    assert (seconds(resolved), resolved.reason) == (30.0, "recovered")


def test_so_does_one_that_took_a_second_try(meeting: Meeting) -> None:
    """The SDK says that it is reconnecting anew when it gives up to resume: of that time nothing
    was known that could be brought back.
    """
    meeting.monitor.suspend(20.0)
    meeting.monitor.suspend(22.0)
    meeting.to(23.0)
    meeting.monitor.resumed(23.0)
    assert [e.to for e in meeting.of(ev.ConnectionQuality)] == ["poor", "unknown", "poor"]


def reconnect(meeting: Meeting, away_s: float, *, first: str) -> None:
    """A full reconnect of our own: the SDK reports all gone, then the same again."""
    if first == "suspended":
        meeting.monitor.suspend(meeting.now)
    meeting.monitor.track_unpublished("TR_mic", meeting.now)
    meeting.monitor.track_unpublished("TR_cam", meeting.now)
    meeting.monitor.participant_left("alice", "unknown", meeting.now)
    if first == "gone":
        meeting.to(meeting.now + 0.5)
        meeting.monitor.suspend(meeting.now)
    meeting.to(meeting.now + away_s)
    meeting.monitor.resumed(meeting.now)
    meeting.monitor.participant_joined(person("alice"), meeting.now)
    meeting.to(meeting.now + 0.5)
    meeting.monitor.track_published("alice", microphone(), meeting.now)
    meeting.monitor.track_published("alice", camera(), meeting.now)


@pytest.mark.parametrize("first", ["gone", "suspended"])
@pytest.mark.parametrize("away_s", [2.0, 55.0])
def test_a_reconnect_keeps_what_the_tracks_have_measured(
    meeting: Meeting, first: str, away_s: float
) -> None:
    reconnect(meeting, away_s, first=first)
    assert not meeting.of(ev.TrackUnpublished)
    assert len(meeting.of(ev.TrackPublished)) == 2
    assert "ended" not in [e.to for e in meeting.of(ev.VideoState)]
    back_at = meeting.now
    meeting.to(back_at + 10.0)
    meeting.monitor.audio("TR_mic", reading(10.0, meeting.now))
    summary = meeting.summary()
    assert summary.coverage.heard_s == 30.0
    assert summary.level_dbov == -20.0
    assert {track.track_sid for track in summary.tracks} == {"TR_mic", "TR_cam"}
    for track in summary.tracks:
        assert track.published_s == pytest.approx(30.0, abs=0.6)


def test_a_track_that_does_not_come_back_ended_when_it_was_last_seen(meeting: Meeting) -> None:
    meeting.monitor.suspend(20.0)
    meeting.monitor.track_unpublished("TR_mic", 20.0)
    meeting.monitor.track_unpublished("TR_cam", 20.0)
    meeting.to(25.0)
    meeting.monitor.resumed(25.0)
    meeting.monitor.track_published("alice", microphone(muted=True), 25.5)
    meeting.to(60.0)
    assert [e.track_sid for e in meeting.of(ev.TrackMuted)] == ["TR_mic"]
    (gone,) = meeting.of(ev.TrackUnpublished)
    assert (gone.track_sid, seconds(gone)) == ("TR_cam", 20.0)


def test_an_unpublished_track_is_told_within_two_seconds(meeting: Meeting) -> None:
    meeting.monitor.speech("TR_mic", 0.01, True, 19.0)
    meeting.monitor.track_unpublished("TR_mic", 20.0)
    assert [seconds(e) for e in meeting.of(ev.SpeakingStopped)] == [20.0]
    meeting.to(21.5)
    assert [seconds(e) for e in meeting.of(ev.TrackUnpublished)] == [20.0]


def test_a_call_that_is_answered_bills_what_is_being_said(meeting: Meeting) -> None:
    """An announcement or somebody in mid-sentence; what rang before is nobody's speech."""
    ringing = {"sip.callStatus": "ringing"}
    meeting.monitor.start_job("AJ_2", "AD_1", person("phone"), _watch(meeting), 20.0)
    caller = person("phone", microphone("TR_sip"), kind="sip", attributes=ringing)
    meeting.monitor.participant_joined(caller, 20.0)
    meeting.monitor.speech("TR_sip", 0.01, True, 22.0)
    meeting.to(24.0)
    meeting.monitor.audio("TR_sip", reading(4.0, 24.0))
    meeting.monitor.attributes_changed("phone", {"sip.callStatus": "active"}, 24.0)
    meeting.to(30.0)
    meeting.monitor.audio("TR_sip", reading(10.0, 30.0))
    meeting.monitor.speech("TR_sip", 0.01, False, 30.0)
    summary = meeting.summary("AJ_2")
    assert summary.talk_time_s == 6.0
    assert summary.coverage.heard_s == 6.0


def _watch(meeting: Meeting) -> Watch:
    return meeting.monitor.sessions.all()[0].watch


def test_a_track_that_went_before_a_session_began_is_not_told_in_it(meeting: Meeting) -> None:
    meeting.monitor.track_unpublished("TR_cam", 20.0)
    meeting.job("AJ_2", "alice", "AD_2")
    meeting.to(25.0)
    assert [e.job for e in meeting.of(ev.TrackUnpublished)] == ["AJ_1"]


def test_a_job_that_ends_right_after_an_unpublish_still_tells_it(meeting: Meeting) -> None:
    meeting.monitor.track_unpublished("TR_cam", 20.0)
    meeting.to(20.5)
    summary = meeting.summary()
    assert [e.track_sid for e in meeting.of(ev.TrackUnpublished)] == ["TR_cam"]
    assert {t.state for t in summary.tracks if t.track_sid == "TR_cam"} == {"ended"}
