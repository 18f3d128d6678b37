"""``pmon check`` on a real server, and on what it should find wrong."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from command import pmon
from livekit import api
from livekit.protocol import agent
from wiretap import Wiretap

from pmon.cli.livekit_server import LocalServer


async def test_all_is_well(livekit_server: LocalServer, tmp_path: Path) -> None:
    done = await pmon(
        "check",
        "--record",
        str(tmp_path / "made" / "later"),
        server=livekit_server,
        PMON_STATE_DIR=str(tmp_path),
    )
    assert (done.code, done.err) == (0, "")
    of_this_machine = ["settings", "PMON_RECORD", "PMON_STATE_DIR", "media path"]
    of_the_server = ["server", "clock", "token", "worker"]
    assert done.verdicts == dict.fromkeys([*of_this_machine, *of_the_server], "ok")
    assert re.search(r"livekit-server \d+\.\d+\.\d+", done.out)
    assert os.listdir(tmp_path) == [], "nothing stays behind of it"


async def test_a_tone_is_heard_and_the_room_for_it_is_gone(
    livekit_server: LocalServer, lkapi: api.LiveKitAPI
) -> None:
    done = await pmon("check", "--media", server=livekit_server)
    assert done.code == 0, done
    assert done.verdicts["sound"] == done.verdicts["room"] == "ok"
    level = re.search(r"a tone of -26.0 dBov came as (-[\d.]+), after ([\d.]+) s", done.out)
    assert level is not None
    assert float(level[1]) == pytest.approx(-26.0, abs=1.0)
    assert float(level[2]) < 10
    way = r"sound's way: udp [\d.]+:\d+ \(\w+\) to udp 127\.0\.0\.1:\d+ \(host\)"
    assert re.search(way, done.out)
    listed = await lkapi.room.list_rooms(api.ListRoomsRequest())
    assert not [room.name for room in listed.rooms if room.name.startswith("pmon-check")]


async def test_the_portable_way_is_heard_as_well(livekit_server: LocalServer) -> None:
    done = await pmon("check", "--media", server=livekit_server, PMON_MEDIA="portable")
    assert done.code == 0, done
    assert "portable, as PMON_MEDIA says" in done.out
    assert done.verdicts["sound"] == "ok"


async def test_no_dispatch_of_others_comes_to_a_check(
    livekit_server: LocalServer, lkapi: api.LiveKitAPI, room: str, wiretap: Wiretap
) -> None:
    """It registers as a worker: it must not take jobs that are somebody else's."""
    await lkapi.room.create_room(api.CreateRoomRequest(name=room))
    for name in ("participant-monitor", "another"):
        await lkapi.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(room=room, agent_name=name)
        )
    done = await pmon("check", server=livekit_server, LIVEKIT_URL=wiretap.url)
    assert done.code == 0, done
    kinds = [message.WhichOneof("message") for message in wiretap.from_server]
    assert kinds == ["register"]


# --- what is wrong


async def test_a_wrong_secret(livekit_server: LocalServer) -> None:
    done = await pmon("check", "--media", server=livekit_server, LIVEKIT_API_SECRET="x" * 32)
    assert done.code == 1
    assert done.verdicts["token"] == "wrong"
    assert done.verdicts["sound"] == "note", "it is not tried, and that is said"
    assert "LIVEKIT_API_SECRET must be a pair that the server knows" in done.out
    assert "x" * 32 not in done.out + done.err


async def test_nobody_there(livekit_server: LocalServer) -> None:
    done = await pmon("check", server=livekit_server, LIVEKIT_URL="ws://127.0.0.1:1")
    assert done.code == 1
    assert "ws://127.0.0.1:1 cannot be reached" in done.out
    assert "token" not in done.verdicts


async def test_bad_settings_are_named_and_exit_with_2(livekit_server: LocalServer) -> None:
    done = await pmon("check", server=livekit_server, PMON_WORKERS="many", LIVEKIT_API_KEY="")
    assert done.code == 2
    assert "PMON_WORKERS" in done.out
    assert "LIVEKIT_API_KEY" in done.out


async def test_a_misspelt_variable_is_a_note(livekit_server: LocalServer) -> None:
    done = await pmon("check", server=livekit_server, PMON_WOKERS="2")
    assert done.code == 0
    assert done.verdicts["settings"] == "note"
    assert "PMON_WOKERS" in done.out


@pytest.mark.parametrize("what", ["a file", "under a file"])
async def test_a_folder_that_is_none(
    livekit_server: LocalServer, tmp_path: Path, what: str
) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" if what == "a file" else tmp_path / "file" / "folder"
    done = await pmon("check", server=livekit_server, PMON_RECORD=str(folder))
    assert done.code == 1
    assert done.verdicts["PMON_RECORD"] == "wrong"
    assert str(folder) in done.out


async def test_a_database_that_answers_and_what_is_none(
    livekit_server: LocalServer, tmp_path: Path
) -> None:
    """A worker that starts with a wrong one stops, or collects events that go nowhere."""
    (tmp_path / "none.db").write_bytes(b"no database" * 1000)
    places = {
        f"sqlite:///{tmp_path / 'later.db'}": ("ok", str(tmp_path)),
        f"sqlite:///{tmp_path / 'none.db'}": ("wrong", "not a database"),
        "postgresql://user:hunter2@127.0.0.1:1/db": ("wrong", "refused"),
    }
    for url, (verdict, words) in places.items():
        done = await pmon("check", server=livekit_server, PMON_DATABASE=url)
        assert done.verdicts["PMON_DATABASE"] == verdict, done
        assert words in done.out
        assert "hunter2" not in done.out + done.err
    assert os.listdir(tmp_path) == ["none.db"], "nothing is made"


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_server_that_is_another(livekit_server: LocalServer) -> None:
    """Such as the web site on the same host."""

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="<h1>welcome</h1>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", hello)
    async with serving(app) as url:
        done = await pmon("check", server=livekit_server, LIVEKIT_URL=url)
    assert done.code == 1
    assert "is no LiveKit server: it answers HTTP 404" in done.out


async def test_a_server_that_welcomes_everything(livekit_server: LocalServer) -> None:
    """A single-page site answers any path with its page, and 200."""

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="<h1>welcome</h1>", content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hello)
    async with serving(app) as url:
        done = await pmon("check", server=livekit_server, LIVEKIT_URL=url)
    assert done.code == 1
    assert "is no LiveKit server" in done.out


async def test_a_proxy_that_lets_no_websocket_through(livekit_server: LocalServer) -> None:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        app = _relay(session, livekit_server)
        async with serving(app) as url:
            done = await pmon("check", server=livekit_server, LIVEKIT_URL=url)
    assert done.code == 1
    assert done.verdicts["token"] == "ok"
    assert done.verdicts["worker"] == "wrong"
    assert "websockets" in done.out


@pytest.mark.parametrize(
    ("behind_s", "verdict", "words"),
    [(30, "note", "30 s ahead of"), (-3600, "wrong", "3600 s behind")],
)
async def test_a_clock_that_is_wrong(
    livekit_server: LocalServer, behind_s: int, verdict: str, words: str
) -> None:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        app = _relay(session, livekit_server, timedelta(seconds=-behind_s))
        async with serving(app) as url:
            done = await pmon("check", server=livekit_server, LIVEKIT_URL=url)
    assert done.verdicts["clock"] == verdict
    said = re.search(r"(\d+) s (ahead of|behind) the server's", done.out)
    assert said is not None, done.out
    seconds, way = words.split(" s ")
    assert int(said[1]) == pytest.approx(int(seconds), abs=2)
    assert said[2] == way


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _relay(
    session: aiohttp.ClientSession,
    server: LocalServer,
    ahead: timedelta = timedelta(0),
    agents: Handler | None = None,
) -> web.Application:
    """The API of a server whose clock is so far ahead; no websocket passes but by ``agents``."""

    async def pass_on(request: web.Request) -> web.Response:
        passed = ("Authorization", "Content-Type")
        headers = {name: request.headers[name] for name in passed if name in request.headers}
        url, body = server.http_url + request.path, await request.read()
        async with session.request(request.method, url, headers=headers, data=body) as answer:
            now = format_datetime(datetime.now(UTC) + ahead, usegmt=True)
            kept = {"Date": now, "Content-Type": answer.headers.get("Content-Type", "text/plain")}
            return web.Response(status=answer.status, headers=kept, body=await answer.read())

    app = web.Application()
    if agents is not None:
        app.router.add_get("/agent", agents)
    app.router.add_route("*", "/{path:.*}", pass_on)
    return app


async def test_a_server_that_is_too_old(livekit_server: LocalServer) -> None:
    """No such old one is to be had here: the real one's answer with another number in it."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def agents(request: web.Request) -> web.WebSocketResponse:
            worker = web.WebSocketResponse()
            await worker.prepare(request)
            headers = {"Authorization": request.headers["Authorization"]}
            url = f"{livekit_server.url}/agent"
            async with session.ws_connect(url, headers=headers) as real:
                await real.send_bytes(await worker.receive_bytes())
                answer = agent.ServerMessage.FromString(await real.receive_bytes())
            answer.register.server_info.version = "1.8.0"
            await worker.send_bytes(answer.SerializeToString())
            await worker.receive()
            return worker

        async with serving(_relay(session, livekit_server, agents=agents)) as url:
            done = await pmon("check", server=livekit_server, LIVEKIT_URL=url)
    assert done.code == 1
    assert done.verdicts["worker"] == "wrong"
    assert "1.8.0 is older than 1.8.4" in done.out


async def test_the_room_is_deleted_although_nothing_is_heard(
    livekit_server: LocalServer, lkapi: api.LiveKitAPI
) -> None:
    """Signalling that does not pass: the API is reached, and rooms are not."""
    async with Wiretap(livekit_server.url) as tap:
        tap.cut_rooms(refuse_s=3600)
        done = await pmon("check", "--media", server=livekit_server, LIVEKIT_URL=tap.url)
    assert done.code == 1
    assert done.verdicts["sound"] == "wrong"
    assert done.verdicts["room"] == "ok"
    listed = await lkapi.room.list_rooms(api.ListRoomsRequest())
    assert not [room.name for room in listed.rooms if room.name.startswith("pmon-check")]
