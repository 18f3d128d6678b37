"""For all tests."""

from collections.abc import Iterator

import pytest
from hypothesis import settings
from room_driver import Meeting

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
