"""Adoption takes no more than there is room for, which is asked of the room's own process."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from agent_messages import registered_worker

from pmon.agent.reconcile import Attendee, Connection, ListedDispatch, ListedJob, RoomLook
from pmon.app import messages as msg
from pmon.app.adoption import Adoption
from pmon.outputs.metrics import Metrics
from pmon.settings import Settings

ANN = Attendee("ann", "PA_1", "standard")


class FakePool:
    """Media processes that do as they are told."""

    rooms = ()
    unwatched = 0

    def __init__(self) -> None:
        self.handled: list[msg.ToHost] = []

    def handle(self, message: msg.ToHost) -> None:
        self.handled.append(message)

    def jobs_in(self, room: str) -> list[msg.StartJob]:
        return [m for m in self.handled if isinstance(m, msg.StartJob) and m.room == room]


class FakeLooks:
    """A server with one room, in which we are and lost the job of ann."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def rooms(self) -> list[Any]:
        return [SimpleNamespace(name="clinic", sid="RM_1", num_participants=1)]

    async def room(self, room: Any) -> RoomLook:
        lost = ListedDispatch("AD_1", "", (ListedJob("AJ_1", "ann", "PA_1", "AW_1"),))
        ours = Connection("pmon-us", frozenset({"AW_1"}))
        return RoomLook("clinic", "RM_1", (ours,), (lost,), (ANN,))

    async def renew(self, room: str, identity: str, attributes: dict[str, str]) -> None:
        self.told.append(attributes["pmon.adopts"])


async def test_nobody_is_adopted_into_a_process_that_is_full() -> None:
    """The worker as a whole had room, so a full process was given more and more."""
    full = {"clinic"}
    pool, looks = FakePool(), FakeLooks()
    adoption = Adoption(
        Settings(api_key="key", api_secret="secret"),
        SimpleNamespace(room=None, agent_dispatch=None),  # type: ignore[arg-type]
        registered_worker(room_full=full.__contains__),
        pool,  # type: ignore[arg-type]
        Metrics(),
    )
    adoption._looks = looks  # type: ignore[assignment]
    adoption.registered("AW_1")
    await adoption.round()
    assert pool.jobs_in("clinic") == []
    assert looks.told == ["no"], "other workers know that it is for them"
    full.clear()
    adoption._rounds.changed("clinic", 0.0)
    await adoption.round()
    assert [job.participant for job in pool.jobs_in("clinic")] == ["ann"]
