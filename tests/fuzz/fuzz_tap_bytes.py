"""One input of the fuzzer: bytes that the SDK calls the tap with, read beside protobuf's reading.

``tap_bytes.c`` is the same without Python, where memory is watched.
"""

from __future__ import annotations

from ffi_events import change
from google.protobuf.message import DecodeError
from livekit.rtc._proto import ffi_pb2

from pmon import _tap
from pmon.media.ffi_fields import tap_fields
from pmon.media.native import wake_pair

ORDER = (
    *("video_event", "audio_event", "audio_stream", "audio_frame", "audio_end"),
    *("video_stream", "video_frame", "video_end", "audio_buffer", "video_buffer"),
    *("audio_handle", "audio_info", "video_handle", "handle_id"),
    *("data", "num_channels", "sample_rate", "samples"),
)
"""Of the numbers in ``wire_numbers_t``."""


def fields_for_c() -> str:
    numbers = tap_fields()
    return " ".join(str(numbers[name]) for name in ORDER)


def begin() -> None:
    _tap.set_up(tap_fields(), 0, wake_pair()[1])
    _tap.take()


def one(data: bytes) -> None:
    """It may refuse what protobuf takes, but never takes for media what is something else."""
    before = _tap.counts()
    _tap.event(data)
    messages, owners = _tap.take()
    assert (messages, owners) in (([], []), ([data], []))
    assert "frames" not in change(**before), "nobody listens"
    kind, stream, handle, at, channels, rate, samples = _tap.read(data)
    if kind in ("other", "broken"):
        return
    assert messages == []
    event = ffi_pb2.FfiEvent()
    try:
        event.MergeFromString(data)
    except DecodeError:
        assert kind != "audio"  # of a picture the tap skips the description, broken or not
        return
    which = event.WhichOneof("message")
    assert which in ("audio_stream_event", "video_stream_event")
    media = getattr(event, which)
    assert media.stream_handle == stream
    assert media.WhichOneof("message") == ("eos" if kind == "end" else "frame_received")
    if kind == "video":
        assert media.frame_received.buffer.handle.id == handle
    elif kind == "audio":
        frame = media.frame_received.frame
        assert (frame.handle.id, frame.info.data_ptr) == (handle, at)
        assert (frame.info.num_channels, frame.info.sample_rate) == (channels, rate)
        assert frame.info.samples_per_channel == samples
