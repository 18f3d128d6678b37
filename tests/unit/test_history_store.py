"""Rows of the history: written again, or in another order, they stay what they are."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from event_samples import every_type
from history_samples import NOON, at, changes, contents, made, meeting, sqlite_url, stored
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres_server import PostgresServer
from sqlalchemy import Engine, delete

from pmon.monitor import events as ev
from pmon.outputs.history import store
from pmon.outputs.history.forget import forget
from pmon.outputs.history.rows import Rows
from pmon.outputs.history.tables import metadata


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty history in each kind of database."""
    if request.param == "sqlite":
        url = sqlite_url(tmp_path)
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.new_database()
    engine = made(url)
    yield engine
    engine.dispose()


def write(engine: Engine, events: list[ev.AnyEvent]) -> None:
    with engine.begin() as connection:
        store.write(connection, changes(events))


def empty(engine: Engine) -> None:
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(delete(table))


def test_a_meeting_is_stored(engine: Engine) -> None:
    room = ev.RoomSummary(
        since=NOON,
        observed_s=100.0,
        talk_s=7.0,
        overlap_s=0.0,
        longest_silence_s=75.0,
        turns=2,
        interruptions=0,
        partial=False,
    )
    write(engine, meeting(summary_fields={"room": room, "talk_share": 1.0}))
    found = contents(engine)
    [session] = found["sessions"]
    assert session["participant"] == "alice"
    assert session["dispatch"] == "AD_1"
    assert (session["started_at"], session["ended_at"]) == (at(0), at(100))
    assert (session["talk_time_s"], session["turns"], session["heard_s"]) == (7.0, 2, 100.0)
    assert session["quality_excellent_s"] == 59.0
    assert session["labels"] == {"appointment": "A-17"}
    [visit] = found["visits"]
    assert (visit["joined_at"], visit["left_at"]) == (at(0), at(100))
    assert visit["reason"] == "CLIENT_INITIATED"
    assert [(t["started_at"], t["ended_at"]) for t in found["turns"]] == [
        (at(10), at(12)),
        (at(20), at(25)),
    ]
    [issue] = found["issues"]
    assert (issue["issue"], issue["severity"]) == ("mic_quiet", "warning")
    assert (issue["raised_at"], issue["resolved_at"]) == (at(5), at(9))
    assert (issue["since"], issue["duration_s"]) == (at(1), 8.0)
    [told] = found["meetings"]
    assert (told["room"], told["room_sid"]) == ("room-1", "RM_1")
    assert (told["began_at"], told["last_at"]) == (at(0), at(100))
    assert (told["talk_s"], told["partial"]) == (7.0, False)


def test_events_of_every_type_are_taken(engine: Engine) -> None:
    """A new type of event must not stop the history."""
    numbered = [
        msgspec.structs.replace(event, id=f"i-{number}")
        for number, event in enumerate(every_type())
    ]
    write(engine, numbered)
    found = contents(engine)
    assert [len(found[name]) for name in ("meetings", "sessions", "visits", "turns", "issues")] == [
        *(1, 1, 1, 1, 1)
    ]


def test_a_meeting_is_a_life_of_a_room_and_not_a_name(engine: Engine) -> None:
    """The room "daily" of Monday is not that of Tuesday."""
    write(engine, meeting(session="PS_1"))
    write(engine, meeting(session="PS_2", room_sid="RM_2", start_s=1000, end_s=1100))
    assert [m["room_sid"] for m in contents(engine)["meetings"]] == ["RM_1", "RM_2"]


def test_two_workers_that_see_parts_of_a_meeting_make_one_of_it(engine: Engine) -> None:
    """LiveKit spreads the participants of a room over all workers."""
    write(engine, meeting("alice", start_s=50, end_s=80))
    write(engine, meeting("bob", start_s=0, end_s=200))
    write(engine, meeting("carol", start_s=60, end_s=70))
    [told] = contents(engine)["meetings"]
    assert (told["began_at"], told["last_at"]) == (at(0), at(200))


def test_a_session_whose_worker_died_is_there_without_an_end(engine: Engine) -> None:
    write(engine, meeting(ended=False))
    found = contents(engine)
    assert found["sessions"][0]["ended_at"] is None
    assert found["sessions"][0]["room_sid"] == "RM_1"  # learned after the start
    assert found["visits"][0]["left_at"] is None
    assert len(found["turns"]) == 2


def test_what_is_open_ends_with_the_session(engine: Engine) -> None:
    """A room that is closed, or a worker that drains, says nothing of leaving."""
    events = [e for e in meeting() if e.type not in ("participant_disconnected", "issue_resolved")]
    write(engine, events)
    found = contents(engine)
    assert (found["visits"][0]["left_at"], found["visits"][0]["reason"]) == (
        at(100),
        "participant_left",
    )
    assert found["issues"][0]["duration_s"] == 99.0


def test_an_identity_may_have_any_character(engine: Engine) -> None:
    """PostgreSQL takes no zero byte; a row that it refuses would hold up all the others."""
    write(engine, meeting("a\0'\";--\u202e\U0001f600", room="r\0", session="PS_1"))
    [session] = contents(engine)["sessions"]
    assert session["participant"] == "a\ufffd'\";--\u202e\U0001f600"
    assert session["room"] == "r\ufffd"


def told(seed: int) -> list[ev.AnyEvent]:
    """What two sessions of one meeting and one of another say, as it comes in."""
    chance = random.Random(seed)
    several = [
        meeting("alice", session="PS_1"),
        meeting("bob", session="PS_2", start_s=5, end_s=90, turns=((30.0, 31.0),)),
        meeting("alice", session="PS_3", room_sid="RM_2", start_s=200, end_s=300, turns=()),
    ]
    mixed: list[ev.AnyEvent] = []
    while any(several):
        events = chance.choice([events for events in several if events])
        mixed.append(events.pop(0))
    return mixed


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_order_and_repetition_gives_the_same_rows(engine: Engine, data: st.DataObject) -> None:
    """A batch that was written may look as if it was not: the connection broke before the answer
    came. It is written again, after others were."""
    events = told(data.draw(st.integers(0, 5), label="who speaks when"))
    rows = Rows()
    once = [rows.of(event) for event in events]
    empty(engine)
    with engine.begin() as connection:
        store.write(connection, [change for part in once for change in part])
    expected = contents(engine)
    again = data.draw(st.lists(st.sampled_from(range(len(once))), max_size=20), label="again")
    order = data.draw(st.permutations([*range(len(once)), *again]), label="order")
    sizes = data.draw(st.lists(st.integers(1, 9), min_size=1), label="sizes of batches")
    empty(engine)
    while order:
        size = sizes[len(order) % len(sizes)]
        batch, order = order[:size], order[size:]
        with engine.begin() as connection:
            store.write(connection, [change for number in batch for change in once[number]])
    assert contents(engine) == expected


def test_what_is_old_is_forgotten_and_nothing_else(engine: Engine) -> None:
    hours = 3600.0
    write(engine, meeting("old", start_s=0, end_s=100))
    write(engine, meeting("never-joined", start_s=0, end_s=100, room_sid=""))
    write(engine, meeting("new", room_sid="RM_2", start_s=50 * hours, end_s=51 * hours))
    # A room may live for years: who was in it long ago is forgotten, ended or cut off.
    write(engine, meeting("early", room_sid="RM_2", start_s=0, end_s=100))
    write(engine, meeting("killed", room_sid="RM_2", start_s=0, ended=False))
    late = ((49 * hours, 49 * hours + 1),)
    write(engine, meeting("there", room_sid="RM_2", start_s=0, turns=late, ended=False))
    assert forget(engine, at(10 * hours)) == 4
    found = contents(engine)
    assert {s["participant"] for s in found["sessions"]} == {"there", "new"}
    assert {row["session"] for name in ("visits", "turns", "issues") for row in found[name]} == {
        *("PS_there", "PS_new")
    }
    assert [m["room_sid"] for m in found["meetings"]] == ["RM_2"]


def test_a_meeting_without_sessions_stays_until_it_is_over(engine: Engine) -> None:
    """What is told of it is told of those who come later, too."""
    write(engine, meeting())
    [later] = [c for c in changes(meeting(start_s=3600, ended=False)[1:2]) if "last_at" in c.row]
    with engine.begin() as connection:
        store.write(connection, [later])
    assert forget(engine, at(200)) == 1
    assert [m["began_at"] for m in contents(engine)["meetings"]] == [at(0)]
    forget(engine, at(3601))
    assert not any(contents(engine).values())


def test_many_are_forgotten_in_small_steps(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """One statement for a year of meetings would keep the worker from writing for minutes."""
    monkeypatch.setattr("pmon.outputs.history.forget.AT_ONCE", 3)
    for number in range(10):
        write(engine, meeting(f"p{number}", room_sid=f"RM_{number}"))
    assert forget(engine, at(1000)) == 10
    assert not any(contents(engine).values())


def test_what_lost_its_session_is_forgotten_too(engine: Engine) -> None:
    """The oldest events go while a database is away for long, and with them sessions' rows."""
    with engine.begin() as connection:
        rows = [c for c in changes(meeting()) if c.table.name != "sessions"]
        store.write(connection, rows)
    forget(engine, at(1000))
    assert not any(contents(engine).values())


def test_stored_is_read_with_its_zone(tmp_path: Path) -> None:
    """A time without a zone would be taken for local time by whoever reads it."""
    url = sqlite_url(tmp_path)
    engine = made(url)
    write(engine, meeting())
    engine.dispose()
    rows: list[dict[str, Any]] = stored(url)["sessions"]
    assert rows[0]["started_at"].utcoffset() is not None
