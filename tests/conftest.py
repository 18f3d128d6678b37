"""For all tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from room_driver import Meeting

if TYPE_CHECKING:
    from postgres_server import PostgresServer

# How long an example takes says more of the machine than of the code.
settings.register_profile("pmon", deadline=None)
settings.load_profile("pmon")


@pytest.fixture(autouse=True)
def _replayed_meetings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every meeting that a test drives is replayed from its trace: one that tells anything else
    than what happened would mislead who looks for a fault.

    That is done before ``monkeypatch`` ends, so that what a test changed holds for the replay.
    """
    Meeting.made.clear()
    yield
    for meeting in Meeting.made:
        meeting.replay()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL for all tests of a process."""
    from postgres_server import PostgresServer

    with PostgresServer() as server:
        yield server


@pytest.fixture
def mortal_postgres(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """The same for a test that may kill it, or have it hang."""
    yield postgres
    postgres.revive()
