"""The tap: what the SDK sends is fed, dropped or passed on, and nonsense does no harm."""

from __future__ import annotations

import os
import threading
from array import array
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from ffi_events import (
    FRAME,
    RATE,
    TONE,
    audio,
    audio_end,
    change,
    handles,
    room_event,
    tap_without_sdk,
    video,
)

from pmon import _tap
from pmon.media.native import wake_pair
from pmon.media.phrases import phrases


@pytest.fixture(autouse=True)
def tap() -> Iterator[None]:
    with suppress(BlockingIOError):
        os.read(wake_pair()[0], 4096)
    with tap_without_sdk():
        yield


def woken() -> bool:
    try:
        return bool(os.read(wake_pair()[0], 4096))
    except BlockingIOError:
        return False


@pytest.fixture
def meters() -> _tap.Meters:
    meters = _tap.Meters(RATE, 1)
    meters.listen([0.01])
    return meters


def test_audio_reaches_its_meters_and_nothing_else(meters: _tap.Meters) -> None:
    stream = _tap.Stream(7, "alice", meters)
    stream.add()
    for _ in range(40):
        _tap.event(audio(7))
    stream.remove()
    assert meters.samples_per_channel == 40 * 480
    assert meters.level_dbov == pytest.approx(-15.05, abs=0.05)
    assert _tap.take() == ([], [])


@pytest.mark.parametrize("when", ["before", "after"])
def test_frames_of_nobodys_stream_are_dropped(meters: _tap.Meters, when: str) -> None:
    """They can come before the registration, and after the removal."""
    stream = _tap.Stream(7, "alice", meters)
    if when == "after":
        stream.add()
        stream.remove()
    before = _tap.counts()
    _tap.event(audio(7))
    assert change(**before) == {"unknown": 1, "dropped": 1}
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
    "wrong",
    [
        {"rate": 16_000},
        {"channels": 2},
        {"channels": 0},
        {"count": 50_000},
        {"count": 0},
        {"at": 0},
        {"at": 480},
        {"at": TONE.buffer_info()[0] + 1},
        {"at": 2**64 - 2},
    ],
)
def test_a_frame_of_another_kind_is_not_fed(meters: _tap.Meters, wrong: dict[str, Any]) -> None:
    """Nor read: these addresses are none."""
    stream = _tap.Stream(7, "alice", meters)
    stream.add()
    before = _tap.counts()
    _tap.event(audio(7, **wrong))
    assert change(**before) == {"unfit": 1, "dropped": 1}
    stream.remove()
    assert meters.samples_per_channel == 0


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
    assert int.from_bytes(os.read(wake_pair()[0], 4096), "little") == 1
    assert _tap.take() == (messages, [])
    assert _tap.take() == ([], [])
    assert not woken()
    _tap.event(messages[0])
    assert woken()
    assert _tap.take() == (messages[:1], [])


def spoken_frames() -> list[array[int]]:
    """Frames of 10 ms at 48 kHz: a second of silence, a phrase, and a second of silence."""
    said = phrases()["welcome"].samples.repeat(3)
    padded = [0] * 48_000 + said.tolist() + [0] * 48_000
    return [array("h", padded[i : i + 480]) for i in range(0, len(padded) - 479, 480)]


def play(frames: list[array[int]]) -> None:
    """Send them as events of stream 7; what the tone was is put back."""
    tone = array("h", TONE)
    for frame in frames:
        TONE[:] = frame
        _tap.event(audio(7))
    TONE[:] = tone


def test_speech_is_told_once_a_batch(meters: _tap.Meters) -> None:
    stream = _tap.Stream(7, "alice", meters)
    stream.add()
    play(spoken_frames() * 2)
    _, owners = _tap.take()
    assert owners == ["alice"]
    assert [speaking for _, speaking, _ in meters.take()][:2] == [True, False]
    stream.remove()


def test_a_stream_that_ends_with_news_waiting_is_told_no_more(meters: _tap.Meters) -> None:
    stream = _tap.Stream(7, "alice", meters)
    stream.add()
    play(spoken_frames())
    stream.remove()
    del stream
    assert _tap.take() == ([], [])
    assert _tap.counts()["streams"] == 0


def test_a_stream_that_was_forgotten_is_not_kept_by_its_news(meters: _tap.Meters) -> None:
    """Its owner, and with that the SDK's handle, would never be let go of."""
    before = _tap.counts()
    for _ in range(50):
        stream = _tap.Stream(next(handles), "alice", meters)
        stream.add()
        _tap.event(audio(next(handles) - 1))
        meters.stop()
        stream.remove()
    _tap.take()
    assert _tap.counts()["streams"] == before["streams"]


def test_the_end_of_a_stream_is_quiet(meters: _tap.Meters) -> None:
    """Its owner hears of it from the room; a stream that is nobody's is nobody's business."""
    stream = _tap.Stream(7, "alice", meters)
    stream.add()
    before = _tap.counts()
    _tap.event(audio_end(7))
    _tap.event(audio_end(8))
    assert change(**before) == {}
    stream.remove()
    assert _tap.take() == ([], [])


def test_a_loop_that_is_stuck_loses_bytes_beyond_the_bound() -> None:
    """64 MiB; what is in the queue already stays in order, and it goes on afterwards."""
    before = _tap.counts()
    events = [room_event(n + 1, "x" * 2**20) for n in range(70)]
    for event in events:
        _tap.event(event)
    lost = change(**before)["lost"]
    assert 6 <= lost <= 8
    assert _tap.take() == (events[: 70 - lost], [])
    _tap.event(events[0])
    assert _tap.take() == (events[:1], [])


def test_a_loop_that_is_stuck_loses_events_beyond_the_bound(meters: _tap.Meters) -> None:
    """65,536 of them. Speech is still told: it needs no memory."""
    stream = _tap.Stream(7, "alice", meters)
    stream.add()
    before = _tap.counts()
    event = room_event(1)
    for _ in range(65_540):
        _tap.event(event)
    _tap.event(audio(7))
    assert change(**before)["lost"] == 4
    messages, owners = _tap.take()
    assert (len(messages), owners) == (65_536, ["alice"])
    stream.remove()


def test_a_closed_tap_drops_everything(meters: _tap.Meters) -> None:
    stream = _tap.Stream(7, "alice", meters)
    stream.add()
    assert _tap.close()
    before = _tap.counts()
    _tap.event(audio(7))
    _tap.event(room_event(1))
    assert change(**before) == {}
    stream.remove()
    assert meters.samples_per_channel == 0
    assert _tap.take() == ([], [])


def test_streams_come_and_go_while_threads_feed_them() -> None:
    """What was fed before ``remove`` stays, and nothing is fed after it."""
    over = threading.Event()
    streams = [next(handles) for _ in range(8)]
    messages = [audio(stream) for stream in streams]

    def feed() -> None:
        while not over.is_set():
            for message in messages:
                _tap.event(message)

    threads = [threading.Thread(target=feed) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(100):
            meters = _tap.Meters(RATE, 1)
            meters.listen([0.01, 0.02])
            stream = _tap.Stream(streams[turn % 8], turn, meters)
            stream.add()
            meters.listen([0.01 + turn / 1000])
            meters.readings()
            while meters.samples_per_channel == 0:
                over.wait(0.0001)  # lets the threads run
                _tap.take()
            stream.remove()
            heard = meters.samples_per_channel
            _tap.take()
            assert meters.samples_per_channel == heard
            assert heard % FRAME == 0
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_speech_ends_at_a_stop_that_is_due_and_only_then(meters: _tap.Meters) -> None:
    told = []
    for n, frame in enumerate(spoken_frames()[:150]):
        told += meters.feed(frame, n / 100)
    assert [speaking for _, speaking, _ in told] == [True]
    assert meters.stop(1.3) == []
    assert [speaking for _, speaking, _ in meters.stop(1.6)] == [False]
    assert meters.stop(1.6) == []


def test_the_clock_is_the_loops() -> None:
    import time

    assert abs(_tap.monotonic() - time.monotonic()) < 0.1
