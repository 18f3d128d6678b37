"""What libwebrtc counts of what it receives, read from RTC statistics.

A stream whose frames the native tap counts would tell of its frames at once; but for each frame
that it hands out, the SDK copies the picture first, which costs up to 7 ms/s a camera.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from livekit import rtc
from livekit.rtc._proto.stats_pb2 import CandidatePairStats, RtcStats

from pmon.monitor.inputs import LinkReading, VideoReading
from pmon.monitor.motion import NOTHING

TIMEOUT_S = 5.0
FEW = 4
"""So many tracks are no cheaper to ask one by one than the whole room. In one of 10 microphones and
10 cameras one track took 2.1 ms of CPU, three took 2.8 and the room 3.1, which grows with it: a
report has some ten entries a track."""


@dataclass
class Report:
    """The running totals of receivers by track sid; without those that cannot be told."""

    video: dict[str, VideoReading] = field(default_factory=dict)
    audio: dict[str, LinkReading] = field(default_factory=dict)
    rtt_s: float | None = None
    """From here to the server and back; None if it was never measured."""


async def report(room: rtc.Room, tracks: Sequence[rtc.RemoteTrack]) -> Report:
    """Ask for these tracks; where they are many, all of the room's come along.

    A receiver of which nothing has come yet stands in no report, so a picture that is missing from
    one has received nothing.
    """
    found = Report()
    if len(tracks) >= FEW:
        if await _read_room(room, found):
            _nothing_yet(tracks, found)
        return found
    with suppress(TimeoutError):
        async with asyncio.timeout(TIMEOUT_S):
            # One by one: each question listens to all events of the SDK until it is answered, and
            # several at once would multiply that work.
            for track in tracks:
                # The SDK raises whatever it likes for a track that is gone; no data is no verdict.
                with suppress(Exception):
                    _read(await track.get_stats(), found)
                    _nothing_yet([track], found)
    return found


async def _read_room(room: rtc.Room, found: Report) -> bool:
    try:
        stats = await asyncio.wait_for(room.get_rtc_stats(), TIMEOUT_S)
    except (RuntimeError, TimeoutError):
        return False  # disconnected or reconnecting
    # With one peer connection for both ways the receivers stand under the publisher's.
    _read((*stats.subscriber_stats, *stats.publisher_stats), found)
    return True


def _nothing_yet(tracks: Iterable[rtc.RemoteTrack], found: Report) -> None:
    for track in tracks:
        if track.kind == rtc.TrackKind.KIND_VIDEO:
            found.video.setdefault(track.sid, NOTHING)


def _read(entries: Iterable[RtcStats], found: Report) -> None:
    for entry in entries:
        which = entry.WhichOneof("stats")
        if which == "inbound_rtp":
            sid = entry.inbound_rtp.inbound.track_identifier
            kind = entry.inbound_rtp.stream.kind
            if sid and kind == "video":
                found.video[sid] = _video(entry.inbound_rtp)
            elif sid and kind == "audio":
                found.audio[sid] = _audio(entry.inbound_rtp)
        elif which == "candidate_pair" and found.rtt_s is None:
            found.rtt_s = _rtt_s(entry.candidate_pair.candidate_pair)


def _video(received: RtcStats.InboundRtp) -> VideoReading:
    return VideoReading(
        frames=received.inbound.frames_decoded,
        freezes=received.inbound.freeze_count,
        delay_s=received.inbound.total_inter_frame_delay,
        squared_delay_s2=received.inbound.total_squared_inter_frame_delay,
        width=received.inbound.frame_width,
        height=received.inbound.frame_height,
    )


def _audio(received: RtcStats.InboundRtp) -> LinkReading:
    # The SDK gives 0 for what libwebrtc does not tell.
    played = received.inbound.total_samples_received > 0
    return LinkReading(
        ssrc=received.stream.ssrc,
        packets_received=received.received.packets_received,
        packets_lost=received.received.packets_lost,
        jitter_s=received.received.jitter,
        samples=received.inbound.total_samples_received if played else None,
        concealed=received.inbound.concealed_samples if played else None,
        silent_concealed=received.inbound.silent_concealed_samples if played else None,
    )


def _rtt_s(pair: CandidatePairStats) -> float | None:
    """Of the pair that is in use, once it was answered."""
    return pair.current_round_trip_time if pair.nominated and pair.responses_received else None
