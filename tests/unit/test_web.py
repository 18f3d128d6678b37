"""The web server, asked over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from web_pages import Worker, client_of, web_server

from pmon.settings import SettingsError
from pmon.web.server import WebError


@pytest.fixture
async def worker() -> Worker:
    return Worker()


@pytest.fixture
async def client(worker: Worker) -> AsyncIterator[aiohttp.ClientSession]:
    async with client_of(web_server(worker=worker)) as client:
        yield client


async def test_alive(client: aiohttp.ClientSession) -> None:
    async with client.get("/") as answer:
        assert (answer.status, await answer.text()) == (200, "OK")


async def test_ready_follows_the_worker(client: aiohttp.ClientSession, worker: Worker) -> None:
    """A load balancer must stop when the worker drains, and say why to whoever looks."""
    async with client.get("/ready") as answer:
        assert answer.status == 200
    worker.unready = "draining"
    async with client.get("/ready") as answer:
        assert (answer.status, await answer.text()) == (503, "draining")


async def test_worker_has_the_keys_of_livekit_agents(client: aiohttp.ClientSession) -> None:
    async with client.get("/worker") as answer:
        found = await answer.json()
    assert found.pop("sdk_version")[0].isdigit()
    assert found.pop("pmon_version")[0].isdigit()
    assert found == {
        "worker_type": "JT_ROOM",
        "agent_name": "participant-monitor",
        "worker_id": "AW_1",
        "active_jobs": 3,
        "worker_load": 0.25,
        "media": {"media-0": "native"},
        "protocol_version": 1,
    }


async def test_metrics(client: aiohttp.ClientSession) -> None:
    async with client.get("/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert "pmon_rooms 0.0" in await answer.text()


@pytest.mark.parametrize("path", ["/worker/", "/api", "/%2e%2e/etc/passwd"])
async def test_there_is_nothing_else(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(path) as answer:
        assert answer.status == 404


async def test_a_port_in_use_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(WebError) as caught:
            await web_server(port=port).start()
    assert f"127.0.0.1:{port} is in use" in str(caught.value)
    assert "PMON_HTTP_PORT" in str(caught.value)
    assert isinstance(caught.value, SettingsError)  # so the command exits with 2


async def test_an_address_that_is_not_ours_is_named_with_its_setting() -> None:
    with pytest.raises(WebError, match=r"PMON_HTTP_HOST.*192\.0\.2\.1:0"):
        await web_server(host="192.0.2.1").start()


async def test_bad_requests_fill_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """A port scanner would otherwise leave a traceback at each try."""
    server = web_server()
    await server.start()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nno header\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    finally:
        await server.aclose()
    assert b"400" in answer.splitlines()[0]
    assert caplog.text == ""
