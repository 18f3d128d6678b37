"""Adaptive listening as the monitor sees it: what is billed, what it rests on, and pictures."""

from __future__ import annotations

import pytest
import simulated_meeting
from room_driver import Meeting, camera, microphone, person, seconds
from simulated_meeting import Person

from pmon.monitor import events as ev
from pmon.monitor.hearing import onset
from pmon.monitor.inputs import AudioReading, VideoReading
from pmon.monitor.listening import Change


@pytest.mark.parametrize(
    ("at", "heard_since", "called_at", "began"),
    [
        (10.0, None, 9.9, (10.0, "pcm")),  # it was heard all the time
        (10.0, 4.0, None, (10.0, "pcm")),  # the onset was heard
        (10.05, 10.0, 9.8, (9.2, "server")),  # the gap is billed from the server's onset
        (10.9, 10.0, 9.8, (9.2, "server")),
        (11.1, 10.0, 9.8, (11.1, "pcm")),  # not confirmed in time
        (10.05, 10.0, 8.0, (10.05, "sampled")),  # that onset was another one
        (10.05, 10.0, None, (10.05, "sampled")),  # found in the middle of it
        (10.5, 10.0, 10.8, (10.5, "pcm")),  # the server's onset is the same one
        (10.3, 10.0, None, (10.3, "sampled")),  # silence came first, and then the middle of it
    ],
)
def test_the_onset(
    at: float, heard_since: float | None, called_at: float | None, began: tuple[float, str]
) -> None:
    when, heard = onset(at, heard_since, called_at)
    assert when == pytest.approx(began[0])
    assert heard == began[1]


@pytest.fixture
def meeting() -> Meeting:
    """Ann is disabled from second 0 on."""
    meeting = Meeting()
    meeting.connected(person("ann", microphone()))
    meeting.job("AJ_1", "ann")
    meeting.monitor.listening("TR_mic", "server", 0.0)
    return meeting


def hear(meeting: Meeting, start: float, stop: float) -> None:
    """Speech between these is in the sound, which has come since just before."""
    meeting.monitor.listening("TR_mic", "pcm", start - 0.01)
    meeting.speak(start, stop)
    meeting.to(stop + 2.0)
    meeting.monitor.listening("TR_mic", "server", meeting.now)


def test_the_gap_to_the_first_sound_is_billed_if_that_confirms_it(meeting: Meeting) -> None:
    meeting.to(10)
    meeting.monitor.speakers(["ann"], 10.0)
    hear(meeting, 10.25, 14.0)
    assert [seconds(e) for e in meeting.of(ev.SpeakingStarted)] == [pytest.approx(9.4)]
    stopped = meeting.of(ev.SpeakingStopped)
    assert [(e.turn_s, e.heard, e.track_sid) for e in stopped] == [(4.6, "server", "TR_mic")]


def test_a_call_without_speech_bills_nothing(meeting: Meeting) -> None:
    meeting.to(10)
    meeting.monitor.speakers(["ann"], 10.0)
    meeting.monitor.listening("TR_mic", "pcm", 10.2)
    meeting.to(13)
    meeting.monitor.listening("TR_mic", "server", 13.0)
    assert not meeting.of(ev.SpeakingStarted)
    assert meeting.summary().talk_time_s == 0


def test_a_call_that_is_repeated_keeps_its_onset(meeting: Meeting) -> None:
    meeting.to(10)
    meeting.monitor.speakers(["ann"], 10.0)
    meeting.monitor.speakers(["ann"], 10.3)  # louder
    hear(meeting, 10.4, 12.0)
    assert [seconds(e) for e in meeting.of(ev.SpeakingStarted)] == [pytest.approx(9.4)]


def test_speech_that_a_look_finds_is_a_sample(meeting: Meeting) -> None:
    hear(meeting, 10.0, 12.0)
    assert [(e.turn_s, e.heard) for e in meeting.of(ev.SpeakingStopped)] == [(2.0, "sampled")]


def test_an_onset_that_was_heard_rests_on_the_sound(meeting: Meeting) -> None:
    meeting.monitor.listening("TR_mic", "pcm", 9.0)
    meeting.speak(10.0, 12.0)
    assert {e.heard for e in meeting.of(ev.SpeakingStarted)} == {"pcm"}


def test_disabling_ends_what_was_still_open(meeting: Meeting) -> None:
    meeting.monitor.listening("TR_mic", "pcm", 1.0)
    meeting.to(2)
    meeting.monitor.speech("TR_mic", 0.01, True, 2.0)
    meeting.to(5)
    meeting.monitor.listening("TR_mic", "server", 5.0)
    assert [e.turn_s for e in meeting.of(ev.SpeakingStopped)] == [3.0]


def test_the_summary_says_how_many_seconds_rest_on_what(meeting: Meeting) -> None:
    meeting.to(20)
    meeting.monitor.listening("TR_mic", "pcm", 20.0)
    meeting.to(50)
    reading = AudioReading(
        threshold=0.01, heard_s=30, heard_until=50, speech_s=0, speech_until=0, speech_power=0
    )
    meeting.monitor.audio("TR_mic", reading)
    meeting.monitor.listening("TR_mic", "sampled", 50.0)
    meeting.to(90)
    meeting.monitor.track_muted("TR_mic", True, 90.0)
    meeting.to(100)
    summary = meeting.summary()
    coverage = summary.coverage
    assert (coverage.server_word_s, coverage.heard_s, coverage.sampled_s) == (20.0, 30.0, 40.0)
    assert (coverage.observed_s, coverage.unobserved_s) == (100.0, 0.0)
    assert summary.heard == "sampled"


class Monitored(simulated_meeting.Meeting):
    """A simulated meeting that a room monitor follows as well as the plan."""

    def __init__(self, people: list[Person]) -> None:
        super().__init__(people)
        self.room = Meeting()
        self.room.connected(*(person(p.identity, microphone(p.sid)) for p in people))
        for p in people:
            self.room.job(f"AJ_{p.identity}", p.identity)
        self._later(0.5, self._pass)

    def _pass(self) -> None:
        self.room.now = self.now
        self.room.monitor.tick(self.now)
        self._later(0.5, self._pass)

    def _named(self, person: Person) -> None:
        super()._named(person)
        self.room.monitor.speakers([person.identity], self.now)

    def _change(self, change: Change) -> None:
        super()._change(change)
        if not change.enabled:
            self.room.monitor.listening(change.track_sid, change.rests_on, self.now)

    def _open(self, person: Person, opening: int) -> None:
        super()._open(person, opening)
        if opening == person.opening:
            self.room.monitor.listening(person.sid, "pcm", self.now)

    def _begin(self, person: Person, at: float, opening: int) -> None:
        super()._begin(person, at, opening)
        if opening == person.opening:
            self.room.monitor.speech(person.sid, 0.01, True, at)

    def _end(self, person: Person, at: float, opening: int) -> None:
        super()._end(person, at, opening)
        if opening == person.opening:
            self.room.monitor.speech(person.sid, 0.01, False, at)


@pytest.mark.parametrize("burst_s", [1.5, 6.0])
def test_talk_time_of_a_whole_meeting_is_that_of_always(burst_s: float) -> None:
    people = [Person("standup", f"p{i}", burst_s=burst_s, share=0.08) for i in range(12)]
    meeting = Monitored(people)
    meeting.run(900.0)
    meeting.room.now = 900.0
    for p in people:
        summary = meeting.room.summary(f"AJ_{p.identity}")
        assert summary.talk_time_s == pytest.approx(p.truth_s, rel=0.1)
        assert summary.heard in ("server", "sampled")
        enabled_s = sum(stop - start for start, stop in p.enabled)
        missed_s = summary.coverage.server_word_s + summary.coverage.sampled_s
        assert missed_s == pytest.approx(900 - enabled_s, abs=30)


class TestLooks:
    """A camera that is seen for 2 s a minute, from second 0 on."""

    @pytest.fixture
    def seen(self) -> Meeting:
        meeting = Meeting()
        meeting.connected(person("ann", camera()))
        meeting.job("AJ_1", "ann")
        self.total = 0
        self.look(meeting, 0.0, (2.0, 15))
        return meeting

    def look(self, meeting: Meeting, start: float, *parts: tuple[float, int]) -> None:
        """A look of parts of so many seconds at so many frames a second."""
        meeting.to(start)
        meeting.monitor.looking("TR_cam", True, start)
        for lasts_s, fps in parts:
            until = meeting.now + lasts_s
            while meeting.now < until:
                meeting.to(meeting.now + 0.5)
                self.total += fps // 2
                reading = VideoReading(frames=self.total, freezes=0)
                meeting.monitor.video("TR_cam", reading, meeting.now)
        meeting.monitor.looking("TR_cam", False, meeting.now)

    def states(self, meeting: Meeting) -> list[tuple[float, str]]:
        return [(seconds(e), e.to) for e in meeting.of(ev.VideoState)]

    def test_the_state_stands_between_looks(self, seen: Meeting) -> None:
        self.look(seen, 60.0, (2.0, 15))
        seen.to(119.0)
        assert self.states(seen) == [(0.5, "live")]
        assert not seen.of(ev.IssueRaised)

    def test_a_frozen_picture_is_found_by_the_next_look(self, seen: Meeting) -> None:
        self.look(seen, 60.0, (10.0, 0))
        seen.to(120.0)
        assert [state for _, state in self.states(seen)] == ["live", "frozen"]
        assert self.states(seen)[1][0] <= 70.0
        seen.to(121.0)
        raised = seen.of(ev.IssueRaised)
        assert [(e.issue, seconds(e) <= 75.0) for e in raised] == [("video_frozen", True)]
        self.look(seen, 120.0, (2.0, 15))
        assert self.states(seen)[-1][1] == "live"
        assert len(seen.of(ev.IssueResolved)) == 1

    def test_a_freeze_counts_once_the_look_that_found_it_becomes_watching(
        self, seen: Meeting
    ) -> None:
        """A look gives the camera the time to wake; what lasts longer is not of our making."""
        self.look(seen, 60.0, (100.0, 0), (10.0, 15))
        (track,) = seen.summary().tracks
        assert track.freezes == 1
        assert track.frozen_s == pytest.approx(100, abs=1)

    def test_a_camera_that_dynacast_woke_late_raises_nothing(self, seen: Meeting) -> None:
        for minute in range(1, 5):
            self.look(seen, 60.0 * minute, (7.0, 0), (0.5, 15))
        seen.to(350.0)
        assert [state for _, state in self.states(seen)] == ["live"]
        assert not seen.of(ev.IssueRaised)

    def test_a_camera_that_never_sent_is_dry(self) -> None:
        meeting = Meeting()
        meeting.connected(person("ann", camera()))
        meeting.job("AJ_1", "ann")
        self.total = 0
        self.look(meeting, 0.0, (10.0, 0))
        meeting.to(60.0)
        assert [state for _, state in self.states(meeting)] == ["dry"]
        assert [e.issue for e in meeting.of(ev.IssueRaised)] == ["track_dry"]
        self.look(meeting, 60.0, (2.0, 15))
        assert [e.reason for e in meeting.of(ev.IssueResolved)] == ["recovered"]

    def test_a_slow_camera_is_told_by_the_second_look_and_recovers_by_the_second(
        self, seen: Meeting
    ) -> None:
        """A look is too short to be sure of a rate."""
        for minute, fps in enumerate((15, 2, 2, 2, 15, 15, 15)):
            self.look(seen, 60.0 * (minute + 1), (2.0, fps))
        seen.to(500.0)
        assert [state for _, state in self.states(seen)] == ["live", "low", "live"]
        (raised,), (resolved,) = seen.of(ev.IssueRaised), seen.of(ev.IssueResolved)
        assert (raised.issue, resolved.issue) == ("video_low_fps", "video_low_fps")
        assert 180.0 < seconds(raised) <= 182.0
        assert 360.0 < seconds(resolved) <= 362.0

    def test_a_screen_that_changes_now_and_then_is_not_low(self) -> None:
        meeting = Meeting()
        meeting.connected(person("ann", camera(source="screen_share")))
        meeting.job("AJ_1", "ann")
        self.total = 0
        for minute in range(5):
            self.look(meeting, 60.0 * minute, (2.0, 2))
        assert [state for _, state in self.states(meeting)] == ["live"]
        assert not meeting.of(ev.IssueRaised)

    def test_what_a_look_found_does_not_outlive_the_connection(self, seen: Meeting) -> None:
        seen.to(30.0)
        seen.monitor.suspend(30.0)
        seen.monitor.resumed(35.0)
        seen.to(40.0)
        assert [state for _, state in self.states(seen)] == ["live", "unknown"]
        self.look(seen, 60.0, (2.0, 15))
        assert self.states(seen)[-1] == (60.5, "live")

    def test_a_session_that_begins_between_two_looks_learns_with_the_next(
        self, seen: Meeting
    ) -> None:
        seen.to(30.0)
        seen.job("AJ_2", "ann", "AD_2")
        seen.to(60.0)
        self.look(seen, 60.0, (7.0, 0), (0.5, 15))
        states = [(e.job, e.to) for e in seen.of(ev.VideoState)]
        assert states == [("AJ_1", "live"), ("AJ_2", "live")]
