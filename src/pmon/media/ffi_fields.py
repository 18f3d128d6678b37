"""The field numbers that the tap parses by, from the descriptors that the SDK ships."""

from __future__ import annotations

from google.protobuf.message import Message
from livekit.rtc._proto import audio_frame_pb2, ffi_pb2, handle_pb2, video_frame_pb2

_PLACES: dict[str, tuple[type[Message], str]] = {
    "event_audio": (ffi_pb2.FfiEvent, "audio_stream_event"),
    "event_video": (ffi_pb2.FfiEvent, "video_stream_event"),
    "event_room": (ffi_pb2.FfiEvent, "room_event"),
    "stream_handle": (audio_frame_pb2.AudioStreamEvent, "stream_handle"),
    "frame": (audio_frame_pb2.AudioStreamEvent, "frame_received"),
    "eos": (audio_frame_pb2.AudioStreamEvent, "eos"),
    "video_stream_handle": (video_frame_pb2.VideoStreamEvent, "stream_handle"),
    "video_frame": (video_frame_pb2.VideoStreamEvent, "frame_received"),
    "video_eos": (video_frame_pb2.VideoStreamEvent, "eos"),
    "frame_buffer": (audio_frame_pb2.AudioFrameReceived, "frame"),
    "video_buffer": (video_frame_pb2.VideoFrameReceived, "buffer"),
    "buffer_handle": (audio_frame_pb2.OwnedAudioFrameBuffer, "handle"),
    "buffer_info": (audio_frame_pb2.OwnedAudioFrameBuffer, "info"),
    "video_handle": (video_frame_pb2.OwnedVideoBuffer, "handle"),
    "handle_id": (handle_pb2.FfiOwnedHandle, "id"),
    "data_ptr": (audio_frame_pb2.AudioFrameBufferInfo, "data_ptr"),
    "num_channels": (audio_frame_pb2.AudioFrameBufferInfo, "num_channels"),
    "sample_rate": (audio_frame_pb2.AudioFrameBufferInfo, "sample_rate"),
    "samples_per_channel": (audio_frame_pb2.AudioFrameBufferInfo, "samples_per_channel"),
}
"""What the tap calls a field, and where the SDK has it."""


def tap_fields() -> dict[str, int]:
    """Numbers by the names of the tap. Raises KeyError for a field that is no more."""
    return {
        name: int(message.DESCRIPTOR.fields_by_name[field].number)
        for name, (message, field) in _PLACES.items()
    }
