"""Packets really get lost, on one way at a time, and pmon says which: root, and iptables."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from livekit import api
from lossy_network import Network, Server
from worker import Line, Worker

from pmon.cli.livekit_server import find_or_build

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

ROOM = "lossy"
SETTLED_S = 25.0
"""So long after everybody has joined the server has called them excellent, and we have listened."""


@pytest.fixture
def network() -> Iterator[Network]:
    with Network("server", "monitor", "alice", "bob") as network:
        yield network


class Meeting:
    """Two who talk all the time, and a worker that watches both, each on a host of their own."""

    def __init__(self, network: Network, server: Server, worker: Worker) -> None:
        self.network, self.server, self.worker = network, server, worker
        self.stack = AsyncExitStack()

    async def join(self, identity: str, *options: str, metadata: dict[str, Any]) -> None:
        """Let somebody join; with the first one comes the room, and its dispatch."""
        token = (
            api.AccessToken(self.server.api_key, self.server.api_secret)
            .with_identity(identity)
            .with_grants(api.VideoGrants(room_join=True, room=ROOM))
            .with_ttl(timedelta(hours=1))
            .with_room_config(
                api.RoomConfiguration(
                    agents=[
                        api.RoomAgentDispatch(
                            agent_name="participant-monitor", metadata=json.dumps(metadata)
                        )
                    ]
                )
            )
            .to_jwt()
        )
        script = str(Path(__file__).with_name("talker.py"))
        process = await asyncio.create_subprocess_exec(
            *self.network.inside(identity),
            *(sys.executable, script, self.server.url, *options),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self.stack.push_async_callback(_end, process)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{token}\n".encode())
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        assert line == b"joined\n", f"{identity} did not join"

    def changes(self, identity: str) -> list[tuple[str, str]]:
        """Where somebody's level went, and why."""
        return [
            (e["to"], e["reason"])
            for e in self.worker.of("connection_quality")
            if e["participant"] == identity
        ]

    def said(self, words: str) -> list[Line]:
        return [line for line in self.worker.lines if words in line["message"]]


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), 10)
    except TimeoutError:
        process.kill()
        await process.wait()


@asynccontextmanager
async def meeting(
    network: Network, *options: str, alice: tuple[str, ...] = (), **metadata: Any
) -> AsyncIterator[Meeting]:
    with Server(find_or_build(), network, "server") as server:
        keys = server.api_key, server.api_secret
        async with Worker(
            server.url, *keys, inside=network.inside("monitor"), PMON_LISTEN="always"
        ) as worker:
            meeting = Meeting(network, server, worker)
            async with meeting.stack:
                await meeting.join("alice", *options, *alice, metadata=metadata)
                await meeting.join("bob", *options, metadata=metadata)
                for name in ("alice", "bob"):
                    await worker.wait("connection_quality", participant=name, to="excellent")
                await asyncio.sleep(SETTLED_S)
                yield meeting


OWN_PATH = "on the way from the server to this monitor"
HEAVY = 0.6
"""Of a way that loses so much hardly a picture comes, though all that is missing is sent again."""


async def test_ten_percent_lost_on_an_uplink_are_laid_to_its_owner(network: Network) -> None:
    """By name, with the direction, and to nobody else; with more of it an issue, raised once and
    resolved once.
    """
    async with meeting(network) as m:
        network.lose(0.1, sender="alice", receiver="server")
        fall = await m.worker.wait(
            "connection_quality", participant="alice", to="good", within_s=40
        )
        assert fall["reason"] == "uplink_loss"
        assert fall["evidence"]["direction"] == "uplink"
        assert 0.02 <= fall["evidence"]["loss"] <= 0.15
        network.lose(0.5, sender="alice", receiver="server")
        raised = await m.worker.wait(
            "issue_raised", participant="alice", issue="connection_poor", within_s=40
        )
        assert raised["evidence"]["direction"] == "uplink"
        assert raised["evidence"]["loss"] >= 0.2
        assert raised["evidence"]["mos"] < 4
        network.lose(0, sender="alice", receiver="server")
        await m.worker.wait("issue_resolved", participant="alice", within_s=60)
        await m.worker.wait(
            "connection_quality", 2, participant="alice", to="excellent", within_s=60
        )
        assert m.changes("bob") == [("excellent", "server")]
        assert {reason for _, reason in m.changes("alice")} == {
            *("server", "uplink_loss", "recovered")
        }
        assert [e["participant"] for e in m.worker.of("issue_raised")] == ["alice"]
        assert [e["participant"] for e in m.worker.of("issue_resolved")] == ["alice"]
        assert not m.said(OWN_PATH)
        await m.worker.stop()
        links = {e["participant"]: e["summary"]["link"] for e in m.worker.of("session_ended")}
        assert links["bob"]["loss"] < 0.005 < 0.03 < links["alice"]["loss"]
        assert links["bob"]["mos"] > links["alice"]["mos"]


async def test_nobody_is_blamed_for_the_own_path(network: Network) -> None:
    """Ten percent of what the server sends the monitor are lost: of both, and of neither. And then
    so much that hardly a picture comes.
    """
    async with meeting(network, "--camera") as m:
        network.lose(0.1, sender="server", receiver="monitor")
        await m.worker.wait_for(lambda line: OWN_PATH in line["message"], within_s=90)
        (said,) = m.said(OWN_PATH)
        assert (said["level"], said["room"]) == ("WARNING", ROOM)
        assert 0.05 <= said["loss"] <= 0.15
        await asyncio.sleep(20)
        assert [e["to"] for e in m.worker.of("video_state")] == ["live"] * 2
        network.lose(HEAVY, sender="server", receiver="monitor")
        await asyncio.sleep(30)
        network.lose(0, sender="server", receiver="monitor")
        await m.worker.wait_for(lambda line: "no loss is known" in line["message"], within_s=40)
        await asyncio.sleep(5)
        for name in ("alice", "bob"):
            assert m.changes(name) == [("excellent", "server")]
            assert [e["to"] for e in m.worker.of("video_state", participant=name)][-2:] == [
                *("unknown", "live")
            ]
        assert not m.worker.of("issue_raised")
        await m.worker.stop()
        for event in m.worker.of("session_ended"):
            assert event["summary"]["link"]["loss"] < 0.02


async def test_a_downlink_is_no_uplink(network: Network) -> None:
    """What the server sends alice is lost; all that she sends is heard."""
    async with meeting(network, alice=("--subscribe",)) as m:
        network.lose(0.4, sender="server", receiver="alice")
        fall = await m.worker.wait("connection_quality", 2, participant="alice", within_s=60)
        assert (fall["from"], fall["reason"]) == ("excellent", "downlink")
        assert fall["evidence"]["direction"] == "downlink"
        assert fall["evidence"]["loss"] < 0.01
        assert m.changes("bob") == [("excellent", "server")]
        assert not m.said(OWN_PATH)
