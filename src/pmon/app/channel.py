"""How the supervisor and a media process talk: msgspec messages over a socket pair."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Generic, TypeVar

import msgspec

LENGTH = 4
"""Bytes before each message that say how long it is."""
LONGEST = 1 << 28

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
        self._decoder: msgspec.msgpack.Decoder[Incoming] = msgspec.msgpack.Decoder(incoming)

    @classmethod
    async def over(cls, sock: socket.socket, incoming: type[Incoming]) -> Channel[Incoming]:
        """Talk over this connected socket, which is the channel's from here on."""
        reader, writer = await asyncio.open_connection(sock=sock)
        return cls(reader, writer, incoming)

    def send(self, message: msgspec.Struct) -> None:
        """Never waits. What is sent to somebody who is gone is lost."""
        data = self._encoder.encode(message)
        if not self._writer.is_closing():
            self._writer.write(len(data).to_bytes(LENGTH, "little") + data)

    async def receive(self) -> Incoming | None:
        """The next message; None once the other end is gone."""
        try:
            size = int.from_bytes(await self._reader.readexactly(LENGTH), "little")
            if size > LONGEST:
                raise ValueError(f"a message of {size} bytes")
            return self._decoder.decode(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def drain(self) -> None:
        """Wait until all that was sent has gone, or the other end has."""
        self._writer.transport.set_write_buffer_limits(0)
        with suppress(ConnectionError):
            await self._writer.drain()

    def close(self) -> None:
        self._writer.close()

    async def aclose(self) -> None:
        """Send what waits, then close."""
        await self.drain()
        self.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()
