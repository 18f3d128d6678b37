"""Which jobs end because their dispatch is gone; the questions are tested on a real server."""

from __future__ import annotations

import pytest
from agent_messages import job

from pmon.agent.actions import JobAssigned
from pmon.agent.dispatches import Ending, ending_of, endings_in
from pmon.agent.offers import assigned
from pmon.metadata import JobMetadata


def task(job_id: str, dispatch: str) -> JobAssigned:
    return assigned(job(job_id, dispatch=dispatch), JobMetadata())


def test_a_termination_without_its_dispatch_ends_the_dispatch() -> None:
    """The server would need up to a second for each further job."""
    deleted = Ending(room="clinic", dispatch="AD_1", job=None, reason="dispatch_deleted")
    assert ending_of(task("AJ_1", "AD_1"), {"AD_2"}) == deleted
    assert ending_of(task("AJ_1", "AD_1"), set()) == deleted


@pytest.mark.parametrize("listed", [{"AD_1", "AD_2"}, None])
def test_a_termination_otherwise_ends_the_job_alone(listed: set[str] | None) -> None:
    """Without an answer nothing is known of the dispatch, but the job itself is over."""
    alone = Ending(room="clinic", dispatch="AD_1", job="AJ_1", reason="job_terminated")
    assert ending_of(task("AJ_1", "AD_1"), listed) == alone


def test_only_missing_dispatches_end_and_each_once() -> None:
    """Two jobs of a dispatch end together; those of another dispatch go on."""
    tasks = [task("AJ_1", "AD_1"), task("AJ_2", "AD_1"), task("AJ_3", "AD_2")]
    deleted = Ending(room="clinic", dispatch="AD_1", job=None, reason="dispatch_deleted")
    assert endings_in(tasks, {"AD_2", "AD_3"}, "RM_1") == [deleted]


@pytest.mark.parametrize("room_sid", ["RM_2", ""])
def test_a_dispatch_that_is_missing_in_another_room_was_forgotten(room_sid: str) -> None:
    """A restarted server knows no dispatch; monitoring must not end for that."""
    assert endings_in([task("AJ_1", "AD_1")], set(), room_sid) == []
