"""Who watches whom nobody watches: all workers come to the same answer, each by itself."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from pmon.agent.reconcile import (
    EVERYBODY,
    Attendee,
    Connection,
    Judgement,
    Key,
    ListedDispatch,
    ListedJob,
    RoomLook,
    adopted_job,
    judge,
    winner,
)

ANN = Attendee("ann", "PA_1", "standard")
OURS = Connection("pmon-us", frozenset({"AW_us"}))
OTHER = Connection("pmon-other", frozenset({"AW_other"}))
KEY = Key("AD_1", "ann")
FREE = {"AD_1": ""}


def job(name: str, worker: str, participant_sid: str = "PA_1", who: str = "ann") -> ListedJob:
    return ListedJob(name, who, participant_sid, worker)


def look(
    *jobs: ListedJob,
    connections: tuple[Connection, ...] = (OURS,),
    attendees: tuple[Attendee, ...] = (ANN,),
) -> RoomLook:
    dispatch = ListedDispatch("AD_1", "", jobs)
    return RoomLook("standup", "RM_1", connections, (dispatch,), attendees)


def ask(
    seen: RoomLook, held: dict[Key, str] | None = None, workers: tuple[str, ...] = ("AW_us",)
) -> Judgement:
    return judge(seen, workers, held or {}, FREE)


def adopts(judgement: Judgement) -> list[str]:
    return [attendee.identity for _, attendee in judgement.adopt]


class TestNobodyWatches:
    def test_who_never_had_a_job_is_adopted(self) -> None:
        assert adopts(ask(look())) == ["ann"]

    def test_whose_worker_is_gone_is_adopted(self) -> None:
        """It was killed, and nobody tells."""
        judgement = ask(look(job("AJ_1", "AW_dead")))
        assert adopts(judgement) == ["ann"]
        assert judgement.orphans == {KEY}
        assert not ask(look()).orphans

    def test_first_we_join(self) -> None:
        judgement = ask(look(connections=()))
        assert judgement.join
        assert not ask(look()).join

    def test_a_room_where_another_worker_is_is_left_to_that(self) -> None:
        """Whom it adopted is on no list, and not to be taken from it."""
        judgement = ask(look(connections=(OTHER,)))
        assert not judgement.join
        assert adopts(judgement) == []

    def test_a_job_that_was_lost_after_they_came_back_is_ours_to_replace(self) -> None:
        """Others see our earlier job and take them for watched, whoever would win."""
        seen = look(job("AJ_1", "AW_us", "PA_0"), connections=(OURS, OTHER))
        assert adopts(ask(seen)) == ["ann"]
        assert adopts(ask(seen, workers=("AW_other",))) == []

    def test_a_room_job_stands_for_everybody(self) -> None:
        seen = look(attendees=(Attendee(EVERYBODY, ""),))
        assert adopts(ask(seen)) == [EVERYBODY]
        assert adopts(ask(look(job("AJ_1", "AW_us", "", ""), attendees=seen.attendees))) == []


class TestSomebodyWatches:
    def test_the_newest_job_of_a_worker_that_is_there_owns(self) -> None:
        seen = look(job("AJ_1", "AW_us"), job("AJ_2", "AW_other"), connections=(OURS, OTHER))
        assert adopts(ask(seen)) == []
        assert ask(seen, {KEY: "AJ_1"}).give_up == [KEY]
        assert ask(seen, {KEY: "AJ_2"}, ("AW_other",)).give_up == []

    def test_what_we_hold_is_kept_while_its_job_is_not_listed_yet(self) -> None:
        seen = look(job("AJ_1", "AW_other"), connections=(OURS, OTHER))
        assert ask(seen, {KEY: "AJ_new"}).give_up == []

    def test_a_job_that_ended_for_a_reason_is_not_begun_again(self) -> None:
        assert adopts(ask(look(job("AJ_1", "AW_us")))) == []

    def test_nor_is_the_room_joined_for_it_again(self) -> None:
        """Else it would be joined and left for ever."""
        judgement = ask(look(job("AJ_1", "AW_us"), connections=()))
        assert judgement == Judgement()

    def test_jobs_of_earlier_registrations_are_ours(self) -> None:
        seen = look(job("AJ_1", "AW_before"))
        workers = ("AW_before", "AW_us")
        assert ask(seen, {KEY: "AJ_1"}, workers) == Judgement()

    def test_an_adopted_one_is_given_up_to_a_job(self) -> None:
        seen = look(job("AJ_1", "AW_other"), connections=(OURS, OTHER))
        assert ask(seen, {KEY: adopted_job(KEY)}).give_up == [KEY]

    def test_nothing_is_given_up_while_our_own_connection_is_away(self) -> None:
        seen = look(connections=(OTHER,))
        assert ask(seen, {KEY: adopted_job(KEY)}).give_up == []


def test_a_dispatch_for_somebody_else_adopts_nobody() -> None:
    assert judge(look(), ["AW_us"], {}, {"AD_1": "ben"}).adopt == []
    assert adopts(judge(look(), ["AW_us"], {}, {"AD_1": "ann"})) == ["ann"]
    assert judge(look(), ["AW_us"], {}, {}).adopt == []


class Counted(tuple[ListedJob, ...]):
    """Jobs that know how often they were gone through."""

    times = 0

    def __iter__(self) -> Iterator[ListedJob]:
        self.times += 1
        return super().__iter__()


def test_a_crowd_is_judged_without_going_through_all_jobs_for_each() -> None:
    """A thousand people who came back a few times would hold up the worker for a second."""
    crowd = [Attendee(f"p{n}", f"PA_{n}") for n in range(40)]
    jobs = Counted(job(f"AJ_{a.identity}", "AW_dead", a.sid, a.identity) for a in crowd)
    dispatch = ListedDispatch("AD_1", "", jobs)
    seen = RoomLook("standup", "RM_1", (OURS,), (dispatch,), tuple(crowd))
    assert adopts(ask(seen)) == [a.identity for a in crowd]
    held = {Key("AD_1", a.identity): f"AJ_{a.identity}" for a in crowd}
    assert ask(seen, held) == Judgement()
    assert jobs.times < len(crowd)


names = st.integers(0, 5).map(lambda n: f"p{n}")
worker_ids = st.integers(0, 4).map(lambda n: f"AW_{n}")


@st.composite
def rooms(draw: st.DrawFn) -> RoomLook:
    there = draw(st.lists(worker_ids, unique=True, min_size=1))
    connections = tuple(Connection(f"pmon-{w}", frozenset({w})) for w in there)
    attendees = tuple(Attendee(n, f"PA_{n}") for n in draw(st.lists(names, unique=True)))
    made = draw(st.lists(st.tuples(names, worker_ids)))
    jobs = tuple(ListedJob(f"AJ_{i}", n, f"PA_{n}", w) for i, (n, w) in enumerate(made))
    return RoomLook("standup", "RM_1", connections, (ListedDispatch("AD_1", "", jobs),), attendees)


@given(rooms())
def test_in_the_end_everybody_is_watched_once(seen: RoomLook) -> None:
    """Each worker holds the jobs that it got, and applies the rule twice."""
    workers = {w for c in seen.connections for w in c.workers}
    jobs = seen.dispatches[0].jobs
    held: dict[str, dict[Key, str]] = {w: {} for w in workers}
    present = {a.identity for a in seen.attendees}
    for known in jobs:
        if known.worker in workers and known.participant in present:
            held[known.worker][Key("AD_1", known.participant)] = known.id
    for _ in range(2):
        for worker in sorted(workers):
            judgement = judge(seen, [worker], held[worker], FREE)
            assert not judgement.join
            for key in judgement.give_up:
                del held[worker][key]
            for dispatch, attendee in judgement.adopt:
                key = Key(dispatch.id, attendee.identity)
                held[worker][key] = adopted_job(key)
    watched = [key.participant for keys in held.values() for key in keys]
    assert sorted(watched) == sorted(present)


@given(rooms())
def test_order_does_not_matter_for_who_wins(seen: RoomLook) -> None:
    for attendee in seen.attendees:
        won = winner(attendee.identity, seen.connections)
        assert won == winner(attendee.identity, seen.connections[::-1])
