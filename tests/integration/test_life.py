"""The worker's life: a server that dies, signals, records, settings, HTTP."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import msgspec
import pytest
from conftest import Dispatch, Join, StartWorker
from livekit import api
from signals import wait_until_heeded

from pmon.cli.livekit_server import LocalServer
from pmon.media.phrases import phrases
from pmon.monitor.events import AnyEvent, SessionEnded


@pytest.mark.timeout(180)
@pytest.mark.parametrize("down_s", [1, pytest.param(6, marks=pytest.mark.system)])
async def test_a_restarted_server_ends_no_job(
    own_server: LocalServer,
    start_worker: StartWorker,
    join: Join,
    room: str,
    down_s: int,
) -> None:
    """Everyone seems to leave, comes back with new sids, and it is one session all along."""
    worker = await start_worker(server=own_server)
    async with api.LiveKitAPI(
        own_server.http_url, own_server.api_key, own_server.api_secret
    ) as lkapi:
        people = [await join(name, server=own_server) for name in ("alice", "bob")]
        await lkapi.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(
                room=room,
                agent_name="participant-monitor",
                metadata='{"end_on_disconnect": true}',
            )
        )
    await worker.wait("track_published", 2)
    await asyncio.sleep(1)
    await people[0].say(phrases()["welcome"])
    await worker.wait("speaking_stopped")
    own_server.kill()
    await worker.wait_for(lambda line: "reconnecting" in line["message"])
    await asyncio.sleep(down_s)
    await asyncio.to_thread(own_server.start)
    await worker.wait("track_published", 4, within_s=60)
    await worker.wait("connection_quality", to="excellent", participant="alice", within_s=30)
    await people[0].say(phrases()["numbers"])
    stopped = await worker.wait("speaking_stopped", 2)
    assert stopped["participant"] == "alice"
    assert stopped["talk_time_s"] == pytest.approx(people[0].talk_time_s, abs=0.5)
    assert not worker.of("session_ended")
    assert not worker.of("participant_disconnected")
    assert len(worker.of("session_started")) == 2
    assert len([x for x in worker.lines if x["message"] == "registered worker"]) == 2
    sids = {e["room_sid"] for e in worker.of("speaking_stopped")}
    assert len(sids) == 2, "the room has a new sid after the restart"
    assert await worker.stop() == 0


@pytest.mark.system
@pytest.mark.timeout(240)
async def test_a_server_that_is_away_until_the_sdk_gives_up(
    own_server: LocalServer, start_worker: StartWorker, join: Join, room: str
) -> None:
    """The SDK gives up after half a minute; pmon comes back once somebody made the room anew."""
    worker = await start_worker(server=own_server)
    alice = await join("alice", server=own_server)
    async with api.LiveKitAPI(
        own_server.http_url, own_server.api_key, own_server.api_secret
    ) as lkapi:
        await lkapi.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(room=room, agent_name="participant-monitor")
        )
    await worker.wait("track_published")
    own_server.kill()
    await alice.leave()
    await worker.wait_for(lambda line: line["message"] == "room connection ended", within_s=90)
    await asyncio.sleep(5)
    await asyncio.to_thread(own_server.start)
    await asyncio.sleep(5)
    async with api.LiveKitAPI(
        own_server.http_url, own_server.api_key, own_server.api_secret
    ) as lkapi:
        listed = await lkapi.room.list_rooms(api.ListRoomsRequest())
        assert not listed.rooms, "pmon must not make the room by joining it"
    await alice.join()
    await worker.wait("track_published", 2, within_s=30)
    await asyncio.sleep(1)
    await alice.say(phrases()["numbers"])
    stopped = await worker.wait("speaking_stopped")
    assert stopped["turn_s"] == pytest.approx(alice.talk_time_s, abs=0.3)
    assert len(worker.of("session_started")) == 1
    assert not worker.of("session_ended")
    assert await worker.stop() == 0
    summary = worker.of("session_ended")[0]["summary"]
    assert summary["coverage"]["unobserved_s"] > 15


async def test_sigterm_writes_every_summary(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, tmp_path: Path
) -> None:
    worker = await start_worker(PMON_RECORD=str(tmp_path))
    alice, _ = await join("alice"), await join("bob")
    await dispatch(labels={"appointment": "A-17"})
    await worker.wait("track_published", 2)
    await asyncio.sleep(1)
    said = alice.say(phrases()["results"])
    await worker.wait("speaking_started")
    assert await worker.stop(signal.SIGTERM) == 0
    said.cancel()
    assert worker.lines[-1]["message"] == "worker stopped"
    (final,) = [line for line in worker.lines if line["message"] == "final summary"]
    assert (final["sessions"], final["sessions_open"]) == (2, 0)
    assert {e["participant"] for e in final["ended"]} == {"alice", "bob"}
    recorded = read_record(tmp_path)
    assert [e.id for e in recorded] == [e["id"] for e in worker.events]
    assert [e.type for e in recorded] == [e["type"] for e in worker.events]
    ended = {e.participant: e for e in recorded if isinstance(e, SessionEnded)}
    assert set(ended) == {"alice", "bob"}
    assert ended["alice"].reason == "shutdown"
    assert ended["alice"].labels == {"appointment": "A-17"}
    assert ended["alice"].summary.turns == 1, "the turn that was open is billed"
    assert ended["alice"].summary.talk_time_s > 0.03
    assert len({e.id for e in recorded}) == len(recorded)


async def test_a_worker_may_start_before_its_server(
    own_server: LocalServer, start_worker: StartWorker
) -> None:
    """Only refused credentials end the start; a server that is not there yet is waited for."""
    own_server.kill()
    starting = asyncio.ensure_future(start_worker(server=own_server))
    await asyncio.sleep(3)
    assert not starting.done()
    await asyncio.to_thread(own_server.start)
    worker = await starting
    assert await worker.stop() == 0


async def test_http(start_worker: StartWorker, dispatch: Dispatch, join: Join) -> None:
    worker = await start_worker()
    port = worker.http_port
    await join("alice")
    await dispatch()
    await worker.wait("participant_connected")
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        async with session.get("/") as answer:
            assert (answer.status, await answer.text()) == (200, "OK")
        async with session.get("/ready") as answer:
            assert answer.status == 200
        async with session.get("/worker") as answer:
            told = await answer.json()
        assert told["worker_type"] == "JT_PARTICIPANT"
        assert told["agent_name"] == "participant-monitor"
        assert told["active_jobs"] == 1
        assert 0 <= told["worker_load"] <= 1
        async with session.get("/metrics") as answer:
            assert 'pmon_jobs_total{result="accepted"} 1.0' in await answer.text()


def read_record(folder: Path) -> list[AnyEvent]:
    """The events of the one daily file in a folder."""
    (file,) = folder.glob("pmon-*.jsonl")
    return [msgspec.json.decode(line, type=AnyEvent) for line in file.read_bytes().splitlines()]


def run_worker(**settings: str) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("pmon-worker")
    return subprocess.run(
        [str(command)], env={"PATH": "/usr/bin", **settings}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


def test_missing_and_bad_settings_are_named_all_at_once() -> None:
    done = run_worker(SPEAKING_THRESHOLD="loud", PMON_HTTP_PORT="-1", INACTIVITY_TIMEOUT="5")
    assert done.returncode == 2
    for name in (
        "LIVEKIT_API_KEY",
        "LIVEKIT_API_SECRET",
        "SPEAKING_THRESHOLD",
        "PMON_HTTP_PORT",
        "INACTIVITY_TIMEOUT",
    ):
        assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_what_only_shows_at_the_start_is_named_all_at_once(
    livekit_server: LocalServer, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run_worker(
            LIVEKIT_URL=livekit_server.url,
            LIVEKIT_API_KEY=livekit_server.api_key,
            LIVEKIT_API_SECRET=livekit_server.api_secret,
            PMON_HTTP_PORT=str(taken.getsockname()[1]),
            PMON_RECORD=str(tmp_path / "file" / "folder"),
        )
    assert done.returncode == 2
    assert "PMON_HTTP_PORT" in done.stderr
    assert "PMON_RECORD" in done.stderr


@pytest.mark.parametrize("after_s", [0.0, 0.3, 0.6, 1.2])
def test_a_signal_while_it_starts_is_no_failure(after_s: float) -> None:
    """There is nothing to drain yet; sooner than this Python itself has not started."""
    command = Path(sys.executable).with_name("pmon-worker")
    env = {"PATH": "/usr/bin", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "secret"}
    env |= {"LIVEKIT_URL": "ws://127.0.0.1:1", "PMON_HTTP_PORT": "0"}
    with subprocess.Popen([str(command)], env=env, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until_heeded(process.pid, signal.SIGTERM)
            time.sleep(after_s)
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()


def test_a_wrong_secret_ends_the_start(livekit_server: LocalServer) -> None:
    done = run_worker(
        LIVEKIT_URL=livekit_server.url,
        LIVEKIT_API_KEY=livekit_server.api_key,
        LIVEKIT_API_SECRET="not the secret of this server, and long enough".replace(" ", "-"),
        PMON_HTTP_PORT="0",
    )
    assert done.returncode == 2
    assert "LIVEKIT_API_SECRET" in done.stderr
    assert "not-the-secret" not in done.stderr + done.stdout


def test_a_port_in_use_is_named(livekit_server: LocalServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run_worker(
            LIVEKIT_URL=livekit_server.url,
            LIVEKIT_API_KEY=livekit_server.api_key,
            LIVEKIT_API_SECRET=livekit_server.api_secret,
            PMON_HTTP_PORT=str(taken.getsockname()[1]),
        )
    assert done.returncode == 2
    assert "PMON_HTTP_PORT" in done.stderr
