"""One input of the fuzzer: bytes that the SDK calls the tap with, read beside protobuf's reading.

``tap_bytes.c`` is the same without Python, where memory is watched.
"""

from __future__ import annotations

from ffi_events import change, read_as_protobuf_does

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
    if read_as_protobuf_does(data):
        assert messages == []
