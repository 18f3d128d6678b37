"""Issues of a camera that is watched all the time: raised once, resolved once, each in its time."""

from __future__ import annotations

from typing import Any

import pytest
from room_driver import EPOCH, Meeting, camera, person, seconds
from video_receiver import Receiver, steady

from pmon.monitor import events as ev
from pmon.monitor.inputs import TrackInfo
from pmon.monitor.motion import NOTHING


def watched(track: TrackInfo | None = None) -> Meeting:
    meeting = Meeting()
    meeting.connected(person("ann", track or camera()))
    meeting.job("AJ_1", "ann")
    return meeting


def read(meeting: Meeting, receiver: Receiver, until: float, every_s: float = 2.0) -> None:
    """Read the receiver every two seconds, as the shell does, while time passes."""
    while meeting.now < until:
        meeting.to(min(until, meeting.now + every_s))
        meeting.monitor.video("TR_cam", receiver.at(meeting.now), meeting.now)
    meeting.collect()


def states(meeting: Meeting) -> list[str]:
    return [event.to for event in meeting.of(ev.VideoState)]


def issues(meeting: Meeting) -> list[tuple[str, str, float]]:
    """What was raised and resolved, and when."""
    told: list[ev.IssueRaised | ev.IssueResolved] = []
    told += meeting.of(ev.IssueRaised)
    told += meeting.of(ev.IssueResolved)
    return sorted(((e.type, e.issue, seconds(e)) for e in told), key=lambda issue: issue[2])


def summary(meeting: Meeting) -> ev.TrackSummary:
    (track,) = meeting.summary().tracks
    return track


def summary_now(meeting: Meeting) -> dict[str, Any]:
    """What the summary would say of the picture."""
    (session,) = meeting.monitor.sessions.all()
    video = session.ledger.tracks["TR_cam"].video
    assert video is not None
    return video.summary()


class TestFrozen:
    def test_it_is_raised_after_ten_seconds_and_tells_for_how_long(self) -> None:
        meeting = watched()
        read(meeting, Receiver(steady(0.0, 20.0, 15.0) + steady(60.5, 80.0, 15.0)), 80.0)
        assert states(meeting) == ["live", "frozen", "live"]
        assert issues(meeting) == [
            ("issue_raised", "video_frozen", 30.0),
            ("issue_resolved", "video_frozen", 62.0),
        ]
        (raised,), (resolved,) = meeting.of(ev.IssueRaised), meeting.of(ev.IssueResolved)
        assert raised.evidence == {"frames": 300, "still_s": 10.0}
        assert resolved.duration_s == 42.0
        track = summary(meeting)
        assert track.freezes == 1
        assert track.frozen_s == pytest.approx(40.5, abs=0.2)
        assert track.harmonic_fps is not None
        assert track.harmonic_fps < 1.0
        assert track.fps == pytest.approx(15.0, abs=0.5)
        assert (track.width, track.height) == (320, 180)

    def test_ten_seconds_must_be_of_one_piece(self) -> None:
        """What was not looked at in between is no evidence."""
        meeting = watched()
        receiver = Receiver(steady(0.0, 20.0, 15.0))
        read(meeting, receiver, 28.0)
        assert states(meeting) == ["live", "frozen"]
        meeting.to(60.0)
        read(meeting, receiver, 68.0)
        assert states(meeting) == ["live", "frozen", "unknown", "frozen"]
        assert not meeting.of(ev.IssueRaised)
        read(meeting, receiver, 72.0)
        (raised,) = meeting.of(ev.IssueRaised)
        assert raised.evidence["still_s"] == 10.0

    @pytest.mark.parametrize("gap", ["one late reading", "no readings", "outage"])
    def test_a_gap_is_no_frame(self, gap: str) -> None:
        """Without a new frame nothing has recovered, and one freeze stays one."""
        meeting = watched()
        receiver = Receiver(steady(0.0, 20.0, 15.0) + steady(80.0, 120.0, 15.0))
        read(meeting, receiver, 40.0)
        match gap:
            case "one late reading":
                meeting.to(47.6)
                meeting.monitor.video("TR_cam", receiver.at(47.6), 47.6)
                sight_s = 20 + 80 - 47.6
            case "no readings":
                meeting.to(60.0)
                sight_s = 20 + 80 - 62
            case _:
                meeting.monitor.suspend(40.0)
                meeting.to(60.0)
                meeting.monitor.resumed(60.0)
                sight_s = 20 + 80 - 62
        read(meeting, receiver, 78.0)
        assert states(meeting) == ["live", "frozen", "unknown", "frozen"]
        assert summary_now(meeting)["freezes"] == 1
        read(meeting, receiver, 120.0)
        assert states(meeting) == ["live", "frozen", "unknown", "frozen", "live"]
        raised, (what, issue, at) = issues(meeting)
        assert raised == ("issue_raised", "video_frozen", 30.0)
        assert (what, issue) == ("issue_resolved", "video_frozen")
        assert at == pytest.approx(81.0, abs=1.0)
        track = summary(meeting)
        assert track.freezes == 1
        assert track.frozen_s == pytest.approx(sight_s, abs=2.1)

    def test_one_that_ended_in_a_gap_was_one_of_two(self) -> None:
        frames = steady(0.0, 20.0, 15.0) + steady(45.0, 50.0, 15.0) + steady(90.0, 120.0, 15.0)
        meeting = watched()
        receiver = Receiver(frames)
        read(meeting, receiver, 40.0)
        meeting.to(60.0)
        read(meeting, receiver, 120.0)
        assert [(issue, at) for _, issue, at in issues(meeting)] == [
            *(("video_frozen", at) for at in (30.0, 62.0, 72.0, 90.0))
        ]
        track = summary(meeting)
        assert track.freezes == 2
        assert track.frozen_s == pytest.approx(20 + 90 - 62, abs=2.1)

    def test_a_session_that_comes_later_sees_the_same_freeze(self) -> None:
        """The receiver has brought a picture: it is not dry."""
        meeting = watched()
        receiver = Receiver(steady(0.0, 20.0, 15.0) + steady(80.0, 100.0, 15.0))
        read(meeting, receiver, 40.0)
        meeting.job("AJ_2", "ann", "AD_2")
        read(meeting, receiver, 100.0)
        assert [e.issue for e in meeting.of(ev.IssueRaised)] == ["video_frozen"] * 2
        (track,) = meeting.summary("AJ_2").tracks
        assert track.freezes == 1
        assert track.frozen_s == pytest.approx(80 - 42, abs=2.1)

    def test_stutter_is_no_freeze_but_shows_in_the_figures(self) -> None:
        """A stop of a second and a half every ten."""
        frames = [
            at for start in range(0, 100, 10) for at in steady(float(start), start + 8.5, 15.0)
        ]
        meeting = watched()
        read(meeting, Receiver(frames), 100.0)
        assert not issues(meeting)
        track = summary(meeting)
        assert track.freezes == 9
        assert track.frozen_s == pytest.approx(9 * 1.5, abs=1.0)
        assert track.harmonic_fps is not None
        assert track.harmonic_fps == pytest.approx(3.6, abs=0.4)

    @pytest.mark.parametrize("ended_by", ["leave", "mute", "unpublish", "outage", "opt-out"])
    def test_one_that_no_frame_ends_is_counted_as_well(self, ended_by: str) -> None:
        """Who gives up and leaves had the worst of it."""
        meeting = watched()
        monitor = meeting.monitor
        read(meeting, Receiver(steady(0.0, 20.0, 15.0)), 100.0)
        match ended_by:
            case "leave":
                monitor.participant_left("ann", "client_initiated", 100.0)
            case "mute":
                monitor.track_muted("TR_cam", True, 100.0)
            case "unpublish":
                monitor.track_unpublished("TR_cam", 100.0)
            case "outage":
                monitor.suspend(100.0)
            case "opt-out":
                monitor.attributes_changed("ann", {"pmon.monitor": "off"}, 100.0)
        meeting.to(110)
        track = summary(meeting)
        assert track.state != "frozen"
        assert track.freezes == 1
        assert track.frozen_s == pytest.approx(80, abs=2.1)

    def test_one_that_lasts_to_the_end_is_counted_as_well(self) -> None:
        meeting = watched()
        read(meeting, Receiver(steady(0.0, 20.0, 15.0)), 100.0)
        track = summary(meeting)
        assert (track.state, track.freezes) == ("frozen", 1)
        assert track.frozen_s == pytest.approx(80, abs=2.1)

    def test_one_that_a_mute_interrupts_is_not_counted_twice(self) -> None:
        meeting = watched()
        receiver = Receiver(steady(0.0, 20.0, 15.0) + steady(60.0, 80.0, 15.0))
        read(meeting, receiver, 40.0)
        meeting.monitor.track_muted("TR_cam", True, 40.0)
        meeting.to(50)
        meeting.monitor.track_muted("TR_cam", False, 50.0)
        read(meeting, receiver, 80.0)
        track = summary(meeting)
        assert track.freezes == 1
        assert track.frozen_s == pytest.approx(20, abs=2.1)


class TestLowFps:
    def test_it_is_raised_after_ten_seconds_and_resolved_when_there_are_enough(self) -> None:
        frames = steady(0.0, 20.0, 15.0) + steady(20.0, 60.0, 3.0) + steady(60.0, 90.0, 15.0)
        meeting = watched()
        read(meeting, Receiver(frames), 90.0)
        assert states(meeting) == ["live", "low", "live"]
        assert issues(meeting) == [
            ("issue_raised", "video_low_fps", 30.0),
            ("issue_resolved", "video_low_fps", 64.0),
        ]
        (raised,) = meeting.of(ev.IssueRaised)
        assert raised.evidence == {"fps": 3.0, "size": "320x180"}

    @pytest.mark.parametrize("fps", [7.5, 15.0, 30.0])
    def test_the_rate_of_a_low_layer_is_no_fault(self, fps: float) -> None:
        """pmon asks for the lowest layer, so it may not blame the camera for getting it."""
        meeting = watched()
        read(meeting, Receiver(steady(0.0, 120.0, fps)), 120.0)
        assert states(meeting) == ["live"]
        assert not issues(meeting)

    def test_a_rate_about_the_threshold_does_not_flap(self) -> None:
        frames: list[float] = []
        for start in range(0, 300, 4):
            frames += steady(start, start + 2.0, 4.0) + steady(start + 2.0, start + 4.0, 6.0)
        meeting = watched()
        read(meeting, Receiver(frames), 300.0)
        assert len(meeting.of(ev.VideoState)) <= 2
        assert len(issues(meeting)) <= 1

    @pytest.mark.parametrize("gap", ["no readings", "outage", "another receiver"])
    def test_a_gap_is_no_recovery(self, gap: str) -> None:
        """The camera is as slow all the time, and nobody has seen anything else."""
        meeting, receiver = watched(), Receiver(steady(0.0, 200.0, 3.0))
        read(meeting, receiver, 40.0)
        if gap == "no readings":
            meeting.to(48.0)
        else:
            meeting.monitor.suspend(40.0)
            meeting.to(43.0)
            meeting.monitor.resumed(43.0)
        if gap == "another receiver":
            meeting.monitor.video("TR_cam", None, 43.0)
            receiver = Receiver(steady(43.0, 200.0, 3.0))
        read(meeting, receiver, 100.0)
        assert states(meeting) == ["live", "low", "unknown", "low"]
        assert issues(meeting) == [("issue_raised", "video_low_fps", 12.0)]

    @pytest.mark.parametrize("ticks", [True, False], ids=["no readings", "no ticks either"])
    def test_ten_seconds_must_be_of_one_piece(self, ticks: bool) -> None:
        meeting, receiver = watched(), Receiver(steady(0.0, 200.0, 3.0))
        read(meeting, receiver, 8.0)
        if ticks:
            meeting.to(42.0)
        meeting.now = 42.0
        meeting.monitor.video("TR_cam", receiver.at(42.0), 42.0)
        read(meeting, receiver, 50.0)
        assert states(meeting) == ["live", "low", "unknown", "low"]
        assert not meeting.of(ev.IssueRaised)
        read(meeting, receiver, 54.0)
        (raised,) = meeting.of(ev.IssueRaised)
        assert (raised.since - EPOCH).total_seconds() == 42.0

    def test_nor_is_it_slow_by_what_lies_on_both_sides_of_a_gap(self) -> None:
        frames = steady(0.0, 4.0, 15.0) + steady(4.0, 60.0, 3.0)
        meeting, receiver = watched(), Receiver(frames)
        read(meeting, receiver, 6.0)
        meeting.to(14.0)
        read(meeting, receiver, 24.0)
        assert not meeting.of(ev.IssueRaised)
        read(meeting, receiver, 30.0)
        (raised,) = meeting.of(ev.IssueRaised)
        assert (raised.since - EPOCH).total_seconds() == 16.0

    def test_a_mute_ends_it(self) -> None:
        meeting, receiver = watched(), Receiver(steady(0.0, 20.0, 3.0) + steady(20.0, 60.0, 15.0))
        read(meeting, receiver, 20.0)
        meeting.monitor.track_muted("TR_cam", True, 20.0)
        meeting.to(30.0)
        meeting.monitor.track_muted("TR_cam", False, 30.0)
        read(meeting, receiver, 60.0)
        assert states(meeting) == ["live", "low", "muted", "unknown", "live"]
        assert [e.reason for e in meeting.of(ev.IssueResolved)] == ["track_muted"]

    def test_what_was_seen_before_an_opt_out_is_not_held_against_anybody(self) -> None:
        meeting, receiver = watched(), Receiver(steady(0.0, 20.0, 3.0) + steady(20.0, 60.0, 15.0))
        read(meeting, receiver, 20.0)
        meeting.monitor.attributes_changed("ann", {"pmon.monitor": "off"}, 20.0)
        meeting.to(30.0)
        meeting.monitor.attributes_changed("ann", {}, 30.0)
        read(meeting, receiver, 60.0)
        assert states(meeting) == ["live", "low", "unknown", "live"]

    def test_frames_that_stop_altogether_are_not_few_but_frozen(self) -> None:
        meeting = watched()
        read(meeting, Receiver(steady(0.0, 20.0, 15.0)), 120.0)
        assert states(meeting) == ["live", "frozen"]
        assert [issue for _, issue, _ in issues(meeting)] == ["video_frozen"]

    def test_a_slow_picture_that_freezes_has_two_faults(self) -> None:
        """Nothing is known of the rate meanwhile: that neither resolves it nor raises it again."""
        frames = steady(0.0, 40.0, 3.0) + steady(80.0, 120.0, 15.0)
        meeting = watched()
        read(meeting, Receiver(frames), 120.0)
        assert [(what, issue) for what, issue, _ in issues(meeting)] == [
            ("issue_raised", "video_low_fps"),
            ("issue_raised", "video_frozen"),
            ("issue_resolved", "video_frozen"),
            ("issue_resolved", "video_low_fps"),
        ]


class TestDry:
    def test_it_is_raised_after_ten_seconds_and_resolved_by_the_first_frame(self) -> None:
        meeting = watched()
        read(meeting, Receiver(steady(31.0, 60.0, 15.0)), 60.0)
        assert states(meeting) == ["dry", "live"]
        assert issues(meeting) == [
            ("issue_raised", "track_dry", 12.0),
            ("issue_resolved", "track_dry", 32.0),
        ]
        (raised,) = meeting.of(ev.IssueRaised)
        assert raised.evidence == {"frames": 0, "still_s": 10.0}

    def test_a_camera_that_is_slow_to_start_is_not_dry(self) -> None:
        meeting = watched()
        read(meeting, Receiver(steady(8.0, 60.0, 15.0)), 60.0)
        assert states(meeting) == ["live"]
        assert not issues(meeting)

    def test_it_ends_with_the_track(self) -> None:
        meeting = watched()
        read(meeting, Receiver([]), 30.0)
        meeting.monitor.track_unpublished("TR_cam", 30.0)
        meeting.to(32.0)
        assert [e.reason for e in meeting.of(ev.IssueResolved)] == ["track_ended"]

    def test_muting_ends_it(self) -> None:
        meeting = watched()
        read(meeting, Receiver([]), 30.0)
        meeting.monitor.track_muted("TR_cam", True, 30.0)
        meeting.to(60.0)
        assert [e.reason for e in meeting.of(ev.IssueResolved)] == ["track_muted"]

    def test_a_gap_does_not_end_it(self) -> None:
        meeting, receiver = watched(), Receiver([])
        read(meeting, receiver, 40.0)
        meeting.to(48.0)
        read(meeting, receiver, 100.0)
        assert states(meeting) == ["dry", "unknown", "dry"]
        assert issues(meeting) == [("issue_raised", "track_dry", 12.0)]

    def test_a_camera_that_is_slow_after_a_mute_is_not_frozen(self) -> None:
        """It is switched on anew, as it was when it was published."""
        meeting = watched()
        receiver = Receiver(steady(0.0, 20.0, 15.0) + steady(38.0, 60.0, 15.0))
        read(meeting, receiver, 20.0)
        meeting.monitor.track_muted("TR_cam", True, 20.0)
        meeting.to(30.0)
        meeting.monitor.track_muted("TR_cam", False, 30.0)
        read(meeting, receiver, 60.0)
        assert states(meeting) == ["live", "muted", "unknown", "live"]
        assert summary(meeting).freezes == 0

    def test_a_frozen_picture_of_which_a_new_receiver_gets_nothing_is_dry(self) -> None:
        """One fault at a time: the frozen one is over."""
        meeting = watched()
        read(meeting, Receiver(steady(0.0, 20.0, 15.0)), 40.0)
        meeting.monitor.suspend(40.0)
        meeting.monitor.video("TR_cam", None, 40.0)
        meeting.monitor.resumed(45.0)
        read(meeting, Receiver([]), 80.0)
        assert [(e.issue, e.reason) for e in meeting.of(ev.IssueResolved)] == [
            ("video_frozen", "track_dry")
        ]
        assert [e.issue for e in meeting.of(ev.IssueRaised)] == ["video_frozen", "track_dry"]


@pytest.mark.parametrize("fps", [0.0, 0.3, 2.0])
def test_a_screen_that_hardly_changes_has_no_fault_and_no_freezes(fps: float) -> None:
    meeting = watched(camera(source="screen_share"))
    read(meeting, Receiver(steady(0.0, 10.0, 15.0) + steady(10.0, 300.0, fps or 1e-9)), 300.0)
    assert states(meeting) == ["live"]
    assert not issues(meeting)
    track = summary(meeting)
    assert (track.freezes, track.frozen_s, track.harmonic_fps) == (None, None, None)


def looked(meeting: Meeting, receiver: Receiver, until: float) -> None:
    """One look from now to then."""
    meeting.monitor.looking("TR_cam", True, meeting.now)
    read(meeting, receiver, until, every_s=0.5)
    meeting.monitor.looking("TR_cam", False, meeting.now)


def looked_at(meeting: Meeting, receiver: Receiver, outage: bool) -> None:
    """Two looks a minute apart, which is an outage of our own or not."""
    looked(meeting, receiver, 10.0)
    if outage:
        meeting.monitor.looking("TR_cam", True, 10.0)
        meeting.monitor.suspend(10.0)
        meeting.to(20.0)
        meeting.monitor.resumed(20.0)
    meeting.to(70.0)
    looked(meeting, receiver, 82.0)
    meeting.to(100.0)


@pytest.mark.parametrize("outage", [True, False])
def test_a_look_that_gets_no_frame_of_a_picture_that_was_shown_finds_it_frozen(
    outage: bool,
) -> None:
    meeting = watched()
    looked_at(meeting, Receiver(steady(0.0, 10.0, 15.0)), outage)
    assert states(meeting) == ["live", *(["unknown"] if outage else []), "frozen"]
    assert [e.issue for e in meeting.of(ev.IssueRaised)] == ["video_frozen"]


@pytest.mark.parametrize("outage", [True, False])
def test_a_look_at_a_screen_that_does_not_change_finds_it_live(outage: bool) -> None:
    meeting = watched(camera(source="screen_share"))
    looked_at(meeting, Receiver(steady(0.0, 10.0, 15.0)), outage)
    assert states(meeting) == ["live", *(["unknown", "live"] if outage else [])]
    assert not issues(meeting)


def test_looks_that_get_no_frame_at_all_find_it_dry() -> None:
    meeting = watched()
    looked_at(meeting, Receiver([]), outage=False)
    assert states(meeting) == ["dry"]
    assert [e.issue for e in meeting.of(ev.IssueRaised)] == ["track_dry"]


@pytest.mark.parametrize("outage", [True, False])
def test_a_camera_that_a_look_wakes_was_not_frozen(outage: bool) -> None:
    """Dynacast had paused it."""
    meeting = watched()
    receiver = Receiver(steady(0.0, 10.0, 15.0) + steady(76.0, 100.0, 15.0))
    looked_at(meeting, receiver, outage)
    assert states(meeting) == ["live", *(["unknown", "live"] if outage else [])]
    track = summary(meeting)
    assert (track.freezes, track.frozen_s) == (0, 0.0)


def test_a_screen_that_does_not_change_after_an_outage_is_not_dry() -> None:
    meeting = watched(camera(source="screen_share"))
    receiver = Receiver(steady(0.0, 10.0, 15.0))
    read(meeting, receiver, 20.0)
    meeting.monitor.suspend(20.0)
    meeting.to(25.0)
    meeting.monitor.resumed(25.0)
    read(meeting, receiver, 60.0)
    assert states(meeting) == ["live", "unknown", "live"]
    assert not issues(meeting)


@pytest.mark.parametrize("track", [camera(muted=True), camera(encrypted=True)])
def test_what_is_not_to_be_seen_has_no_fault(track: TrackInfo) -> None:
    meeting = watched(track)
    read(meeting, Receiver([]), 120.0)
    assert not issues(meeting)


def test_a_camera_that_is_not_subscribed_has_no_fault() -> None:
    """Nobody reads a receiver that is not there: PMON_VIDEO=off, or a subscription refused."""
    meeting = watched()
    meeting.to(3600.0)
    assert states(meeting) == []
    assert not issues(meeting)


def test_a_report_that_misses_a_receiver_once_counts_no_frame_twice() -> None:
    """One that has received nothing stands in no report; one that has cannot have forgotten it."""
    meeting, receiver = watched(), Receiver(steady(0.0, 60.0, 15.0))
    read(meeting, receiver, 20.0)
    meeting.to(22.0)
    meeting.monitor.video("TR_cam", NOTHING, 22.0)
    read(meeting, receiver, 40.0)
    assert states(meeting) == ["live"]
    assert summary(meeting).frames == receiver.at(40.0).frames


def test_a_session_that_comes_after_the_looks_sees_what_is_seen_all_the_time() -> None:
    """A look that ended with its receiver would have it rest for ever."""
    meeting = watched()
    meeting.monitor.looking("TR_cam", True, 1.0)
    meeting.monitor.looking("TR_cam", False, 3.0)
    meeting.monitor.video("TR_cam", None, 5.0)
    meeting.to(10)
    meeting.job("AJ_2", "ann", "AD_2")
    read(meeting, Receiver(steady(10.0, 20.0, 15.0)), 60.0)
    told = [e.to for e in meeting.of(ev.VideoState) if e.job == "AJ_2"]
    assert told == ["live", "frozen"]
    assert [e.job for e in meeting.of(ev.IssueRaised)] == ["AJ_1", "AJ_2"]


def test_nothing_is_said_of_pictures_where_only_sound_is_watched() -> None:
    meeting = Meeting()
    meeting.connected(person("ann", camera()))
    meeting.job("AJ_1", "ann", monitoring_type="audio")
    meeting.to(10)
    meeting.monitor.track_unpublished("TR_cam", 10.0)
    meeting.to(20)
    assert not meeting.of(ev.VideoState)
    assert len(meeting.of(ev.TrackUnpublished)) == 1


def test_a_track_that_comes_back_after_its_end_was_told_is_published_again() -> None:
    meeting = watched()
    meeting.to(10)
    meeting.monitor.participant_left("ann", "client_initiated", 10.0)
    meeting.to(20)
    meeting.monitor.participant_joined(person("ann", camera()), 20.0)
    meeting.to(30)
    assert [seconds(e) for e in meeting.of(ev.TrackPublished)] == [0.0, 20.0]
    assert [seconds(e) for e in meeting.of(ev.TrackUnpublished)] == [10.0]
