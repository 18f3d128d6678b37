"""How the supervisor and a media process talk: msgspec messages over a socket pair."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Generic, TypeVar

import msgspec

LENGTH = 4
"""Bytes before each message that say how long it is."""
LONGEST = 1 << 28
CHUNK = 1 << 16
PACE_S = 0.02
"""Not more often than this is anything sent: to wake the other process costs more than to tell it
one thing more, and in a room where many talk something happens all the time."""

Incoming = TypeVar("Incoming")


class Channel(Generic[Incoming]):
    """One end. Messages come whole and in order, until the other end closes or dies."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        incoming: type[Incoming],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._encoder = msgspec.msgpack.Encoder()
        self._outbox = bytearray()
        self._sent_at = float("-inf")
        self._decoder: msgspec.msgpack.Decoder[Incoming] = msgspec.msgpack.Decoder(incoming)

    @classmethod
    async def over(cls, sock: socket.socket, incoming: type[Incoming]) -> Channel[Incoming]:
        """Talk over this connected socket, which is the channel's from here on."""
        reader, writer = await asyncio.open_connection(sock=sock)
        return cls(reader, writer, incoming)

    def send(self, message: msgspec.Struct) -> None:
        """Never waits. What is sent to somebody who is gone is lost."""
        if not self._outbox:
            # With all else that this turn of the loop has to say, or a little later.
            loop = asyncio.get_running_loop()
            loop.call_at(max(loop.time(), self._sent_at + PACE_S), self._flush)
        data = self._encoder.encode(message)
        self._outbox += len(data).to_bytes(LENGTH, "little")
        self._outbox += data

    def _flush(self) -> None:
        outbox, self._outbox = self._outbox, bytearray()
        if outbox and not self._writer.is_closing():
            self._sent_at = asyncio.get_running_loop().time()
            self._writer.write(outbox)

    async def messages(self) -> AsyncIterator[Incoming]:
        """What comes, until the other end is gone."""
        inbox = bytearray()
        while data := await self._read():
            inbox += data
            at = 0
            while (size := _size(inbox, at)) <= len(inbox) - at:
                yield self._decoder.decode(inbox[at + LENGTH : at + size])
                at += size
            del inbox[:at]

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(CHUNK)
        except ConnectionError:
            return b""

    async def drain(self) -> None:
        """Wait until all that was sent has gone, or the other end has."""
        self._flush()
        self._writer.transport.set_write_buffer_limits(0)
        with suppress(ConnectionError):
            await self._writer.drain()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    async def aclose(self) -> None:
        """Send what waits, then close."""
        await self.drain()
        self.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


def _size(inbox: bytearray, at: int) -> int:
    """Of the message that begins at ``at``, its length included, as far as that is known."""
    if len(inbox) - at < LENGTH:
        return LENGTH
    size = int.from_bytes(inbox[at : at + LENGTH], "little")
    if size > LONGEST:
        raise ValueError(f"a message of {size} bytes")
    return LENGTH + size
