"""The relay of the other tests: it must change nothing but what it is told to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from livekit import api
from wiretap import Wiretap

from pmon.cli.livekit_server import LocalServer
from pmon.media.publish import SimulatedParticipant, join_token

Join = Callable[..., Awaitable[SimulatedParticipant]]


async def test_rooms_and_the_api_work_through_it(
    livekit_server: LocalServer, room: str, join: Join
) -> None:
    """A worker behind the relay would otherwise fail for the relay's sake."""
    await join("alice")
    key, secret = livekit_server.api_key, livekit_server.api_secret
    token = join_token(key, secret, room, "bob")
    async with (
        Wiretap(livekit_server.url) as tap,
        api.LiveKitAPI(tap.http_url, key, secret) as server,
        SimulatedParticipant(tap.url, token),
    ):
        found = await server.room.list_participants(api.ListParticipantsRequest(room=room))
        assert {person.identity for person in found.participants} == {"alice", "bob"}
        assert tap.from_worker == []


async def test_refusals_pass_with_their_status(livekit_server: LocalServer) -> None:
    """A wrong secret must look the same as without the relay."""
    async with Wiretap(livekit_server.url) as tap, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(f"{tap.url}/agent")
        assert refused.value.status == 401
        async with session.get(f"{tap.http_url}/rtc/validate") as answer:
            assert answer.status == 401
