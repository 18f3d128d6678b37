"""Whether sound comes through: a tone of known level, from a participant to pmon's own meters."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
from livekit import api, rtc
from livekit.rtc._proto.stats_pb2 import IceCandidateStats, IceCandidateType, RtcStats

from pmon.media import voice
from pmon.media.connection import Credentials
from pmon.media.meters import TrackMeters
from pmon.media.phrases import Phrase, Truth
from pmon.media.publish import JOIN_ERRORS, SimulatedParticipant, join_token
from pmon.media.tap import NUM_CHANNELS, SAMPLE_RATE, AudioTap, AudioTier

TONE_HZ = 440.0
TONE_DBOV = -26.0
TOLERANCE_DB = 1.0
WITHIN_S = 10.0
ENOUGH_S = 1.0
"""Of the tone, before its level says anything."""
JOIN_S = 20.0
LOOK_S = 0.05
STATS_S = 5.0
TOKEN_TTL = timedelta(minutes=5)


class HearingError(RuntimeError):
    """Nothing could be heard, since somebody could not join or publish."""


class Heard(NamedTuple):
    """What came of the tone, how long after it was published, and which way."""

    level_dbov: float | None
    after_s: float
    path: str | None

    @property
    def well(self) -> bool:
        return self.level_dbov is not None and abs(self.level_dbov - TONE_DBOV) <= TOLERANCE_DB


async def hear_tone(credentials: Credentials, room: str, tier: AudioTier) -> Heard:
    """Listen as pmon does while somebody else in the room sends a tone. Raises HearingError."""
    listener, taps = rtc.Room(), list[AudioTap]()

    def on_track(track: Any, *_: object) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            meters = TrackMeters(SAMPLE_RATE, NUM_CHANNELS, [0.01])
            taps.append(tier.open(track, meters, lambda _: None, lambda: None))

    listener.on("track_subscribed", on_track)
    token = join_token(credentials.api_key, credentials.api_secret, room, "pmon-check-tone")
    talker = SimulatedParticipant(credentials.url, token, dtx=False)
    try:
        async with asyncio.timeout(JOIN_S):
            options = rtc.RoomOptions(single_peer_connection=False)
            await listener.connect(credentials.url, _token(credentials, room), options)
            tier.room_joined(listener)
            await talker.join()
        talker.say(tone(WITHIN_S + JOIN_S))
        level_dbov, after_s = await _level(taps)
        return Heard(level_dbov, after_s, await _path(listener))
    except TimeoutError:
        raise HearingError(f"joining takes more than {JOIN_S:.0f} s") from None
    except JOIN_ERRORS as error:
        raise HearingError(str(error)[:200] or type(error).__name__) from None
    finally:
        for tap in taps:
            await tap.aclose()
        await listener.disconnect()
        await talker.leave()


def tone(seconds: float) -> Phrase:
    """A sine of ``TONE_HZ`` at ``TONE_DBOV``."""
    peak = voice.FULL_SCALE * math.sqrt(2) * 10 ** (TONE_DBOV / 20)
    count = round(seconds * voice.SAMPLE_RATE)
    angles = 2 * math.pi * TONE_HZ / voice.SAMPLE_RATE * np.arange(count)
    truth = Truth(
        text="",
        voice="",
        sample_rate=voice.SAMPLE_RATE,
        duration_s=seconds,
        segments=((0, seconds),),
    )
    return Phrase(samples=np.round(peak * np.sin(angles)).astype(np.int16), truth=truth)


def _token(credentials: Credentials, room: str) -> str:
    """As the monitor's own, whose connection this stands for."""
    grants = api.VideoGrants(
        room_join=True,
        room=room,
        agent=True,
        hidden=credentials.hidden,
        can_subscribe=True,
        can_publish=False,
        can_publish_data=False,
    )
    token = api.AccessToken(credentials.api_key, credentials.api_secret)
    token = token.with_identity("pmon-check").with_kind("agent").with_grants(grants)
    return token.with_ttl(TOKEN_TTL).to_jwt()


async def _level(taps: list[AudioTap]) -> tuple[float | None, float]:
    """The level, as soon as it is right, or what it is when time is over."""
    began, level = time.monotonic(), None
    while (after_s := time.monotonic() - began) < WITHIN_S:
        meters = taps[0].meters.meters if taps else None
        if meters is not None and meters.samples_per_channel >= ENOUGH_S * SAMPLE_RATE:
            level = meters.level_dbov
            if level is not None and abs(level - TONE_DBOV) <= TOLERANCE_DB:
                break
        await asyncio.sleep(LOOK_S)
    return level, after_s


async def _path(room: rtc.Room) -> str | None:
    try:
        stats = await asyncio.wait_for(room.get_rtc_stats(), STATS_S)
    except (RuntimeError, TimeoutError):
        return None
    return selected_pair(stats.subscriber_stats)


def selected_pair(entries: Iterable[RtcStats]) -> str | None:
    """The pair of ICE candidates that media goes by, in words."""
    candidates: dict[str, IceCandidateStats] = {}
    found = None
    for entry in entries:
        match entry.WhichOneof("stats"):
            case "local_candidate":
                candidates[entry.local_candidate.rtc.id] = entry.local_candidate.candidate
            case "remote_candidate":
                candidates[entry.remote_candidate.rtc.id] = entry.remote_candidate.candidate
            case "candidate_pair":
                pair = entry.candidate_pair.candidate_pair
                if pair.nominated and (found is None or pair.bytes_received > found.bytes_received):
                    found = pair
    if found is None:
        return None
    ends = [candidates.get(name) for name in (found.local_candidate_id, found.remote_candidate_id)]
    here, there = ("unknown" if end is None else _candidate(end) for end in ends)
    measured = found.current_round_trip_time > 0
    return f"{here} to {there}" + (
        f", {found.current_round_trip_time * 1000:.1f} ms" if measured else ""
    )


def _candidate(end: IceCandidateStats) -> str:
    kind = IceCandidateType.Name(end.candidate_type).lower()
    host = f"[{end.address}]" if ":" in end.address else end.address
    return f"{end.protocol} {host}:{end.port} ({kind})"
