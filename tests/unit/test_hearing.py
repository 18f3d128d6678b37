"""The tone that ``pmon check --media`` sends, and the way it says that it came."""

from __future__ import annotations

from livekit.rtc._proto.stats_pb2 import IceCandidateType, RtcStats

from pmon._dsp import dbov
from pmon.media.hearing import TOLERANCE_DB, TONE_DBOV, Heard, selected_pair, tone


def test_the_tone_has_the_level_that_it_is_said_to_have() -> None:
    """All that is measured is compared with it."""
    assert abs(dbov(tone(1.0).samples) - TONE_DBOV) < 0.01


def test_only_what_is_within_the_tolerance_is_well() -> None:
    assert Heard(TONE_DBOV + TOLERANCE_DB * 0.99, 1.0, None).well
    assert not Heard(TONE_DBOV - TOLERANCE_DB * 1.01, 1.0, None).well
    assert not Heard(None, 10.0, None).well


def candidate(kind: str, name: str, address: str, port: int) -> RtcStats:
    entry = RtcStats()
    end = getattr(entry, f"{kind}_candidate")
    end.rtc.id = name
    end.candidate.address, end.candidate.port, end.candidate.protocol = address, port, "udp"
    end.candidate.candidate_type = (
        IceCandidateType.HOST if kind == "local" else IceCandidateType.RELAY
    )
    return entry


def pair(here: str, there: str, *, nominated: bool, received: int) -> RtcStats:
    entry = RtcStats()
    found = entry.candidate_pair.candidate_pair
    found.local_candidate_id, found.remote_candidate_id = here, there
    found.nominated, found.bytes_received, found.current_round_trip_time = (
        nominated,
        received,
        0.012,
    )
    return entry


def test_the_pair_that_media_goes_by_is_named() -> None:
    entries = [
        pair("a", "c", nominated=False, received=9_000),
        pair("a", "b", nominated=True, received=5_000),
        pair("a", "c", nominated=True, received=10),
        candidate("local", "a", "10.0.0.5", 50_000),
        candidate("remote", "b", "2001:db8::7", 7882),
    ]
    assert selected_pair(entries) == (
        "udp 10.0.0.5:50000 (host) to udp [2001:db8::7]:7882 (relay), 12.0 ms"
    )


def test_without_one_nothing_is_named() -> None:
    assert selected_pair([]) is None
    assert selected_pair([pair("a", "b", nominated=False, received=1)]) is None
    unmeasured = pair("a", "b", nominated=True, received=1)
    unmeasured.candidate_pair.candidate_pair.current_round_trip_time = 0.0
    assert selected_pair([unmeasured]) == "unknown to unknown"
    only = selected_pair([pair("a", "b", nominated=True, received=1)])
    assert only == "unknown to unknown, 12.0 ms"
