"""Video frames as libwebrtc counts them, read from RTC statistics.

A stream whose frames the native tap counts would tell the same at once; but for each frame that it
hands out, the SDK copies the picture first, which costs up to 7 ms/s a camera.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

from livekit import rtc
from livekit.rtc._proto.stats_pb2 import RtcStats

from pmon.monitor.inputs import VideoReading
from pmon.monitor.motion import NOTHING

TIMEOUT_S = 5.0
FEW = 4
"""So many tracks are no cheaper to ask one by one than the whole room. In one of 10 microphones and
10 cameras one track took 2.1 ms of CPU, three took 2.8 and the room 3.1, which grows with it: a
report has some ten entries a track."""


async def video_readings(
    room: rtc.Room, tracks: Sequence[rtc.RemoteTrack]
) -> dict[str, VideoReading]:
    """The totals of these video receivers by track sid; without those that cannot be told.

    A receiver of which nothing has come yet stands in no report, so whoever is missing from one
    has received nothing. Where they are many it is one report of all tracks of the room, and more
    receivers come along.
    """
    nothing = {track.sid: NOTHING for track in tracks}
    if len(tracks) >= FEW:
        readings = await _of_room(room)
        return {} if readings is None else nothing | readings
    told: dict[str, VideoReading] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(TIMEOUT_S):
            # One by one: each question listens to all events of the SDK until it is answered, and
            # several at once would multiply that work.
            for track in tracks:
                # The SDK raises whatever it likes for a track that is gone; no data is no verdict.
                with suppress(Exception):
                    readings = _readings(await track.get_stats())
                    told[track.sid] = readings.get(track.sid, NOTHING)
    return told


async def _of_room(room: rtc.Room) -> dict[str, VideoReading] | None:
    try:
        stats = await asyncio.wait_for(room.get_rtc_stats(), TIMEOUT_S)
    except (RuntimeError, TimeoutError):
        return None  # disconnected or reconnecting
    # With one peer connection for both ways the receivers stand under the publisher's.
    return _readings((*stats.subscriber_stats, *stats.publisher_stats))


def _readings(entries: Iterable[RtcStats]) -> dict[str, VideoReading]:
    readings = {}
    for entry in entries:
        if entry.WhichOneof("stats") != "inbound_rtp":
            continue
        received = entry.inbound_rtp
        if received.stream.kind == "video" and received.inbound.track_identifier:
            readings[received.inbound.track_identifier] = _video(received)
    return readings


def _video(received: RtcStats.InboundRtp) -> VideoReading:
    return VideoReading(
        frames=received.inbound.frames_decoded,
        freezes=received.inbound.freeze_count,
        delay_s=received.inbound.total_inter_frame_delay,
        squared_delay_s2=received.inbound.total_squared_inter_frame_delay,
        width=received.inbound.frame_width,
        height=received.inbound.frame_height,
    )
