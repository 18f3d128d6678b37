"""Simulated participants on a real server: is what a subscriber hears what they claim to send?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest_asyncio
from conftest import Join
from livekit import rtc

from pmon.cli.livekit_server import LocalServer
from pmon.media.phrases import phrases
from pmon.media.publish import join_token
from pmon.media.voice import FULL_SCALE

RATE = 16_000
SPEECH_RMS = 0.003  # between room noise at -60 dBov and speech at -26 dBov
SETTLE_S = 1.0

Heard = list[tuple[float, float]]
"""Arrival time and RMS (full scale 1) of every 10 ms."""


class Subscriber:
    """Hears and sees one participant, with the SDK alone."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.heard: Heard = []
        self.pictures: list[float] = []
        self.encrypted: dict[int, bool] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.room.on("track_subscribed", self._subscribed)

    def _subscribed(
        self,
        track: rtc.RemoteAudioTrack | rtc.RemoteVideoTrack,
        publication: rtc.RemoteTrackPublication,
        _participant: rtc.RemoteParticipant,
    ) -> None:
        self.encrypted[track.kind] = publication.encryption_type != rtc.EncryptionType.NONE
        consume = self._listen if track.kind == rtc.TrackKind.KIND_AUDIO else self._watch
        self._tasks.append(asyncio.create_task(consume(track)))

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=10)
        try:
            async for event in stream:
                pcm = np.asarray(event.frame.data, dtype=np.float64) / FULL_SCALE
                self.heard.append((time.monotonic(), float(np.sqrt(np.mean(pcm**2)))))
        finally:
            await stream.aclose()

    async def _watch(self, track: rtc.Track) -> None:
        stream = rtc.VideoStream(track)
        try:
            async for _ in stream:
                self.pictures.append(time.monotonic())
        finally:
            await stream.aclose()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while True:
                if condition():
                    return
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()


@pytest_asyncio.fixture
async def subscriber(livekit_server: LocalServer, room: str) -> AsyncIterator[Subscriber]:
    server = livekit_server
    subscriber = Subscriber()
    token = join_token(server.api_key, server.api_secret, room, "subscriber")
    await subscriber.room.connect(server.url, token)
    yield subscriber
    await subscriber.close()


def level_dbov(heard: Heard) -> float:
    return float(10 * np.log10(np.mean([rms**2 for _, rms in heard])))


def loud_s(heard: Heard) -> float:
    """Seconds from the first to the last loud 10 ms."""
    loud = [at for at, rms in heard if rms > SPEECH_RMS]
    return loud[-1] - loud[0] + 0.01 if loud else 0.0


async def test_what_is_said_is_heard_when_it_is_said_and_as_loud(
    subscriber: Subscriber, join: Join
) -> None:
    alice = await join("alice", noise_dbov=-60)
    await subscriber.until(lambda: len(subscriber.heard) > 0)
    await asyncio.sleep(SETTLE_S)
    quiet = subscriber.heard[-50:]
    phrase = phrases()["welcome"]
    before = time.monotonic()
    await alice.say(phrase)
    after = time.monotonic()
    await asyncio.sleep(SETTLE_S)

    ((start, end),) = alice.spoken
    assert before - 0.1 < start < end < after + 0.1
    assert abs((end - start) - (2.79 - 0.1)) < 0.02
    assert alice.talk_time_s == end - start
    assert abs(after - before - phrase.truth.duration_s) < 0.25  # real time, no drift

    speech = [(at, rms) for at, rms in subscriber.heard if start + 0.3 < at < end]
    onset = next(at for at, rms in subscriber.heard if at > before and rms > SPEECH_RMS)
    assert 0 < onset - start < 0.4  # encoder, network and jitter buffer
    assert abs(loud_s(subscriber.heard) - (end - start)) < 0.15
    assert abs(level_dbov(quiet) + 60) < 6  # Opus drops part of white noise this quiet
    assert abs(level_dbov(speech) + 26) < 3


async def test_mute_cuts_what_is_heard_and_the_truth_at_the_same_moment(
    subscriber: Subscriber, join: Join
) -> None:
    bob = await join("bob", noise_dbov=-60)
    await subscriber.until(lambda: len(subscriber.heard) > 0)
    await asyncio.sleep(SETTLE_S)
    said = bob.say(phrases()["results"])
    await asyncio.sleep(1.2)
    bob.mute()
    muted_at = time.monotonic()
    await said
    await asyncio.sleep(SETTLE_S)
    (cut,) = bob.spoken
    assert muted_at - 0.1 < cut[1] < muted_at + 0.1
    assert abs(loud_s(subscriber.heard) - (cut[1] - cut[0])) < 0.15

    bob.unmute()
    await asyncio.sleep(SETTLE_S)
    subscriber.heard.clear()
    await bob.say(phrases()["scotland"])
    await asyncio.sleep(SETTLE_S)
    assert abs(bob.talk_time_s - (cut[1] - cut[0]) - 1.35) < 0.03
    assert abs(loud_s(subscriber.heard) - 1.35) < 0.15


async def test_leaving_ends_the_phrase_and_one_can_join_again(
    subscriber: Subscriber, join: Join
) -> None:
    carol = await join("carol")
    said = carol.say(phrases()["welcome"])
    await asyncio.sleep(1.0)
    await carol.leave()
    await asyncio.wait_for(said, 1)
    assert abs(carol.talk_time_s - 0.9) < 0.1
    assert carol.identity == "carol"
    await subscriber.until(lambda: "carol" not in subscriber.room.remote_participants)

    await carol.join()
    await subscriber.until(lambda: "carol" in subscriber.room.remote_participants)
    await carol.say(phrases()["scotland"])
    assert abs(carol.talk_time_s - 0.9 - 1.35) < 0.1


async def test_an_unpublished_microphone_is_not_heard_and_can_be_published_again(
    subscriber: Subscriber, join: Join
) -> None:
    dave = await join("dave")
    await subscriber.until(lambda: len(subscriber.heard) > 0)
    await dave.unpublish_microphone()
    await dave.say(phrases()["scotland"])
    assert dave.spoken == []
    await dave.publish_microphone()
    await dave.say(phrases()["scotland"])
    assert abs(dave.talk_time_s - 1.35) < 0.03


async def test_a_frozen_camera_sends_no_picture(subscriber: Subscriber, join: Join) -> None:
    erin = await join("erin", camera=True)
    await subscriber.until(lambda: len(subscriber.pictures) > 10)
    await asyncio.sleep(1.0)
    fps = sum(at > time.monotonic() - 1 for at in subscriber.pictures)
    assert 11 <= fps <= 19
    erin.freeze()
    await asyncio.sleep(0.5)
    frozen = len(subscriber.pictures)
    await asyncio.sleep(1.0)
    assert len(subscriber.pictures) == frozen
    erin.thaw()
    await subscriber.until(lambda: len(subscriber.pictures) > frozen + 5)


async def test_an_encrypted_microphone_says_so_and_is_noise_without_the_key(
    subscriber: Subscriber, join: Join
) -> None:
    await join("frank", noise_dbov=-66, shared_key=b"not the subscriber's")
    await subscriber.until(lambda: len(subscriber.heard) > 100)
    assert subscriber.encrypted == {rtc.TrackKind.KIND_AUDIO: True}
    assert level_dbov(subscriber.heard[-50:]) > -40


async def test_attributes_of_the_token_are_seen_by_others(
    subscriber: Subscriber, join: Join
) -> None:
    await join("grace", attributes={"pmon.monitor": "off"})
    await subscriber.until(lambda: "grace" in subscriber.room.remote_participants)
    assert subscriber.room.remote_participants["grace"].attributes == {"pmon.monitor": "off"}
