"""The channel between two processes: whole messages in order, however the bytes come."""

from __future__ import annotations

import asyncio
import socket

import msgspec
import pytest

from pmon.app.channel import CHUNK, LENGTH, LONGEST, PACE_S, Channel


class Note(msgspec.Struct, frozen=True):
    text: str


async def ends() -> tuple[Channel[Note], Channel[Note]]:
    ours, its = socket.socketpair()
    return await Channel.over(ours, Note), await Channel.over(its, Note)


async def received(channel: Channel[Note]) -> list[Note]:
    return [message async for message in channel.messages()]


async def test_messages_come_whole_and_in_order() -> None:
    """A large one takes many reads, and one read has many small ones."""
    ours, its = await ends()
    sent = [Note("x" * size) for size in (0, 1, 300_000, *range(200), 70_000)]
    reading = asyncio.create_task(received(its))
    for note in sent:
        ours.send(note)
    await ours.aclose()
    assert await reading == sent
    its.close()


async def test_bytes_may_come_one_by_one() -> None:
    raw, its = socket.socketpair()
    channel = await Channel.over(its, Note)
    reading = asyncio.create_task(received(channel))
    data = msgspec.msgpack.encode(Note("hello"))
    for byte in (len(data).to_bytes(LENGTH, "little") + data) * 2:
        raw.send(bytes([byte]))
        await asyncio.sleep(0)
    raw.close()
    assert await reading == [Note("hello")] * 2
    channel.close()


async def test_what_is_said_last_is_heard() -> None:
    """A process says what became of its jobs, and ends."""
    ours, its = await ends()
    ours.send(Note("last"))
    ours.close()
    assert await received(its) == [Note("last")]
    its.close()


async def test_two_sends_are_a_pace_apart() -> None:
    """Each wakes the other process, and where many talk something happens all the time."""
    raw, its = socket.socketpair()
    raw.setblocking(False)
    channel, loop = await Channel.over(its, Note), asyncio.get_running_loop()
    before = loop.time()
    channel.send(Note("first"))
    first = await loop.sock_recv(raw, CHUNK)
    channel.send(Note("second"))
    channel.send(Note("third"))
    then = await loop.sock_recv(raw, CHUNK)
    assert loop.time() - before >= PACE_S
    assert first.endswith(b"first")
    assert b"second" in then
    assert then.endswith(b"third"), "what waits goes together"
    channel.close()
    raw.close()


@pytest.mark.parametrize("how", ["drain", "aclose"])
async def test_what_waits_for_its_time_goes_at_once_in_the_end(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The process is gone when its time would come."""
    monkeypatch.setattr("pmon.app.channel.PACE_S", 60.0)
    raw, its = socket.socketpair()
    raw.setblocking(False)
    channel, loop = await Channel.over(its, Note), asyncio.get_running_loop()
    channel.send(Note("first"))
    await loop.sock_recv(raw, CHUNK)
    channel.send(Note("last"))
    await asyncio.sleep(0)
    with pytest.raises(BlockingIOError):
        raw.recv(CHUNK)
    await (channel.drain() if how == "drain" else channel.aclose())
    assert raw.recv(CHUNK).endswith(b"last")
    channel.close()
    raw.close()


async def test_nobody_at_the_other_end_is_no_error() -> None:
    ours, its = await ends()
    its.close()
    for _ in range(3):
        ours.send(Note("anybody?"))
        await asyncio.sleep(0)
    assert await received(ours) == []
    ours.close()


async def test_a_length_that_cannot_be_is_refused() -> None:
    """Waiting for its end would take all memory."""
    raw, its = socket.socketpair()
    channel = await Channel.over(its, Note)
    raw.send((LONGEST + 1).to_bytes(LENGTH, "little"))
    with pytest.raises(ValueError, match="bytes"):
        await received(channel)
    raw.close()
    channel.close()
