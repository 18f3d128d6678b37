"""The tap: what the SDK sends is fed, dropped or passed on, and nonsense does no harm."""

from __future__ import annotations

import math
import os
from array import array
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.rtc._proto import ffi_pb2

from pmon import _tap
from pmon.media.ffi_fields import tap_fields

RATE = 48_000
TONE = array("h", (round(8192 * math.sin(2 * math.pi * n / 48)) for n in range(480)))
woken_fd, wake_fd = os.pipe()
os.set_blocking(woken_fd, False)
os.set_blocking(wake_fd, False)
_tap.set_up(tap_fields(), 0, wake_fd)


def audio(handle: int, *, samples: int = len(TONE), rate: int = RATE, channels: int = 1) -> bytes:
    event = ffi_pb2.FfiEvent()
    event.audio_stream_event.stream_handle = handle
    frame = event.audio_stream_event.frame_received.frame
    frame.handle.id = 99
    frame.info.data_ptr = TONE.buffer_info()[0]
    frame.info.num_channels = channels
    frame.info.sample_rate = rate
    frame.info.samples_per_channel = samples
    return bytes(event.SerializePartialToString())


def video(handle: int) -> bytes:
    event = ffi_pb2.FfiEvent()
    event.video_stream_event.stream_handle = handle
    event.video_stream_event.frame_received.buffer.handle.id = 98
    event.video_stream_event.frame_received.buffer.info.width = 320
    return bytes(event.SerializePartialToString())


def room_event(room: int) -> bytes:
    event = ffi_pb2.FfiEvent()
    event.room_event.room_handle = room
    event.room_event.participant_disconnected.participant_identity = "alice"
    return bytes(event.SerializePartialToString())


@pytest.fixture(autouse=True)
def nothing_waits() -> None:
    with suppress(BlockingIOError):
        os.read(woken_fd, 4096)
    _tap.take()


@pytest.fixture
def meters() -> _tap.Meters:
    meters = _tap.Meters(RATE, 1)
    meters.listen([0.01])
    return meters


def counted() -> tuple[int, int, int]:
    counts = _tap.counts()
    return counts["frames"], counts["unknown"], counts["broken"]


def test_audio_reaches_its_meters_and_nothing_else(meters: _tap.Meters) -> None:
    stream = _tap.Stream(7, "alice", meters)
    stream.add()
    for _ in range(20):
        _tap.event(audio(7))
    stream.remove()
    assert meters.samples_per_channel == 20 * 480
    assert meters.level_dbov == pytest.approx(-15.05, abs=0.05)
    assert _tap.take() == ([], [])


@pytest.mark.parametrize("when", ["before", "after"])
def test_frames_of_nobodys_stream_are_dropped(meters: _tap.Meters, when: str) -> None:
    """They can come before the registration, and after the removal."""
    stream = _tap.Stream(7, "alice", meters)
    if when == "after":
        stream.add()
        stream.remove()
    frames, unknown, broken = counted()
    _tap.event(audio(7))
    assert counted() == (frames, unknown + 1, broken)
    assert meters.samples_per_channel == 0


def test_streams_that_share_a_bucket_are_kept_apart() -> None:
    several = [_tap.Meters(RATE, 1) for _ in range(3)]
    streams = [_tap.Stream(7 + 1024 * n, n, meters) for n, meters in enumerate(several)]
    for stream in streams:
        stream.add()
    _tap.event(audio(7 + 1024))
    streams[1].remove()
    _tap.event(audio(7 + 1024))
    _tap.event(audio(7))
    for stream in streams:
        stream.remove()
    assert [meters.samples_per_channel for meters in several] == [480, 480, 0]


@pytest.mark.parametrize(
    "wrong", [{"rate": 16_000}, {"channels": 2}, {"samples": 20_000}, {"channels": 0}]
)
def test_a_frame_of_another_kind_is_not_fed(meters: _tap.Meters, wrong: dict[str, int]) -> None:
    stream = _tap.Stream(7, "alice", meters)
    stream.add()
    _, _, broken = counted()
    _tap.event(audio(7, **wrong))
    stream.remove()
    assert meters.samples_per_channel == 0
    assert counted()[2] == broken + 1


def test_video_frames_are_counted() -> None:
    stream = _tap.Stream(8, "camera")
    stream.add()
    for _ in range(5):
        _tap.event(video(8))
    _tap.event(audio(8))  # no samples for a video stream
    stream.remove()
    assert stream.frames == 5


def test_all_else_waits_in_order_and_wakes_once() -> None:
    messages = [room_event(room) for room in range(100)]
    for message in messages:
        _tap.event(message)
    assert len(os.read(woken_fd, 4096)) == 8
    assert _tap.take() == (messages, [])
    assert _tap.take() == ([], [])
    _tap.event(messages[0])
    assert len(os.read(woken_fd, 4096)) == 8
    assert _tap.take() == (messages[:1], [])


def test_speech_is_told_once_a_batch(meters: _tap.Meters) -> None:
    stream = _tap.Stream(7, "alice", meters)
    stream.add()
    loud = array("h", TONE)
    for second in range(6):  # loud and quiet seconds in turn
        for frame in range(100):
            quiet = second % 2 == 0 or frame % 20 < 8
            for n in range(480):
                TONE[n] = 0 if quiet else loud[n]
            _tap.event(audio(7))
    TONE[:] = loud
    _, owners = _tap.take()
    assert owners == ["alice"]
    assert [speaking for _, speaking, _ in meters.take()][:2] == [True, False]
    stream.remove()


def test_a_stream_that_ends_with_news_waiting_is_told_no_more(meters: _tap.Meters) -> None:
    stream = _tap.Stream(7, "alice", meters)
    stream.add()
    loud = array("h", TONE)
    for frame in range(300):
        for n in range(480):
            TONE[n] = loud[n] if 100 < frame < 200 and frame % 20 > 8 else 0
        _tap.event(audio(7))
    TONE[:] = loud
    stream.remove()
    del stream
    assert _tap.take() == ([], [])


def test_a_closed_tap_drops_everything(meters: _tap.Meters) -> None:
    stream = _tap.Stream(7, "alice", meters)
    stream.add()
    _tap.close()
    try:
        _tap.event(audio(7))
        _tap.event(room_event(1))
    finally:
        _tap.reopen()
        stream.remove()
    assert meters.samples_per_channel == 0
    assert _tap.take() == ([], [])


@given(st.integers(0, 100), st.booleans())
def test_a_message_that_breaks_off_feeds_nothing(cut: int, is_audio: bool) -> None:
    meters = _tap.Meters(RATE, 1)
    stream = _tap.Stream(7, "alice", meters if is_audio else None)
    stream.add()
    whole = audio(7) if is_audio else video(7)
    _tap.event(whole[: min(cut, len(whole) - 1)])
    stream.remove()
    assert meters.samples_per_channel == 0
    assert stream.frames == 0
    _tap.take()


@given(st.binary(max_size=200))
def test_any_bytes_do_no_harm(data: bytes) -> None:
    """What is no media goes on as it is, for the SDK to make of it what it can."""
    frames, _, _ = counted()
    _tap.event(data)
    messages, owners = _tap.take()
    assert messages in ([], [data])
    assert owners == []
    assert counted()[0] == frames


@given(st.data())
def test_mutated_media_does_no_harm(data: st.DataObject) -> None:
    """For a handle that nobody knows, so that no mutated pointer is followed."""
    message = bytearray(data.draw(st.sampled_from([audio(2**40), video(2**40)])))
    for _ in range(data.draw(st.integers(1, 5))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    _tap.event(message)
    _tap.take()


@given(st.binary(max_size=30))
def test_unknown_fields_are_skipped(content: bytes) -> None:
    """A later SDK may send more."""
    meters = _tap.Meters(RATE, 1)
    stream = _tap.Stream(7, "alice", meters)
    stream.add()
    extra = bytes([0xFA, 0x7F, len(content)]) + content  # field 2047, length-delimited
    _tap.event(extra + audio(7) + extra)
    stream.remove()
    assert meters.samples_per_channel == 480


def test_the_clock_is_the_loops() -> None:
    import time

    assert abs(_tap.monotonic() - time.monotonic()) < 0.1
