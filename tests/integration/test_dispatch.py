"""``pmon dispatch`` on a real server: what the worker would refuse is refused here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import pmon
from conftest import Join, StartWorker
from livekit import api

from pmon.cli.livekit_server import LocalServer


async def found(lkapi: api.LiveKitAPI, room: str) -> list[api.AgentDispatch]:
    """Without the one that the server makes for workers without a name."""
    return [d for d in await lkapi.agent_dispatch.list_dispatch(room) if d.agent_name]


async def test_a_room_is_dispatched_and_watched(
    livekit_server: LocalServer,
    lkapi: api.LiveKitAPI,
    room: str,
    start_worker: StartWorker,
    join: Join,
) -> None:
    """The room is not there before; its first participant comes later."""
    metadata = {"labels": {"appointment": "A-17"}, "monitoring_type": "audio"}
    done = await pmon("dispatch", room, "--metadata", json.dumps(metadata), server=livekit_server)
    assert (done.code, done.err) == (0, "")
    (made,) = await found(lkapi, room)
    assert done.out.strip() == made.id
    assert (made.agent_name, json.loads(made.metadata)) == ("participant-monitor", metadata)
    worker = await start_worker()
    await join("alice")
    started = await worker.wait("session_started", participant="alice")
    assert (started["labels"], started["monitoring_type"]) == ({"appointment": "A-17"}, "audio")


async def test_one_participant_of_a_file(
    livekit_server: LocalServer, lkapi: api.LiveKitAPI, room: str, tmp_path: Path
) -> None:
    path = tmp_path / "metadata.json"
    path.write_text('{"end_on_disconnect": true}')
    done = await pmon(
        *("dispatch", room, "--metadata", f"@{path}", "--participant-identity", "alice"),
        *("--agent-name", "other"),
        server=livekit_server,
    )
    assert done.code == 0, done
    (made,) = await found(lkapi, room)
    assert made.agent_name == "other"
    assert json.loads(made.metadata) == {
        "end_on_disconnect": True,
        "participant_identity": "alice",
    }


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ("{", "is not valid JSON"),
        ('{"monitoring_type": "everything"}', "monitoring_type should be one of full"),
        (
            '{"custom_settings": {"inactivity_timeout": "5"}}',
            "custom_settings.inactivity_timeout should be a duration",
        ),
        ("@/nowhere/metadata.json", "cannot read /nowhere/metadata.json"),
        ('{"participant_identity": "bob"}', "name different participants"),
    ],
)
async def test_bad_metadata_makes_no_dispatch(
    livekit_server: LocalServer, lkapi: api.LiveKitAPI, room: str, metadata: str, words: str
) -> None:
    done = await pmon(
        *("dispatch", room, "--metadata", metadata, "--participant-identity", "alice"),
        server=livekit_server,
    )
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    listed = await lkapi.room.list_rooms(api.ListRoomsRequest(names=[room]))
    assert not listed.rooms


async def test_keys_that_mean_nothing_are_named(
    livekit_server: LocalServer, lkapi: api.LiveKitAPI, room: str
) -> None:
    done = await pmon("dispatch", room, "--metadata", '{"lables": {}}', server=livekit_server)
    assert done.code == 0
    assert "unknown keys are ignored: lables" in done.err
    assert len(await found(lkapi, room)) == 1


async def test_dispatches_are_listed_and_deleted(
    livekit_server: LocalServer, lkapi: api.LiveKitAPI, room: str
) -> None:
    made = (await pmon("dispatch", room, server=livekit_server)).out.strip()
    listed = await pmon("dispatch", room, "--list", server=livekit_server)
    assert listed.out.splitlines() == [f"{made} participant-monitor"]
    done = await pmon("dispatch", room, "--delete", made, server=livekit_server)
    assert (done.code, await found(lkapi, room)) == (0, [])
    again = await pmon("dispatch", room, "--delete", made, server=livekit_server)
    assert again.code == 1
    assert livekit_server.url in again.err


async def test_a_room_that_is_gone_is_said_to_be(
    livekit_server: LocalServer, lkapi: api.LiveKitAPI, room: str
) -> None:
    """The server says after some seconds that it is unavailable, as if it were broken."""
    made = (await pmon("dispatch", room, server=livekit_server)).out.strip()
    await lkapi.room.delete_room(api.DeleteRoomRequest(room=room))
    for question in (["--list"], ["--delete", made]):
        done = await pmon("dispatch", room, *question, server=livekit_server)
        assert (done.code, done.out) == (1, "")
        assert f"has no room {room}" in done.err


async def test_a_wrong_secret_and_nobody_there_are_said(
    livekit_server: LocalServer, room: str
) -> None:
    refused = await pmon("dispatch", room, server=livekit_server, LIVEKIT_API_SECRET="y" * 32)
    assert refused.code == 1
    assert "refuses the credentials" in refused.err
    assert "y" * 32 not in refused.err
    nobody = await pmon("dispatch", room, server=livekit_server, LIVEKIT_URL="ws://127.0.0.1:1")
    assert nobody.code == 1
    assert "cannot be reached" in nobody.err
