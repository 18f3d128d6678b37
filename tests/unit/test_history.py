"""The output that writes the history: what stops the start, what waits, what is lost."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from history_samples import changes, contents, made, meeting, sqlite_url, stored
from postgres_server import PASSWORD, PostgresServer
from sqlalchemy import text

from pmon.monitor import events as ev
from pmon.outputs.history import rows
from pmon.outputs.history.database import HistoryError, make_file, open_engine
from pmon.outputs.history.migrate import upgrade
from pmon.outputs.history.output import History
from pmon.outputs.history.rows import Row
from pmon.outputs.history.tables import LINK, ROOM, SUMMARY, metadata
from pmon.settings import SettingsError


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


async def until(condition: Callable[[], bool], within_s: float = 30.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - a thread knows nothing of the loop
            await asyncio.sleep(0.01)


async def started(url: str, **options: int | float) -> History:
    history = History(url, retry_s=0.05, **options)  # type: ignore[arg-type]
    try:
        await history.start()
    except HistoryError:
        await history.aclose()
        raise
    return history


def give(history: History, events: list[ev.AnyEvent]) -> None:
    for event in events:
        history.event(event)


# --- tables


def test_the_tables_are_those_of_the_migrations(url: str) -> None:
    """A column without a migration is there in the tests and missing in production."""
    engine = made(url)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    assert differences == []


def test_to_upgrade_again_changes_nothing(url: str) -> None:
    engine = made(url)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO meetings (room, room_sid, began_at, last_at)"
                                " VALUES ('r', 's', '2026-01-01', '2026-01-01')"))  # fmt: skip
    upgrade(engine)
    assert len(contents(engine)["meetings"]) == 1
    engine.dispose()


def test_workers_that_start_at_once_make_the_tables_once(url: str) -> None:
    """A fleet that is rolled out starts all its workers in the same second."""
    assert problems_of_starts_at_once(url) == []


def test_workers_that_make_the_file_at_once_wait_for_each_other(tmp_path: Path) -> None:
    """Of two that turn the log of a new file on SQLite refuses one without waiting: that worker
    ended as it started, one time in eight.
    """
    for number in range(15):
        assert problems_of_starts_at_once(f"sqlite:///{tmp_path}/{number}.db") == []


def problems_of_starts_at_once(url: str) -> list[Exception]:
    problems: list[Exception] = []
    together = threading.Barrier(6)

    def start() -> None:
        engine = open_engine(url)
        make_file(engine)
        together.wait()
        try:
            upgrade(engine)
        except Exception as error:
            problems.append(error)
        engine.dispose()

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems


async def test_a_database_of_a_newer_program_is_refused(url: str) -> None:
    """An older worker would write rows that the newer one takes for something else."""
    engine = made(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(HistoryError, match=r"PMON_DATABASE .* newer pmon \(9999; .* up to 0001"):
        await started(url)


def test_every_column_says_what_it_is_and_names_its_unit() -> None:
    for table in metadata.tables.values():
        for column in table.columns:
            assert column.comment
            if column.name.endswith("_s"):
                assert "in seconds" in column.comment, column


def test_every_figure_of_the_summaries_has_a_column() -> None:
    """Otherwise a new one would be measured and lost."""
    columns = set(metadata.tables["sessions"].columns.keys())
    apart = {"room", "quality_s", "link", "issues", "coverage"}
    assert set(ev.SessionSummary.__struct_fields__) - apart <= columns
    assert set(ev.Coverage.__struct_fields__) <= columns
    assert {f"link_{name}" for name in ev.LinkSummary.__struct_fields__} <= columns
    assert set(ev.RoomSummary.__struct_fields__) - {"since"} == set(ROOM)
    assert set(LINK) == set(ev.LinkSummary.__struct_fields__)
    assert set(SUMMARY) <= columns


# --- starting


async def test_what_is_told_is_stored(url: str) -> None:
    history = await started(url)
    give(history, meeting("alice"))
    give(history, meeting("bob"))
    await history.aclose()
    assert history.dropped == 0
    assert [s["participant"] for s in stored(url)["sessions"]] == ["alice", "bob"]


async def test_a_restarted_worker_goes_on(url: str) -> None:
    for name in ("alice", "bob"):
        history = await started(url)
        give(history, meeting(name))
        await history.aclose()
    assert len(stored(url)["sessions"]) == 2


async def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    history = await started(f"sqlite:///{tmp_path}/made/history.db")
    give(history, meeting())
    await history.aclose()
    assert stat.S_IMODE((tmp_path / "made" / "history.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["/dev/null/history.db", "folder", "text"])
async def test_a_file_that_cannot_be_a_database_stops_the_start(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("this is no database, but a text that is long enough" * 20)
    history = History(f"sqlite:///{tmp_path / name}")
    with pytest.raises(SettingsError, match="PMON_DATABASE"):
        await history.start()
    await history.aclose()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ((PASSWORD, "hunter2"), "password authentication failed"),
        (("1:{port}/postgres", "1:{port}/nowhere"), "does not exist"),
        (("//postgres:", "//nobody:"), "authentication failed"),
    ],
)
async def test_what_waiting_does_not_mend_stops_the_start(
    postgres: PostgresServer, change: tuple[str, str], says: str
) -> None:
    old, new = (part.replace("{port}", str(postgres.port)) for part in change)
    with pytest.raises(HistoryError, match=f"PMON_DATABASE.*{says}") as caught:
        await started(postgres.url().replace(old, new))
    assert "hunter2" not in str(caught.value)
    assert PASSWORD not in str(caught.value)


async def test_a_database_that_nobody_reaches_is_waited_for(
    mortal_postgres: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a power cut the worker may be back before its database."""
    url = mortal_postgres.new_database()
    mortal_postgres.kill()
    history = await started(url)
    give(history, meeting())
    await until(lambda: "history cannot be written; it waits" in capsys.readouterr().out)
    mortal_postgres.start()
    await until(lambda: history.waiting == 0)
    await history.aclose()
    assert history.dropped == 0
    assert len(stored(url)["sessions"]) == 1


async def test_a_server_that_accepts_and_says_nothing_holds_up_nothing(tmp_path: Path) -> None:
    """As a load balancer without a database behind it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        url = f"postgresql://u:p@127.0.0.1:{port}/d?connect_timeout=2"
        history = await asyncio.wait_for(started(url), 10.0)
        give(history, meeting())
        await asyncio.wait_for(history.aclose(deadline_s=0.2), 2.0)
    assert history.dropped > 0


# --- while it runs


async def test_the_newest_events_wait_and_the_others_are_counted(
    mortal_postgres: PostgresServer,
) -> None:
    url = mortal_postgres.new_database()
    history = await started(url, backlog=10)
    mortal_postgres.kill()
    for number in range(10):
        give(history, meeting(f"p{number}", turns=()))
    await until(lambda: history.dropped == 70 - 10)
    mortal_postgres.start()
    await until(lambda: history.waiting == 0)
    await history.aclose()
    assert history.dropped == 60
    assert "p9" in {s["participant"] for s in stored(url)["sessions"]}


async def test_a_row_that_is_refused_keeps_no_other_out(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be tried for ever, and all that comes after it would be lost."""

    def spoilt(event: ev.SpeakingStopped) -> Row:
        row = turn(event)
        return row | {"turn_s": None} if event.participant == "bad" else row

    turn = rows._turn
    monkeypatch.setattr(rows, "_turn", spoilt)
    history = await started(url)
    for name in ("alice", "bad", "carol"):
        give(history, meeting(name))
    await history.aclose()
    found = stored(url)
    assert {s["participant"] for s in found["sessions"]} == {"alice", "bad", "carol"}
    assert {t["session"] for t in found["turns"]} == {"PS_alice", "PS_carol"}
    assert history.dropped == 2
    assert "the database refuses a row" in capsys.readouterr().out


async def test_what_people_are_called_stands_in_no_error(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A database tells the row that it refuses, in its message or as the statement's values."""
    monkeypatch.setattr("pmon.outputs.history.rows._text", lambda text: None)
    history = await started(url)
    give(history, meeting("secret-alice", session="PS_secret-alice"))
    await history.aclose()
    assert history.dropped > 0
    assert "secret-alice" not in capsys.readouterr().out


async def test_a_file_that_somebody_else_writes_is_waited_for(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    history = await started(url)
    other = open_engine(url)
    with other.begin():
        give(history, meeting())
        await asyncio.sleep(0.1)
        assert history.dropped == 0
    other.dispose()
    await history.aclose()
    assert len(stored(url)["sessions"]) == 1


async def test_a_hanging_database_holds_up_neither_events_nor_the_exit(
    mortal_postgres: PostgresServer,
) -> None:
    history = await started(mortal_postgres.new_database())
    mortal_postgres.pause()
    try:
        give(history, meeting())
        await asyncio.wait_for(history.aclose(deadline_s=0.2), 2.0)
        assert history.dropped > 0
    finally:
        mortal_postgres.go_on()
        await until(lambda: "history" not in {t.name for t in threading.enumerate()})
        await history.aclose()  # what it left open while it hung


def test_an_event_costs_the_loop_little() -> None:
    """200 µs an event is the limit of all outputs together; the row of a whole session is the
    largest."""
    events = [meeting(f"p{n}", session=f"PS_{n}") for n in range(200)]
    began = time.process_time()
    made = sum(len(changes(each)) for each in events)
    spent_s = time.process_time() - began
    assert made > 2000
    assert spent_s / sum(map(len, events)) < 100e-6


def test_nothing_of_it_is_loaded_without_a_database() -> None:
    """The extra is for those who keep a history."""
    check = (
        "import sys, pmon.app.supervisor, pmon.cli.main;"
        "sys.exit(bool({'sqlalchemy', 'alembic', 'psycopg'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", check], env=os.environ.copy()).returncode == 0
