"""What went wrong in the example that pmon grew from, where no other test says so by its name.

``seed_defects.toml`` has the whole table.
"""

from __future__ import annotations

import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from dsp_material import RATE
from livekit import rtc
from livekit.rtc._proto.stats_pb2 import RtcStats
from room_driver import EPOCH, Meeting, camera, microphone, person, seconds, watch
from sdk_stand_ins import Publication, Tier, room_of, say

from pmon import _dsp
from pmon.app import messages as msg
from pmon.app.host import Host
from pmon.media.connection import RoomConnection
from pmon.media.listener import Listener
from pmon.media.meters import TrackMeters
from pmon.media.phrases import phrases
from pmon.media.stats import _video
from pmon.media.subscriptions import Subscriptions
from pmon.metadata import JobMetadata
from pmon.monitor import events as ev
from pmon.monitor.clock import UtcAnchor
from pmon.monitor.inputs import VideoReading
from pmon.monitor.listening.plan import Listening
from pmon.monitor.room import RoomMonitor
from pmon.monitor.view import view
from pmon.settings import load_settings

# --- audio


def test_encoded_packets_are_never_read_as_samples() -> None:
    """An Opus packet is bytes. Taken for samples it is loud noise."""
    packet = bytes(range(120))
    with pytest.raises(TypeError):
        _dsp.rms(packet)
    meters = TrackMeters(48_000, 1, [0.01])
    with pytest.raises(ValueError, match="int16"):
        meters.feed(packet, 0.0)
    assert meters.readings()[0].heard_s == 0


@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_a_second_is_a_second_at_any_rate_and_number_of_channels(rate: int, channels: int) -> None:
    """The bytes of 100 ms of mono are 50 ms of stereo."""
    meters = TrackMeters(rate, channels, [0.01])
    for _ in range(10):
        meters.feed(np.zeros(rate // 10 * channels, np.int16), 0.0)
    assert meters.readings()[0].heard_s == pytest.approx(1.0)


@pytest.mark.parametrize("pause_s", [0.6, 1.0, 1.5, 2.0, 2.5, 5.0])
def test_no_turn_is_lost_after_a_pause_and_none_is_stretched_by_it(pause_s: float) -> None:
    """Neither is the pause talk time, nor a hangover behind each turn."""
    phrase = phrases()["results"]
    pause = np.zeros(round(pause_s * RATE), np.int16)
    detector = _dsp.SpeakingDetector(RATE)
    detector.process(np.zeros(RATE, np.int16))
    for _ in range(6):
        detector.process(phrase.samples)
        detector.process(pause)
    spoken_s = sum(end - start for start, end in phrase.truth.segments)
    assert sum(begins for begins, _ in detector.take()) == 6
    billed_s = detector.speech_samples / RATE
    assert billed_s == pytest.approx(6 * spoken_s, rel=0.05)


def test_an_idle_second_microphone_does_not_end_speech() -> None:
    meeting = _meeting(microphone(), microphone("TR_idle"))
    meeting.to(1.0)
    meeting.monitor.speech("TR_mic", 0.01, True, 1.0)
    for second in range(2, 8):
        meeting.to(float(second))
        meeting.monitor.speech("TR_idle", 0.01, False, meeting.now)
    meeting.monitor.speech("TR_mic", 0.01, False, 8.0)
    assert meeting.summary().talk_time_s == 7.0


# --- video


def test_packets_are_no_frames() -> None:
    """A picture may take twenty of them."""
    received = RtcStats.InboundRtp()
    received.received.packets_received = 1000
    received.inbound.frames_received = 55
    received.inbound.frames_decoded = 50
    assert _video(received).frames == 50


def test_a_picture_that_stopped_has_no_rate() -> None:
    meeting = _meeting(camera())
    for second in range(0, 20, 2):
        meeting.to(float(second))
        reading = VideoReading(frames=min(15 * second, 150), freezes=0)
        meeting.monitor.video("TR_cam", reading, meeting.now)
    rates = [(e.to, e.fps) for e in meeting.of(ev.VideoState)]
    assert rates == [("live", 15.0), ("frozen", 0.0)]


def test_two_cameras_of_one_person_are_counted_apart() -> None:
    meeting = _meeting(camera("TR_one"), camera("TR_two"))
    for second in range(0, 40, 2):
        meeting.to(float(second))
        for sid, fps in (("TR_one", 15), ("TR_two", 0 if second > 10 else 30)):
            before = meeting.monitor.sessions.all()[0].ledger.tracks[sid].video
            assert before is not None
            frames = before.motion.frames + 2 * fps
            meeting.monitor.video(sid, VideoReading(frames=frames, freezes=0), meeting.now)
    assert [e.track_sid for e in meeting.of(ev.IssueRaised)] == ["TR_two"]
    frames_of = {track.track_sid: track.frames for track in meeting.summary().tracks}
    assert frames_of == {"TR_one": 20 * 30, "TR_two": 6 * 60}


def test_of_a_simulcast_the_lowest_layer_is_asked_for() -> None:
    asked: list[object] = []
    publication = Publication("TR_cam")
    publication.kind = rtc.TrackKind.KIND_VIDEO
    publication.simulcasted = True
    publication.set_video_quality = asked.append  # type: ignore[attr-defined]
    meeting = Meeting()
    meeting.now = time.monotonic()
    meeting.job("AJ_1", "ann")
    meeting.connected(person("ann", camera()))
    subscriptions = Subscriptions(meeting.monitor, Tier(), Listener(Listening()), lambda: None)
    subscriptions.attach(room_of(ann=publication))
    assert asked == [], "before it is subscribed the wish would be lost"
    subscriptions.track_subscribed(SimpleNamespace(sid="TR_cam"), publication)  # type: ignore[arg-type]
    assert asked == [rtc.VideoQuality.VIDEO_QUALITY_LOW]


# --- sessions


def test_one_identity_in_two_rooms_is_two_sessions() -> None:
    sessions = set()
    for name in ("standup", "retro"):
        monitor = RoomMonitor(name, UtcAnchor(0.0, EPOCH))
        monitor.start_job("AJ_1", "AD_1", person("ann"), watch(), 0.0)
        sessions |= {event.session for event in monitor.take_events()}
    assert len(sessions) == 2


def test_a_turn_that_is_open_at_the_end_is_billed_once() -> None:
    meeting = _meeting(microphone())
    meeting.to(10.0)
    meeting.monitor.speech("TR_mic", 0.01, True, 10.0)
    meeting.to(20.0)
    summary = meeting.summary()
    meeting.to(80.0)
    meeting.monitor.speech("TR_mic", 0.01, False, 80.0)
    assert (summary.talk_time_s, summary.turns) == (10.0, 1)
    assert [e.talk_time_s for e in meeting.of(ev.SpeakingStopped)] == [10.0]


def test_an_ended_session_is_judged_and_counted_no_more() -> None:
    meeting = _meeting(microphone(), camera())
    meeting.monitor.quality("ann", "poor", 0.0)
    meeting.to(3.0)
    meeting.summary()
    told = len(meeting.events)
    meeting.monitor.quality("ann", "lost", 4.0)
    meeting.to(5 * 3600.0)
    meeting.collect()
    assert len(meeting.events) == told
    assert view(meeting.monitor, meeting.now).sessions == []


def test_a_flapping_connection_fills_no_memory() -> None:
    meeting = _meeting(microphone())
    sizes = []
    for change in range(12_000):
        meeting.now += 5.0
        meeting.monitor.quality("ann", "poor" if change % 2 else "excellent", meeting.now)
        meeting.collect()
        if change in (4000, 11_999):  # in both it has been raised that the session is long
            (session,) = meeting.monitor.sessions.all()
            sizes.append(len(msgspec.msgpack.encode(session.state())))
    assert sizes[1] < sizes[0] * 1.05


def test_a_track_that_is_told_twice_is_one_track() -> None:
    """A reconnect tells everything again."""
    meeting = _meeting(microphone())
    for _ in range(3):
        meeting.monitor.track_published("ann", microphone(), meeting.now)
        meeting.connected(person("ann", microphone()))
        meeting.monitor.participant_joined(person("ann", microphone()), meeting.now)
    meeting.speak(1.0, 3.0)
    assert len(meeting.of(ev.TrackPublished)) == len(meeting.of(ev.ParticipantConnected)) == 1
    assert meeting.summary().talk_time_s == 2.0


# --- joining


def test_who_joins_while_the_room_is_being_listed_is_seen_once() -> None:
    """The events are listened to first; the list may have them too, or not yet."""
    meeting = Meeting()
    meeting.room_job("AJ_1")
    meeting.monitor.participant_joined(person("ann", microphone("TR_a")), 0.0)
    meeting.monitor.participant_joined(person("bob", microphone("TR_b")), 0.0)
    meeting.connected(person("ann", microphone("TR_a")), person("bob", microphone("TR_b")))
    meeting.monitor.participant_joined(person("bob", microphone("TR_b")), 0.1)
    meeting.monitor.participant_joined(person("cy", microphone("TR_c")), 0.1)
    meeting.to(30.0)
    for kind in (ev.SessionStarted, ev.ParticipantConnected, ev.TrackPublished):
        assert sorted(e.participant for e in meeting.of(kind)) == ["ann", "bob", "cy"]


async def test_a_track_that_comes_long_after_it_was_asked_for_is_heard() -> None:
    meeting = Meeting()
    meeting.now = time.monotonic()
    meeting.job("AJ_1", "ann")
    meeting.connected(person("ann", microphone()))
    tier, publication = Tier(), Publication("TR_mic")
    subscriptions = Subscriptions(meeting.monitor, tier, Listener(Listening()), lambda: None)
    subscriptions.attach(room_of(ann=publication))
    assert (publication.asked, tier.opened) == ([True], [])
    subscriptions.look_after(meeting.now + 60.0)
    assert publication.asked == [True, True], "asked again, since nothing came"
    subscriptions.track_subscribed(SimpleNamespace(sid="TR_mic"), publication)  # type: ignore[arg-type]
    tier.play("TR_mic", say("results"), time.monotonic())
    assert meeting.of(ev.SpeakingStarted)
    await subscriptions.aclose()


# --- the process


async def test_a_room_that_fails_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(RoomConnection, "start", lambda _: None)
    keys = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "secret"}
    said: list[msg.FromHost] = []
    nobody: Any = None
    host = Host(load_settings(keys), nobody, Tier(), said.append)
    for name in ("broken", "well"):
        host.handle(_job(name))
    monkeypatch.setattr(host._rooms["broken"].monitor, "tick", _fail)
    ticked: list[float] = []
    monkeypatch.setattr(host._rooms["well"].monitor, "tick", ticked.append)
    host._tick_rooms(time.monotonic())
    assert len(ticked) == 1
    assert "room failed" in capsys.readouterr().out
    monkeypatch.setattr(host._rooms["broken"].monitor, "end_all", _fail)
    host.handle(msg.Drain())
    await host.drained.wait()
    events = [message.event for message in said if isinstance(message, msg.Happened)]
    assert [event.room for event in events if event.type == "session_ended"] == ["well"]
    assert "room failed" in capsys.readouterr().out


def _job(room: str) -> msg.StartJob:
    return msg.StartJob(
        job=f"AJ_{room}",
        dispatch="AD_1",
        room=room,
        participant="ann",
        participant_sid="PA_ann",
        participant_kind="standard",
        metadata=JobMetadata(),
    )


def _fail(*_: object) -> None:
    raise ZeroDivisionError


def test_a_clock_that_steps_moves_times_and_no_duration() -> None:
    """By an hour, in the middle of a turn."""
    anchor = UtcAnchor(0.0, EPOCH)
    monitor = RoomMonitor("standup", anchor)
    monitor.connected("RM_1", [person("ann", microphone())], 0.0)
    monitor.start_job("AJ_1", "AD_1", person("ann"), watch(), 0.0)
    monitor.speech("TR_mic", 0.01, True, 9.75)
    anchor.renew(10.0, EPOCH - timedelta(hours=1))
    monitor.speech("TR_mic", 0.01, False, 20.0)
    monitor.end_job("AJ_1", "job_terminated", 30.0)
    *_, stopped, ended = monitor.take_events()
    assert isinstance(stopped, ev.SpeakingStopped)
    assert isinstance(ended, ev.SessionEnded)
    assert (stopped.turn_s, seconds(stopped)) == (10.25, 10.0 - 3600.0)
    assert (ended.summary.talk_time_s, ended.summary.duration_s) == (10.25, 30.0)


def _meeting(*tracks: Any) -> Meeting:
    meeting = Meeting()
    meeting.connected(person("ann", *tracks))
    meeting.job("AJ_1", "ann")
    return meeting
