"""Adoption: what it asks the server after a registration, and when."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.protocol import models

from pmon.agent.protocol import WorkerProtocol
from pmon.agent.reconcile import Connection, ListedDispatch, RoomLook
from pmon.app.adoption import Adoption
from pmon.monitor.inputs import WORKERS_ATTRIBUTE
from pmon.outputs.metrics import Metrics
from pmon.settings import load_settings

KEYS = {
    "LIVEKIT_URL": "ws://127.0.0.1:1",
    "LIVEKIT_API_KEY": "key",
    "LIVEKIT_API_SECRET": "secret",
}
STANDUP = models.Room(name="standup", sid="RM_1", num_participants=1)


class Server:
    """A room whose dispatches and connections the test says, in the place of ``Looks``."""

    def __init__(self) -> None:
        self.dispatches: tuple[ListedDispatch, ...] = ()
        self.connections: tuple[Connection, ...] = ()
        self.looked = 0
        self.renewed: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None
        """Happens while a look is under way."""

    async def rooms(self) -> list[models.Room]:
        return [STANDUP]

    async def room(self, room: models.Room) -> RoomLook:
        self.looked += 1
        look = RoomLook(room.name, room.sid, self.connections, self.dispatches, ())
        self.meanwhile()
        return look

    async def renew(self, room: str, connection: str, attributes: dict[str, str]) -> None:
        self.renewed.append(attributes[WORKERS_ATTRIBUTE])


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def adoption(server: Server, monkeypatch: pytest.MonkeyPatch) -> Adoption:
    monkeypatch.setattr("pmon.app.adoption.Looks", lambda *_: server)
    pool: Any = SimpleNamespace(
        rooms=[], unwatched=0, jobs_in=lambda room: [], handle=lambda message: None
    )
    protocol = WorkerProtocol("pmon", version="1.0.0", max_jobs=10, job_type="participant")
    nobody: Any = None
    return Adoption(load_settings(KEYS), nobody, protocol, pool, Metrics(reconcile=True))


async def test_a_room_without_a_dispatch_is_looked_at_after_a_registration(
    adoption: Adoption, server: Server
) -> None:
    """The dispatch may have been made while the websocket was down, and its jobs were lost."""
    adoption.registered("AW_1")
    await adoption.round()
    await adoption.round()
    assert server.looked == 1
    adoption.registered("AW_2")
    await adoption.round()
    assert server.looked == 2


async def test_our_connections_carry_a_new_id_at_once(adoption: Adoption, server: Server) -> None:
    """Without it the jobs of the new id would be taken for those of a worker that is gone."""
    server.dispatches = (ListedDispatch("AD_1", ""),)
    server.connections = (Connection("pmon-us", frozenset({"AW_1"})),)
    adoption.registered("AW_1")
    await adoption.round()
    adoption.registered("AW_2")
    await adoption.round()
    assert server.renewed[-1] == "AW_1,AW_2"


async def test_a_look_from_before_a_registration_does_not_count(
    adoption: Adoption, server: Server
) -> None:
    """It may have been answered before the dispatch was made."""
    adoption.registered("AW_1")
    server.meanwhile = lambda: adoption.registered("AW_2")
    await adoption.round()
    server.meanwhile = lambda: None
    await adoption.round()
    assert server.looked == 2
