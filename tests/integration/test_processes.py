"""Media processes: one that dies or grows too large is replaced, and its sessions go on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from conftest import Dispatch, Join, StartWorker
from livekit import api
from signals import wait_until_heeded
from worker import Worker

from pmon.media.phrases import phrases


def media_processes(worker: Worker) -> list[psutil.Process]:
    return psutil.Process(worker.process.pid).children()


def joined(worker: Worker) -> int:
    """How often a room was joined."""
    return sum(line["message"] == "joined the room" for line in worker.lines)


async def until(condition: Callable[[], object], within_s: float = 15) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - processes tell nobody
            await asyncio.sleep(0.1)


async def all_replaced(worker: Worker) -> None:
    """Until none of the media processes of now is left."""
    first = media_processes(worker)
    await worker.wait_for(lambda line: line["message"] == "replacing a media process", 30)
    await until(lambda: media_processes(worker) and not set(media_processes(worker)) & set(first))


async def gone(process: psutil.Process, within_s: float = 15) -> None:
    await until(lambda: _is_gone(process), within_s)


def _is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # between the two
        return True


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.system)]
)
async def test_the_sessions_of_a_process_that_dies_go_on_in_another(
    start_worker: StartWorker,
    dispatch: Dispatch,
    join: Join,
    lkapi: api.LiveKitAPI,
    room: str,
    number: signal.Signals,
) -> None:
    """SIGTERM to the media process alone is how the SDK ends it after a panic."""
    worker = await start_worker()
    alice = await join("alice")
    await dispatch(labels={"ticket": "7"})
    await worker.wait("track_published")
    await asyncio.sleep(1)
    await alice.say(phrases()["welcome"])
    before = await worker.wait("speaking_stopped")
    await asyncio.sleep(6)  # a checkpoint and more
    [process] = media_processes(worker)
    process.send_signal(number)
    killed_at = time.monotonic()
    await worker.wait_for(lambda line: "a media process died" in line["message"])
    await until(lambda: joined(worker) == 2)
    assert time.monotonic() - killed_at < 15
    await asyncio.sleep(1)
    await alice.say(phrases()["numbers"])
    after = await worker.wait("speaking_stopped", 2)
    assert after["session"] == before["session"]
    assert after["talk_time_s"] == pytest.approx(alice.talk_time_s, abs=0.4)
    assert await worker.stop() == 0
    for kind in ("session_started", "participant_connected", "track_published", "session_ended"):
        assert len(worker.of(kind)) == 1, kind
    (ended,) = worker.of("session_ended")
    assert ended["labels"] == {"ticket": "7"}
    assert ended["summary"]["turns"] == 2
    assert 0.5 < ended["summary"]["coverage"]["unobserved_s"] < 15


@pytest.mark.system
async def test_a_process_that_is_too_large_is_replaced_without_a_gap(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, lkapi: api.LiveKitAPI, room: str
) -> None:
    worker = await start_worker(PMON_MAX_RSS="30MiB")  # less than it takes to begin with
    alice = await join("alice")
    await dispatch()
    await worker.wait("track_published")
    await all_replaced(worker)
    await asyncio.sleep(1)
    await alice.say(phrases()["welcome"])
    await worker.wait("speaking_stopped")
    assert await worker.stop() == 0
    (ended,) = worker.of("session_ended")
    assert ended["summary"]["talk_time_s"] == pytest.approx(alice.talk_time_s, abs=0.4)
    assert ended["summary"]["coverage"]["unobserved_s"] < 1.5
    for kind in ("session_started", "participant_connected", "track_published"):
        assert len(worker.of(kind)) == 1, kind


@pytest.mark.system
async def test_a_process_is_not_replaced_by_one_that_is_not_ready(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    """On a full core the old process left before the other one was in any room."""
    worker = await start_worker(PMON_MAX_RSS="30MiB")
    alice = await join("alice")
    await dispatch()
    await worker.wait("track_published")
    [old] = media_processes(worker)
    await worker.wait_for(lambda line: line["message"] == "replacing a media process", 30)
    # Not sooner: while it is a copy of the supervisor, that waits for it.
    await until(lambda: sum("-P" in child.cmdline() for child in media_processes(worker)) == 2)
    [successor] = set(media_processes(worker)) - {old}
    successor.suspend()
    await worker.wait_for(
        lambda line: line["message"].startswith("the process is not replaced"), 30
    )
    await gone(successor)
    assert media_processes(worker) == [old]
    await alice.say(phrases()["welcome"])
    await worker.wait("speaking_stopped")
    assert await worker.stop() == 0
    (ended,) = worker.of("session_ended")
    assert ended["summary"]["coverage"]["unobserved_s"] < 1.5
    assert joined(worker) == 1


async def test_rooms_spread_over_the_processes_and_each_stays_in_one(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, lkapi: api.LiveKitAPI, room: str
) -> None:
    worker = await start_worker(PMON_WORKERS="3")
    rooms = [f"{room}-{number}" for number in range(6)]
    for name in rooms:
        for identity in ("alice", "bob"):
            await join(identity, room=name)
        await dispatch(room=name)
    await worker.wait("participant_connected", 12, within_s=40)
    listed = [
        await lkapi.room.list_participants(api.ListParticipantsRequest(room=name)) for name in rooms
    ]
    for found in listed:
        assert sum(p.identity.startswith("pmon-") for p in found.participants) == 1
    assert len(media_processes(worker)) == 3
    # Each process holds two of the rooms' connections: killing one disturbs no other room.
    killed, *others = media_processes(worker)
    before = len(worker.lines)
    killed.kill()
    await until(lambda: joined(worker) >= 8)
    await asyncio.sleep(3)
    lost = [e["room"] for e in worker.lines[before:] if e["message"] == "joined the room"]
    assert len(lost) == len(set(lost)) == 2, "each room that was lost was joined once"
    said = [line for line in worker.lines[before:] if "type" not in line]
    touched = {line["room"] for line in said if "room" in line}
    assert touched == set(lost), "nothing happened in any other room"
    assert set(others) < set(media_processes(worker))
    assert await worker.stop() == 0
    assert len(worker.of("session_ended")) == 12
    assert len(worker.of("session_started")) == 12


async def test_no_process_outlives_the_supervisor(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, lkapi: api.LiveKitAPI, room: str
) -> None:
    """Killed for want of memory, it can say goodbye to nobody."""
    worker = await start_worker()
    await join("alice")
    await dispatch()
    await worker.wait("participant_connected")
    [process] = media_processes(worker)
    if hasattr(os, "sched_getscheduler"):
        ours = os.sched_getscheduler(0)  # another than the default is kept
        for pid in (worker.process.pid, process.pid):
            expected = os.SCHED_BATCH if ours == os.SCHED_OTHER else ours
            assert os.sched_getscheduler(pid) == expected
    os.kill(worker.process.pid, signal.SIGKILL)
    await gone(process)
    found = await lkapi.room.list_participants(api.ListParticipantsRequest(room=room))
    assert [p.identity for p in found.participants] == ["alice"], "it has left the room"


@pytest.mark.system
async def test_a_process_that_hangs_is_replaced(
    start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    worker = await start_worker()
    await join("alice")
    await dispatch()
    await worker.wait("participant_connected")
    media_processes(worker)[0].suspend()
    await worker.wait_for(lambda line: line["message"] == "a media process hangs", 60)
    await until(lambda: joined(worker) == 2)
    assert await worker.stop() == 0
    assert len(worker.of("session_started")) == len(worker.of("session_ended")) == 1


def run_worker(**env: str) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("pmon-worker")
    settings = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "secret", "PMON_HTTP_PORT": "0"}
    return subprocess.run(
        [str(command)],
        env={"PATH": "/usr/bin", "LIVEKIT_URL": "ws://127.0.0.1:1", **settings, **env},
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )


def test_a_media_process_that_does_not_start_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif 'media_process' in ' '.join(sys.orig_argv):\n    sys.exit(3)\n"
    )
    done = run_worker(PYTHONPATH=str(tmp_path))
    assert done.returncode == 70
    assert "the media process ended" in done.stdout or "a media process ended" in done.stdout


@pytest.mark.parametrize("after_s", [0.0, 0.3, 0.8, 1.3])
def test_a_signal_to_all_its_processes_while_it_starts_is_no_failure(after_s: float) -> None:
    """As service managers send it."""
    command = Path(sys.executable).with_name("pmon-worker")
    env = {"PATH": "/usr/bin", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "secret"}
    env |= {"LIVEKIT_URL": "ws://127.0.0.1:1", "PMON_HTTP_PORT": "0"}
    with subprocess.Popen(
        [str(command)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        worker = psutil.Process(process.pid)
        deadline = time.monotonic() + 30
        while not worker.children():
            assert time.monotonic() < deadline, "no media process was started"
            time.sleep(0.01)
        for one in (*worker.children(), worker):
            wait_until_heeded(one.pid, signal.SIGTERM)
        time.sleep(after_s)
        for one in (*worker.children(), worker):
            one.terminate()
        said, errors = process.communicate(timeout=30)
    assert process.returncode == 0, said + errors
    assert "Traceback" not in said + errors


def test_without_an_output_it_works_all_the_same() -> None:
    command = Path(sys.executable).with_name("pmon-worker")
    env = {"PATH": "/usr/bin", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "secret"}
    env |= {"LIVEKIT_URL": "ws://127.0.0.1:1", "PMON_HTTP_PORT": "0"}
    with subprocess.Popen(["/bin/sh", "-c", f"exec {command} <&- >&-"], env=env) as process:
        try:
            time.sleep(4)
            assert process.poll() is None
            assert len(psutil.Process(process.pid).children()) == 1
            process.terminate()
            assert process.wait(15) == 0
        finally:
            process.kill()
