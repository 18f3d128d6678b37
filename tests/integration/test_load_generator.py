"""The load generator on a real server: is what a subscriber hears what its truth tells?"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from livekit import api, rtc
from load_generator import SOURCE, LoadGenerator, LoadGeneratorError, find_or_build
from load_model import Load, Person
from rich.console import Console

from pmon.cli.go_build import go_toolchain
from pmon.cli.livekit_server import LocalServer
from pmon.media.publish import join_token

# The first one builds it.
pytestmark = [pytest.mark.system, pytest.mark.alone, pytest.mark.timeout(900)]

FULL_SCALE = 32768.0
SPEECH_RMS = 0.003  # between the room noise at -66 dBov and a quiet voice at -37
LATE_S = 0.3


class Listener:
    """Hears and sees everybody in a room, with the SDK alone."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.heard: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        """Unix time of arrival and RMS of every 10 ms, by identity."""
        self.sizes: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        self.speakers: set[str] = set()
        self.left: defaultdict[str, list[float]] = defaultdict(list)
        self._tasks: list[asyncio.Task[None]] = []
        self.room.on("track_subscribed", self._subscribed)
        self.room.on("active_speakers_changed", self._speak)
        self.room.on("participant_disconnected", self._leave)

    def _speak(self, speakers: list[rtc.Participant]) -> None:
        self.speakers |= {speaker.identity for speaker in speakers}

    def _leave(self, participant: rtc.RemoteParticipant) -> None:
        self.left[participant.identity].append(time.time())

    def _subscribed(
        self,
        track: rtc.RemoteAudioTrack | rtc.RemoteVideoTrack,
        _publication: rtc.RemoteTrackPublication,
        participant: rtc.RemoteParticipant,
    ) -> None:
        consume = self._listen if track.kind == rtc.TrackKind.KIND_AUDIO else self._watch
        self._tasks.append(asyncio.create_task(consume(track, participant.identity)))

    async def _listen(self, track: rtc.Track, identity: str) -> None:
        stream = rtc.AudioStream(track, sample_rate=16_000, num_channels=1, frame_size_ms=10)
        try:
            async for event in stream:
                pcm = np.asarray(event.frame.data, dtype=np.float64) / FULL_SCALE
                self.heard[identity].append((time.time(), float(np.sqrt(np.mean(pcm**2)))))
        finally:
            await stream.aclose()

    async def _watch(self, track: rtc.Track, identity: str) -> None:
        stream = rtc.VideoStream(track)
        try:
            async for event in stream:
                self.sizes[identity].append((event.frame.width, event.frame.height))
        finally:
            await stream.aclose()

    async def until(self, condition: Callable[[], bool]) -> None:
        while True:
            if condition():
                return
            await asyncio.sleep(0.1)

    async def __aenter__(self) -> Listener:
        return self

    async def join(self, server: LocalServer, room: str) -> None:
        token = join_token(server.api_key, server.api_secret, room, "listener")
        await self.room.connect(server.url, token)

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()


def assert_heard_as_told(who: str, person: Person, heard: list[tuple[float, float]]) -> None:
    """Loud in the true segments and nowhere else, to 0.3 s."""
    begin, end = heard[0][0] + 0.5, heard[-1][0]
    segments = [s for s in person.segments if s[0] > begin and s[1] < end - LATE_S]
    for start, stop in segments:
        inside = [rms for at, rms in heard if start + LATE_S < at < stop]
        loud = [at for at, rms in heard if start <= at < stop + LATE_S and rms > SPEECH_RMS]
        assert loud, (who, start, stop)
        assert loud[0] - start < LATE_S, (who, start, stop)
        assert abs(loud[-1] - stop) < LATE_S, (who, start, stop)
        assert sum(rms > SPEECH_RMS for rms in inside) > 0.6 * len(inside), (who, start, stop)
    stray = [
        (at, rms)
        for at, rms in heard
        if begin < at < end
        and rms > SPEECH_RMS
        and not any(start < at < stop + LATE_S for start, stop in person.segments)
    ]
    assert len(stray) <= 3, (who, person.segments, stray[:20])


@pytest.mark.parametrize("dtx", [True, False])
async def test_the_truth_is_what_is_heard(livekit_server: LocalServer, dtx: bool) -> None:
    server = livekit_server
    load = Load(
        rooms=2,
        participants=3,
        room_prefix=f"truth-{dtx}",
        talk_share=0.5,
        burst=1.5,  # short enough that phrases are cut
        muted=0.17,
        quiet=0.17,
        no_levels=0.33,
        dtx=dtx,
        seed=3,
    )
    generator = LoadGenerator(server.url, server.api_key, server.api_secret, load)
    async with Listener() as first, Listener() as second:
        listeners = {f"truth-{dtx}-000": first, f"truth-{dtx}-001": second}
        async with generator:
            for room, listener in listeners.items():
                await listener.join(server, room)
            await asyncio.sleep(12)
            muted = {
                (room, identity)
                for room, listener in listeners.items()
                for identity, participant in listener.room.remote_participants.items()
                for publication in participant.track_publications.values()
                if publication.muted
            }
        await asyncio.sleep(0.5)
        assert all(len(listener.left) == 3 for listener in listeners.values())

    truth = generator.truth
    assert truth.ended
    kinds = sorted(person.kind for people in truth.rooms.values() for person in people.values())
    assert kinds == ["muted", "no_levels", "no_levels", "normal", "normal", "quiet"]
    for room, people in truth.rooms.items():
        for identity, person in people.items():
            listener = listeners[room]
            heard = listener.heard[identity]
            who = f"{identity}, {person.kind}, in {room}"
            assert ((room, identity) in muted) == (person.kind == "muted"), who
            assert (identity in listener.speakers) == (person.kind == "normal"), who
            if person.kind == "muted":
                assert person.segments == [] and person.muted == person.present, who
                assert not [rms for _, rms in heard if rms > SPEECH_RMS], who
                continue
            assert person.talk_time_s > 1, who
            assert len(heard) > 1000, who
            assert_heard_as_told(who, person, heard)
    assert generator.stopped is not None
    assert generator.stopped.stalls == 0
    assert generator.errors() == ""


@pytest.mark.parametrize("simulcast", [True, False])
async def test_cameras_are_seen(livekit_server: LocalServer, simulcast: bool) -> None:
    server = livekit_server
    load = Load(
        participants=2,
        room_prefix=f"cameras-{simulcast}",
        video="vp8",
        simulcast=simulcast,
        video_share=0.5,
    )
    generator = LoadGenerator(server.url, server.api_key, server.api_secret, load)
    async with Listener() as listener, generator:
        await listener.join(server, f"cameras-{simulcast}-000")
        await asyncio.sleep(6)
        (with_camera,) = (i for i, p in generator.truth.rooms.popitem()[1].items() if p.camera)
        assert list(listener.sizes) == [with_camera]
        assert listener.sizes[with_camera][-1] == ((1280, 720) if simulcast else (640, 360))
        before = len(listener.sizes[with_camera])
        await asyncio.sleep(2)
        assert 24 <= len(listener.sizes[with_camera]) - before <= 36
        if simulcast:
            participant = listener.room.remote_participants[with_camera]
            for publication in participant.track_publications.values():
                if publication.kind == rtc.TrackKind.KIND_VIDEO:
                    publication.set_video_quality(rtc.VideoQuality.VIDEO_QUALITY_LOW)
            await asyncio.sleep(2)
            assert listener.sizes[with_camera][-1] == (320, 180)


async def test_with_churn_people_leave_and_mute_and_come_back(livekit_server: LocalServer) -> None:
    server = livekit_server
    load = Load(participants=6, room_prefix="churn", churn=0.7, talk_share=0.5, dtx=True, seed=2)
    generator = LoadGenerator(server.url, server.api_key, server.api_secret, load)
    async with Listener() as listener:
        async with generator:
            await listener.join(server, "churn-000")
            began = time.time()
            await asyncio.sleep(15)
        await asyncio.sleep(0.5)
    (people,) = generator.truth.rooms.values()
    assert any(len(person.present) > 1 for person in people.values())
    assert any(person.muted for person in people.values())
    for identity, person in people.items():
        leaves = [end for _, end in person.present if end > began]
        assert len(leaves) == len(listener.left[identity])
        for told, seen in zip(leaves, listener.left[identity], strict=True):
            assert abs(told - seen) < 0.5
        for start, end in person.segments:
            assert not any(on + 0.03 < (start + end) / 2 < off for on, off in person.muted)
    assert generator.errors() == ""


async def test_after_a_restart_of_the_server_all_are_back(own_server: LocalServer) -> None:
    server = own_server
    load = Load(participants=4, talk_share=0.6, burst=2, muted=0.25, dtx=True)
    generator = LoadGenerator(server.url, server.api_key, server.api_secret, load)
    async with generator, Listener() as listener:
        await asyncio.sleep(2)
        server.kill()
        await asyncio.sleep(2)
        await asyncio.to_thread(server.start)
        await listener.join(server, "load-000")
        people = generator.truth.rooms["load-000"]
        muted = {identity: person.kind == "muted" for identity, person in people.items()}

        def back() -> dict[str, bool]:
            return {
                identity: publication.muted
                for identity, participant in listener.room.remote_participants.items()
                for publication in participant.track_publications.values()
            }

        async with asyncio.timeout(30):
            await listener.until(
                lambda: back() == muted and sum(map(len, listener.heard.values())) > 300
            )
    assert generator.truth.ended


async def test_a_duration_ends_it_and_everybody_has_left(livekit_server: LocalServer) -> None:
    server = livekit_server
    load = Load(participants=3, room_prefix="short", duration=1.5)
    generator = LoadGenerator(server.url, server.api_key, server.api_secret, load)
    async with (
        api.LiveKitAPI(server.http_url, server.api_key, server.api_secret) as lkapi,
        generator,
    ):
        request = api.ListParticipantsRequest(room="short-000")
        listed = await lkapi.room.list_participants(request)
        assert {p.identity for p in listed.participants} == {"p-000", "p-001", "p-002"}
        listing = ["ps", "-ww", "-o", "args=", "-p", str(generator.pid)]
        arguments = await asyncio.to_thread(subprocess.check_output, listing, text=True)
        assert "short" in arguments and server.api_secret not in arguments
        truth = await asyncio.to_thread(generator.wait, 10)
        assert all(len(person.present) == 1 for person in truth.rooms["short-000"].values())
        listed = await lkapi.room.list_participants(request)
        assert not listed.participants


def test_without_a_server_it_says_so(livekit_server: LocalServer) -> None:
    generator = LoadGenerator("ws://127.0.0.1:9", "key", "secret" * 8, Load(participants=1))
    with pytest.raises(LoadGeneratorError, match="p-000 in load-000 could not join"):
        generator.start()


def test_the_source_is_sound(tmp_path: Path) -> None:
    go, env = go_toolchain(tmp_path, Console(stderr=True))
    for command in (["vet", "./..."], ["test", "./..."]):
        done = subprocess.run([go, *command], cwd=SOURCE, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_built_once() -> None:
    assert find_or_build() == find_or_build()
