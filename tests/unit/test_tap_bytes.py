"""The tap is given bytes that are no event, or not quite one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ffi_events import (
    TONE,
    audio,
    audio_end,
    change,
    read_as_protobuf_does,
    room_event,
    tap_without_sdk,
    video,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from livekit.rtc._proto import ffi_pb2

from pmon import _tap


@pytest.fixture(autouse=True, scope="module")
def tap() -> Iterator[None]:
    with tap_without_sdk():
        yield


WHOLE = [audio(5, TONE, 9), audio_end(5), video(5, 9), room_event(5, "text")]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """An event with some bytes changed, inserted, removed, or its end cut off."""
    event = bytearray(draw(st.sampled_from(WHOLE)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(event)))
        event[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(event[: draw(st.integers(0, len(event)))] if draw(st.booleans()) else event)


@settings(max_examples=500)
@given(st.one_of(mutated(), st.binary(max_size=200)))
def test_what_the_tap_reads_protobuf_reads_too(data: bytes) -> None:
    """It may refuse what protobuf takes, but it never takes for media what is something else."""
    read_as_protobuf_does(data)


@settings(max_examples=500)
@given(st.one_of(mutated(), st.binary(max_size=200)))
def test_no_bytes_crash_it_or_are_billed(data: bytes) -> None:
    """The streams are others': what comes is counted, and no memory is looked at."""
    before = _tap.counts()
    _tap.event(data)
    messages, owners = _tap.take()
    counted = change(**before)
    assert (messages, owners) in (([], []), ([data], []))
    assert "frames" not in counted
    assert len(messages) + sum(counted.get(name, 0) for name in ("broken", "unknown")) <= 1


def test_a_truncated_event_is_never_media() -> None:
    for whole in WHOLE[:3]:
        assert _tap.read(whole)[0] in ("audio", "video", "end")
        for end in range(len(whole)):
            assert _tap.read(whole[:end])[0] in ("other", "broken")


@given(st.integers(0, 200), st.sampled_from(["audio", "video"]))
def test_a_truncated_event_feeds_nothing(cut: int, kind: str) -> None:
    """Though its stream is listened to; nor is a handle let go of that may be cut short."""
    meters = _tap.Meters(48_000, 1)
    stream = _tap.Stream(5, "alice", meters if kind == "audio" else None)
    stream.add()
    before = _tap.counts()
    whole = audio(5) if kind == "audio" else video(5)
    _tap.event(whole[: min(cut, len(whole) - 1)])
    counted = change(**before)
    stream.remove()
    _tap.take()
    assert counted in ({}, {"broken": 1})
    assert (meters.samples_per_channel, stream.frames) == (0, 0)


@given(st.binary(max_size=30))
def test_unknown_fields_of_media_are_skipped(content: bytes) -> None:
    """A later SDK may tell more of a frame."""
    meters = _tap.Meters(48_000, 1)
    stream = _tap.Stream(5, "alice", meters)
    stream.add()
    event = ffi_pb2.FfiEvent.FromString(audio(5))
    extra = bytes([0xFA, 0x7F, len(content)]) + content  # field 2047, length-delimited
    event.audio_stream_event.frame_received.frame.info.MergeFromString(extra)
    event.audio_stream_event.MergeFromString(extra)
    _tap.event(event.SerializeToString())
    stream.remove()
    assert meters.samples_per_channel == 480
