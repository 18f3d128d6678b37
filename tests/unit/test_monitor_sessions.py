"""Sessions: who is watched for which job, through joins, leaves, reconnects, timeouts and ends."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from room_driver import Meeting, camera, microphone, person, seconds, wanted

from pmon.monitor import events as ev
from pmon.monitor.inputs import VideoReading
from pmon.monitor.link import Link
from pmon.monitor.teller import SERVER
from pmon.monitor.wants import LINK, Want


@pytest.fixture
def meeting() -> Meeting:
    meeting = Meeting()
    meeting.connected()
    return meeting


def test_dispatch_before_joining(meeting: Meeting) -> None:
    meeting.job("AJ_1", "ann")
    meeting.to(5)
    meeting.monitor.participant_joined(person("ann", microphone()), 5.0)
    assert meeting.types() == ["session_started", "participant_connected", "track_published"]
    assert [seconds(e) for e in meeting.events] == [0.0, 5.0, 5.0]
    assert meeting.events[1].participant_sid == "PA_ann"


def test_dispatch_after_joining(meeting: Meeting) -> None:
    meeting.monitor.participant_joined(person("ann", microphone()), 0.0)
    meeting.job("AJ_1", "ann")
    assert meeting.types() == ["session_started", "participant_connected", "track_published"]


def test_job_before_the_connection_is_up() -> None:
    meeting = Meeting()
    meeting.job("AJ_1", "ann")
    assert meeting.types() == ["session_started"]
    meeting.to(3)
    meeting.connected(person("ann"))
    assert meeting.types() == ["session_started", "participant_connected"]
    coverage = meeting.summary().coverage
    assert (coverage.unobserved_s, coverage.observed_s) == (3.0, 0.0)


def test_leave_and_return_within_the_timeout_is_one_session(meeting: Meeting) -> None:
    meeting.monitor.participant_joined(person("ann", sid="PA_1"), 0.0)
    meeting.job("AJ_1", "ann")
    meeting.to(10)
    meeting.monitor.participant_left("ann", "client_initiated", 10.0)
    meeting.to(30)
    meeting.monitor.participant_joined(person("ann", sid="PA_2"), 30.0)
    meeting.job("AJ_2", "ann")  # the server makes another job of the same dispatch
    meeting.to(40)
    assert meeting.types().count("session_started") == 1
    assert [(e.job, e.error) for e in meeting.ended] == [("AJ_1", None)]
    left = meeting.of(ev.ParticipantDisconnected)
    assert [(seconds(e), e.reason) for e in left] == [(10.0, "client_initiated")]
    summary = meeting.summary("AJ_2")
    assert summary.present_s == 20.0
    assert summary.duration_s == 40.0


def test_quick_rejoin_is_told_as_a_leave_and_a_join(meeting: Meeting) -> None:
    meeting.monitor.participant_joined(person("ann", microphone("TR_1"), sid="PA_1"), 0.0)
    meeting.job("AJ_1", "ann")
    meeting.to(10)
    meeting.monitor.participant_left("ann", "duplicate_identity", 10.0)
    meeting.monitor.participant_joined(person("ann", microphone("TR_2"), sid="PA_2"), 10.2)
    assert meeting.types()[3:] == [
        "track_unpublished",
        "participant_disconnected",
        "participant_connected",
        "track_published",
    ]
    assert set(wanted(meeting.monitor)) == {"TR_2"}


def test_away_timeout_ends_the_job_well(meeting: Meeting) -> None:
    meeting.monitor.participant_joined(person("ann"), 0.0)
    meeting.job("AJ_1", "ann", away_timeout_s=20.0)
    meeting.to(10)
    meeting.monitor.participant_left("ann", "client_initiated", 10.0)
    meeting.to(29.5)
    assert not meeting.ended
    meeting.to(30.5)
    assert [(e.job, e.error) for e in meeting.ended] == [("AJ_1", None)]
    assert [e.reason for e in meeting.of(ev.SessionEnded)] == ["away_timeout"]
    meeting.monitor.participant_joined(person("ann"), 60.0)
    meeting.now = 60.0
    meeting.job("AJ_2", "ann")
    assert len({e.session for e in meeting.of(ev.SessionStarted)}) == 2


def test_join_timeout_fails_the_job(meeting: Meeting) -> None:
    meeting.job("AJ_1", "ann", join_timeout_s=2.0)
    meeting.to(1.5)
    assert not meeting.ended
    meeting.to(2.0)
    assert [(e.job, e.error) for e in meeting.ended] == [("AJ_1", "participant connection timeout")]
    assert [e.reason for e in meeting.of(ev.SessionEnded)] == ["join_timeout"]


def test_timeouts_wait_while_the_room_cannot_be_seen(meeting: Meeting) -> None:
    meeting.job("AJ_1", "ann", join_timeout_s=5.0)
    meeting.to(3)
    meeting.monitor.suspend(3.0)
    meeting.to(100)
    assert not meeting.ended
    meeting.monitor.resumed(100.0)
    meeting.to(101.5)
    assert not meeting.ended
    meeting.to(102.5)
    assert len(meeting.ended) == 1


def test_end_on_disconnect(meeting: Meeting) -> None:
    meeting.monitor.participant_joined(person("ann", microphone()), 0.0)
    meeting.job("AJ_1", "ann", end_on_disconnect=True)
    meeting.to(10)
    meeting.monitor.participant_left("ann", "client_initiated", 10.0)
    meeting.to(12)
    assert [e.reason for e in meeting.of(ev.SessionEnded)] == ["participant_left"]
    assert [(e.job, e.error) for e in meeting.ended] == [("AJ_1", None)]


class TestReconnect:
    """While the own connection is lost the SDK reports everyone as gone."""

    @pytest.mark.parametrize("told_before", [True, False])
    def test_everyone_gone_and_back_is_nothing(self, meeting: Meeting, told_before: bool) -> None:
        meeting.monitor.participant_joined(person("ann", microphone("TR_1"), sid="PA_1"), 0.0)
        meeting.job("AJ_1", "ann", end_on_disconnect=True)
        meeting.to(10)
        if told_before:  # a full reconnect reports the leaves before it says "reconnecting"
            meeting.monitor.track_unpublished("TR_1", 10.0)
            meeting.monitor.participant_left("ann", "unknown", 10.0)
            meeting.monitor.suspend(10.3)
        else:
            meeting.monitor.suspend(10.0)
            meeting.monitor.participant_left("ann", "unknown", 10.3)
        meeting.to(20)
        meeting.monitor.resumed(20.0)
        meeting.monitor.renamed("RM_2")
        meeting.to(27)
        back = person("ann", microphone("TR_2"), sid="PA_2")
        meeting.monitor.participant_joined(back, 27.0)
        meeting.to(60)
        assert not meeting.ended
        types = meeting.types()
        assert "participant_disconnected" not in types
        assert types.count("participant_connected") == 1
        assert set(wanted(meeting.monitor)) == {"TR_2"}
        assert meeting.events[-1].room_sid == "RM_2"
        summary = meeting.summary()
        assert summary.coverage.unobserved_s == pytest.approx(10.0, abs=0.5)

    def test_who_does_not_come_back_has_left(self, meeting: Meeting) -> None:
        meeting.monitor.participant_joined(person("ann"), 0.0)
        meeting.job("AJ_1", "ann", end_on_disconnect=True)
        meeting.to(10)
        meeting.monitor.suspend(10.0)
        meeting.monitor.participant_left("ann", "unknown", 10.0)
        meeting.to(20)
        meeting.monitor.resumed(20.0)
        meeting.to(39.5)
        assert not meeting.ended
        meeting.to(40.5)
        assert len(meeting.ended) == 1
        assert [seconds(e) for e in meeting.of(ev.ParticipantDisconnected)] == [10.0]

    def test_a_new_connection_finds_who_is_there(self, meeting: Meeting) -> None:
        """The SDK gave up and pmon joined again: a snapshot, and no events for what is gone."""
        for name in ("ann", "bob"):
            meeting.monitor.participant_joined(person(name, microphone(f"TR_{name}")), 0.0)
            meeting.job(f"AJ_{name}", name)
        meeting.to(10)
        meeting.monitor.suspend(10.0)
        meeting.to(60)
        meeting.connected(person("ann", microphone("TR_new")), room_sid="RM_2")
        meeting.to(110)
        assert set(wanted(meeting.monitor)) == {"TR_new"}
        assert [e.participant for e in meeting.of(ev.ParticipantDisconnected)] == ["bob"]
        assert not meeting.ended

    def test_a_room_that_is_gone_ends_its_sessions_after_the_away_timeout(
        self, meeting: Meeting
    ) -> None:
        meeting.monitor.participant_joined(person("ann"), 0.0)
        meeting.job("AJ_1", "ann", away_timeout_s=30.0)
        meeting.to(10)
        meeting.monitor.suspend(10.0)
        meeting.to(20)
        meeting.monitor.missing(20.0)
        meeting.to(49)
        assert not meeting.ended
        meeting.to(51)
        assert [e.reason for e in meeting.of(ev.SessionEnded)] == ["room_closed"]

    def test_a_room_is_not_missing_while_the_server_does_not_answer(self, meeting: Meeting) -> None:
        meeting.monitor.participant_joined(person("ann"), 0.0)
        meeting.job("AJ_1", "ann", away_timeout_s=30.0)
        meeting.monitor.suspend(0.0)
        meeting.monitor.missing(0.0)
        meeting.to(20)
        meeting.monitor.not_missing(20.0)
        meeting.to(500)
        assert not meeting.ended
        meeting.monitor.missing(500.0)
        meeting.to(509)
        assert not meeting.ended
        meeting.to(511)
        assert len(meeting.ended) == 1

    @pytest.mark.parametrize("by", ["the SDK", "joining again"])
    def test_an_outage_is_no_waiting(self, meeting: Meeting, by: str) -> None:
        """Who is not back a minute after ten minutes of outage has been away for that minute."""
        meeting.monitor.participant_joined(person("ann"), 0.0)
        meeting.job("AJ_1", "ann", away_timeout_s=300.0)
        meeting.to(10)
        meeting.monitor.suspend(10.0)
        meeting.monitor.participant_left("ann", "unknown", 10.1)
        meeting.to(610)
        if by == "the SDK":
            meeting.monitor.resumed(610.0)
        else:
            meeting.connected()
        meeting.to(909)
        assert [seconds(e) for e in meeting.of(ev.ParticipantDisconnected)] == [
            pytest.approx(10.0, abs=0.2)
        ]
        assert not meeting.ended
        meeting.to(911)
        assert [e.reason for e in meeting.of(ev.SessionEnded)] == ["away_timeout"]

    def test_quality_is_unknown_meanwhile(self, meeting: Meeting) -> None:
        meeting.monitor.participant_joined(person("ann"), 0.0)
        meeting.job("AJ_1", "ann")
        meeting.monitor.quality("ann", "excellent", 0.0)
        meeting.to(10)
        meeting.monitor.suspend(10.0)
        meeting.to(20)
        changes = [(e.from_, e.to, e.reason) for e in meeting.of(ev.ConnectionQuality)]
        assert changes == [
            ("unknown", "excellent", "server"),
            ("excellent", "unknown", "monitor_reconnecting"),
        ]
        quality_s = meeting.summary().quality_s
        assert (quality_s["excellent"], quality_s["unknown"]) == (10.0, 10.0)


def test_two_dispatches_are_two_sessions_and_end_apart(meeting: Meeting) -> None:
    meeting.monitor.participant_joined(person("ann", microphone()), 0.0)
    meeting.job("AJ_1", "ann", "AD_1", labels={"team": "red"})
    meeting.job("AJ_2", "ann", "AD_2")
    meeting.speak(1.0, 3.0)
    meeting.monitor.end_dispatch("AD_1", "dispatch_deleted", 5.0)
    meeting.to(6)
    assert [(e.job, e.error) for e in meeting.ended] == [("AJ_1", None)]
    assert set(wanted(meeting.monitor)) == {"TR_mic"}
    meeting.speak(7.0, 8.0)
    turns = [(e.job, e.turn_s, e.labels) for e in meeting.of(ev.SpeakingStopped)]
    assert turns == [
        ("AJ_1", 2.0, {"team": "red"}),
        ("AJ_2", 2.0, {}),
        ("AJ_2", 1.0, {}),
    ]


def test_shares_count_each_person_once_and_all_of_their_sessions(meeting: Meeting) -> None:
    """Two dispatches hear the same talk; a session after another hears more of it."""
    for name in ("ann", "bob"):
        meeting.monitor.participant_joined(person(name, microphone(f"TR_{name}")), 0.0)
        meeting.job(f"AJ_{name}", name, "AD_1")
    meeting.job("AJ_2", "ann", "AD_2")
    meeting.speak(1.0, 4.0, "TR_ann")
    meeting.monitor.end_job("AJ_2", "job_terminated", meeting.now)
    meeting.monitor.end_job("AJ_ann", "job_terminated", meeting.now)
    shares = [e.summary.talk_share for e in meeting.of(ev.SessionEnded)]
    assert shares == [1.0, 1.0]
    meeting.job("AJ_3", "ann", "AD_1")
    meeting.speak(5.0, 6.0, "TR_ann")
    meeting.speak(7.0, 13.0, "TR_bob")
    assert meeting.summary("AJ_bob").talk_share == 0.6  # of 3 + 1 + 6 s


def test_shares_stay_right_when_a_thousand_have_come_and_gone(meeting: Meeting) -> None:
    """A room may live for months, and may not remember everybody for it."""
    for number in range(1200):
        identity, sid = f"guest-{number}", f"TR_{number}"
        meeting.monitor.participant_joined(person(identity, microphone(sid)), meeting.now)
        meeting.job(f"AJ_{number}", identity)
        start = meeting.now
        meeting.monitor.speech(sid, 0.01, True, start)
        meeting.monitor.speech(sid, 0.01, False, start + 1.0)
        meeting.now += 2.0
        meeting.monitor.participant_left(identity, "client_initiated", meeting.now)
        meeting.monitor.end_job(f"AJ_{number}", "job_terminated", meeting.now)
        meeting.to(meeting.now + 2.0)
    share = meeting.of(ev.SessionEnded)[-1].summary.talk_share
    assert share == pytest.approx(1 / 1200, abs=1e-4)
    assert not meeting.monitor.participants


def test_opting_out_stops_at_once_and_only_that(meeting: Meeting) -> None:
    meeting.monitor.participant_joined(person("ann", microphone(), camera()), 0.0)
    meeting.job("AJ_1", "ann")
    meeting.to(10)
    meeting.monitor.attributes_changed("ann", {"pmon.monitor": "off"}, 10.0)
    assert wanted(meeting.monitor) == {}
    meeting.monitor.speech("TR_mic", 0.01, True, 11.0)
    meeting.monitor.quality("ann", "poor", 11.0)
    meeting.to(50)
    assert not meeting.of(ev.SpeakingStarted)
    assert not meeting.of(ev.ConnectionQuality)
    meeting.monitor.attributes_changed("ann", {}, 50.0)
    assert set(wanted(meeting.monitor)) == {"TR_mic", "TR_cam"}
    meeting.to(60)
    assert meeting.summary().coverage.observed_s == 20.0


def test_mutes_while_opted_out_are_known_afterwards(meeting: Meeting) -> None:
    """A camera that was muted meanwhile is muted, not dry; one that was unmuted is live."""
    tracks = (camera("TR_on"), camera("TR_off", muted=True))
    meeting.monitor.participant_joined(person("ann", *tracks), 0.0)
    meeting.job("AJ_1", "ann")
    meeting.to(2)
    meeting.monitor.attributes_changed("ann", {"pmon.monitor": "off"}, 2.0)
    meeting.to(4)
    meeting.monitor.track_muted("TR_on", True, 4.0)
    meeting.monitor.track_muted("TR_off", False, 4.0)
    meeting.to(6)
    meeting.monitor.attributes_changed("ann", {}, 6.0)
    for second in range(20):
        meeting.to(6.0 + second)
        meeting.monitor.video("TR_off", VideoReading(frames=30 * second, freezes=0), meeting.now)
    states = {e.track_sid: e.to for e in meeting.of(ev.VideoState)}
    assert states == {"TR_on": "muted", "TR_off": "live"}
    tracks_ended = {track.track_sid: track for track in meeting.summary().tracks}
    assert tracks_ended["TR_on"].muted_s == 19.0
    assert tracks_ended["TR_off"].muted_s == 2.0


class TestLateSession:
    """Another dispatch comes while everything is under way."""

    def test_frames_of_before_are_not_its_own(self, meeting: Meeting) -> None:
        meeting.monitor.participant_joined(person("ann", camera()), 0.0)
        meeting.job("AJ_1", "ann")
        meeting.to(3600)
        meeting.monitor.video("TR_cam", VideoReading(frames=108_000, freezes=7), 3600.0)
        meeting.job("AJ_2", "ann", "AD_2")
        for second in (2, 4):
            meeting.to(3600.0 + second)
            reading = VideoReading(frames=108_000 + 30 * second, freezes=8)
            meeting.monitor.video("TR_cam", reading, meeting.now)
        (track,) = meeting.summary("AJ_2").tracks
        assert (track.frames, track.freezes, track.fps) == (120, 1, 30.0)

    def test_it_takes_the_servers_word_from_where_it_begins(self, meeting: Meeting) -> None:
        meeting.monitor.participant_joined(person("ann", microphone(encrypted=True)), 0.0)
        meeting.job("AJ_1", "ann")
        meeting.to(5)
        meeting.monitor.speakers(["ann"], 5.0)
        meeting.to(6)
        meeting.job("AJ_2", "ann", "AD_2")
        for second in range(7, 36):
            meeting.to(float(second))
            meeting.monitor.speakers(["ann"], meeting.now)
        meeting.monitor.speakers([], 36.0)
        meeting.to(40)
        assert meeting.summary("AJ_1").talk_time_s == pytest.approx(31.0)
        assert meeting.summary("AJ_2").talk_time_s == pytest.approx(29.4)


class TestWants:
    @pytest.mark.parametrize(
        ("monitoring_type", "expected"),
        [
            ("full", {"TR_mic", "TR_cam", "TR_screen"}),
            ("audio", {"TR_mic"}),
            ("video", {"TR_cam", "TR_screen"}),
        ],
    )
    def test_by_monitoring_type(
        self, meeting: Meeting, monitoring_type: str, expected: set[str]
    ) -> None:
        tracks = (microphone(), camera(), camera("TR_screen", source="screen_share"))
        meeting.monitor.participant_joined(person("ann", *tracks), 0.0)
        meeting.monitor.participant_joined(person("bob", microphone("TR_bob")), 0.0)
        meeting.job("AJ_1", "ann", monitoring_type=monitoring_type)
        assert set(wanted(meeting.monitor)) == expected

    def test_connection_takes_one_track_and_no_media(self, meeting: Meeting) -> None:
        meeting.monitor.participant_joined(person("ann", microphone(), camera()), 0.0)
        meeting.job("AJ_1", "ann", monitoring_type="connection")
        assert list(wanted(meeting.monitor).values()) == [LINK]

    def test_without_pictures_no_camera_is_received(self, meeting: Meeting) -> None:
        """Subscribed and disabled, each took 1.6 ms of CPU a second for nothing."""
        tracks = (camera(), microphone(), camera("TR_screen", source="screen_share"))
        meeting.monitor.participant_joined(person("ann", *tracks), 0.0)
        meeting.job("AJ_1", "ann", pictures=False)
        assert set(wanted(meeting.monitor)) == {"TR_mic"}

    def test_without_pictures_a_camera_alone_tells_of_the_link(self, meeting: Meeting) -> None:
        """The server says nothing of the connection of somebody without a subscription."""
        tracks = (camera(), camera("TR_screen", source="screen_share"))
        meeting.monitor.participant_joined(person("ann", *tracks), 0.0)
        meeting.job("AJ_1", "ann", pictures=False)
        assert wanted(meeting.monitor) == {"TR_cam": LINK}
        meeting.monitor.track_published("ann", microphone(), 1.0)
        assert set(wanted(meeting.monitor)) == {"TR_mic"}

    def test_encrypted_tracks_are_never_decoded(self, meeting: Meeting) -> None:
        tracks = (microphone(encrypted=True), camera(encrypted=True))
        meeting.monitor.participant_joined(person("ann", *tracks), 0.0)
        meeting.job("AJ_1", "ann")
        assert wanted(meeting.monitor) == {"TR_mic": LINK, "TR_cam": LINK}

    def test_muted_microphones_stay_subscribed_and_are_not_decoded(self, meeting: Meeting) -> None:
        meeting.monitor.participant_joined(person("ann", microphone(muted=True)), 0.0)
        meeting.job("AJ_1", "ann")
        assert wanted(meeting.monitor) == {
            "TR_mic": Want(enabled=True, thresholds=(0.01,), muted=True)
        }

    def test_nobody_without_a_job_is_subscribed(self, meeting: Meeting) -> None:
        meeting.monitor.participant_joined(person("bob", microphone()), 0.0)
        assert wanted(meeting.monitor) == {}


def test_every_event_survives_its_json(meeting: Meeting) -> None:
    meeting.monitor.participant_joined(person("ann", microphone(), camera()), 0.0)
    meeting.job("AJ_1", "ann", labels={"a": "b"})
    meeting.monitor.quality("ann", "lost", 0.0)
    meeting.speak(1.0, 20.0)
    meeting.monitor.track_muted("TR_mic", True, 20.0)
    meeting.summary()
    assert len(set(meeting.types())) >= 9
    for event in meeting.events:
        line = msgspec.json.encode(event)
        assert msgspec.json.decode(line, type=ev.AnyEvent) == event
        plain = msgspec.json.decode(line)
        assert plain["type"] == event.type
        assert plain["v"] == 1
        assert plain["time"].endswith("Z")
    quality = msgspec.json.decode(msgspec.json.encode(meeting.of(ev.ConnectionQuality)[0]))
    assert (quality["from"], quality["to"]) == ("unknown", "lost")


NAMES = st.sampled_from(["ann", "bob", "cy"])


class AnyMeeting(RuleBasedStateMachine):
    """Whatever happens in whatever order, sums stay sane and every job ends once."""

    def __init__(self) -> None:
        super().__init__()
        self.meeting = Meeting()
        self.jobs = 0
        self.tracks = 0

    @initialize(under_way=st.booleans())
    def begin(self, under_way: bool) -> None:
        if under_way:
            self.connect(set())
            self.job("ann", "AD_1", 30.0, None)
            self.join("ann", False)

    @rule(
        who=NAMES,
        dispatch=st.sampled_from(["AD_1", "AD_2"]),
        away=st.sampled_from([1.0, 30.0]),
        idle=st.sampled_from([None, 20.0]),
    )
    def job(self, who: str, dispatch: str, away: float, idle: float | None) -> None:
        self.jobs += 1
        job = f"AJ_{self.jobs}"
        self.meeting.job(job, who, dispatch, away_timeout_s=away, idle_after_s=idle)

    @rule(who=NAMES, encrypted=st.booleans())
    def join(self, who: str, encrypted: bool) -> None:
        self.tracks += 1
        track = microphone(f"TR_{self.tracks}", encrypted=encrypted)
        self.meeting.monitor.participant_joined(
            person(who, track, sid=f"PA_{self.tracks}"), self.meeting.now
        )

    @rule(who=NAMES)
    def leave(self, who: str) -> None:
        self.meeting.monitor.participant_left(who, "client_initiated", self.meeting.now)

    @rule(track=st.integers(1, 6), begins=st.booleans(), late=st.floats(0, 2))
    def speech(self, track: int, begins: bool, late: float) -> None:
        at = self.meeting.now - late
        self.meeting.monitor.speech(f"TR_{track}", 0.01, begins, at)

    @rule(track=st.integers(1, 6), muted=st.booleans())
    def mute(self, track: int, muted: bool) -> None:
        self.meeting.monitor.track_muted(f"TR_{track}", muted, self.meeting.now)

    @rule(begins=st.booleans(), late=st.floats(0, 2), how=st.sampled_from(["mute", "outage"]))
    def speech_that_is_told_when_nobody_is_heard(self, begins: bool, late: float, how: str) -> None:
        if how == "outage":
            self.suspend()
        for track in range(1, self.tracks + 1):
            if how == "mute":
                self.mute(track, True)
            self.speech(track, begins, late)

    @rule(who=NAMES)
    def publish_camera(self, who: str) -> None:
        self.tracks += 1
        self.meeting.monitor.track_published(who, camera(f"TR_{self.tracks}"), self.meeting.now)

    @rule(track=st.integers(1, 8))
    def unpublish(self, track: int) -> None:
        self.meeting.monitor.track_unpublished(f"TR_{track}", self.meeting.now)

    @rule(track=st.integers(1, 8), frames=st.integers(0, 500))
    def look(self, track: int, frames: int) -> None:
        reading = VideoReading(frames=frames, freezes=0)
        self.meeting.monitor.video(f"TR_{track}", reading, self.meeting.now)

    @rule(who=st.sets(NAMES))
    def speakers(self, who: set[str]) -> None:
        self.meeting.monitor.speakers(who, self.meeting.now)

    @rule(who=NAMES, level=st.sampled_from(["excellent", "poor", "lost", "unknown"]))
    def quality(self, who: str, level: ev.QualityLevel) -> None:
        self.meeting.monitor.quality(who, level, self.meeting.now)

    @rule(who=NAMES)
    def data(self, who: str) -> None:
        self.meeting.monitor.data(who, self.meeting.now)

    @rule(who=NAMES, wish=st.sampled_from(["on", "off"]))
    def opt(self, who: str, wish: str) -> None:
        self.meeting.monitor.attributes_changed(who, {"pmon.monitor": wish}, self.meeting.now)

    @rule()
    def missing(self) -> None:
        """That is asked only while the connection is away."""
        if self.meeting.monitor.link is Link.CONNECTED:
            self.suspend()
        self.meeting.monitor.missing(self.meeting.now)

    @rule()
    def not_missing(self) -> None:
        self.meeting.monitor.not_missing(self.meeting.now)

    @rule()
    def suspend(self) -> None:
        self.meeting.monitor.suspend(self.meeting.now)

    @rule()
    def resume(self) -> None:
        self.meeting.monitor.resumed(self.meeting.now)

    @rule(who=st.sets(NAMES))
    def connect(self, who: set[str]) -> None:
        self.meeting.connected(*(person(name) for name in who))

    @rule(job=st.integers(1, 6))
    def end(self, job: int) -> None:
        self.meeting.monitor.end_job(f"AJ_{job}", "job_terminated", self.meeting.now)

    @rule(seconds=st.floats(0.1, 40))
    def wait(self, seconds: float) -> None:
        self.meeting.to(self.meeting.now + seconds)

    @invariant()
    def jobs_end_once(self) -> None:
        self.meeting.collect()
        ended = [job.job for job in self.meeting.ended]
        assert len(ended) == len(set(ended))
        live = {s.job for s in self.meeting.monitor.sessions.all()}
        assert not live & set(ended)
        assert len(live) + len(ended) == self.jobs

    @invariant()
    def nobody_speaks_who_is_not_heard(self) -> None:
        monitor = self.meeting.monitor
        for session in monitor.sessions.all():
            assert not session.talk.sources or monitor.link is Link.CONNECTED
            for source in session.talk.sources - {SERVER}:
                track = session.participant.tracks.get(source)
                assert track is None or not track.muted

    def teardown(self) -> None:
        self.meeting.monitor.end_all("shutdown", self.meeting.now)
        self.jobs_end_once()
        open_turns: dict[str, int] = {}
        open_issues: set[tuple[str, str, str | None]] = set()
        for event in self.meeting.events:
            if isinstance(event, ev.SpeakingStarted):
                open_turns[event.session] = open_turns.get(event.session, 0) + 1
                assert open_turns[event.session] == 1
            elif isinstance(event, ev.SpeakingStopped):
                open_turns[event.session] -= 1
                assert event.turn_s >= 0
            elif isinstance(event, ev.IssueRaised):
                key = event.session, event.issue, event.track_sid
                assert key not in open_issues
                open_issues.add(key)
            elif isinstance(event, ev.IssueResolved):
                open_issues.remove((event.session, event.issue, event.track_sid))
                assert event.duration_s >= 0
            elif isinstance(event, ev.ConnectionQuality | ev.VideoState):
                assert event.from_ != event.to
            elif isinstance(event, ev.SessionEnded):
                assert not open_turns.get(event.session)
                assert event.session not in {session for session, _, _ in open_issues}
                summary, coverage = event.summary, event.summary.coverage
                assert summary.talk_time_s <= summary.duration_s + 0.01
                assert summary.overlap_s <= summary.talk_time_s + 0.01
                assert coverage.observed_s + coverage.unobserved_s == pytest.approx(
                    summary.duration_s, abs=0.01
                )
                assert sum(summary.quality_s.values()) == pytest.approx(
                    summary.duration_s, abs=0.01
                )


TestAnyMeeting = AnyMeeting.TestCase
TestAnyMeeting.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


def test_a_session_ends_with_its_room_though_another_of_its_name_comes() -> None:
    """A reconnect, ours or a client's, may make the room anew before anybody sees it missing."""
    meeting = Meeting()
    meeting.connected(person("ann", microphone()))
    meeting.job("AJ_1", "ann")
    meeting.to(5.0)
    meeting.monitor.participant_left("ann", "room_deleted", 5.0)
    meeting.to(7.0)
    (ended,) = meeting.of(ev.SessionEnded)
    assert ended.reason == "room_closed"


@pytest.mark.parametrize("how", ["while we were away", "in another process"])
def test_an_opt_out_that_was_not_told_as_it_happened_holds_all_the_same(
    meeting: Meeting, how: str
) -> None:
    """It comes with the description of somebody after an outage of ours, or a handover."""
    meeting.monitor.participant_joined(person("ann", microphone(), camera()), 0.0)
    meeting.job("AJ_1", "ann")
    meeting.monitor.quality("ann", "poor", 0.0)
    meeting.to(20)
    meeting.monitor.suspend(20.0)
    meeting.to(30)
    out = person("ann", microphone(), camera(), attributes={"pmon.monitor": "off"})
    if how == "in another process":
        meeting.prepared = (out,)
        meeting = meeting.handed_over(1.0)
    else:
        meeting.connected(out)
    meeting.to(600)
    assert [e.reason for e in meeting.of(ev.IssueResolved)] == ["opted_out"]
    back = person("ann", microphone(muted=True), camera())
    meeting.connected(back)
    meeting.to(610)
    (mic,) = [t for t in meeting.summary().tracks if t.kind == "audio"]
    assert mic.muted_s == 10.0


def test_what_goes_while_opted_out_has_gone_afterwards(meeting: Meeting) -> None:
    meeting.monitor.participant_joined(person("ann", camera()), 0.0)
    meeting.job("AJ_1", "ann")
    for second in range(10):
        meeting.to(second)
        meeting.monitor.video("TR_cam", VideoReading(frames=15 * second, freezes=0), meeting.now)
    meeting.to(10)
    meeting.monitor.attributes_changed("ann", {"pmon.monitor": "off"}, 10.0)
    meeting.to(20)
    meeting.monitor.track_unpublished("TR_cam", 20.0)
    meeting.to(30)
    meeting.monitor.attributes_changed("ann", {}, 30.0)
    meeting.to(40)
    assert [(seconds(e), e.to) for e in meeting.of(ev.VideoState)][-2:] == [
        (10.0, "unknown"),
        (30.0, "ended"),
    ]
    assert [seconds(e) for e in meeting.of(ev.TrackUnpublished)] == [30.0]
    assert [track.state for track in meeting.summary().tracks] == ["ended"]
