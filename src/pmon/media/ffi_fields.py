"""The field numbers that the tap parses by, from the descriptors that the SDK ships.

Nothing is taken for granted between versions: a field must be where it is looked for and of the
type that is read, and a known message must be read as what it is before a real one is.
"""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from livekit.rtc._proto import ffi_pb2

from pmon import _tap

MESSAGE = FieldDescriptor.TYPE_MESSAGE
UINT32 = FieldDescriptor.TYPE_UINT32
UINT64 = FieldDescriptor.TYPE_UINT64

PLACES: dict[str, tuple[str, int]] = {
    "audio_event": ("audio_stream_event", MESSAGE),
    "audio_stream": ("audio_stream_event.stream_handle", UINT64),
    "audio_frame": ("audio_stream_event.frame_received", MESSAGE),
    "audio_end": ("audio_stream_event.eos", MESSAGE),
    "audio_buffer": ("audio_stream_event.frame_received.frame", MESSAGE),
    "audio_handle": ("audio_stream_event.frame_received.frame.handle", MESSAGE),
    "handle_id": ("audio_stream_event.frame_received.frame.handle.id", UINT64),
    "audio_info": ("audio_stream_event.frame_received.frame.info", MESSAGE),
    "data": ("audio_stream_event.frame_received.frame.info.data_ptr", UINT64),
    "num_channels": ("audio_stream_event.frame_received.frame.info.num_channels", UINT32),
    "sample_rate": ("audio_stream_event.frame_received.frame.info.sample_rate", UINT32),
    "samples": ("audio_stream_event.frame_received.frame.info.samples_per_channel", UINT32),
    "video_event": ("video_stream_event", MESSAGE),
    "video_stream": ("video_stream_event.stream_handle", UINT64),
    "video_frame": ("video_stream_event.frame_received", MESSAGE),
    "video_end": ("video_stream_event.eos", MESSAGE),
    "video_buffer": ("video_stream_event.frame_received.buffer", MESSAGE),
    "video_handle": ("video_stream_event.frame_received.buffer.handle", MESSAGE),
}
"""What the tap calls a field, where it is in an FfiEvent, and of what type."""

SAMPLE = ("audio", 0x1_0000_0001, 0x2_0000_0002, 0x7F00_0000_1000, 1, 48_000, 480)


class FieldError(RuntimeError):
    """The SDK's messages are not what the tap was made for; the message says in what."""


def tap_fields() -> dict[str, int]:
    """Numbers by the names of the tap. Raises FieldError for a field that is no more."""
    return {name: _number(path, kind) for name, (path, kind) in PLACES.items()}


def check_reading() -> None:
    """Let the tap read known messages, by the numbers that it was set up with.

    Raises FieldError if it reads something else.
    """
    _, stream, handle, data, num_channels, sample_rate, samples = SAMPLE
    audio, video, ended = ffi_pb2.FfiEvent(), ffi_pb2.FfiEvent(), ffi_pb2.FfiEvent()
    audio.audio_stream_event.stream_handle = stream
    frame = audio.audio_stream_event.frame_received.frame
    frame.handle.id = handle
    frame.info.data_ptr, frame.info.num_channels = data, num_channels
    frame.info.sample_rate, frame.info.samples_per_channel = sample_rate, samples
    video.video_stream_event.stream_handle = stream
    # Only what the tap looks at: the rest of a picture's description is required, and long.
    video.video_stream_event.frame_received.buffer.handle.id = handle
    ended.audio_stream_event.stream_handle = stream
    ended.audio_stream_event.eos.SetInParent()
    expected = {
        audio.SerializePartialToString(): SAMPLE,
        video.SerializePartialToString(): ("video", stream, handle, 0, 0, 0, 0),
        ended.SerializePartialToString(): ("end", stream, 0, 0, 0, 0, 0),
    }
    for message, meaning in expected.items():
        if (found := _tap.read(message)) != meaning:
            raise FieldError(f"the tap read {found} where {meaning} was written")


def _number(path: str, kind: int) -> int:
    field: FieldDescriptor | None = None
    message: Descriptor | None = ffi_pb2.FfiEvent.DESCRIPTOR
    for name in path.split("."):
        field = None if message is None else message.fields_by_name.get(name)
        if field is None:
            raise FieldError(f"the SDK's FfiEvent has no {path}")
        message = field.message_type
    assert field is not None
    if field.type != kind:
        raise FieldError(f"the SDK's {path} has type {field.type}, not {kind}")
    return int(field.number)
