"""The server: does it answer, is it new enough, does it take our tokens, what time is it there?"""

from __future__ import annotations

import asyncio
import importlib.metadata
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from google.protobuf.message import DecodeError
from livekit import api

from pmon.agent.actions import Registered
from pmon.agent.protocol import WorkerProtocol
from pmon.agent.websocket import TOKEN_TTL, agent_url
from pmon.cli.check.findings import Finding, Say, note, ok, wrong
from pmon.cli.server_api import problem_of
from pmon.settings import Settings

ANSWER_S = 10.0
SKEW_S = 5.0
"""From here on times of two machines are confusing side by side."""
LEEWAY_S = 60.0
"""What servers forgive a token, by LiveKit's default."""
HTTP = {"ws": "http", "wss": "https"}


async def check_server(settings: Settings, say: Say) -> bool:
    """Say how it stands with the server; whether a worker could work with it."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        try:
            skew_s = await _reach(session, settings, say)
        except (aiohttp.ClientError, TimeoutError) as error:
            say(wrong("server", f"{settings.url} {problem_of(error)}"))
            return False
        say(_clock(skew_s))
        token = await _token(settings, skew_s)
        say(token)
        if token.verdict == "wrong":
            return False
        agent = await _register(session, settings)
        say(agent)
        return agent.verdict == "ok"


def http_url(url: str) -> str:
    """Where the API is, given LIVEKIT_URL."""
    parts = urlsplit(url)
    return urlunsplit((HTTP.get(parts.scheme, parts.scheme), parts.netloc, parts.path, "", ""))


async def _reach(session: aiohttp.ClientSession, settings: Settings, say: Say) -> float | None:
    """How far the server's clock is ahead of ours, if it tells."""
    sent, began = datetime.now(UTC), time.monotonic()
    async with session.get(http_url(settings.url), allow_redirects=False) as answer:
        took_s = time.monotonic() - began
        skew_s = skew(answer.headers, sent.timestamp() + took_s / 2)
    say(ok("server", f"{settings.url} answers within {took_s * 1000:.0f} ms"))
    return skew_s


def skew(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that the sender of an answer is ahead of ``now``, if that can be told.

    The header has whole seconds, cut off.
    """
    try:
        told = parsedate_to_datetime(headers["Date"])
    except (KeyError, ValueError):
        return None
    if told.tzinfo is None:
        told = told.replace(tzinfo=UTC)
    return told.timestamp() + 0.5 - now


def _clock(skew_s: float | None) -> Finding:
    if skew_s is None:
        return note("clock", "the server does not tell its time, so it could not be compared")
    if abs(skew_s) <= SKEW_S:
        return ok("clock", "as the server's")
    way = "behind" if skew_s > 0 else "ahead of"
    text = f"{abs(skew_s):.0f} s {way} the server's: let both machines set theirs by NTP"
    if abs(skew_s) < LEEWAY_S:
        return note("clock", text)
    return wrong("clock", f"{text}; the server may refuse our tokens")


async def _token(settings: Settings, skew_s: float | None) -> Finding:
    try:
        async with api.LiveKitAPI(
            settings.url, settings.api_key, settings.api_secret, failover=False
        ) as client:
            await client.room.list_rooms(api.ListRoomsRequest())
    except (api.ServerError, aiohttp.ClientError, TimeoutError, DecodeError) as error:
        text = f"{settings.url} {problem_of(error)}"
        if skew_s is not None and abs(skew_s) >= LEEWAY_S:
            text += "; they do not, see above"
        return wrong("token", text)
    return ok("token", "accepted")


async def _register(session: aiohttp.ClientSession, settings: Settings) -> Finding:
    """Register as a worker does, under a name that nobody dispatches, and leave at once."""
    protocol = WorkerProtocol(
        f"pmon-check-{secrets.token_hex(6)}",
        version=importlib.metadata.version("pmon-livekit"),
        job_type=settings.job_type,
    )
    protocol.set_load(1.0)
    try:
        async with asyncio.timeout(ANSWER_S):
            registered = await _converse(session, settings, protocol)
    except aiohttp.WSServerHandshakeError as error:
        return wrong(
            "worker",
            f"the server answers HTTP {error.status} where workers connect, {settings.url}/agent:"
            " a proxy before it must let websockets through there",
        )
    except (aiohttp.ClientError, TimeoutError) as error:
        return wrong("worker", f"{settings.url} {problem_of(error)}")
    if registered is None:
        return wrong("worker", "the server closed the connection and did not say why")
    if registered.warnings:
        return wrong("worker", "; ".join(registered.warnings) + ": upgrade it")
    return ok("worker", f"can register with livekit-server {registered.server_version}")


async def _converse(
    session: aiohttp.ClientSession, settings: Settings, protocol: WorkerProtocol
) -> Registered | None:
    token = api.AccessToken(settings.api_key, settings.api_secret)
    token = token.with_grants(api.VideoGrants(agent=True)).with_ttl(TOKEN_TTL)
    headers = {"Authorization": f"Bearer {token.to_jwt()}"}
    async with session.ws_connect(agent_url(settings.url), headers=headers) as ws:
        protocol.connection_made(time.monotonic())
        for data in protocol.bytes_to_send():
            await ws.send_bytes(data)
        async for message in ws:
            if message.type is aiohttp.WSMsgType.BINARY:
                protocol.receive_bytes(message.data, time.monotonic())
            for action in protocol.actions():
                if isinstance(action, Registered):
                    return action
    return None
