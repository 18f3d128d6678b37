"""What is no media goes through the tap to the SDK: each room's events to it alone, and answers."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import pytest_asyncio
from ffi_events import room_event
from livekit import api, rtc
from livekit.rtc import _ffi_client
from livekit.rtc._proto import ffi_pb2
from structlog.testing import capture_logs

from pmon import _tap
from pmon.cli.livekit_server import LocalServer
from pmon.media.meters import TrackMeters
from pmon.media.native import NativeTap, NativeTier, Tap
from pmon.media.publish import join_token

RATE = 48_000


@pytest.fixture
def lost() -> list[int]:
    return []


@pytest_asyncio.fixture
async def tap(lost: list[int]) -> AsyncIterator[Tap]:
    tap = Tap(lost.append)
    tap.install()
    yield tap
    tap.uninstall()


@pytest.fixture(autouse=True)
def nobody_is_left() -> Iterator[None]:
    """Of streams, and of those who are woken for every event of the SDK."""
    subscribers = len(_ffi_client.FfiClient.instance.queue._subscribers)
    streams = _tap.counts()["streams"]
    yield
    assert len(_ffi_client.FfiClient.instance.queue._subscribers) == subscribers
    assert _tap.counts()["streams"] == streams


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not done():  # noqa: ASYNC110 - there is nothing to wait for but the condition
            await asyncio.sleep(0.01)


class Room:
    """As much of a room as the tap knows."""

    def __init__(self) -> None:
        self.handle = uuid.uuid4().int >> 65
        self._ffi_handle = SimpleNamespace(handle=self.handle)
        self._ffi_queue = _ffi_client.FfiClient.instance.queue.subscribe()
        self._task = asyncio.get_running_loop().create_future()

    def taken(self) -> list[tuple[int, str]]:
        events = []
        while not self._ffi_queue.empty():
            event = self._ffi_queue.get_nowait().room_event
            events.append((event.room_handle, event.room_metadata_changed.metadata))
        return events

    def close(self) -> None:
        self._task.set_result(None)
        _ffi_client.FfiClient.instance.queue.unsubscribe(self._ffi_queue)


def joined(room: Room) -> rtc.Room:
    return cast("rtc.Room", room)


async def test_a_rooms_events_go_to_that_room_alone_and_in_order(tap: Tap) -> None:
    """Those before it is known come through the SDK's queue, and must not be overtaken."""
    mine, other = Room(), Room()
    seen: list[tuple[int, str]] = []
    for text in "abcdefgh":
        _tap.event(room_event(mine.handle, text))
        if text == "d":
            await asyncio.sleep(0)  # the tap is drained about now, or is not
            tap.room_joined(joined(mine))
        _tap.event(room_event(other.handle, text))
    while len(seen) < 8:
        await asyncio.sleep(0)
        seen += [event for event in mine.taken() if event[0] == mine.handle]
    assert [text for _, text in seen] == list("abcdefgh")
    others: list[tuple[int, str]] = []
    while len(others) < 8:
        await asyncio.sleep(0)
        others += [event for event in other.taken() if event[0] == other.handle]
    assert [text for _, text in others] == list("abcdefgh")
    assert mine.taken() == []
    mine.close()
    other.close()


async def test_events_that_cannot_be_read_do_not_stop_the_others(tap: Tap) -> None:
    room = Room()
    tap.room_joined(joined(room))
    with capture_logs() as lines:
        _tap.event(b"\x0a\x05bad")
        _tap.event(room_event(room.handle, "good"))
        await until(lambda: not room._ffi_queue.empty())
    assert [line["event"] for line in lines] == ["the SDK sent what is no event"]
    assert room.taken() == [(room.handle, "good")]
    room.close()


async def test_a_panic_and_log_lines_reach_the_sdk(
    tap: Tap, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """After a panic nothing works any more: the SDK ends the process, and its word counts."""
    killed: list[tuple[int, int]] = []
    warned: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr("os.kill", lambda *args: killed.append(args))
        patched.setattr("livekit.rtc._ffi_client.logger.log", lambda *args: warned.append(args[-1]))
        panic, logs = ffi_pb2.FfiEvent(), ffi_pb2.FfiEvent()
        panic.panic.message = "all is lost"
        logs.logs.records.add(
            level=ffi_pb2.LogLevel.LOG_ERROR, target="t", module_path="m", message="a native line"
        )
        _tap.event(logs.SerializePartialToString())
        _tap.event(panic.SerializeToString())
        await until(lambda: bool(killed))
    assert killed == [(os.getpid(), signal.SIGTERM)]
    assert warned == ["a native line"]
    assert "all is lost" in capfd.readouterr().err


async def test_lost_events_are_told_once(tap: Tap, lost: list[int]) -> None:
    """The loop does not get to take them: the process that this happens to is replaced."""
    room = Room()
    tap.room_joined(joined(room))
    event = room_event(room.handle, "x" * 2**20)
    with capture_logs() as lines:
        for _ in range(70):
            _tap.event(event)
        await until(lambda: room._ffi_queue.qsize() > 60)
        taken = len(room.taken())
        _tap.event(room_event(room.handle, "on"))
        await until(lambda: not room._ffi_queue.empty())
    assert lost == [70 - taken]
    assert [line["event"] for line in lines] == [
        "events of the SDK were lost: the loop did not take them"
    ]
    room.close()


async def test_a_room_gets_all_that_it_waits_for(
    tap: Tap, livekit_server: LocalServer, room: str
) -> None:
    """Answers to what is asked of the SDK, data, calls, and the news of the others."""
    rooms = [rtc.Room(), rtc.Room()]
    alice, bob = rooms
    got: list[Any] = []
    bob.on("data_received", lambda packet: got.append(packet.data))
    bob.on("participant_attributes_changed", lambda changed, _: got.append(changed))
    bob.on("track_published", lambda publication, _: got.append(publication.sid))
    bob.on("track_unpublished", lambda publication, _: got.append(("gone", publication.sid)))
    server = livekit_server
    async with asyncio.timeout(30):
        for name, one in zip(("alice", "bob"), rooms, strict=True):
            token = join_token(server.api_key, server.api_secret, room, name)
            await one.connect(server.url, token, rtc.RoomOptions(auto_subscribe=False))
            tap.room_joined(one)
        await until(lambda: "bob" in alice.remote_participants)
        bob.local_participant.register_rpc_method("echo", lambda call: _answer(call.payload))
        me = alice.local_participant
        source = rtc.AudioSource(RATE, 1)
        track = rtc.LocalAudioTrack.create_audio_track("tone", source)
        publication = await me.publish_track(track)
        await until(lambda: publication.sid in got)
        await me.publish_data(b"hello", destination_identities=["bob"])
        await me.publish_data(b"all")
        await until(lambda: b"hello" in got and b"all" in got)
        answer = await me.perform_rpc(destination_identity="bob", method="echo", payload="x")
        assert answer == "xx"
        assert await track.get_stats()
        assert (await alice.get_rtc_stats()).publisher_stats
        await me.unpublish_track(publication.sid)
        await until(lambda: ("gone", publication.sid) in got)
        await source.aclose()
        for one in rooms:
            await one.disconnect()
    assert tap._rooms == {}


async def test_a_room_that_ends_by_itself_has_its_last_event(
    tap: Tap, livekit_server: LocalServer, lkapi: api.LiveKitAPI, room: str
) -> None:
    """Who leaves a room that has gone is done at once, and the room's task would wait for ever."""
    one, server = rtc.Room(), livekit_server
    gone = asyncio.Event()
    one.on("disconnected", lambda _: gone.set())
    async with asyncio.timeout(20):
        token = join_token(server.api_key, server.api_secret, room, "alice")
        await one.connect(server.url, token, rtc.RoomOptions(auto_subscribe=False))
        tap.room_joined(one)
        await lkapi.room.delete_room(api.DeleteRoomRequest(room=room))
        await gone.wait()
        await one.disconnect()
        assert one._task is not None
        await one._task
    await until(lambda: tap._rooms == {})


async def _answer(payload: str) -> str:
    return payload * 2


class Microphone:
    """A local track that can be listened to without a room."""

    def __init__(self) -> None:
        self.source = rtc.AudioSource(RATE, 1)
        self.track = rtc.LocalAudioTrack.create_audio_track("microphone", self.source)
        frame = rtc.AudioFrame(b"\x00\x20\x00\xe0" * 240, RATE, 1, 480)
        self._playing = asyncio.create_task(self._play(frame))

    async def _play(self, frame: rtc.AudioFrame) -> None:
        while True:
            await self.source.capture_frame(frame)

    def listen(self, tap: Tap, meters: TrackMeters) -> NativeTap:
        track = cast("rtc.RemoteAudioTrack", self.track)
        return NativeTier(tap).open(track, meters, lambda _: None, lambda: None)

    async def aclose(self) -> None:
        self._playing.cancel()
        await asyncio.wait([self._playing])
        await self.source.aclose()


async def test_streams_are_opened_and_closed_under_traffic(tap: Tap) -> None:
    """Every frame is let go of, whoever it was for, and nothing is fed after a close.

    As with a microphone that is muted, unmuted, disabled and enabled in any order.
    """
    microphones = [Microphone() for _ in range(3)]
    before = _tap.counts()
    for turn in range(20):
        meters = [TrackMeters(RATE, 1, [0.01]) for _ in microphones]
        taps = [m.listen(tap, fed) for m, fed in zip(microphones, meters, strict=True)]
        await until(lambda: all(fed.meters.samples_per_channel > 0 for fed in meters))  # noqa: B023
        for opened in taps:
            opened.close()
        heard = [fed.meters.samples_per_channel for fed in meters]
        if turn % 2:
            again = [m.listen(tap, fed) for m, fed in zip(microphones, meters, strict=True)]
            await until(lambda: [f.meters.samples_per_channel for f in meters] > heard)  # noqa: B023
            await asyncio.gather(*(opened.aclose() for opened in again))
            heard = [fed.meters.samples_per_channel for fed in meters]
        await asyncio.sleep(0.02)
        assert [fed.meters.samples_per_channel for fed in meters] == heard
        await asyncio.gather(*(opened.aclose() for opened in taps))
    for microphone in microphones:
        await microphone.aclose()
    assert _tap.close()
    after = {name: value - before[name] for name, value in _tap.counts().items()}
    assert after["dropped"] == after["frames"] + after["unknown"]
    assert after["unfit"] == after["broken"] == after["lost"] == 0


async def test_the_tap_is_taken_away_and_comes_back_under_traffic(lost: list[int]) -> None:
    microphone = Microphone()
    for turn in range(10):
        tap = Tap(lost.append)
        tap.install()
        meters = TrackMeters(RATE, 1, [0.01])
        opened = microphone.listen(tap, meters)
        await until(lambda: meters.meters.samples_per_channel > 0)  # noqa: B023
        if turn % 2:
            tap.uninstall()  # with a stream open
        await opened.aclose()
        tap.uninstall()
    await microphone.aclose()
    assert lost == []
