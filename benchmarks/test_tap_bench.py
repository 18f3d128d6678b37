"""What the native tier costs beside the SDK's own way, in the same run.

The SDK's callback is given the same events, as if from its native threads. Figures are ratios,
since machines differ and are shared; the least time of several turns counts.
"""

from __future__ import annotations

import asyncio
import ctypes
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from ffi_events import TONE, audio, handles, room_event, tap_without_sdk, video
from livekit import rtc
from livekit.rtc import _ffi_client
from livekit.rtc._proto import room_pb2

from pmon import _tap
from pmon.media.meters import TrackMeters
from pmon.media.native import Tap

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

TURNS = 7
BURST = 20
ROOMS = 100


@pytest.fixture
def tap() -> Iterator[None]:
    with tap_without_sdk():
        yield


def stock_callback(event: bytes) -> Callable[[], None]:
    data = (ctypes.c_uint8 * len(event)).from_buffer_copy(event)
    return lambda: _ffi_client.ffi_event_callback(data, len(event))


def native_frames(event: bytes, count: int) -> float:
    """CPU seconds a frame, until the meters of its stream have heard it."""
    begin = time.process_time()
    for _ in range(count):
        _tap.event(event)
    return (time.process_time() - begin) / count


async def stock_frames(count: int, thresholds: list[float]) -> float:
    """CPU seconds a frame: the SDK's callback, its queue, its AudioFrame, and the meters."""
    stream, meters = next(handles), TrackMeters(48_000, 1, thresholds)
    queue = _ffi_client.FfiClient.instance.queue
    mine = queue.subscribe(filter_fn=lambda e: e.WhichOneof("message") == "audio_stream_event")
    # No handle: there is no frame to let go of, which the native path is spared as well.
    call = stock_callback(audio(stream, handle=0))
    begin = time.process_time()
    for _ in range(count // BURST):
        for _ in range(BURST):
            call()
        for _ in range(BURST):
            event = await mine.wait_for(lambda e: e.audio_stream_event.stream_handle == stream)
            info = event.audio_stream_event.frame_received.frame
            meters.feed(rtc.AudioFrame._from_owned_info(info).data, time.monotonic())
    spent = time.process_time() - begin
    queue.unsubscribe(mine)
    assert meters.meters.samples_per_channel == count * len(TONE)
    return spent / count


@contextmanager
def listening(thresholds: list[float]) -> Iterator[tuple[_tap.Meters, int]]:
    """Meters that a stream of this handle feeds."""
    meters, handle = _tap.Meters(48_000, 1), next(handles)
    meters.listen(thresholds)
    stream = _tap.Stream(handle, None, meters)
    stream.add()
    yield meters, handle
    stream.remove()


def compare(thresholds: list[float]) -> tuple[float, float]:
    """CPU seconds a frame of the native path and of the stock one, with the same meters."""
    with listening(thresholds) as (meters, handle):
        event = audio(handle)
        for _ in range(40):
            _tap.event(event)
        assert meters.samples_per_channel == 40 * len(TONE)
        assert meters.level_dbov == pytest.approx(-15.05, abs=0.05)
        # In turn: the speed of a shared machine changes between one long measurement and the next.
        turns = [
            (native_frames(event, 1000), asyncio.run(stock_frames(200, thresholds)))
            for _ in range(2 * TURNS)
        ]
    return min(native for native, _ in turns), min(stock for _, stock in turns)


@pytest.mark.benchmark(group="tap")
def test_an_audio_frame_costs_a_fraction_of_the_stock_path(
    benchmark: BenchmarkFixture, tap: None
) -> None:
    """Both with speech found in it, which is most of the native path's work, and without."""
    native, stock = compare([0.01])
    native_path, stock_path = compare([])
    benchmark.extra_info |= {
        "native_us": native * 1e6,
        "stock_us": stock * 1e6,
        "ratio": stock / native,
        "ratio_without_speech": stock_path / native_path,
    }
    with listening([0.01]) as (meters, handle):
        benchmark(_tap.event, audio(handle))
    assert meters.samples_per_channel
    assert stock / native >= 7
    assert stock_path / native_path >= 12


@pytest.mark.benchmark(group="tap")
def test_the_tap_adds_less_than_the_meters_cost(benchmark: BenchmarkFixture, tap: None) -> None:
    """Parsing, looking up, locking, timing and dropping, all but the meters' arithmetic."""
    with listening([0.01]) as (meters, handle):
        whole, nearly_empty = audio(handle), audio(handle, count=1)
        _tap.event(nearly_empty)
        assert meters.samples_per_channel == 1
        # In short turns close together: the speed of a shared machine changes between long ones.
        frames = whole, nearly_empty, b""
        turns = [[native_frames(frame, 200) for frame in frames] for _ in range(200)]
        # The call from Python is not the tap's, and the SDK makes none.
        share = statistics.median((around - call) / (full - call) for full, around, call in turns)
        benchmark.extra_info |= {"share_of_the_tap": share}
        benchmark(_tap.event, nearly_empty)
    assert share < 0.5


@pytest.mark.benchmark(group="tap")
def test_a_video_frame(benchmark: BenchmarkFixture, tap: None) -> None:
    handle = next(handles)
    stream = _tap.Stream(handle, None)
    stream.add()
    _tap.event(video(handle))
    assert stream.frames == 1
    benchmark(_tap.event, video(handle))
    stream.remove()


def fake_rooms(count: int) -> list[Any]:
    """Rooms that listen for their events as joined ones do."""
    rooms = []
    for number in range(count):
        room: Any = rtc.Room()
        room._ffi_handle = SimpleNamespace(handle=5_000_000 + number, dispose=lambda: None)
        room._info = room_pb2.RoomInfo()
        room._ffi_queue = _ffi_client.FfiClient.instance.queue.subscribe(
            filter_fn=lambda e: (
                e.WhichOneof("message") not in ("audio_stream_event", "video_stream_event")
            )
        )
        room._task = asyncio.create_task(room._listen_task())
        rooms.append(room)
    return rooms


async def events_cost(count: int, *, native: bool) -> float:
    """CPU seconds a room event with so many rooms, in bursts, until its room has acted on it."""
    tap = Tap()
    if native:
        tap.install()
    rooms, changed = fake_rooms(count), []
    rooms[count // 2].on("room_metadata_changed", lambda _, new: changed.append(new))
    event = room_event(rooms[count // 2]._ffi_handle.handle, "text")
    for room in rooms if native else ():
        tap.room_joined(room)
    call: Callable[[], None] = (lambda: _tap.event(event)) if native else stock_callback(event)
    least = min([await bursts(call, changed) for _ in range(TURNS)])
    assert changed == ["text"] * TURNS * 5 * BURST
    for room in rooms:
        room._task.cancel()
        _ffi_client.FfiClient.instance.queue.unsubscribe(room._ffi_queue)
    tap.uninstall()
    return least


async def bursts(call: Callable[[], None], changed: list[str]) -> float:
    begin = time.process_time()
    for _ in range(5):
        expected = len(changed) + BURST
        for _ in range(BURST):
            call()
        while len(changed) < expected:  # noqa: ASYNC110 - nothing must be woken for it
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    return (time.process_time() - begin) / (5 * BURST)


@pytest.mark.benchmark(group="events")
def test_a_room_event_at_a_hundred_rooms(benchmark: BenchmarkFixture) -> None:
    """A fraction of the stock fan-out, and hardly more than with one room."""
    native = asyncio.run(events_cost(ROOMS, native=True))
    alone = asyncio.run(events_cost(1, native=True))
    stock = asyncio.run(events_cost(ROOMS, native=False))
    benchmark.extra_info |= {
        "native_us": native * 1e6,
        "native_one_room_us": alone * 1e6,
        "stock_us": stock * 1e6,
        "ratio": stock / native,
    }

    def pass_on(event: bytes) -> tuple[list[bytes], list[object]]:
        _tap.event(event)
        return _tap.take()

    with tap_without_sdk():
        assert benchmark(pass_on, room_event(1)) == ([room_event(1)], [])
    assert stock / native >= 5
    assert native / alone < 3
