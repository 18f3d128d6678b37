"""A real worker with a history: what a meeting leaves there, and who can be told from it."""

from __future__ import annotations

import asyncio
import json
import os
import random
import string
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest
from click.testing import CliRunner
from conftest import Dispatch, Join, StartWorker
from history_samples import sqlite_url, stored
from postgres_server import PostgresServer
from worker import Worker

from pmon.cli.main import main
from pmon.media.phrases import phrases
from pmon.media.publish import SimulatedParticipant
from pmon.outputs.pseudonyms import Pseudonyms

TURNS = 3
LATEST_S = 2.5
LATER_S = 0.3
"""So much of a delay is chance: of three turns the median."""
"""Who waits for the database waits for 5 s and more."""
KEY = "a-key-that-nobody-guesses"
CALLER = "caller-4930123456"


async def test_a_meeting_is_in_the_report(
    postgres: PostgresServer, start_worker: StartWorker, dispatch: Dispatch, join: Join, room: str
) -> None:
    url = postgres.new_database()
    worker = await start_worker(PMON_DATABASE=url)
    alice = await join("alice")
    await dispatch(labels={"appointment": "A-17"})
    await worker.wait("track_published")
    await alice.say(phrases()["welcome"])
    await worker.wait("speaking_stopped")
    assert await worker.stop() == 0
    [ended] = worker.of("session_ended")
    [session] = stored(url)["sessions"]
    assert (session["session"], session["room"]) == (ended["session"], room)
    assert session["talk_time_s"] == ended["summary"]["talk_time_s"]
    options = ["--room", room, "--label", "appointment=A-17", "--csv"]
    done = CliRunner().invoke(main, ["report", "--database", url, *options])
    assert done.exit_code == 0, done.output
    head, *rows = [line.split(",") for line in done.stdout.splitlines()]
    told = dict(zip(head, rows[-1], strict=True))
    assert told["participant"] == "alice"
    turns_s = sum(event["turn_s"] for event in worker.of("speaking_stopped"))
    assert abs(float(told["talk_time_s"]) - turns_s) < 0.01
    unheard_s = session["microphone_s"] - session["heard_s"] - session["server_word_s"]
    there_s = session["present_s"] + session["unobserved_s"]
    missed_s = max(0.0, unheard_s) + session["unobserved_s"]
    assert float(told["coverage"]) == pytest.approx(1 - missed_s / there_s, abs=0.02)
    assert "hush-hush" not in json.dumps(worker.lines) + worker.stderr


async def test_with_pseudonyms_nobody_is_named_in_log_record_and_history(
    tmp_path: Path, start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    url = sqlite_url(tmp_path)
    room = "standup-" + "".join(random.choices(string.ascii_lowercase, k=12))  # no phone number
    worker = await start_worker(
        PMON_DATABASE=url,
        PMON_RECORD=str(tmp_path / "record"),
        PMON_STATE_DIR=str(tmp_path / "state"),
        PMON_WEBHOOK_URL="http://127.0.0.1:1/nobody",
        PMON_IDENTITY="hash",
        PMON_IDENTITY_KEY=KEY,
        PMON_RECONCILE="true",
        LIVEKIT_LOG_LEVEL="debug",
    )
    alice = await join(CALLER, room=room)
    await dispatch(room=room)
    await worker.wait("track_published")
    await alice.say(phrases()["welcome"])
    await worker.wait("speaking_stopped")
    assert await worker.stop() == 0
    said = "\n".join(map(str, worker.lines)) + worker.stderr
    assert CALLER not in said
    assert KEY not in said
    assert grep(CALLER, tmp_path) == ""
    assert grep(Pseudonyms(KEY).participant(CALLER), tmp_path).count("\n") >= 3
    [session] = stored(url)["sessions"]
    assert session["participant"] == Pseudonyms(KEY).participant(CALLER)
    assert {event["participant"] for event in worker.events} == {session["participant"]}
    assert session["room"] == room


def grep(text: str, folder: Path) -> str:
    """The files in which it stands, a line each."""
    return subprocess.run(
        ["grep", "-rlaF", text, str(folder)], capture_output=True, text=True
    ).stdout


@pytest.mark.system
@pytest.mark.timeout(180)
async def test_what_is_said_is_told_as_fast_while_the_database_is_away(
    mortal_postgres: PostgresServer, start_worker: StartWorker, dispatch: Dispatch, join: Join
) -> None:
    """Killed or hanging, it holds up no audio and no event, and in the end it has all of them."""
    url = mortal_postgres.new_database()
    worker = await start_worker(PMON_DATABASE=url, PMON_LISTEN="always")
    alice = await join("alice")
    await dispatch()
    await worker.wait("track_published")
    delays_s: dict[str, list[float]] = {}
    server = mortal_postgres
    for state, bring in {
        "there": server.revive,
        "killed": server.kill,
        "there again": server.start,
        "hanging": server.pause,
        "going on": server.go_on,
    }.items():
        await asyncio.to_thread(bring)
        delays_s[state] = [await told_after_s(worker, alice) for _ in range(TURNS)]
    assert await worker.stop() == 0
    print({state: [round(s, 2) for s in found] for state, found in delays_s.items()})
    assert max(map(max, delays_s.values())) < LATEST_S
    usual_s = median(delays_s["there"])
    assert all(median(found) - usual_s < LATER_S for found in delays_s.values())
    found = stored(url)
    assert [session["end_reason"] for session in found["sessions"]] == ["shutdown"]
    turns = [event["id"] for event in worker.of("speaking_stopped")]
    assert len(turns) == TURNS * len(delays_s)
    assert sorted(turn["id"] for turn in found["turns"]) == sorted(turns)


async def told_after_s(worker: Worker, somebody: SimulatedParticipant) -> float:
    """How long after the first word the event came."""
    phrase = phrases()["welcome"]
    turn = len(worker.of("speaking_started")) + 1
    began = time.monotonic()
    said = somebody.say(phrase)
    await worker.wait("speaking_started", turn)
    delay_s = time.monotonic() - began - phrase.truth.segments[0][0]
    await said
    await worker.wait("speaking_stopped", turn)
    return delay_s


def test_a_wrong_password_stops_the_start(postgres: PostgresServer) -> None:
    """A worker that starts all the same would lose its history for weeks unseen."""
    wrong = postgres.url(password="hunter2-hunter2")
    keys = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "secret" * 8}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("pmon-worker")), "--http-port", "0"],
        env={**os.environ, **keys, "PMON_DATABASE": wrong},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "PMON_DATABASE" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
