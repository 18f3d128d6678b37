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
from functools import cache
from typing import Any, cast

import structlog
from google.protobuf.message import DecodeError
from livekit import rtc
from livekit.rtc import _ffi_client
from livekit.rtc._proto import audio_frame_pb2, ffi_pb2
from livekit.rtc.version import __version__

from pmon import _tap
from pmon.media import sdk
from pmon.media.ffi_fields import check_reading, tap_fields
from pmon.media.meters import TrackMeters, Transition
from pmon.media.tap import NUM_CHANNELS, SAMPLE_RATE

DROP_HANDLE = "livekit_ffi_drop_handle"
"""The C function that lets go of a frame; any thread may call it."""
FOR_ALL_ROOMS = frozenset({"rpc_method_invocation", "publish_track", "unpublish_track"})
"""What a room waits for on its own queue, though it names no room."""

log = structlog.get_logger("pmon.media")


class NativeError(RuntimeError):
    """This SDK is not what the tap was made for; the message says in what."""


class Tap:
    """The process's one tap, on the running loop.

    ``on_lost`` is told how many events of the SDK were lost, since the loop did not take them: what
    is known of rooms may be wrong from then on, and answers will never come.
    """

    def __init__(self, on_lost: Callable[[int], None] = lambda _: None) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_lost = on_lost
        self._lost = _tap.counts()["lost"]
        self._rooms: dict[int, Any] = {}
        """The event queues of joined rooms by their handle."""
        self._client: Any = None
        self._installed = False

    def install(self) -> None:
        """Put the tap before the SDK's callback. Raises NativeError or FieldError if it cannot."""
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
        woken_fd, wake_fd = wake_pair()
        _tap.set_up(fields, drop_handle or 0, wake_fd)
        check_reading()
        try:
            self._loop.add_reader(woken_fd, self._drain)
        except NotImplementedError:
            raise NativeError("this event loop cannot watch a descriptor") from None
        # The interpreter must not be gone while an event is on its way. What registers last runs
        # first: before the SDK ends, too.
        atexit.unregister(_tap.close)
        atexit.register(_tap.close)
        self._initialize(sdk.tap_callback())
        self._installed = True

    def uninstall(self) -> None:
        """Give the events back to the SDK.

        The tap stays open, and the loop goes on to look after it: an event may be on its way.
        """
        if self._installed:
            self._initialize(_ffi_client.ffi_event_callback)
            self._drain()

    def _initialize(self, callback: Any) -> None:
        # It may be called again, and then only swaps what it was given.
        self._client._ffi_lib.livekit_ffi_initialize(
            callback, False, b"python", __version__.encode()
        )

    # --- rooms

    def room_joined(self, room: rtc.Room) -> None:
        """Bring this room's events to it alone, and it no others, until it has had its last one.

        In order: what the SDK's queue was given before is due on the loop before the next drain.
        The last event may come long after the room was left, and without it the room never ends.
        """
        handle, task = room._ffi_handle, getattr(room, "_task", None)
        if handle is None or task is None:
            return  # then the SDK brings them
        self._client.queue.unsubscribe(room._ffi_queue)
        self._rooms[handle.handle] = room._ffi_queue
        task.add_done_callback(lambda _: self._rooms.pop(handle.handle, None))

    # --- from the FFI threads

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            os.read(wake_pair()[0], 4096)
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
        self._tell_lost()

    def _tell_lost(self) -> None:
        so_far = _tap.counts()["lost"]
        lost, self._lost = so_far - self._lost, so_far
        if lost:
            log.error("events of the SDK were lost: the loop did not take them", events=lost)
            self._on_lost(lost)

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
            for queue in self._rooms.values() if kind in FOR_ALL_ROOMS else ():
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
        # No queue_size_frames: the SDK's bounded queue costs both its threads more than its plain
        # one. That does not fill up: the thread that empties it has less to do than the one that
        # fills it, and waits for nobody longer than reading some numbers takes.
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


@cache
def wake_pair() -> tuple[int, int]:
    """Descriptors to read from and to write to: one eventfd, or a pipe where there is none.

    They are never closed: a thread of the SDK may be about to write.
    """
    if hasattr(os, "eventfd"):
        fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        return fd, fd
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    os.set_blocking(write_fd, False)
    return read_fd, write_fd
