"""What a media process leaves behind, and what its successor is told."""

from __future__ import annotations

import msgspec

from pmon.app import messages as msg
from pmon.app.slot import BACKOFF_S, SETTLED_S, STEADY_S, Slot
from pmon.metadata import JobMetadata


def start(job: str, room: str = "standup", dispatch: str = "AD_1") -> msg.StartJob:
    return msg.StartJob(
        job=job,
        dispatch=dispatch,
        room=room,
        participant=f"of {job}",
        participant_sid="",
        participant_kind="standard",
        metadata=JobMetadata(),
    )


def state(text: str) -> bytes:
    return msgspec.msgpack.encode(text)


def running(*jobs: msg.StartJob) -> Slot:
    slot = Slot("media-0")
    assert slot.ready(0.0) == []
    for job in jobs:
        assert slot.ask(job) == [job]
    return slot


def test_a_process_is_told_first_whose_connections_it_makes() -> None:
    slot = running(start("AJ_1"))
    workers = msg.Workers(ids=["AW_1"])
    assert slot.ask(workers) == [workers]
    slot.gone(1.0)
    assert slot.ready(2.0) == [workers, start("AJ_1")]


def test_what_is_asked_before_a_process_is_there_waits_for_it() -> None:
    slot = Slot("media-0")
    assert slot.ask(start("AJ_1")) == []
    assert slot.ready(0.0) == [start("AJ_1")]


def test_a_successor_goes_on_from_the_last_checkpoint() -> None:
    slot = running(start("AJ_1"), start("AJ_2"))
    slot.heard(msg.Checkpoint(job="AJ_1", participant="of AJ_1", state=state("old")))
    slot.heard(msg.Checkpoint(job="AJ_1", participant="of AJ_1", state=state("new")))
    slot.gone(1.0)
    first, second = slot.ready(2.0)
    assert isinstance(first, msg.StartJob)
    assert first.states == [state("new")]
    assert second == start("AJ_2")


def test_a_job_that_ended_is_not_started_again() -> None:
    slot = running(start("AJ_1"))
    slot.heard(msg.Checkpoint(job="AJ_1", participant="of AJ_1", state=state("x")))
    slot.heard(msg.JobEnded(job="AJ_1"))
    slot.heard(msg.Checkpoint(job="AJ_1", participant="of AJ_1", state=state("late")))
    slot.gone(1.0)
    assert slot.ready(2.0) == []
    assert slot.rooms == []


def test_an_ending_that_was_not_carried_out_is_asked_for_again() -> None:
    """The server has said it once and will not say it again."""
    slot = running(start("AJ_1"), start("AJ_2", dispatch="AD_2"), start("AJ_3"))
    endings: list[msg.ToHost] = [
        msg.EndJob(job="AJ_1", reason="job_terminated"),
        msg.EndDispatch(room="standup", dispatch="AD_2", reason="dispatch_deleted"),
    ]
    for ending in endings:
        slot.ask(ending)
    slot.gone(1.0)
    assert slot.ready(2.0)[3:] == endings
    slot.heard(msg.JobEnded(job="AJ_1"))
    slot.heard(msg.JobEnded(job="AJ_2"))
    slot.gone(3.0)
    assert slot.ready(4.0) == [start("AJ_3")]


def test_nothing_goes_to_a_process_that_hands_over() -> None:
    slot = running()
    slot.pause(0.5)
    assert slot.ask(start("AJ_1")) == []
    assert slot.ready(1.0) == [start("AJ_1")]


def test_dying_again_and_again_waits_longer_until_one_lives() -> None:
    slot = running()
    waits = []
    for second in range(6):
        waits.append(slot.gone(float(second)))
        slot.ready(float(second))
    assert waits == [*BACKOFF_S, BACKOFF_S[-1]]
    assert slot.gone(5.0 + STEADY_S) == BACKOFF_S[0]


def test_one_that_is_never_ready_does_not_live_on_what_the_one_before_it_lived() -> None:
    """Each start was taken for the end of a long life, and the next came at once, for ever."""
    slot = running()
    waits = [slot.gone(3600.0 + second) for second in range(3)]
    assert waits == [*BACKOFF_S[:3]]
    assert slot.is_unsound(3603.0)


def test_one_that_lives_for_a_few_seconds_again_and_again_is_unsound_meanwhile_too() -> None:
    """Each of them said that it was idle, drew the next jobs, and died with them."""
    slot = running()
    slot.gone(5.0)
    slot.ready(6.0)
    assert not slot.is_unsound(6.0), "one death is over in a second"
    slot.gone(10.0)
    slot.ready(11.0)
    assert slot.is_unsound(11.0 + SETTLED_S - 0.1)
    assert not slot.is_unsound(11.0 + SETTLED_S)


def test_a_handover_is_no_death_and_ends_a_long_life() -> None:
    slot = running()
    slot.gone(1.0)
    slot.gone(2.0)
    slot.ready(3.0)
    slot.pause(3.0 + STEADY_S)
    slot.ready(4.0 + STEADY_S)
    assert not slot.is_unsound(4.0 + STEADY_S)
    assert slot.gone(5.0 + STEADY_S) == BACKOFF_S[0]


def test_a_room_job_goes_on_with_each_session_that_has_not_ended() -> None:
    """Else who left long ago would be there again, or the memory of a busy room would fill."""
    job = msgspec.structs.replace(start("AJ_1"), participant="")
    slot = running(job)
    for name in ("ann", "bob"):
        slot.heard(msg.Checkpoint(job="AJ_1", participant=name, state=state(name)))
    slot.heard(msg.Checkpoint(job="AJ_1", participant="ann", state=None))
    slot.gone(1.0)
    (again,) = slot.ready(2.0)
    assert again == msgspec.structs.replace(job, states=[state("bob")])
    slot.heard(msg.Checkpoint(job="AJ_1", participant="bob", state=None))
    slot.gone(3.0)
    (again,) = slot.ready(4.0)
    assert again == msgspec.structs.replace(job, states=[])
