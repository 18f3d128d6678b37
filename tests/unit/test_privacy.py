"""``pmon privacy``: all of somebody is found, and after erasing nothing of them is."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from history_samples import at, changes, made, meeting, put, sqlite_url, stored
from postgres_server import PostgresServer

from pmon.cli.main import main
from pmon.monitor import events as ev
from pmon.outputs import webhook_format
from pmon.outputs.appender import append
from pmon.outputs.delivery import Message
from pmon.outputs.history import store
from pmon.outputs.personal import record as personal
from pmon.outputs.personal.subject import StandIns, Subject
from pmon.outputs.pseudonyms import Pseudonyms
from pmon.outputs.record import Record
from pmon.outputs.spool import Spool

ALICE = "alice-7f3a"
BOB = "bob-1c2d"
KEY = "a-key-that-nobody-guesses"
EMPTY = {"PMON_DATABASE": "", "PMON_RECORD": "", "PMON_STATE_DIR": "", "PMON_IDENTITY_KEY": ""}


class Kept:
    """What a worker that is gone has left: history, record and spool in one folder."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.record, self.state = folder / "record", folder / "state"
        self.record.mkdir()

    def keep(self, *meetings: Sequence[ev.AnyEvent]) -> None:
        put(self.url, *meetings)
        spool = Spool(str(self.state))
        spool.open(10_000)
        messages = []
        for events in meetings:
            for event in events:
                path = self.record / f"pmon-{event.time:%Y-%m-%d}.jsonl"
                append(path, msgspec.json.encode(event) + b"\n")
                body = webhook_format.body(event)
                messages.append(Message(event.id, event.session, body, 0.0))
        spool.change(messages, [])
        spool.close()

    def run(self, *arguments: str) -> Result:
        places = ["--database", self.url, "--record", self.record, "--state-dir", self.state]
        given = ["privacy", *arguments, *map(str, places)]
        return CliRunner().invoke(main, given, env=EMPTY)

    def grep(self, text: str) -> list[str]:
        """The files, and the tables of a server, in which it stands."""
        found = subprocess.run(
            ["grep", "-rlaF", "--", text, str(self.folder)], capture_output=True, text=True
        )
        assert found.returncode in (0, 1), found.stderr
        names = found.stdout.splitlines()
        names += [table for table, rows in stored(self.url).items() if text in repr(rows)]
        return names

    def totals(self) -> dict[str, Any]:
        """Of each meeting: what a report of rooms rests on."""
        rows = stored(self.url)
        sums: dict[str, Any] = {}
        for session in rows["sessions"]:
            total = sums.setdefault(session["room_sid"], [0, 0.0, 0.0, 0])
            total[0] += 1
            total[1] += session["present_s"] or 0.0
            total[2] += sum(
                t["turn_s"] for t in rows["turns"] if t["session"] == session["session"]
            )
            total[3] += sum(i["session"] == session["session"] for i in rows["issues"])
        return {"meetings": rows["meetings"], "sums": sums, "people": self.people()}

    def people(self) -> dict[str, int]:
        """How many are in each meeting."""
        by_meeting: dict[str, set[str]] = {}
        for session in stored(self.url)["sessions"]:
            by_meeting.setdefault(session["room_sid"], set()).add(session["participant"])
        return {sid: len(people) for sid, people in by_meeting.items()}

    def recorded(self) -> list[dict[str, Any]]:
        return [
            json.loads(line)
            for path in sorted(self.record.glob("*.jsonl"))
            for line in path.read_text().splitlines()
        ]


@pytest.fixture(params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    if request.param == "sqlite":
        return Kept(tmp_path, sqlite_url(tmp_path))
    server: PostgresServer = request.getfixturevalue("postgres")
    return Kept(tmp_path, server.new_database())


@pytest.fixture
def local(tmp_path: Path) -> Kept:
    """Where it is not the database that matters."""
    return Kept(tmp_path, sqlite_url(tmp_path))


def several() -> list[list[ev.AnyEvent]]:
    """Alice twice in one meeting, once in another, and Bob with her."""
    tomorrow = 86_400.0
    return [
        meeting(ALICE, session="PS_one"),
        meeting(ALICE, session="PS_two", start_s=200, end_s=300, turns=((210.0, 211.0),)),
        meeting(BOB, session="PS_three", turns=((30.0, 31.0),)),
        meeting(
            ALICE,
            session="PS_four",
            room=f"room of {ALICE}",
            room_sid="RM_2",
            start_s=tomorrow,
            end_s=tomorrow + 100,
            turns=(),
        ),
        meeting(
            BOB,
            session="PS_five",
            room=f"room of {ALICE}",
            room_sid="RM_2",
            start_s=tomorrow,
            end_s=tomorrow + 100,
            labels={"asked-by": ALICE},
            turns=(),
        ),
    ]


def test_after_erasing_nothing_of_them_is_found_and_totals_stay(kept: Kept) -> None:
    kept.keep(*several())
    before, lines = kept.totals(), len(kept.recorded())
    assert len(kept.grep(ALICE)) >= 4  # the test would see it
    done = kept.run("erase", "--identity", ALICE)
    assert done.exit_code == 0, done.output
    assert kept.grep(ALICE) == []
    for session in ("PS_one", "PS_two", "PS_four"):
        assert kept.grep(session) == []  # an id is made from the identity
    after = kept.totals()
    assert after["sums"] == before["sums"]
    assert after["people"] == before["people"]
    figures = [{**m, "room": ""} for m in after["meetings"]]
    assert figures == [{**m, "room": ""} for m in before["meetings"]]
    assert len(kept.recorded()) == lines
    assert kept.grep(BOB)


def test_no_id_of_the_server_s_leads_back_to_them(local: Kept) -> None:
    """Its logs say whose track, job, connection or dispatch it was."""
    local.keep(meeting(ALICE))
    ids = ("TR_", "AJ_", "PA_", "AD_")
    assert all(local.grep(name) for name in ids)
    local.run("erase", "--identity", ALICE)
    assert [local.grep(name) for name in ids] == [[], [], [], []]
    [ended] = [line for line in local.recorded() if line["type"] == "session_ended"]
    assert len(ended["summary"]["tracks"]) == len(ended["summary"]["issues"]) == 1
    for line in local.recorded():
        msgspec.convert(line, ev.AnyEvent)


def test_others_keep_everything(local: Kept) -> None:
    local.keep(*several()[:3])
    before = [line for line in local.recorded() if line["participant"] == BOB]
    rows = [s for s in stored(local.url)["sessions"] if s["participant"] == BOB]
    local.run("erase", "--identity", ALICE)
    assert [line for line in local.recorded() if line["participant"] == BOB] == before
    assert [s for s in stored(local.url)["sessions"] if s["participant"] == BOB] == rows
    spool = Spool(str(local.state))
    waiting = spool.open(10_000)
    spool.close()
    assert {session for _, session, _ in waiting} == {"PS_three"}


def test_somebody_whose_name_is_part_of_another_is_another(local: Kept) -> None:
    local.keep(meeting("bob", session="PS_one"), meeting("bobby", session="PS_two"))
    assert local.run("erase", "--identity", "bob").exit_code == 0
    assert {s["participant"] for s in stored(local.url)["sessions"]} >= {"bobby"}
    assert sum(line["participant"] == "bobby" for line in local.recorded()) > 5


def test_a_name_inside_another_is_that_of_somebody_else(local: Kept) -> None:
    """ "alice" is no word of what belongs to "alice-smith"."""
    hers: dict[str, Any] = {"room": "1on1-alice-smith", "room_sid": "RM_2"}
    local.keep(
        meeting("alice", room="1on1-alice"),
        meeting("alice-smith", **hers, labels={"host": "alice-smith"}),
        meeting(BOB, **hers, labels={"host": "alice-smith", "asked-by": "alice"}),
    )
    done = local.run("erase", "--identity", "alice")
    assert "those of rooms: 1on1-alice\n" in done.stdout
    rows = stored(local.url)
    assert {m["room"] for m in rows["meetings"]} == {"1on1-erased", "1on1-alice-smith"}
    labels = {"host": "alice-smith", "asked-by": "erased"}
    [of_bob] = [s for s in rows["sessions"] if s["participant"] == BOB]
    assert (of_bob["room"], of_bob["labels"]) == ("1on1-alice-smith", labels)
    told = [line for line in local.recorded() if line["participant"] == BOB]
    assert {line["room"] for line in told} == {"1on1-alice-smith"}
    assert all(line["labels"] == labels for line in told)
    spool = Spool(str(local.state))
    waiting = [json.loads(body)["pmon"] for _, _, body in spool.open(10_000)]
    spool.close()
    assert {event["room"] for event in waiting} == {"1on1-alice-smith"}


@pytest.mark.parametrize("option", [[], ["--dry-run"]])
def test_the_receipt_names_the_rooms_that_are_renamed(local: Kept, option: list[str]) -> None:
    """Whether "standup-12" is called after somebody called "12", only who reads it can tell."""
    local.keep(meeting("12", room="standup-12"), meeting(BOB, room="daily", room_sid="RM_2"))
    done = local.run("erase", "--identity", "12", *option)
    assert "their name in those of rooms: standup-12\n" in done.stdout
    assert "daily" not in done.stdout


def test_a_name_that_is_a_word_of_pmon_spoils_no_event(local: Kept) -> None:
    """Somebody who is called "audio" or "warning" is gone, and every line means what it meant."""
    local.keep(meeting("mic_quiet", session="PS_one"), meeting(BOB))
    before = [line for line in local.recorded() if line["participant"] == BOB]
    assert local.run("erase", "--identity", "mic_quiet").exit_code == 0
    assert [line for line in local.recorded() if line["participant"] == BOB] == before
    assert {issue["issue"] for issue in stored(local.url)["issues"]} == {"mic_quiet"}
    for line in local.recorded():
        msgspec.convert(line, ev.AnyEvent)


def test_nobody_else_is_in_an_export(local: Kept) -> None:
    """Whom a room is called after has no right to know who else was in it."""
    local.keep(*several())
    done = local.run("export", "--identity", ALICE)
    assert BOB not in done.stdout


def test_another_name_in_each_meeting_and_one_within(local: Kept) -> None:
    """One name for all of them would be put together with the next leak."""
    local.keep(*several())
    local.run("erase", "--identity", ALICE)
    names = {
        (s["room_sid"], s["participant"])
        for s in stored(local.url)["sessions"]
        if s["participant"] != BOB
    }
    assert sorted(sid for sid, _ in names) == ["RM_1", "RM_2"]
    assert len({name for _, name in names}) == 2
    told = {line["participant"] for line in local.recorded()} - {BOB}
    assert told == {name for _, name in names}


def test_a_dry_run_changes_nothing(kept: Kept) -> None:
    kept.keep(*several())
    before, lines = stored(kept.url), kept.recorded()
    done = kept.run("erase", "--identity", ALICE, "--dry-run")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"Would be erased, of {ALICE}:")
    assert "4 sessions" in done.stdout
    assert stored(kept.url) == before
    assert kept.recorded() == lines
    assert len(kept.grep(ALICE)) >= 4


def test_export_gives_everything_and_nothing_of_others(kept: Kept) -> None:
    kept.keep(*several()[:3])
    done = kept.run("export", "--identity", ALICE)
    assert done.exit_code == 0, done.output
    given = [json.loads(line) for line in done.stdout.splitlines()]
    assert BOB not in done.stdout
    rows = [g for g in given if g["place"] == "history"]
    assert [g["table"] for g in rows].count("sessions") == 2
    assert [g["table"] for g in rows].count("turns") == 3
    mine = [line for line in kept.recorded() if line["participant"] == ALICE]
    assert [g["event"] for g in given if g["place"] == "record"] == mine
    assert sum(g["place"] == "webhooks" for g in given) == len(mine)
    assert "Beyond the reach" in done.stderr


def test_with_the_key_they_are_found_behind_their_pseudonym(local: Kept) -> None:
    pseudonyms = Pseudonyms(KEY)
    local.keep([pseudonyms.event(event) for event in meeting(ALICE)], meeting(BOB))
    hidden = pseudonyms.participant(ALICE)
    assert local.grep(ALICE) == []
    assert "0 rows" in local.run("export", "--identity", ALICE).stderr
    done = local.run("erase", "--identity", ALICE, "--identity-key", KEY)
    assert done.exit_code == 0
    assert hidden in done.stdout  # the receipt says whom it is about
    assert local.grep(hidden) == []
    assert KEY not in done.output
    assert "pseudonyms of rooms" in done.stdout


def test_a_caller_is_gone_from_the_names_of_rooms(local: Kept) -> None:
    """The room of a call is called by the number, and whoever took the call was in it."""
    room = "call-_+4930123456_Xy7"
    caller = meeting("sip_+4930123456", room=room, participant_kind="sip")
    local.keep(caller, meeting(BOB, room=room))
    assert local.run("erase", "--identity", "sip_+4930123456").exit_code == 0
    assert local.grep("4930123456") == []
    assert {line["room"] for line in local.recorded()} == {"call-_erased_Xy7"}


@pytest.mark.parametrize("identity", ['a"b\\c', "ünï cödé", "%", "a\tb", "=cmd|'x'!A0", "a.*b"])
def test_any_character_in_an_identity(local: Kept, identity: str) -> None:
    local.keep(meeting(identity, session="PS_one"), meeting(BOB))
    assert local.run("erase", "--identity", identity).exit_code == 0
    assert {s["participant"] for s in stored(local.url)["sessions"]} >= {BOB}
    assert identity not in {s["participant"] for s in stored(local.url)["sessions"]}
    assert identity not in {line["participant"] for line in local.recorded()}


def test_a_running_worker_s_spool_is_named_and_the_rest_is_done(local: Kept) -> None:
    local.keep(*several())
    worker = Spool(str(local.state))
    worker.open(10_000)
    try:
        done = local.run("erase", "--identity", ALICE)
    finally:
        worker.close()
    assert done.exit_code == 1
    assert "NOT done" in done.stdout
    assert "held by a worker that runs: stop it" in done.stdout
    assert all("webhooks.sqlite" in name for name in local.grep(ALICE))
    assert local.run("erase", "--identity", ALICE).exit_code == 0
    assert local.grep(ALICE) == []


def test_who_is_still_watched_is_named(local: Kept) -> None:
    local.keep(meeting(ALICE, ended=False))
    done = local.run("erase", "--identity", ALICE)
    assert done.exit_code == 1
    assert (
        "1 sessions of theirs, or in rooms or with labels that name them, have not" in done.stdout
    )


@pytest.mark.parametrize("fields", [{"room": f"room of {ALICE}"}, {"labels": {"host": ALICE}}])
def test_who_is_still_watched_where_they_are_named_is_named(
    local: Kept, fields: dict[str, Any]
) -> None:
    """The worker writes the name of the room again when Bob leaves."""
    local.keep(meeting(ALICE, **fields), meeting(BOB, ended=False, **fields))
    done = local.run("erase", "--identity", ALICE)
    assert done.exit_code == 1
    assert "1 sessions of theirs, or in rooms" in done.stdout


def test_what_was_written_again_is_erased_again(kept: Kept) -> None:
    """As the receipt says: end those and try again. The name that stands instead is taken then."""
    room: dict[str, Any] = {"room": f"room of {ALICE}"}
    bob = meeting(BOB, **room)
    kept.keep(meeting(ALICE, **room), bob[:-2])
    assert kept.run("erase", "--identity", ALICE).exit_code == 1
    engine = made(kept.url)
    with engine.begin() as connection:
        store.write(connection, changes(bob)[-3:])
    engine.dispose()
    done = kept.run("erase", "--identity", ALICE)
    assert done.exit_code == 0, done.output
    assert kept.grep(ALICE) == []
    [told] = stored(kept.url)["meetings"]
    assert (told["room"], told["began_at"], told["last_at"]) == ("room of erased", at(0), at(100))


def test_a_place_that_is_not_there_is_no_place_without_them(local: Kept) -> None:
    """A folder that was misspelt must not give a receipt that all is gone."""
    local.keep(meeting(ALICE))
    options = ["--identity", ALICE, "--record", str(local.folder / "rekord")]
    done = CliRunner().invoke(main, ["privacy", "erase", *options], env=EMPTY)
    assert done.exit_code == 1
    assert "record: No such file" in done.stdout
    assert "history: not named, so not looked into" in done.stdout


def test_something_to_look_into_is_needed() -> None:
    done = CliRunner().invoke(main, ["privacy", "erase", "--identity", "x"], env=EMPTY)
    assert done.exit_code == 2
    assert "PMON_RECORD" in done.stderr


def test_files_beside_the_record_are_named(local: Kept) -> None:
    """A compressed file holds what it held before."""
    local.keep(meeting(ALICE))
    (local.record / "pmon-2026-01-01.jsonl.gz").write_bytes(b"x")
    assert "pmon-2026-01-01.jsonl.gz" in local.run("erase", "--identity", ALICE).stdout


@pytest.mark.parametrize("identity", [ALICE, "CORP\\alice", 'a "b" c'])
def test_a_line_that_a_crash_cut_goes(local: Kept, identity: str) -> None:
    path = local.record / "pmon-2026-03-14.jsonl"
    cut = msgspec.json.encode(meeting(identity)[1]).partition(b'"participant_sid"')[0]
    path.write_bytes(cut + b'\n{"participant":"x"}\n')
    local.keep(meeting(BOB))
    assert local.run("erase", "--identity", identity).exit_code == 0
    assert local.recorded()[0] == {"participant": "x"}


def test_a_file_stays_the_worker_s(local: Kept) -> None:
    """The worker appends to it, whoever erased."""
    local.keep(meeting(ALICE))
    path = local.record / "pmon-2026-03-14.jsonl"
    path.chmod(0o640)
    if os.getuid() == 0:
        os.chown(path, 65534, 65533)
    before = path.stat()
    assert local.run("erase", "--identity", ALICE).exit_code == 0
    after = path.stat()
    assert after.st_ino != before.st_ino
    owned = [(each.st_uid, each.st_gid, each.st_mode) for each in (before, after)]
    assert owned[0] == owned[1]


async def test_a_worker_that_writes_meanwhile_loses_no_line(local: Kept) -> None:
    """A file is put in the place of the one that the worker is about to write to."""
    record = Record(str(local.record), retry_s=0.02)
    await record.start()
    today = f"pmon-{datetime.now(UTC):%Y-%m-%d}.jsonl"

    def erase() -> None:
        personal.erase(local.record, Subject(ALICE), StandIns(), dry_run=False)

    events = [*meeting(BOB), *meeting(ALICE)]
    for number in range(300):
        record.event(msgspec.structs.replace(events[number % len(events)], id=f"i-{number}"))
        if number % 10 == 0:
            await asyncio.to_thread(erase)
    await record.aclose()
    assert record.dropped == 0
    personal.erase(local.record, Subject(ALICE), StandIns(), dry_run=False)
    lines = (local.record / today).read_text().splitlines()
    assert sorted(json.loads(line)["id"] for line in lines) == sorted(
        f"i-{number}" for number in range(300)
    )
    assert ALICE not in "".join(lines)
