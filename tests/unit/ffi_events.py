"""FFI events as the SDK would send them, over samples that the test keeps."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from google.protobuf.message import DecodeError
from livekit.rtc._proto import ffi_pb2

from pmon import _tap
from pmon.media.ffi_fields import tap_fields
from pmon.media.native import wake_pair

RATE = 48_000
FRAME = 480
TONE = array("h", (round(8192 * math.sin(2 * math.pi * n / 48)) for n in range(FRAME)))
"""10 ms."""

handles = count(1_000_000)
"""Streams of no SDK: each test takes its own."""


def audio(
    stream: int,
    samples: array[int] = TONE,
    handle: int = 7,
    *,
    channels: int = 1,
    rate: int = RATE,
    count: int | None = None,
    at: int | None = None,
) -> bytes:
    """One frame; ``samples`` must outlive its delivery."""
    event = ffi_pb2.FfiEvent()
    event.audio_stream_event.stream_handle = stream
    frame = event.audio_stream_event.frame_received.frame
    frame.handle.id = handle
    frame.info.data_ptr = samples.buffer_info()[0] if at is None else at
    frame.info.num_channels = channels
    frame.info.sample_rate = rate
    frame.info.samples_per_channel = len(samples) if count is None else count
    return bytes(event.SerializePartialToString())


def audio_end(stream: int) -> bytes:
    event = ffi_pb2.FfiEvent()
    event.audio_stream_event.stream_handle = stream
    event.audio_stream_event.eos.SetInParent()
    return bytes(event.SerializePartialToString())


def video(stream: int, handle: int = 7) -> bytes:
    event = ffi_pb2.FfiEvent()
    event.video_stream_event.stream_handle = stream
    event.video_stream_event.frame_received.buffer.handle.id = handle
    event.video_stream_event.frame_received.buffer.info.width = 320
    return bytes(event.SerializePartialToString())


def room_event(room: int, text: str = "") -> bytes:
    event = ffi_pb2.FfiEvent()
    event.room_event.room_handle = room
    event.room_event.room_metadata_changed.metadata = text
    return bytes(event.SerializePartialToString())


@contextmanager
def tap_without_sdk() -> Iterator[None]:
    """Set up the process's tap so that no handle is let go of and no loop is needed."""
    _tap.set_up(tap_fields(), 0, wake_pair()[1])
    _tap.take()
    yield
    _tap.close()
    _tap.take()


def change(**counts: int) -> dict[str, int]:
    """Counts now, less those given, where they differ."""
    return {name: now - counts[name] for name, now in _tap.counts().items() if now != counts[name]}


def read_as_protobuf_does(data: bytes) -> bool:
    """See that the tap takes for media only what protobuf reads alike. Returns whether it did."""
    kind, stream, handle, at, num_channels, sample_rate, samples = _tap.read(data)
    if kind in ("other", "broken"):
        return False
    event = ffi_pb2.FfiEvent()
    try:
        event.MergeFromString(data)
    except DecodeError:
        assert kind != "audio"  # of a picture the tap skips the description, broken or not
        return True
    which = event.WhichOneof("message")
    assert which in ("audio_stream_event", "video_stream_event")
    media = getattr(event, which)
    assert media.stream_handle == stream
    assert media.WhichOneof("message") == ("eos" if kind == "end" else "frame_received")
    if kind == "video":
        assert media.frame_received.buffer.handle.id == handle
    elif kind == "audio":
        frame = media.frame_received.frame
        assert frame.handle.id == handle
        assert (frame.info.data_ptr, frame.info.num_channels) == (at, num_channels)
        assert (frame.info.sample_rate, frame.info.samples_per_channel) == (sample_rate, samples)
    return True
