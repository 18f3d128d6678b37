"""For unit tests: every meeting that one drives is replayed from its trace."""

from collections.abc import Iterator

import pytest
from room_driver import Meeting


@pytest.fixture(autouse=True)
def _replayed_meetings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A trace that tells anything else than what happened would mislead who looks for a fault.

    It is over before ``monkeypatch`` is, so that what a test changed holds for the replay.
    """
    Meeting.made.clear()
    yield
    for meeting in Meeting.made:
        meeting.replay()
