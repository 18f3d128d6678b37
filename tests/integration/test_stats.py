"""Counters of a real SDK: asked for track by track, or for the whole room."""

from __future__ import annotations

import asyncio

from conftest import Dispatch, Join, StartWorker
from livekit import rtc

from pmon.cli.livekit_server import LocalServer
from pmon.media.phrases import phrases
from pmon.media.publish import join_token
from pmon.media.stats import FEW, Report, report
from pmon.monitor.reception import between


async def connect(server: LocalServer, room: str) -> rtc.Room:
    """Somebody who receives everything."""
    joined = rtc.Room()
    token = join_token(server.api_key, server.api_secret, room, "seer")
    options = rtc.RoomOptions(auto_subscribe=True, single_peer_connection=False)
    await joined.connect(server.url, token, options)
    return joined


async def test_few_tracks_tell_what_the_room_tells(
    livekit_server: LocalServer, join: Join, room: str
) -> None:
    """Which of the two is asked may change from look to look, and totals may not jump then."""
    seen = await connect(livekit_server, room)
    try:
        await join("alice", camera=True)
        async with asyncio.timeout(15):
            while not (tracks := cameras(seen)) or not await frames(seen, tracks):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        (sid,) = [track.sid for track in tracks]
        before = (await report(seen, tracks * FEW)).video
        one = (await report(seen, tracks)).video
        after = (await report(seen, tracks * FEW)).video
        assert before.keys() == one.keys() == after.keys() == {sid}
        assert 0 < before[sid].frames <= one[sid].frames <= after[sid].frames
        assert await report(seen, []) == Report()
    finally:
        await seen.disconnect()
    assert await report(seen, tracks * FEW) == Report()


async def test_audio_arrives_whole_over_loopback(
    livekit_server: LocalServer, join: Join, room: str
) -> None:
    """What is read means what pmon takes it for: fifty packets a second, none of them lost."""
    heard = await connect(livekit_server, room)
    try:
        alice = await join("alice", dtx=False)
        alice.say(phrases()["agenda"])
        async with asyncio.timeout(15):
            while not (tracks := of_kind(heard, rtc.TrackKind.KIND_AUDIO)):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await asyncio.sleep(2)
        sid = tracks[0].sid
        first = await report(heard, tracks)
        await asyncio.sleep(4)
        for found in (await report(heard, tracks), await report(heard, tracks * FEW)):
            got = between(first.audio[sid], found.audio[sid])
            assert 150 <= got.expected <= 250
            assert got.lost == 0
            assert 0.5 <= got.samples / (4 * 48_000) <= 1.5
            assert got.concealment is not None
            assert got.concealment < 0.1
            assert 0.0 <= found.audio[sid].jitter_s < 0.1
            assert found.rtt_s is not None
            assert 0.0 <= found.rtt_s < 0.1
    finally:
        await heard.disconnect()


async def test_a_worker_sums_up_what_it_heard(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    """Over loopback nothing is lost; a muted microphone, of which nothing is sent, has no link."""
    worker = await start_worker(PMON_LISTEN="always")
    await join("alice", dtx=False)
    (await join("bob", dtx=False)).mute()
    await dispatch()
    await worker.wait("participant_connected", 2)
    await asyncio.sleep(17)
    await worker.stop()
    links = {e["participant"]: e["summary"]["link"] for e in worker.of("session_ended")}
    assert links["bob"] is None
    assert 400 <= links["alice"]["packets"] <= 900
    assert links["alice"]["loss"] < 0.01
    assert links["alice"]["mos"] > 4


async def frames(room: rtc.Room, tracks: list[rtc.RemoteTrack]) -> int:
    return sum(reading.frames for reading in (await report(room, tracks)).video.values())


def cameras(room: rtc.Room) -> list[rtc.RemoteTrack]:
    return of_kind(room, rtc.TrackKind.KIND_VIDEO)


def of_kind(room: rtc.Room, kind: rtc.TrackKind.ValueType) -> list[rtc.RemoteTrack]:
    return [
        publication.track
        for participant in room.remote_participants.values()
        for publication in participant.track_publications.values()
        if publication.track is not None and publication.kind == kind
    ]
