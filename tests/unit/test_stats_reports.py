"""Reading RTC statistics: which entries tell what, and how often anybody is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from livekit import rtc
from livekit.rtc._proto.stats_pb2 import RtcStats
from room_driver import Meeting, microphone, person
from structlog.testing import capture_logs

from pmon.media.polls import AUDIO_EVERY_S, LOOK_EVERY_S, Polls
from pmon.media.stats import FEW, report
from pmon.monitor.inputs import LinkReading


def inbound(sid: str, kind: str = "audio", **figures: float) -> RtcStats:
    entry = RtcStats()
    entry.inbound_rtp.stream.kind = kind
    entry.inbound_rtp.stream.ssrc = 7
    entry.inbound_rtp.inbound.track_identifier = sid
    for name, value in figures.items():
        of = entry.inbound_rtp.received if name in RECEIVED else entry.inbound_rtp.inbound
        setattr(of, name, value)
    return entry


RECEIVED = ("packets_received", "packets_lost", "jitter")


def pair(rtt_s: float, *, nominated: bool = True, answered: int = 3) -> RtcStats:
    entry = RtcStats()
    entry.candidate_pair.candidate_pair.current_round_trip_time = rtt_s
    entry.candidate_pair.candidate_pair.nominated = nominated
    entry.candidate_pair.candidate_pair.responses_received = answered
    return entry


class Track:
    def __init__(self, sid: str, *entries: RtcStats) -> None:
        self.sid = sid
        self.kind = rtc.TrackKind.KIND_AUDIO
        self.asked = 0
        self._entries = entries or (inbound(sid, packets_received=5),)

    async def get_stats(self) -> Sequence[RtcStats]:
        self.asked += 1
        return self._entries


class Room:
    def __init__(self, *entries: RtcStats) -> None:
        self.asked = 0
        self._entries = entries

    async def get_rtc_stats(self) -> Any:
        self.asked += 1
        return SimpleNamespace(subscriber_stats=list(self._entries), publisher_stats=[])


async def test_totals_of_a_receiver() -> None:
    entry = inbound(
        "TR_1",
        packets_received=950,
        packets_lost=50,
        jitter=0.01,
        total_samples_received=960_000,
        concealed_samples=48_000,
        silent_concealed_samples=12_000,
    )
    found = await report(Room(), [Track("TR_1", entry)])  # type: ignore[arg-type,list-item]
    assert found.audio == {
        "TR_1": LinkReading(
            ssrc=7,
            packets_received=950,
            packets_lost=50,
            jitter_s=0.01,
            samples=960_000,
            concealed=48_000,
            silent_concealed=12_000,
        )
    }
    assert found.video == {}


async def test_what_is_not_told_is_not_zero() -> None:
    """A receiver that counts no samples would be one without any concealment otherwise."""
    room: Any = Room(inbound("TR_1", packets_received=5), pair(0.0, answered=0))
    found = await report(room, [Track("TR_1")] * FEW)  # type: ignore[list-item]
    reading = found.audio["TR_1"]
    assert (reading.samples, reading.concealed, reading.silent_concealed) == (None, None, None)
    assert found.rtt_s is None


async def test_the_round_trip_is_that_of_the_pair_in_use() -> None:
    room: Any = Room(pair(0.9, nominated=False), pair(0.025), pair(0.5))
    assert (await report(room, [Track("TR_1")] * FEW)).rtt_s == 0.025  # type: ignore[list-item]


async def test_video_and_audio_come_out_of_one_report() -> None:
    room: Any = Room(inbound("TR_a"), inbound("TR_v", "video", frames_decoded=30, freeze_count=1))
    tracks: Any = [Track(f"TR_{n}") for n in range(FEW)]
    found = await report(room, tracks)
    assert found.audio.keys() == {"TR_a"}
    assert found.video.keys() == {"TR_v"}
    assert (found.video["TR_v"].frames, found.video["TR_v"].freezes) == (30, 1)
    assert (room.asked, [track.asked for track in tracks]) == (1, [0] * FEW)


class Shell:
    """Polls of a real monitor, with the time of a clock of its own."""

    def __init__(self, microphones: int = 0, cameras: int = 0) -> None:
        self.meeting = Meeting()
        names = [f"m{n}" for n in range(microphones)]
        self.meeting.connected(*(person(name, microphone(name)) for name in names))
        for name in names:
            self.meeting.job(f"AJ_{name}", name)
        self.microphones: Any = [Track(name) for name in names]
        self.cameras: Any = [
            Track(f"c{n}", inbound(f"c{n}", "video", frames_decoded=1)) for n in range(cameras)
        ]
        everything = [e for t in (*self.microphones, *self.cameras) for e in t._entries]
        self.room: Any = Room(*everything)
        self.seen: list[set[str]] = []
        subscriptions: Any = SimpleNamespace(
            microphones=self.microphones,
            cameras=self.cameras,
            frames=lambda readings, now: self.seen.append(set(readings)),
        )
        plan = SimpleNamespace(shedding=SimpleNamespace(looks="looks"))
        listener: Any = SimpleNamespace(plan=plan)
        self.polls = Polls(self.meeting.monitor, subscriptions, listener, lambda: None)

    async def pass_time(self, duration_s: float, start: float = 100.0) -> None:
        for tick in range(int(duration_s / LOOK_EVERY_S)):
            self.polls.tick(self.room, start + tick * LOOK_EVERY_S)
            for _ in range(5):
                await asyncio.sleep(0)


async def test_a_room_in_which_nobody_is_heard_is_not_asked() -> None:
    """A question takes CPU that grows with the room: adaptive listening is there to save it."""
    shell = Shell()
    await shell.pass_time(60)
    assert shell.room.asked == 0


async def test_who_is_heard_is_asked_of_every_five_seconds() -> None:
    shell = Shell(microphones=2)
    await shell.pass_time(60)
    assert [track.asked for track in shell.microphones] == [60 / AUDIO_EVERY_S] * 2
    assert shell.room.asked == 0
    assert all(shell.meeting.monitor.levels.paths.hears(f"m{n}") for n in range(2))


async def test_many_are_one_question_to_the_room() -> None:
    shell = Shell(microphones=30)
    await shell.pass_time(60)
    assert shell.room.asked == 60 / AUDIO_EVERY_S
    assert not any(track.asked for track in shell.microphones)


async def test_audio_comes_along_with_video() -> None:
    """Where many cameras are looked at anyway, microphones cost no further question."""
    shell = Shell(microphones=5, cameras=5)
    await shell.pass_time(60)
    assert shell.room.asked == 60 / LOOK_EVERY_S
    assert shell.seen[0] == {f"c{n}" for n in range(5)}


async def test_the_end_of_an_own_loss_is_logged_where_nobody_is_heard_any_more() -> None:
    """Else the log begins to tell of a loss twice, and ends once."""
    shell = Shell()
    shell.meeting.monitor.levels.paths.own_loss = 0.1
    with capture_logs() as logs:
        await shell.pass_time(5)
    assert [entry["event"] for entry in logs] == [
        "no loss is known on the way from the server to this monitor any more"
    ]


async def test_a_level_that_fell_is_looked_at_at_once() -> None:
    """Its reason waits for what came until now."""
    shell = Shell(microphones=2)
    monitor = shell.meeting.monitor
    await shell.pass_time(6)
    monitor.quality("m0", "excellent", 106.0)
    monitor.quality("m0", "poor", 106.0)
    asked = shell.microphones[0].asked
    await shell.pass_time(LOOK_EVERY_S, start=106.0)
    assert shell.microphones[0].asked == asked + 1
    assert not monitor.levels.waiting
    await shell.pass_time(4, start=106.5)
    assert shell.microphones[0].asked == asked + 1


def received_by(shell: Shell) -> list[Any]:
    """The readings that the monitor is told, as they come."""
    told: list[Any] = []
    received = shell.meeting.monitor.received

    def note(readings: Any, rtt_s: Any, now: float) -> None:
        told.append(readings)
        received(readings, rtt_s, now)

    shell.meeting.monitor.received = note  # type: ignore[method-assign]
    return told


async def test_cameras_do_not_tell_again_that_nobody_is_heard() -> None:
    """It would count as a second look at the same time."""
    shell = Shell(cameras=2)
    told = received_by(shell)
    await shell.pass_time(60)
    assert told == [{}] * int(60 / AUDIO_EVERY_S)


async def test_a_level_of_one_who_is_heard_no_more_is_not_asked_about_again() -> None:
    shell = Shell(microphones=1)
    monitor = shell.meeting.monitor
    await shell.pass_time(6)
    monitor.quality("m0", "excellent", 106.0)
    monitor.quality("m0", "poor", 106.0)
    shell.microphones.clear()
    told = received_by(shell)
    await shell.pass_time(2, start=106.0)
    assert told == [{}]
