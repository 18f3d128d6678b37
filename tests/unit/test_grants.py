"""Every token that pmon makes, taken apart: what it opens, and for how long."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import jwt
import pytest
from livekit import api
from livekit.api.twirp_client import TwirpClient
from room_driver import Meeting

from pmon.agent.protocol import WorkerProtocol
from pmon.agent.websocket import AgentConnection
from pmon.cli.check import server as check_server
from pmon.cli.livekit_server import LocalServer
from pmon.media.connection import RoomConnection
from pmon.media.hearing import _token as check_token
from pmon.media.listener import Listener
from pmon.media.publish import join_token
from pmon.monitor.listening import Listening
from pmon.outputs import webhook_format
from pmon.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "pmon"
PAGE = ROOT / "docs" / "security.md"
SECRET = "secret-of-these-tests-" * 2
MINUTE = 60


class OpenedError(Exception):
    """A websocket would be opened now."""


class Session:
    """Takes the headers of the websocket that it is to open."""

    def __init__(self) -> None:
        self.token = ""

    def ws_connect(self, url: str, *, headers: dict[str, str], **_: object) -> Any:
        self.token = headers["Authorization"].removeprefix("Bearer ")
        raise OpenedError


def settings(**more: str) -> Settings:
    keys = {"LIVEKIT_URL": "ws://host", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": SECRET}
    return load_settings(keys | more)


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert found["iss"] == "key"
    return found


def grants(token: str, most_s: float) -> dict[str, Any]:
    """What the token says under ``video``; it says nothing of other services."""
    found = claims(token)
    assert found["exp"] - time.time() <= most_s + 1
    assert not {"sip", "agents", "inference", "roomConfig", "roomPreset"} & set(found)
    video = cast("dict[str, Any]", found["video"])
    if "roomJoin" in video:
        return video
    # The SDK says these of every token; they mean nothing to somebody who may not join.
    return {name: value for name, value in video.items() if not name.startswith(("canP", "canS"))}


# --- tokens of our own


async def test_registering_as_a_worker_opens_no_room() -> None:
    session: Any = Session()
    protocol = WorkerProtocol("name", version="0", job_type="room")
    connection = AgentConnection("ws://host", "key", SECRET, protocol, lambda action: None)
    with pytest.raises(OpenedError):
        await connection._open(session)
    assert grants(session.token, 5 * MINUTE) == {"agent": True}


async def test_a_check_that_registers_does_so_with_no_more_and_for_no_longer() -> None:
    session: Any = Session()
    protocol = WorkerProtocol("name", version="0", job_type="room")
    with pytest.raises(OpenedError):
        await check_server._converse(session, settings(), protocol)
    assert grants(session.token, 5 * MINUTE) == {"agent": True}


@pytest.mark.parametrize(("hidden", "notices"), [(True, True), (False, True), (True, False)])
def test_the_monitor_joins_one_room_where_it_sends_notices_alone(
    hidden: bool, notices: bool
) -> None:
    anything: Any = None
    chosen = {"PMON_HIDDEN": hidden, "ENABLE_NOTIFICATIONS": notices}
    credentials = settings(**{name: str(value).lower() for name, value in chosen.items()})
    connection = RoomConnection(
        Meeting().monitor,
        credentials,
        anything,
        anything,
        Listener(Listening("auto", "off")),
        anything,
        dict,
        lambda: None,
    )
    assert grants(connection._token(), 10 * MINUTE) == {
        "roomJoin": True,
        "room": Meeting().monitor.room,
        "agent": True,
        "hidden": hidden,
        "canSubscribe": True,
        "canPublish": False,
        "canPublishData": notices,
    }


def test_the_checks_listener_may_send_nothing() -> None:
    assert grants(check_token(settings(), "pmon-check-1"), 5 * MINUTE) == {
        "roomJoin": True,
        "room": "pmon-check-1",
        "agent": True,
        "hidden": True,
        "canSubscribe": True,
        "canPublish": False,
        "canPublishData": False,
    }


def test_the_simulated_join_one_room_as_anybody_does() -> None:
    token = join_token("key", SECRET, "standup", "alice")
    assert claims(token)["sub"] == "alice"
    assert grants(token, 60 * MINUTE) == {
        "roomJoin": True,
        "room": "standup",
        "canSubscribe": True,
        "canPublish": True,
        "canPublishData": True,
    }


def test_a_webhooks_token_opens_nothing() -> None:
    token = webhook_format.headers(b"{}", "key", SECRET)["Authorization"]
    assert set(claims(token)) == {"iss", "nbf", "exp", "sha256"}
    assert claims(token)["exp"] - time.time() <= 10 * MINUTE


# --- tokens that livekit-api makes for each call

CALLS: dict[str, tuple[Callable[[api.LiveKitAPI], Awaitable[Any]], dict[str, Any]]] = {
    "room.list_rooms": (
        lambda server: server.room.list_rooms(api.ListRoomsRequest()),
        {"roomList": True},
    ),
    "room.list_participants": (
        lambda server: server.room.list_participants(api.ListParticipantsRequest(room="r")),
        {"roomAdmin": True, "room": "r"},
    ),
    "room.update_participant": (
        lambda server: server.room.update_participant(api.UpdateParticipantRequest(room="r")),
        {"roomAdmin": True, "room": "r"},
    ),
    "room.create_room": (
        lambda server: server.room.create_room(api.CreateRoomRequest(name="r")),
        {"roomCreate": True},
    ),
    "room.delete_room": (
        lambda server: server.room.delete_room(api.DeleteRoomRequest(room="r")),
        {"roomCreate": True},
    ),
    "agent_dispatch.list_dispatch": (
        lambda server: server.agent_dispatch.list_dispatch("r"),
        {"roomAdmin": True, "room": "r"},
    ),
    "agent_dispatch.create_dispatch": (
        lambda server: server.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(room="r")
        ),
        {"roomAdmin": True, "room": "r"},
    ),
    "agent_dispatch.delete_dispatch": (
        lambda server: server.agent_dispatch.delete_dispatch("AD_1", "r"),
        {"roomAdmin": True, "room": "r"},
    ),
}


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_of_the_servers_api_may_do_that_call(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []

    async def request(*given: Any, **_: Any) -> Any:
        (headers,) = [each for each in given if isinstance(each, dict)]
        sent.append(headers["authorization"].removeprefix("Bearer "))
        return SimpleNamespace(agent_dispatches=[])

    monkeypatch.setattr(TwirpClient, "request", request)
    call, allowed = CALLS[name]
    async with api.LiveKitAPI("http://host", "key", SECRET) as server:
        await call(server)
    (token,) = sent
    assert grants(token, 6 * 60 * MINUTE) == allowed


def test_no_other_call_of_the_servers_api_is_made() -> None:
    made = {
        f"{service}.{call}"
        for path in SOURCES.rglob("*.py")
        for service, call in re.findall(
            r"\.(room|agent_dispatch|egress|ingress|sip)\s*\.([a-z]+_[a-z_]+)\(", path.read_text()
        )
    }
    assert made == set(CALLS)


# --- nothing else makes tokens


def test_no_token_is_made_elsewhere_and_the_page_names_each_place() -> None:
    places = Counter(
        {
            str(path.relative_to(SOURCES)): found
            for path in SOURCES.rglob("*.py")
            if (found := len(re.findall(r"AccessToken\(|jwt\.encode\(", path.read_text())))
        }
    )
    assert places.pop("outputs/webhook_format.py", 0) <= 1  # a comment of it
    assert places == {
        "agent/websocket.py": 1,
        "cli/check/server.py": 1,
        "cli/livekit_server.py": 1,  # the demo's own server on loopback
        "media/connection.py": 1,
        "media/hearing.py": 1,
        "media/publish.py": 1,
    }
    page = PAGE.read_text()
    for place in [*places, "outputs/webhook_format.py"]:
        assert f"`{place}`" in page, place
    for call in CALLS:
        assert f"`{call.partition('.')[2]}`" in page, call


def test_the_demos_own_server_is_asked_for_its_rooms_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[str] = []

    class Connection:
        def __init__(self, host: str, port: int, timeout: float) -> None:
            assert host == "127.0.0.1"

        def request(self, method: str, path: str, body: str, headers: dict[str, str]) -> None:
            sent.append(headers["Authorization"].removeprefix("Bearer "))
            raise OSError

        def close(self) -> None:
            pass

    monkeypatch.setattr("http.client.HTTPConnection", Connection)
    server: Any = SimpleNamespace(api_key="key", api_secret=SECRET, port=1)
    assert not LocalServer._answers(server)
    (token,) = sent
    assert grants(token, 6 * 60 * MINUTE) == {"roomList": True}
