"""``/api/events`` and ``/api/live`` over real sockets: what comes, what is missed, who is slow."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import msgspec
import pytest
from event_samples import TIME, every_type
from web_pages import TOKEN, bearer, client_of, livekit_token, until, web_server

from pmon.monitor.events import AnyEvent, SpeakingStarted
from pmon.monitor.view import RoomView, SessionView
from pmon.web import live, stream
from pmon.web.attempts import BURST
from pmon.web.ring import KEPT, Ring
from pmon.web.server import WebServer

STILL_HERE = b": still here\n\n"


def numbered(event: AnyEvent, number: int, **changes: Any) -> AnyEvent:
    return msgspec.structs.replace(event, id=f"abc-{number}", **changes)


def speaking(number: int, room: str = "room-1") -> AnyEvent:
    (event,) = [e for e in every_type() if isinstance(e, SpeakingStarted)]
    return numbered(event, number, room=room)


def room_view(room: str, *participants: str) -> RoomView:
    sessions = [
        SessionView(
            session=f"PS_{room}_{name}",
            job="AJ_1",
            dispatch="AD_1",
            participant=name,
            participant_kind="standard",
            since=TIME,
            present=True,
        )
        for name in participants
    ]
    return RoomView(
        room=room, room_sid="RM_1", connected=True, time=TIME, talk_s=0.0, sessions=sessions
    )


UPGRADE = (
    b"GET /api/live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Reader:
    """Reads server-sent events."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def next(self) -> dict[str, str]:
        """The fields of the next event."""
        async with asyncio.timeout(5):
            while True:
                block = (await self._answer.content.readuntil(b"\n\n")).decode()
                fields = dict(
                    line.split(": ", 1) for line in block.splitlines() if ": " in line[1:]
                )
                if "data" in fields:
                    return fields


@pytest.fixture
async def server() -> WebServer:
    return web_server()


@pytest.fixture
async def client(server: WebServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with client_of(server) as client:
        yield client


async def test_events_come_as_they_happen(client: aiohttp.ClientSession, server: WebServer) -> None:
    server.event(numbered(every_type()[0], 1))
    async with client.get("/api/events") as answer:
        assert answer.content_type == "text/event-stream"
        reader = Reader(answer)
        sent = [numbered(event, number) for number, event in enumerate(every_type(), 2)]
        for event in sent:
            server.event(event)
        got = [await reader.next() for _ in sent]
    assert [e["id"] for e in got] == [e.id for e in sent], "what was before is not asked for"
    assert [e["event"] for e in got] == [e.type for e in sent]
    assert [msgspec.json.decode(e["data"], type=AnyEvent) for e in got] == sent


async def test_who_was_away_goes_on_where_they_were(
    client: aiohttp.ClientSession, server: WebServer
) -> None:
    for number in range(1, 6):
        server.event(speaking(number))
    async with client.get("/api/events", headers={"Last-Event-ID": "abc-3"}) as answer:
        reader = Reader(answer)
        assert [(await reader.next())["id"] for _ in range(2)] == ["abc-4", "abc-5"]
    async with client.get("/api/events?last_event_id=abc-5") as answer:
        server.event(speaking(6))
        assert (await Reader(answer).next())["id"] == "abc-6"


@pytest.mark.parametrize("wanted", ["abc-1", "another-start-7", "abc-99999", "nonsense"])
async def test_a_gap_is_told(client: aiohttp.ClientSession, server: WebServer, wanted: str) -> None:
    """Who counts on every event must know that some are gone, or that the worker began anew."""
    for number in range(1, KEPT + 2):
        server.event(speaking(number))
    async with client.get("/api/events", headers={"Last-Event-ID": wanted}) as answer:
        reader = Reader(answer)
        gap = await reader.next()
        assert gap["event"] == "gap"
        assert "id" not in gap, "it would be where to go on from"
        assert json.loads(gap["data"]) == {"wanted": wanted, "next": "abc-2"}
        assert (await reader.next())["id"] == "abc-2"


async def test_choosing_rooms_and_types(client: aiohttp.ClientSession, server: WebServer) -> None:
    types = "issue_raised,speaking_started"
    async with client.get(f"/api/events?room=blue&types={types}") as answer:
        for number, event in enumerate(every_type(), 1):
            server.event(numbered(event, number, room="red"))
            server.event(numbered(event, 100 + number, room="blue"))
        reader = Reader(answer)
        got = [json.loads((await reader.next())["data"]) for _ in range(2)]
    assert [(e["room"], e["type"]) for e in got] == [
        ("blue", "speaking_started"),
        ("blue", "issue_raised"),
    ]


async def test_an_empty_room_is_no_choice() -> None:
    """``?room=`` is what a form sends in which nothing was chosen."""
    server = web_server(TOKEN)
    headers = bearer(livekit_token(room_admin=True, room="blue"))
    async with client_of(server) as client:
        server.rooms([room_view("red", "ann"), room_view("blue", "bob")])
        for who, seen in ((bearer(TOKEN), {"ann", "bob"}), (headers, {"bob"})):
            async with client.get("/api/participants?room=", headers=who) as answer:
                found = (await answer.json())["participants"]
            assert {row["participant"] for row in found} == seen
        async with client.get("/api/events?room=", headers=headers) as answer:
            server.event(speaking(1, "red"))
            server.event(speaking(2, "blue"))
            assert (await Reader(answer).next())["id"] == "abc-2"


async def test_a_type_that_does_not_exist_is_named(client: aiohttp.ClientSession) -> None:
    """It would never come, and whoever waits for it would not know."""
    async with client.get("/api/events?types=speaking") as answer:
        assert answer.status == 400
        assert "speaking_started" in (await answer.json())["error"]


async def test_a_token_for_one_room_hears_of_that_alone() -> None:
    server = web_server(TOKEN)
    headers = bearer(livekit_token(room_admin=True, room="blue"))
    async with (
        client_of(server) as client,
        client.get("/api/events", headers=headers) as answer,
        client.ws_connect("/api/live", headers=headers) as page,
    ):
        server.rooms([room_view("red", "ann"), room_view("blue", "bob")])
        server.event(speaking(1, "red"))
        server.event(speaking(2, "blue"))
        assert (await Reader(answer).next())["id"] == "abc-2"
        first = await page.receive_json(timeout=5)
        while not first.get("rows"):
            first = await page.receive_json(timeout=5)
        assert [row["who"] for row in first["rows"]] == ["bob"]
        assert [room["room"] for room in first["rooms"]] == ["blue"]
        assert "worker" not in first


async def test_a_slow_reader_is_dropped_and_delays_nobody(
    client: aiohttp.ClientSession, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "WRITE_S", 0.2)
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with client.get("/api/events") as answer:
            reader = Reader(answer)
            async with asyncio.timeout(20):
                number = 0
                await until(lambda: server._stream._readers == 2)
                while server._stream._readers > 1:
                    for _ in range(100):
                        number += 1
                        server.event(speaking(number))
                    for back in range(100):
                        assert (await reader.next())["id"] == f"abc-{number - 99 + back}"


async def test_readers_are_bounded(
    client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MOST_READERS", 1)
    monkeypatch.setattr(live, "MOST_VIEWERS", 1)
    async with client.get("/api/events"), client.get("/api/events") as another:
        assert another.status == 503
        assert "Retry-After" in another.headers
    async with client.ws_connect("/api/live"):
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            await client.ws_connect("/api/live")


async def read_to(answer: aiohttp.ClientResponse, end: bytes) -> None:
    """Where the answer is over, readuntil gives what is left and says nothing."""
    assert (await answer.content.readuntil(end)).endswith(end)


async def test_a_quiet_stream_shows_that_it_lives(
    client: aiohttp.ClientSession, server: WebServer
) -> None:
    """Proxies close what is silent, and a reader cannot tell silence from a dead line."""
    server._stream._heartbeat_s = 0.01
    async with client.get("/api/events") as answer, asyncio.timeout(5):
        await read_to(answer, STILL_HERE)


async def test_a_reader_of_a_quiet_room_on_a_busy_worker_is_alive_and_noticed_as_they_leave(
    client: aiohttp.ClientSession, server: WebServer
) -> None:
    """Events of other rooms wake the stream again and again, and are no sign of life: whoever had
    left was counted for ever, until nobody else came in.
    """
    server._stream._heartbeat_s = 0.05
    busy = asyncio.create_task(_speak_for_ever(server))
    try:
        async with client.get("/api/events?room=quiet") as answer, asyncio.timeout(5):
            await read_to(answer, STILL_HERE)
            assert server._stream._readers == 1
            answer.close()
        await until(lambda: server._stream._readers == 0)
    finally:
        busy.cancel()


async def _speak_for_ever(server: WebServer) -> None:
    for number in itertools.count():
        server.event(speaking(number))
        await asyncio.sleep(0.001)


async def test_a_stream_does_not_end_with_the_guesses_of_others() -> None:
    """Behind a proxy all come from one address. But it ends as its own token expires."""
    server = web_server(TOKEN)
    server._stream._heartbeat_s = 0.01
    async with (
        client_of(server) as client,
        client.get("/api/events", headers=bearer(TOKEN)) as answer,
        asyncio.timeout(5),
    ):
        for number in range(BURST + 1):
            async with client.get("/api/rooms", headers=bearer(f"guess-{number}")) as refused:
                assert refused.status in (401, 429)
        for number in range(20):
            server.event(speaking(number))
            await read_to(answer, b"id: abc-%d\n" % number)
            await read_to(answer, STILL_HERE)
        async with client.get("/api/rooms", headers=bearer(TOKEN)) as throttled:
            assert throttled.status == 429  # a new request is a guess like any other


async def test_a_stream_ends_with_its_token() -> None:
    server = web_server()
    server._stream._heartbeat_s = 0.05
    # A minute after its time it is refused; clocks differ.
    token = livekit_token(room_list=True, ttl=timedelta(seconds=-58))
    async with (
        client_of(server) as client,
        client.get("/api/events", headers=bearer(token)) as answer,
        asyncio.timeout(10),
    ):
        assert answer.status == 200
        assert b"still here" in await answer.content.read()


async def test_a_head_of_a_stream_is_no_stream(client: aiohttp.ClientSession) -> None:
    for path in ("/api/events", "/api/live"):
        async with client.head(path) as answer:
            assert answer.status == 405


def test_a_place_in_the_ring() -> None:
    ring = Ring(kept=3)
    assert (ring.after("abc-1"), ring.since(0, 10)) == (None, [])
    for number in range(1, 6):
        ring.add(speaking(number))
    assert (ring.start, ring.end) == (2, 5)
    assert ring.after("abc-2") is None
    place = ring.after("abc-3")
    assert place is not None
    assert [e.event.id for e in ring.since(place, 1)] == ["abc-4"]
    assert ring.since(ring.end, 10) == []


# --- the page's own stream


async def message(page: aiohttp.ClientWebSocketResponse, *wanted: str) -> dict[str, Any]:
    """The next that has all of this."""
    async with asyncio.timeout(5):
        while True:
            told: dict[str, Any] = await page.receive_json()
            if all(name in told for name in wanted):
                return told


async def test_first_everything_then_what_changes(
    client: aiohttp.ClientSession, server: WebServer
) -> None:
    server.rooms([room_view("room-1", "ann", "bob")])
    async with client.ws_connect("/api/live") as page:
        first = await message(page, "anew")
        assert {row["who"] for row in first["rows"]} == {"ann", "bob"}
        assert [room["room"] for room in first["rooms"]] == ["room-1"]
        assert first["worker"]["room_for"] == 900
        event = numbered(speaking(1), 1, session="PS_room-1_ann", participant="ann")
        server.event(event)
        change = await message(page, "rows")
        assert [(row["who"], row["speaking"]) for row in change["rows"]] == [("ann", True)]
        assert "anew" not in change
        assert change["rows"][0]["turns"] == [[TIME.timestamp(), None]]
        server.rooms([])
        gone = await message(page, "gone")
        assert set(gone["gone"]) == {"PS_room-1_ann", "PS_room-1_bob"}
        assert gone["gone_rooms"] == ["room-1"]


async def test_levels_come_of_the_rows_on_the_screen_alone(
    client: aiohttp.ClientSession, server: WebServer
) -> None:
    """What nobody looks at costs nothing: the media processes send what is asked for here."""
    server.rooms([room_view("red", "ann", "bob"), room_view("blue", "ann")])
    assert server.visible == {}
    async with client.ws_connect("/api/live") as page:
        await message(page, "anew")
        await page.send_json({"visible": ["PS_red_ann", "PS_blue_ann", "PS_nobody"]})
        await until(lambda: server.visible)
        assert server.visible == {"red": ["ann"], "blue": ["ann"]}
        server.levels({"red": {"ann": -20.5, "bob": -30.0}})
        told = await message(page, "levels")
        assert told["levels"] == {"PS_red_ann": -20.5, "PS_blue_ann": None}
    await until(lambda: not server.visible)


async def test_a_slow_page_is_dropped_and_nothing_is_kept_for_it(
    client: aiohttp.ClientSession, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SEND_S", 0.2)
    monkeypatch.setattr(live, "PACE_S", 0)
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(UPGRADE)
        await until(lambda: server._live._viewers)
        people = [f"participant-{n}" for n in range(500)]
        async with client.ws_connect("/api/live", max_msg_size=1 << 24) as page:
            async with asyncio.timeout(20):
                number = 0
                while len(server._live._viewers) > 1:
                    number += 1
                    server.rooms([room_view(f"room-{number}", *people)])
                    told = await message(page, "rows")
                    assert told["rooms"][-1]["room"] == f"room-{number}"


async def test_what_is_no_message_closes_the_socket(client: aiohttp.ClientSession) -> None:
    deep = '{"x":' + "[" * 30_000 + "]" * 30_000 + "}"
    for nonsense in ("{", "[]", '{"visible": 3}', deep):
        async with client.ws_connect("/api/live") as page:
            await page.send_str(nonsense)
            async with asyncio.timeout(5):
                while not page.closed:
                    await page.receive()
            assert page.close_code == aiohttp.WSCloseCode.UNSUPPORTED_DATA


async def test_logging_out_ends_what_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that stays open would show the rooms for ever."""
    monkeypatch.setattr(live, "CHECK_S", 0.01)
    server = web_server(TOKEN)
    server._stream._heartbeat_s = 0.01
    async with client_of(server) as client:
        async with client.post("/login", data={"token": TOKEN}):
            pass
        own = {"Referer": f"http://127.0.0.1:{server.port}/dashboard"}
        async with (
            client.ws_connect("/api/live") as page,
            client.get("/api/events", headers=own) as answer,
        ):
            assert answer.status == 200
            async with client.post("/logout"):
                pass
            async with asyncio.timeout(5):
                while not page.closed:
                    await page.receive()
                await answer.read()
            assert page.close_code == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_a_worker_that_ends_closes_what_is_open() -> None:
    """An open dashboard must not hold up a drain."""
    server = web_server()
    await server.start()
    url = f"http://127.0.0.1:{server.port}"
    async with (
        aiohttp.ClientSession(url) as client,
        client.ws_connect("/api/live") as page,
        client.get("/api/events") as answer,
    ):
        await message(page, "anew")
        async with asyncio.timeout(5):
            closing = asyncio.create_task(server.aclose())
            while not page.closed:
                await page.receive()
            await answer.read()
            await closing
        assert page.close_code == aiohttp.WSCloseCode.GOING_AWAY


async def test_an_event_that_cannot_be_shown_harms_nobody(
    server: WebServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(event: object) -> None:
        raise RuntimeError("no way")

    monkeypatch.setattr(server._board, "event", fail)
    server.event(speaking(1))
    assert "abc-1" in caplog.text
