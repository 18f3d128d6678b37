"""What the benchmark reads off pmon's own pages must be what they say."""

from __future__ import annotations

import pytest
from capacity.pages import told_of
from capacity.results import Told

METRICS = """
# TYPE pmon_listening gauge
pmon_listening{mode="heard"} 61.0
pmon_listening{mode="resting"} 789.0
pmon_process_load{process="media-0"} 0.5
"""
WORKER = '{"worker_type": "JT_PARTICIPANT", "worker_load": 0.31, "media": {}}'


@pytest.mark.parametrize(("more", "overdue"), [("", None), ("pmon_microphones_overdue 2.0\n", 2)])
def test_listening_and_load_are_read(more: str, overdue: int | None) -> None:
    """A worker that does not tell who is overdue has not told that nobody is."""
    told = told_of(METRICS + more, WORKER)
    assert told == Told(heard=61, resting=789, overdue=overdue, load=0.31)
