"""The native audio tier: the SDK's threads feed the meters themselves, and Python sleeps.

``Tap`` stands before the SDK's event callback. What is no media it hands to the SDK on the loop,
where a room's events go straight to their room: the SDK itself wakes every room for each event.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import structlog
from google.protobuf.message import DecodeError
from livekit import rtc
from livekit.rtc import _ffi_client
from livekit.rtc._proto import audio_frame_pb2, ffi_pb2
from livekit.rtc.version import __version__

from pmon import _tap
from pmon.media.ffi_fields import tap_fields
from pmon.media.meters import TrackMeters, Transition
from pmon.media.tap import NUM_CHANNELS, SAMPLE_RATE

DROP_HANDLE = "livekit_ffi_drop_handle"
"""The C function that lets go of a frame; any thread may call it."""

log = structlog.get_logger("pmon.media")


class NativeError(RuntimeError):
    """This SDK is not what the tap was made for; the message says in what."""


class Tap:
    """The process's one tap, on the running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rooms: dict[int, Any] = {}
        """The event queues of joined rooms by their handle."""
        self._client: Any = None
        self._wake_fd, self._woken_fd = -1, -1

    def install(self) -> None:
        """Put the tap before the SDK's callback. Raises NativeError if it does not fit."""
        fields = tap_fields()
        try:
            self._client = _ffi_client.FfiClient.instance
            library = self._client._ffi_lib
            initialize = library.livekit_ffi_initialize
            drop_handle = ctypes.cast(getattr(library, DROP_HANDLE), ctypes.c_void_p).value
            put, subscribers = self._client.queue.put, self._client.queue._subscribers
            if len(initialize.argtypes) != 4 or not callable(put) or subscribers is None:
                raise NativeError("livekit_ffi_initialize has another shape")
        except (AttributeError, TypeError) as error:
            raise NativeError(f"the SDK lacks what the tap needs: {error}") from None
        self._wake_fd, self._woken_fd = _wake_pair()
        callback = _tap.set_up(fields, drop_handle or 0, self._wake_fd)
        self._loop.add_reader(self._woken_fd, self._drain)
        # The interpreter must not be gone while an event is on its way, nor be used after a fork.
        atexit.register(_tap.close)
        os.register_at_fork(after_in_child=_tap.close)
        initialize(
            ctypes.cast(callback, _ffi_client.ffi_cb_fnc), False, b"python", __version__.encode()
        )

    def uninstall(self) -> None:
        """Give the events back to the SDK; the tap itself stays, since one may be on its way."""
        if self._client is not None:
            self._client._ffi_lib.livekit_ffi_initialize(
                _ffi_client.ffi_event_callback, False, b"python", __version__.encode()
            )
            self._drain()
            self._loop.remove_reader(self._woken_fd)

    # --- rooms

    def room_joined(self, room: rtc.Room) -> None:
        """Bring this room's events to it alone, and it no others."""
        queue = room._ffi_queue
        self._client.queue.unsubscribe(queue)
        self._rooms[_handle(room)] = queue

    def room_left(self, room: rtc.Room) -> None:
        if room._ffi_handle is not None:
            self._rooms.pop(_handle(room), None)

    # --- from the FFI threads

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._woken_fd, 4096)
        messages, streams = _tap.take()
        for message in messages:
            try:
                self._forward(message)
            except Exception:
                log.exception("an event of the SDK was lost")
        for stream in streams:
            try:
                cast("NativeTap", stream).deliver()
            except Exception:
                log.exception("speech was not told")

    def _forward(self, message: bytes) -> None:
        event = ffi_pb2.FfiEvent()
        try:
            event.ParseFromString(message)
        except DecodeError:
            log.error("the SDK sent what is no event", size=len(message))
            return
        kind = event.WhichOneof("message")
        if kind == "room_event" and event.room_event.room_handle in self._rooms:
            self._rooms[event.room_event.room_handle].put_nowait(event)
        elif kind in ("panic", "logs"):
            # The SDK knows what to do: it ends the process, or prints them.
            buffer = (ctypes.c_uint8 * len(message)).from_buffer_copy(message)
            _ffi_client.ffi_event_callback(buffer, len(message))
        else:
            self._client.queue.put(event)
            for queue in self._rooms.values() if kind == "rpc_method_invocation" else ():
                queue.put_nowait(event)


class NativeTap:
    """One audio stream that the tap feeds into the meters of its track."""

    def __init__(
        self,
        track: rtc.RemoteAudioTrack | rtc.LocalAudioTrack,
        meters: TrackMeters,
        on_transitions: Callable[[list[Transition]], None],
        on_sound: Callable[[], None],
    ) -> None:
        self._on_sound: Callable[[], None] | None = on_sound
        self._closed = False
        self.meters = meters
        self._on_transitions = on_transitions
        request = ffi_pb2.FfiRequest()
        new = request.new_audio_stream
        new.track_handle = track._ffi_handle.handle
        new.type = audio_frame_pb2.AudioStreamType.AUDIO_STREAM_NATIVE
        new.sample_rate = SAMPLE_RATE
        new.num_channels = NUM_CHANNELS
        new.queue_size_frames = 100  # of 10 ms: less is lost when the machine stalls
        response = _ffi_client.FfiClient.instance.request(request)
        self._handle = _ffi_client.FfiHandle(response.new_audio_stream.stream.handle.id)
        self._stream = _tap.Stream(self._handle.handle, self, meters.meters)
        self._stream.add()

    def deliver(self) -> None:
        """Hand over what the meters have found; called on the loop."""
        if self._closed:
            return  # by what another one delivered a moment ago
        if self._on_sound is not None:
            self._on_sound()
            self._on_sound = None
        transitions = self.meters.take()
        if transitions:
            self._on_transitions(transitions)

    def close(self) -> None:
        self._closed = True
        self._stream.remove()

    async def aclose(self) -> None:
        self.close()
        self._handle.dispose()  # which closes the stream


class NativeTier:
    """Opens microphones through the tap."""

    name = "native"

    def __init__(self, tap: Tap) -> None:
        self._tap = tap

    def open(
        self,
        track: rtc.RemoteAudioTrack,
        meters: TrackMeters,
        on_transitions: Callable[[list[Transition]], None],
        on_sound: Callable[[], None],
    ) -> NativeTap:
        return NativeTap(track, meters, on_transitions, on_sound)

    def room_joined(self, room: rtc.Room) -> None:
        self._tap.room_joined(room)

    def room_left(self, room: rtc.Room) -> None:
        self._tap.room_left(room)


def _handle(room: rtc.Room) -> int:
    assert room._ffi_handle is not None
    return room._ffi_handle.handle


def _wake_pair() -> tuple[int, int]:
    """Descriptors to write to and to read from: one eventfd, or a pipe where there is none."""
    if hasattr(os, "eventfd"):
        fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        return fd, fd
    woken_fd, wake_fd = os.pipe()
    os.set_blocking(woken_fd, False)
    os.set_blocking(wake_fd, False)
    return wake_fd, woken_fd
