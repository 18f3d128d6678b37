"""What a media process says of its load, and what the worker makes of it at once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from agent_messages import assignment, availability, job, registration

from pmon.app import messages as msg
from pmon.app.host import Host
from pmon.app.supervisor import Supervisor
from pmon.monitor.listening.load import SERVER_CUT
from pmon.settings import Settings

SETTINGS = Settings(api_key="key", api_secret="secret", workers=2)
SERVER: Any = SimpleNamespace(room=None, agent_dispatch=None)


def told(monkeypatch: pytest.MonkeyPatch, quota: float) -> msg.HostLoad:
    """The load of an idle process under a CPU limit."""
    monkeypatch.setattr("pmon.app.host.cpu_quota", lambda: quota)
    messages: list[msg.FromHost] = []
    host = Host(SETTINGS, SERVER, cast(Any, None), messages.append)
    host._tell_load(1.0)
    [message] = messages
    assert isinstance(message, msg.HostLoad)
    return message


async def test_a_process_knows_its_share_of_a_cpu_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that share half a core are full at a quarter each, so each microphone weighs more."""
    alone = told(monkeypatch, 8.0)
    assert told(monkeypatch, 0.5).one_more == pytest.approx(4 * alone.one_more)
    assert (alone.rooms, alone.audible, alone.looks) == (0, 0, "always")
    assert not alone.refuse_jobs


async def test_a_crowd_of_offers_is_not_accepted_between_two_samples_of_the_load() -> None:
    supervisor = Supervisor(SETTINGS, SERVER)
    load = msg.HostLoad(
        reported=SERVER_CUT - 0.1,
        one_more=0.01,
        refuse_jobs=False,
        microphones=0,
        audible=0,
        heard=0,
        rooms=0,
        rooms_adaptive=0,
        looks="always",
        overdue=0,
    )
    for place in supervisor._pool._places:
        supervisor._pool._heard(place, load)
    protocol = supervisor._protocol
    protocol.connection_made(0.0)
    protocol.receive_bytes(registration(), 0.0)
    for number in range(100):
        offer = job(f"AJ_{number}")
        offer.room.name = f"room-{number}"
        protocol.receive_bytes(availability(offer), 0.0)
        if offer.id in protocol._reserved:
            protocol.receive_bytes(assignment(offer), 0.0)
        for action in protocol.actions():
            supervisor._on_action(action)
    assert 20 <= len(protocol.jobs) <= 22, "ten or eleven for each of two processes"
