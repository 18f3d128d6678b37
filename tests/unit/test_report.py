"""``pmon report``: known events in, the figures that anybody can reckon out."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from click.testing import CliRunner, Result
from history_samples import NOON, at, made, meeting, put, sqlite_url
from hypothesis import given
from hypothesis import strategies as st
from postgres_server import PASSWORD, PostgresServer

from pmon.cli.main import main
from pmon.cli.report import days
from pmon.cli.report.days import Line, bounds, lines
from pmon.monitor import events as ev
from pmon.outputs.history.read import Found, Session, Span, connected, find
from pmon.outputs.pseudonyms import Pseudonyms

UTC_ZONE = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")
DAY = NOON.date()
HOUR = 3600.0


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def database(tmp_path: Path) -> str:
    """A history in a file, where it is not the database that matters."""
    return sqlite_url(tmp_path)


def told(
    url: str,
    first: date = DAY,
    last: date | None = None,
    zone: ZoneInfo = UTC_ZONE,
    rooms: Sequence[str] = (),
    **labels: str,
) -> list[Line]:
    last = last or first
    with connected(url) as connection:
        found = find(
            connection,
            *bounds(zone, first, last),
            rooms,
            lambda its: labels.items() <= its.items(),
        )
    return lines(found, zone, first, last)


def run(url: str, *arguments: str) -> Result:
    options = ["report", "--database", url, "--from", str(DAY), "--to", str(DAY)]
    return CliRunner().invoke(main, [*options, *arguments], env={"PMON_DATABASE": ""})


def coverage(**seconds: float) -> ev.Coverage:
    whole = {"observed_s": 100.0, "unobserved_s": 0.0, "heard_s": 0.0, "server_word_s": 0.0}
    return ev.Coverage(**whole | seconds)


def microphone(published_s: float, muted_s: float = 0.0) -> dict[str, Any]:
    track = ev.TrackSummary(
        track_sid="TR_1",
        kind="audio",
        source="microphone",
        encrypted=False,
        published_s=published_s,
        muted_s=muted_s,
    )
    return {"tracks": [track]}


def stored_session(name: str, participant: str) -> Session:
    return Session(
        session=name,
        room="r",
        room_sid="RM_1",
        participant=participant,
        kind="standard",
        monitoring_type="full",
        labels={},
        ended=True,
        partial=False,
        present_s=1.0,
        microphone_s=0.0,
        heard_s=0.0,
        server_word_s=0.0,
        unobserved_s=0.0,
        quality_s={},
    )


# --- figures


def test_a_meeting_of_two(url: str) -> None:
    put(
        url,
        meeting("alice", turns=((10.0, 12.0), (20.0, 25.0))),
        meeting("bob", start_s=30, end_s=90, turns=((40.0, 43.0),)),
    )
    alice, bob = told(url)
    assert (alice.participant, alice.room, alice.room_sid) == ("alice", "room-1", "RM_1")
    assert (alice.join, alice.leave, alice.present_s) == (at(0), at(100), 100.0)
    assert (alice.talk_time_s, alice.turns, alice.share) == (7.0, 2, 0.7)
    assert (bob.talk_time_s, bob.turns, bob.share) == (3.0, 1, 0.3)
    assert alice.issues == {"mic_quiet": 1}
    assert alice.quality == 1.0
    assert alice.coverage == 1.0
    assert not alice.low


def test_somebody_whom_two_dispatches_watch_is_there_once(database: str) -> None:
    """Two sessions hear the same words: twice the talk time would be on the bill."""
    put(database, meeting(session="PS_1"), meeting(session="PS_2", start_s=2))
    [line] = told(database)
    assert (line.present_s, line.talk_time_s, line.turns, line.share) == (100.0, 7.0, 2, 1.0)


def test_who_comes_back_has_both_visits_and_not_the_time_between(database: str) -> None:
    put(
        database,
        meeting(session="PS_1", end_s=30),
        meeting(session="PS_2", start_s=70, end_s=100, turns=((80.0, 81.0),)),
    )
    [line] = told(database)
    assert (line.join, line.leave, line.present_s) == (at(0), at(100), 60.0)
    assert line.talk_time_s == 8.0


def test_short_pauses_belong_to_a_turn_but_are_no_talk_time(database: str) -> None:
    put(database, meeting(turns=((10.0, 12.0), (12.2, 13.0), (13.4, 14.0))))
    [line] = told(database)
    assert line.turns == 2
    assert line.talk_time_s == pytest.approx(3.4)


def test_a_meeting_over_midnight_is_cut_there(url: str) -> None:
    """All of it on one day would put three hours of the next on the bill of this one."""
    midnight = 12 * HOUR
    put(
        url,
        meeting(
            start_s=midnight - 600,
            end_s=midnight + 1200,
            turns=((midnight - 60, midnight - 50), (midnight - 5, midnight + 10)),
        ),
    )
    first, second = told(url, DAY, DAY + timedelta(days=1))
    assert (first.day, second.day) == (DAY, DAY + timedelta(days=1))
    assert (first.present_s, second.present_s) == (600.0, 1200.0)
    assert (first.talk_time_s, second.talk_time_s) == (15.0, 10.0)
    assert (first.turns, second.turns) == (2, 0)  # a turn counts when it begins
    assert first.leave == second.join == at(midnight)
    assert first.issues == {"mic_quiet": 1}
    assert second.issues == {}


def test_a_turn_with_a_breath_at_midnight_is_one(database: str) -> None:
    midnight = 12 * HOUR
    breath = ((midnight - 5, midnight - 0.1), (midnight + 0.1, midnight + 3))
    put(database, meeting(start_s=midnight - 600, end_s=midnight + 1200, turns=breath))
    assert [line.turns for line in told(database, DAY, DAY + timedelta(days=1))] == [1, 0]


def test_days_begin_where_the_time_zone_says(database: str) -> None:
    """23:30 in Berlin is 22:30 UTC: in the report for Berlin it is still today."""
    put(database, meeting(start_s=10.5 * HOUR, end_s=11.5 * HOUR, turns=()))
    assert [(line.day, line.present_s) for line in told(database)] == [(DAY, HOUR)]
    both = told(database, DAY, DAY + timedelta(days=1), BERLIN)
    assert [(line.day, line.present_s) for line in both] == [
        (DAY, HOUR / 2),
        (DAY + timedelta(days=1), HOUR / 2),
    ]
    assert f"{both[0].join:%H:%M%z}" == "23:30+0100"


def test_a_day_on_which_the_clock_changes_has_23_hours(database: str) -> None:
    start, end = bounds(BERLIN, date(2026, 3, 29), date(2026, 3, 29))
    assert end - start == timedelta(hours=23)
    put(
        database,
        meeting(
            start_s=(start - NOON).total_seconds(), end_s=(end - NOON).total_seconds(), turns=()
        ),
    )
    [line] = told(database, date(2026, 3, 29), zone=BERLIN)
    assert line.present_s == 23 * HOUR


def test_a_session_without_an_end_is_told_as_far_as_it_is_known(database: str) -> None:
    put(database, meeting(ended=False))
    [line] = told(database)
    assert line.leave is None
    assert line.present_s == 25.0  # the last sign of the session
    assert line.coverage is None
    assert line.low


def test_whose_worker_was_killed_is_not_there_for_as_long_as_the_room(url: str) -> None:
    """In a room that is always open they would be there 24 hours a day, until it is deleted."""
    day_s = 24 * HOUR
    put(
        url,
        meeting("carol", session="PS_1", ended=False),
        meeting("carol", session="PS_2", start_s=3600, end_s=3700, turns=()),
        meeting("dave", session="PS_3", turns=((30.0, 31.0), (86.0, 90.0)), ended=False),
        meeting("bob", start_s=4 * day_s, end_s=4 * day_s + 60, turns=()),
    )
    carol, dave, bob = told(url, DAY, DAY + timedelta(days=7))
    assert (carol.participant, carol.present_s, carol.leave) == ("carol", 125.0, at(3700))
    assert (dave.participant, dave.present_s, dave.leave) == ("dave", 90.0, None)
    assert (bob.participant, bob.day) == ("bob", DAY + timedelta(days=4))


def test_who_never_came_was_not_there(database: str) -> None:
    put(database, [e for e in meeting() if "participant" not in e.type])
    assert told(database) == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({**microphone(100.0), "coverage": coverage(heard_s=100.0)}, 1.0),
        ({**microphone(100.0), "coverage": coverage(heard_s=50.0, server_word_s=45.0)}, 0.95),
        ({**microphone(100.0), "coverage": coverage(heard_s=50.0)}, 0.5),
        # Somebody who is muted says nothing that could be missed.
        ({**microphone(100.0, muted_s=100.0), "coverage": coverage()}, 1.0),
        ({"coverage": coverage()}, 1.0),
        ({**microphone(100.0, muted_s=40.0), "coverage": coverage(heard_s=30.0)}, 0.7),
        # While pmon was not connected nothing is known.
        (
            {
                **microphone(75.0),
                "present_s": 75.0,
                "coverage": coverage(observed_s=75.0, unobserved_s=25.0, heard_s=75.0),
            },
            0.75,
        ),
        # Two microphones are one person.
        ({"tracks": microphone(100.0)["tracks"] * 2, "coverage": coverage(heard_s=100.0)}, 1.0),
    ],
)
def test_coverage(database: str, fields: dict[str, Any], expected: float) -> None:
    put(database, meeting(summary_fields=fields))
    [line] = told(database)
    assert line.coverage == pytest.approx(expected)
    assert line.low == (expected < 0.9)


def test_whose_microphone_was_not_listened_to_has_no_talk_time(database: str) -> None:
    """Zero would say that they were silent."""
    events = meeting(turns=(), summary_fields=microphone(100.0) | {"coverage": coverage()})
    events[0] = msgspec.structs.replace(events[0], monitoring_type="video")
    put(database, events)
    [line] = told(database)
    assert (line.talk_time_s, line.turns, line.share) == (None, None, None)
    assert line.coverage == 1.0


def test_rooms_and_labels_choose(database: str) -> None:
    put(
        database,
        meeting("alice", labels={"team": "a", "kind": "x"}),
        meeting("bob", room="other", room_sid="RM_2", labels={"team": "b"}),
    )
    assert [line.participant for line in told(database, rooms=["other"])] == ["bob"]
    assert [line.participant for line in told(database, team="a")] == ["alice"]
    assert told(database, team="a", kind="y") == []
    assert len(told(database, rooms=["other", "room-1"])) == 2
    assert told(database, DAY + timedelta(days=1)) == []


moments = st.integers(0, 4 * 86_400)


@given(
    stays=st.lists(st.tuples(moments, moments).map(sorted), min_size=1, max_size=4),
    zone=st.sampled_from([UTC_ZONE, BERLIN, ZoneInfo("Asia/Kolkata"), ZoneInfo("Pacific/Apia")]),
)
def test_days_together_are_the_whole(stays: list[list[int]], zone: ZoneInfo) -> None:
    """Whatever the time zone: no second is told twice, none is lost."""
    session = stored_session("PS_1", "p")
    spans = [Span("PS_1", at(start), at(end)) for start, end in stays]
    found = Found([session], visits=spans, turns=spans, issues=[])
    days = lines(found, zone, DAY - timedelta(days=1), DAY + timedelta(days=6))
    seconds = {second for start, end in stays for second in range(start, end)}
    assert sum(line.present_s for line in days) == len(seconds)
    assert sum(line.talk_time_s or 0 for line in days) == len(seconds)
    assert len({line.day for line in days}) == len(days)


# --- the command


def test_the_table_marks_what_rests_on_too_little(database: str) -> None:
    fields = microphone(100.0) | {"coverage": coverage(heard_s=50.0)}
    put(database, meeting("alice"), meeting("bob", summary_fields=fields))
    done = run(database)
    assert done.exit_code == 0
    rows = done.stdout.splitlines()
    [alice] = [row for row in rows if "alice" in row]
    [bob] = [row for row in rows if "bob" in row]
    assert "100%" in alice and "!" not in alice
    assert "50% !" in bob
    assert "12:00:00" in alice and "12:01:40" in alice


def test_csv_is_read_back(database: str) -> None:
    put(database, meeting('a,"b"\n', labels={}), meeting("=1+1", session="PS_2", ended=False))
    done = run(database, "--csv", "--tz", "Europe/Berlin")
    assert done.exit_code == 0
    rows = {row["participant"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    row = rows['a,"b"\n']
    assert row["day"] == "2026-03-14"
    assert datetime.fromisoformat(row["join"]).astimezone(UTC) == at(0)
    assert row["join"].endswith("+01:00")
    assert (row["present_s"], row["talk_time_s"], row["turns"]) == ("100.000", "7.000", "2")
    assert (row["talk_share"], row["coverage"]) == ("0.5000", "1.0000")
    assert (row["issues"], row["low_coverage"]) == ("mic_quiet:1", "false")
    hostile = rows["'=1+1"]  # a spreadsheet would reckon, or call out
    assert (hostile["leave"], hostile["coverage"], hostile["low_coverage"]) == ("", "", "true")


def test_a_name_is_no_markup_and_obeyed_by_no_terminal(database: str) -> None:
    put(database, meeting("[bold]x[/bold]\x1b[31m"))
    done = run(database)
    assert done.exit_code == 0
    assert "[bold]x" in "".join(done.stdout.split())
    assert "\x1b[31m" not in done.stdout


def test_a_room_is_found_behind_its_pseudonym(database: str) -> None:
    key = "a-key-that-nobody-guesses"
    put(database, meeting(room=Pseudonyms(key).room("call-123")))
    assert "alice" not in run(database, "--room", "call-123").stdout
    assert "alice" in run(database, "--room", "call-123", "--identity-key", key).stdout


@pytest.mark.parametrize("options", [(), ("--room", "support")])
def test_a_meeting_of_a_caller_and_an_agent_is_one(database: str, options: tuple[str, ...]) -> None:
    """The caller's room is a pseudonym: each would have said all that was said."""
    pseudonyms = Pseudonyms("a-key-that-nobody-guesses")
    caller = meeting("sip_+4930123456", participant_kind="sip", room="support")
    agent = meeting("agent", room="support", turns=((30.0, 33.0),))
    put(database, *([pseudonyms.event(event) for event in events] for events in (caller, agent)))
    rows = list(csv.DictReader(io.StringIO(run(database, "--csv", *options).stdout)))
    assert sorted(row["talk_share"] for row in rows) == ["0.3000", "0.7000"]


def test_only_days_on_which_somebody_was_there_are_reckoned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All people on all days were 45 s for a year of 50,000 sessions."""
    reckoned = []

    def line(*arguments: Any) -> Line | None:
        reckoned.append(arguments[2])
        return real(*arguments)

    real = days._line
    monkeypatch.setattr(days, "_line", line)
    one_session = [stored_session(f"PS_{day}", f"p{day}") for day in range(300)]
    one_hour = [
        Span(f"PS_{day}", at(day * 24 * HOUR), at((day * 24 + 1) * HOUR)) for day in range(300)
    ]
    found = Found(one_session, visits=one_hour, turns=one_hour, issues=[])
    assert len(lines(found, UTC_ZONE, DAY, DAY + timedelta(days=364))) == 300
    assert reckoned == [DAY + timedelta(days=day) for day in range(300)]


def test_nothing_to_tell_is_no_failure(database: str) -> None:
    made(database).dispose()
    done = run(database)
    assert done.exit_code == 0
    assert "Nobody" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--from", "14.3.2026"), "2026-03-14"),
        (("--tz", "Berlin"), "Europe/Berlin"),
        (("--tz", "../../etc/passwd"), "Europe/Berlin"),
        (("--label", "team"), "KEY=VALUE"),
        (("--to", "2020-01-01"), "before --to"),
        (("--from", "9999-12-30", "--to", "9999-12-31"), "from 1970 to 9998"),
        (("--from", "0001-01-01", "--to", "0001-01-02", "--tz", "Europe/Berlin"), "from 1970"),
    ],
)
def test_wrong_use_is_told_and_exits_with_2(
    database: str, arguments: tuple[str, ...], says: str
) -> None:
    done = run(database, *arguments)
    assert done.exit_code == 2
    assert says in done.stderr


def test_a_database_is_needed(tmp_path: Path) -> None:
    env = {"PMON_DATABASE": ""}
    done = CliRunner().invoke(main, ["report"], env=env)
    assert done.exit_code == 2
    assert "PMON_DATABASE" in done.stderr
    done = CliRunner().invoke(main, ["report", "--database", sqlite_url(tmp_path)], env=env)
    assert done.exit_code == 2
    assert "there is no file" in done.stderr
    assert not (tmp_path / "history.db").exists()  # to look must not make it


def test_a_database_without_a_history_is_named_as_that(postgres: PostgresServer) -> None:
    done = run(postgres.new_database())
    assert done.exit_code == 2
    assert "no history" in done.stderr


def test_the_password_stands_in_no_error(postgres: PostgresServer) -> None:
    for url in (postgres.url("nowhere"), postgres.url().replace("127.0.0.1", "127.0.0.1:x")):
        done = run(url)
        assert done.exit_code == 2
        assert PASSWORD not in done.output


def test_a_database_that_is_away_exits_with_1(postgres: PostgresServer) -> None:
    gone = postgres.url().replace(str(postgres.port), "1")
    done = run(gone)
    assert done.exit_code == 1
    assert "does not answer" in done.stderr
    assert PASSWORD not in done.output
