"""Issues are raised late enough, once, and resolved with a duration; unknown is no verdict."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from room_driver import EPOCH, Meeting, camera, microphone, person, seconds

from pmon.monitor import events as ev
from pmon.monitor.inputs import LinkReading, VideoReading
from pmon.monitor.issues import RULES, Issues


@pytest.fixture
def meeting() -> Meeting:
    meeting = Meeting()
    meeting.connected(person("ann", microphone(), camera()))
    meeting.job("AJ_1", "ann", labels={"room": "7"})
    return meeting


class TestConnectionPoor:
    def test_raised_after_more_than_a_window_and_resolved(self, meeting: Meeting) -> None:
        meeting.to(10)
        meeting.monitor.quality("ann", "poor", 10.0)
        meeting.to(17)
        assert not meeting.of(ev.IssueRaised)
        meeting.to(30)
        (raised,) = meeting.of(ev.IssueRaised)
        assert (raised.issue, raised.severity, seconds(raised)) == (
            "connection_poor",
            "warning",
            17.5,
        )
        assert raised.evidence == {"quality": "poor", "score": 0.33, "direction": "unknown"}
        assert (raised.since - meeting.of(ev.SessionStarted)[0].time).total_seconds() == 10.0
        assert raised.labels == {"room": "7"}
        meeting.monitor.quality("ann", "good", 30.0)
        meeting.to(40)
        (resolved,) = meeting.of(ev.IssueResolved)
        assert (resolved.duration_s, resolved.reason) == (20.0, "recovered")

    @pytest.mark.parametrize("window_s", [3.0, 5.05, 6.5])
    def test_a_single_bad_window_is_nothing(self, meeting: Meeting, window_s: float) -> None:
        """The server's next word comes some time after its window of 5 s."""
        meeting.to(10)
        meeting.monitor.quality("ann", "poor", 10.0)
        meeting.to(10 + window_s)
        meeting.monitor.quality("ann", "excellent", meeting.now)
        meeting.to(60)
        assert not meeting.of(ev.IssueRaised)

    def test_a_single_good_window_is_no_end(self, meeting: Meeting) -> None:
        meeting.to(10)
        meeting.monitor.quality("ann", "poor", 10.0)
        meeting.to(30)
        meeting.monitor.quality("ann", "excellent", 30.0)
        meeting.to(35.05)
        meeting.monitor.quality("ann", "poor", 35.05)
        meeting.to(120)
        assert len(meeting.of(ev.IssueRaised)) == 1
        assert not meeting.of(ev.IssueResolved)

    def test_lost_makes_it_critical_once(self, meeting: Meeting) -> None:
        meeting.monitor.quality("ann", "poor", 0.0)
        meeting.to(10)
        meeting.monitor.quality("ann", "lost", 10.0)
        meeting.to(40)
        (updated,) = meeting.of(ev.IssueUpdated)
        assert updated.severity == "critical"
        assert len(meeting.of(ev.IssueRaised)) == 1

    def test_unknown_raises_nothing(self, meeting: Meeting) -> None:
        meeting.to(3600)
        assert not meeting.of(ev.IssueRaised)

    def test_unknown_does_not_resolve(self, meeting: Meeting) -> None:
        meeting.monitor.quality("ann", "poor", 0.0)
        meeting.to(10)
        meeting.monitor.suspend(10.0)
        meeting.to(60)
        assert not meeting.of(ev.IssueResolved)

    def test_the_threshold_is_the_jobs(self, meeting: Meeting) -> None:
        meeting.job("AJ_2", "ann", "AD_2", connection_quality_threshold=0.7)
        meeting.monitor.quality("ann", "good", 0.0)
        meeting.to(20)
        assert [e.job for e in meeting.of(ev.IssueRaised)] == ["AJ_2"]

    def test_leaving_resolves_it(self, meeting: Meeting) -> None:
        meeting.monitor.quality("ann", "poor", 0.0)
        meeting.to(10)
        meeting.monitor.participant_left("ann", "client_initiated", 10.0)
        meeting.to(20)
        assert [e.reason for e in meeting.of(ev.IssueResolved)] == ["participant_left"]

    @pytest.mark.parametrize("raised_before", [False, True])
    def test_who_publishes_nothing_any_more_has_no_bad_link(
        self, meeting: Meeting, raised_before: bool
    ) -> None:
        """The server says nothing of them from then on: its last word would stand for ever."""
        meeting.to(10)
        meeting.monitor.quality("ann", "poor", 10.0)
        meeting.to(20 if raised_before else 11)
        for sid in ("TR_mic", "TR_cam"):
            meeting.monitor.track_unpublished(sid, meeting.now)
        meeting.to(600)
        assert len(meeting.of(ev.IssueRaised)) == raised_before
        assert [e.reason for e in meeting.of(ev.IssueResolved)] == ["nothing_published"][
            :raised_before
        ]
        last = meeting.of(ev.ConnectionQuality)[-1]
        assert (last.to, last.reason) == ("unknown", "nothing_published")
        assert meeting.summary().quality_s["poor"] < 12

    def test_what_was_said_before_an_opt_out_is_not_told_after_it(self, meeting: Meeting) -> None:
        meeting.to(10)
        meeting.monitor.quality("ann", "poor", 10.0)
        meeting.to(12)
        meeting.monitor.attributes_changed("ann", {"pmon.monitor": "off"}, 12.0)
        meeting.to(3600)
        meeting.monitor.attributes_changed("ann", {}, 3600.0)
        meeting.to(3660)
        assert [e.to for e in meeting.of(ev.ConnectionQuality)] == ["poor", "unknown"]
        assert not meeting.of(ev.IssueRaised)

    def test_what_was_said_in_an_earlier_session_is_not_told_in_the_next(
        self, meeting: Meeting
    ) -> None:
        meeting.job("AJ_2", "bob")
        meeting.monitor.participant_joined(person("bob"), 0.0)
        meeting.to(10)
        meeting.monitor.quality("ann", "poor", 10.0)
        meeting.monitor.end_job("AJ_1", "job_terminated", 11.0)
        meeting.to(3600)
        meeting.job("AJ_3", "ann")
        meeting.to(3660)
        assert len(meeting.of(ev.ConnectionQuality)) == 1
        assert not meeting.of(ev.IssueRaised)

    def test_it_began_when_the_level_fell_and_not_when_we_had_looked(
        self, meeting: Meeting
    ) -> None:
        totals = LinkReading(ssrc=1, packets_received=0, packets_lost=0, jitter_s=0.0)
        meeting.monitor.received({"TR_mic": totals}, 0.03, 0.0)
        meeting.monitor.quality("ann", "excellent", 0.0)
        meeting.to(10)
        meeting.monitor.quality("ann", "poor", 10.0)  # and waits for a look, which does not come
        meeting.to(20)
        (raised,) = meeting.of(ev.IssueRaised)
        assert (raised.since - EPOCH).total_seconds() == 10.0
        assert seconds(raised) == 17.5


class TestVideo:
    def feed(self, meeting: Meeting, until: float, fps: float, freezes: int = 0) -> None:
        """A receiver's counters, read every two seconds as the shell does."""
        session = meeting.monitor.sessions.all()[0]
        video = session.ledger.tracks["TR_cam"].video
        assert video is not None
        frames = video.motion.frames
        start = meeting.now
        while meeting.now < until:
            meeting.to(min(until, meeting.now + 2.0))
            total = frames + int((meeting.now - start) * fps)
            reading = VideoReading(frames=total, freezes=freezes)
            meeting.monitor.video("TR_cam", reading, meeting.now)
        meeting.collect()

    def test_frozen_after_ten_seconds_without_a_frame(self, meeting: Meeting) -> None:
        self.feed(meeting, 20, fps=15)
        self.feed(meeting, 60, fps=0)
        states = [(seconds(e), e.to) for e in meeting.of(ev.VideoState)]
        assert states[0][1] == "live"
        assert states[1][1] == "frozen"
        assert states[1][0] == pytest.approx(24.0, abs=0.5)  # with the reading that shows it
        (raised,) = meeting.of(ev.IssueRaised)
        assert (raised.issue, raised.track_sid) == ("video_frozen", "TR_cam")
        assert seconds(raised) == pytest.approx(30.0, abs=0.5)
        self.feed(meeting, 70, fps=15)
        (resolved,) = meeting.of(ev.IssueResolved)
        assert resolved.duration_s == pytest.approx(42.0, abs=0.5)
        track = next(t for t in meeting.summary().tracks if t.kind == "video")
        assert track.frames == pytest.approx(300 + 150, abs=2)
        assert track.fps == pytest.approx(15.0, abs=1.0)

    @pytest.mark.parametrize("how", ["muted", "suspended"])
    def test_no_verdict_where_no_frames_are_due(self, meeting: Meeting, how: str) -> None:
        self.feed(meeting, 20, fps=15)
        if how == "muted":
            meeting.monitor.track_muted("TR_cam", True, 20.0)
        else:
            meeting.monitor.suspend(20.0)
        self.feed(meeting, 100, fps=0)
        assert not meeting.of(ev.IssueRaised)
        assert "frozen" not in [e.to for e in meeting.of(ev.VideoState)]

    def test_a_screen_that_does_not_change_is_not_frozen(self) -> None:
        meeting = Meeting()
        meeting.connected(person("ann", camera(source="screen_share")))
        meeting.job("AJ_1", "ann")
        self.feed(meeting, 20, fps=15)
        self.feed(meeting, 100, fps=0)
        assert not meeting.of(ev.IssueRaised)
        assert [e.to for e in meeting.of(ev.VideoState)] == ["live"]

    @pytest.mark.parametrize("ticks", [True, False], ids=["no readings", "no ticks either"])
    def test_what_was_not_looked_at_is_not_frozen(self, meeting: Meeting, ticks: bool) -> None:
        """A stalled loop or statistics that do not come say nothing about the camera."""
        self.feed(meeting, 20, fps=15)
        if ticks:
            meeting.to(60)
        meeting.now = 60.0
        meeting.monitor.tick(60.0)
        meeting.monitor.video("TR_cam", VideoReading(frames=15 * 60, freezes=0), 60.0)
        meeting.to(61)
        assert [e.to for e in meeting.of(ev.VideoState)] == ["live", "unknown", "live"]
        assert not meeting.of(ev.IssueRaised)

    @pytest.mark.parametrize("receiver", ["kept", "new"])
    def test_frames_are_counted_once_over_a_reconnect(
        self, meeting: Meeting, receiver: str
    ) -> None:
        """After a resume the receiver goes on counting, after a full reconnect it starts anew."""
        for second in range(0, 21, 2):
            meeting.to(float(second))
            meeting.monitor.video(
                "TR_cam", VideoReading(frames=15 * second, freezes=1), meeting.now
            )
        meeting.monitor.suspend(20.0)
        meeting.to(25.0)
        if receiver == "new":
            meeting.monitor.video("TR_cam", None, 25.0)
        meeting.monitor.resumed(25.0)
        before = 300 if receiver == "kept" else 0
        for second in range(1, 21, 2):
            meeting.to(25.0 + second)
            reading = VideoReading(frames=before + 15 * second, freezes=1)
            meeting.monitor.video("TR_cam", reading, meeting.now)
        states = [e.to for e in meeting.of(ev.VideoState)]
        assert states == ["live", "unknown", "live"]
        track = next(t for t in meeting.summary().tracks if t.kind == "video")
        assert track.frames == 300 + 285
        assert track.freezes == (1 if receiver == "kept" else 2)
        assert track.fps == pytest.approx(15.0)

    def test_a_first_look_after_a_gap_is_no_verdict_either(self, meeting: Meeting) -> None:
        """Its counters may still be those of before."""
        self.feed(meeting, 20, fps=15)
        meeting.now = 60.0
        meeting.monitor.video("TR_cam", VideoReading(frames=300, freezes=0), 60.0)
        meeting.to(62)
        assert "frozen" not in [e.to for e in meeting.of(ev.VideoState)]
        self.feed(meeting, 90, fps=0)
        (frozen,) = [e for e in meeting.of(ev.VideoState) if e.to == "frozen"]
        assert seconds(frozen) == pytest.approx(64.0, abs=1.5)

    def test_a_track_without_a_first_frame_is_dry(self, meeting: Meeting) -> None:
        self.feed(meeting, 30, fps=0)
        assert [e.to for e in meeting.of(ev.VideoState)] == ["dry"]

    def test_low(self, meeting: Meeting) -> None:
        self.feed(meeting, 20, fps=2)
        assert [e.to for e in meeting.of(ev.VideoState)] == ["live", "low"]

    def test_encrypted(self) -> None:
        meeting = Meeting()
        meeting.connected(person("ann", camera(encrypted=True)))
        meeting.job("AJ_1", "ann")
        meeting.to(100)
        assert [e.to for e in meeting.of(ev.VideoState)] == ["encrypted"]
        assert not meeting.of(ev.IssueRaised)

    def test_unpublishing_ends_the_track_and_its_issue(self, meeting: Meeting) -> None:
        self.feed(meeting, 10, fps=15)
        self.feed(meeting, 40, fps=0)
        meeting.monitor.track_unpublished("TR_cam", 40.0)
        meeting.to(42)
        assert [seconds(e) for e in meeting.of(ev.TrackUnpublished)] == [40.0]
        assert [e.reason for e in meeting.of(ev.IssueResolved)] == ["track_ended"]
        assert meeting.of(ev.VideoState)[-1].to == "ended"


def test_a_session_is_long_after_four_hours(meeting: Meeting) -> None:
    meeting.now = 4 * 3600 - 2.0
    meeting.to(4 * 3600 - 0.5)
    assert not meeting.of(ev.IssueRaised)
    meeting.to(4 * 3600 + 1)
    (raised,) = meeting.of(ev.IssueRaised)
    assert (raised.issue, raised.severity) == ("session_long", "info")
    meeting.to(4 * 3600 + 60)
    assert len(meeting.of(ev.IssueRaised)) == 1
    issue = meeting.summary().issues[0]
    assert (issue.issue, issue.open) == ("session_long", False)


def test_a_long_session_is_told_of_once_though_they_leave_and_come_back(meeting: Meeting) -> None:
    meeting.now = 4 * 3600 - 2.0
    meeting.to(4 * 3600 + 1)
    for _ in range(3):
        meeting.monitor.participant_left("ann", "client_initiated", meeting.now)
        meeting.to(meeting.now + 10)
        meeting.monitor.participant_joined(person("ann", microphone()), meeting.now)
        meeting.to(meeting.now + 10)
        meeting.monitor.attributes_changed("ann", {"pmon.monitor": "off"}, meeting.now)
        meeting.to(meeting.now + 10)
        meeting.monitor.attributes_changed("ann", {}, meeting.now)
        meeting.to(meeting.now + 10)
    assert [e.issue for e in meeting.of(ev.IssueRaised)] == ["session_long"]
    assert not meeting.of(ev.IssueResolved)
    assert len(meeting.summary().issues) == 1
    assert len(meeting.of(ev.IssueResolved)) == 1


def test_relief_is_told_only_once_it_lasts(meeting: Meeting) -> None:
    """A link between poor and lost would else say so every few seconds, for hours."""
    meeting.monitor.quality("ann", "poor", 0.0)
    meeting.to(10)
    for number in range(24):
        level: ev.QualityLevel = "poor" if number % 2 else "lost"
        meeting.monitor.quality("ann", level, meeting.now)
        meeting.to(meeting.now + 5)
    assert [e.severity for e in meeting.of(ev.IssueUpdated)] == ["critical"]
    meeting.to(meeting.now + 30)
    assert [e.severity for e in meeting.of(ev.IssueUpdated)] == ["critical", "warning"]


@given(st.lists(st.tuples(st.sampled_from([True, False, None]), st.floats(0.1, 20)), max_size=60))
def test_issues_alternate_and_keep_their_distance(
    steps: list[tuple[bool | None, float]],
) -> None:
    """Raised and resolved take turns; nothing is raised within the cooldown or too early."""
    issues, now, raised_at, resolved_at = Issues(), 0.0, None, float("-inf")
    rule = RULES["connection_poor"]
    for bad, wait in steps:
        now += wait
        change = issues.observe("connection_poor", bad, now)
        if change is None:
            continue
        if change.what == "raised":
            assert raised_at is None
            assert change.at - change.since >= rule.raise_after_s
            assert change.at >= resolved_at + rule.cooldown_s
            raised_at = change.at
        else:
            assert change.what == "resolved"
            assert bad is False
            assert raised_at is not None
            raised_at, resolved_at = None, change.at
    assert len(issues.end(now)) == (raised_at is not None)


def test_many_issues_do_not_fill_the_memory() -> None:
    issues, now = Issues(), 0.0
    for _ in range(500):
        for bad in (True, True, False, False):
            now += 10.0
            issues.observe("connection_poor", bad, now)
    assert len(issues.records) == Issues.KEPT
