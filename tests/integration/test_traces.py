"""Traces of real meetings: replayed, they tell what the worker told."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Dispatch, Join, StartWorker
from test_processes import all_replaced, joined, media_processes, until

from pmon.media.phrases import phrases

Line = dict[str, Any]


async def replay(path: Path, remark: bytes = b"") -> list[Line]:
    """As somebody does it who was sent the file; ``remark`` is what is told of it besides."""
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("pmon")), "analyze", "--replay", str(path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, problems = await process.communicate()
    assert process.returncode == 0
    assert remark in problems if remark else not problems
    return [json.loads(line) for line in told.splitlines()]


def traces(folder: Path) -> list[Path]:
    """The oldest first, by the time in the name."""
    return sorted(folder.glob("trace-*.jsonl"))


def recorded(folder: Path) -> list[Line]:
    """The events of the record, without the ids that the supervisor gave them."""
    lines = []
    for path in sorted(folder.glob("pmon-*.jsonl")):
        lines += [json.loads(line) | {"id": ""} for line in path.read_bytes().splitlines()]
    return lines


async def test_a_trace_tells_the_events_of_the_record(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, tmp_path: Path
) -> None:
    folders = {"PMON_TRACE": str(tmp_path), "PMON_RECORD": str(tmp_path)}
    worker = await start_worker(**folders)
    alice = await join("alice")
    await dispatch(labels={"ticket": "7"})
    await worker.wait("track_published")
    await asyncio.sleep(1)
    await alice.say(phrases()["welcome"])
    await worker.wait("speaking_stopped")
    bob = await join("bob")
    await worker.wait("track_published", 2)
    await asyncio.sleep(1)
    await asyncio.gather(alice.say(phrases()["numbers"]), bob.say(phrases()["question"]))
    await worker.wait("speaking_stopped", 3)
    await bob.leave()
    await worker.wait("participant_disconnected")
    assert await worker.stop() == 0
    [path] = traces(tmp_path)
    events = recorded(tmp_path)
    assert len(events) > 12
    assert await replay(path) == events
    assert worker._secret.encode() not in path.read_bytes()
    assert b"eyJ" not in path.read_bytes(), "a token was written down"


async def test_the_traces_of_two_processes_tell_one_meeting(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, tmp_path: Path
) -> None:
    """The sessions of one that died go on in another, from the states in its trace."""
    folders = {"PMON_TRACE": str(tmp_path), "PMON_RECORD": str(tmp_path)}
    worker = await start_worker(**folders)
    alice = await join("alice")
    await dispatch()
    await worker.wait("track_published")
    await asyncio.sleep(1)
    await alice.say(phrases()["welcome"])
    await worker.wait("speaking_stopped")
    await asyncio.sleep(6)  # a checkpoint and more
    media_processes(worker)[0].send_signal(signal.SIGKILL)
    await until(lambda: joined(worker) == 2)
    await asyncio.sleep(1)
    await alice.say(phrases()["numbers"])
    await worker.wait("speaking_stopped", 2)
    assert await worker.stop() == 0
    before, after = traces(tmp_path)
    assert b'"start_job"' in after.read_bytes()
    assert await replay(before) + await replay(after) == recorded(tmp_path)


@pytest.mark.system
async def test_a_process_that_hands_over_leaves_the_rest_to_the_other(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, tmp_path: Path
) -> None:
    """Both are in the room for a while, and only one is believed."""
    folders = {"PMON_TRACE": str(tmp_path), "PMON_RECORD": str(tmp_path)}
    worker = await start_worker(PMON_MAX_RSS="30MiB", **folders)  # less than it takes
    alice = await join("alice")
    await dispatch()
    await worker.wait("track_published")
    await all_replaced(worker)
    await asyncio.sleep(1)
    await alice.say(phrases()["welcome"])
    await worker.wait("speaking_stopped")
    assert await worker.stop() == 0
    before, after = traces(tmp_path)
    told = await replay(before, b"another process goes on from here") + await replay(after)
    assert told == recorded(tmp_path)
