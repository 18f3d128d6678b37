"""Video counters of a real SDK: asked for track by track, or for the whole room."""

from __future__ import annotations

import asyncio

from conftest import Join
from livekit import rtc

from pmon.cli.livekit_server import LocalServer
from pmon.media.publish import join_token
from pmon.media.stats import FEW, video_readings


async def test_few_tracks_tell_what_the_room_tells(
    livekit_server: LocalServer, join: Join, room: str
) -> None:
    """Which of the two is asked may change from look to look, and totals may not jump then."""
    seen = rtc.Room()
    token = join_token(livekit_server.api_key, livekit_server.api_secret, room, "seer")
    options = rtc.RoomOptions(auto_subscribe=True, single_peer_connection=False)
    await seen.connect(livekit_server.url, token, options)
    try:
        await join("alice", camera=True)
        async with asyncio.timeout(15):
            while not (tracks := cameras(seen)) or not await frames(seen, tracks):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        (sid,) = [track.sid for track in tracks]
        before = await video_readings(seen, tracks * FEW)
        one = await video_readings(seen, tracks)
        after = await video_readings(seen, tracks * FEW)
        assert before.keys() == one.keys() == after.keys() == {sid}
        assert 0 < before[sid].frames <= one[sid].frames <= after[sid].frames
        assert await video_readings(seen, []) == {}
    finally:
        await seen.disconnect()
    assert await video_readings(seen, tracks * FEW) == {}


async def frames(room: rtc.Room, tracks: list[rtc.RemoteTrack]) -> int:
    return sum(reading.frames for reading in (await video_readings(room, tracks)).values())


def cameras(room: rtc.Room) -> list[rtc.RemoteTrack]:
    return [
        publication.track
        for participant in room.remote_participants.values()
        for publication in participant.track_publications.values()
        if publication.track is not None and publication.kind == rtc.TrackKind.KIND_VIDEO
    ]
