"""Who watches whom nobody watches: all workers come to the same answer, each by itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pmon.agent.reconcile import (
    EVERYBODY,
    MARK_CHARS,
    Attendee,
    Connection,
    Judgement,
    Key,
    ListedDispatch,
    ListedJob,
    RoomLook,
    adopted_job,
    is_adopted,
    judge,
    winner,
)

ANN = Attendee("ann", "PA_1", "standard")
OURS = Connection("pmon-us", frozenset({"AW_us"}))
OTHER = Connection("pmon-other", frozenset({"AW_other"}))
KEY = Key("AD_1", "ann")
FREE = {"AD_1": ""}
STALE_ROUNDS = 4
"""To join a room, and to take the same people before anybody hears of the other."""


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
    seen: RoomLook,
    held: dict[Key, str] | None = None,
    workers: tuple[str, ...] = ("AW_us",),
    *,
    ended: tuple[tuple[Key, str], ...] = (),
    takes: bool = True,
) -> Judgement:
    return judge(seen, workers, held or {}, FREE, ended=ended, takes=takes)


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
        over = ((Key("AD_1", EVERYBODY), ""),)
        listed = look(job("AJ_1", "AW_us", "", ""), attendees=seen.attendees)
        assert adopts(ask(listed, ended=over)) == []

    def test_a_job_that_was_lost_on_its_way_is_begun(self) -> None:
        """The server lists it as ours, so no other worker would watch them."""
        assert adopts(ask(look(job("AJ_1", "AW_us")))) == ["ann"]

    def test_the_worker_of_a_young_job_is_waited_for(self) -> None:
        """It is joining the room, and looks like one that is gone."""
        young = msgspec.structs.replace(job("AJ_1", "AW_joins"), age_s=3.0)
        assert adopts(ask(look(young))) == ["ann"]
        assert not ask(look(young)).orphans
        assert ask(look(job("AJ_0", "AW_dead"))).orphans == {KEY}
        assert not ask(look(job("AJ_0", "AW_dead"), young)).orphans


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
        seen = look(job("AJ_1", "AW_us"))
        assert adopts(ask(seen, ended=((KEY, "PA_1"),))) == []
        assert adopts(ask(seen, ended=((KEY, "PA_0"),))) == ["ann"]

    def test_nor_is_the_room_joined_for_it_again(self) -> None:
        """Else it would be joined and left for ever."""
        seen = look(job("AJ_1", "AW_us"), connections=())
        assert ask(seen, ended=((KEY, "PA_1"),)) == Judgement()

    def test_jobs_of_earlier_registrations_are_ours(self) -> None:
        seen = look(job("AJ_1", "AW_before"))
        workers = ("AW_before", "AW_us")
        assert ask(seen, {KEY: "AJ_1"}, workers) == Judgement()

    def test_an_adopted_one_is_given_up_to_a_job(self) -> None:
        seen = look(job("AJ_1", "AW_other"), connections=(OURS, OTHER))
        assert ask(seen, {KEY: adopted_job(KEY)}).give_up == [KEY]

    def test_nothing_is_given_up_while_our_own_connection_is_away(self) -> None:
        seen = look(connections=(claiming(OTHER),))
        assert ask(seen, {KEY: adopted_job(KEY)}).give_up == []

    def test_one_of_two_who_adopted_the_same_gives_them_up(self) -> None:
        """They could not see each other's connection at the time."""
        seen = look(connections=(claiming(OURS), claiming(OTHER)))
        held = {KEY: adopted_job(KEY)}
        given_up = [ask(seen, held, (w,)).give_up for w in ("AW_us", "AW_other")]
        assert sorted(given_up) == [[], [KEY]]

    def test_an_adopted_one_stays_when_another_worker_joins(self) -> None:
        """Handing over costs seconds of watching, and gains nothing."""
        seen = look(connections=(claiming(OURS), OTHER))
        assert ask(seen, {KEY: adopted_job(KEY)}) == Judgement(shared=True)
        assert ask(seen, {}, ("AW_other",)) == Judgement(shared=True)


class TestNoPlaceLeft:
    @given(st.text(min_size=1, max_size=5))
    def test_who_has_no_place_is_not_waited_for(self, identity: str) -> None:
        """A full worker in the room would leave unwatched whom the names give to it."""
        ann = Attendee(identity, "PA_1")
        full = Connection("pmon-other", frozenset({"AW_other"}), adopts=False)
        seen = look(connections=(OURS, full), attendees=(ann,))
        assert adopts(ask(seen)) == [identity]
        assert adopts(ask(seen, workers=("AW_other",), takes=False)) == []

    def test_a_worker_elsewhere_joins_when_all_here_are_full(self) -> None:
        seen = look(connections=(Connection("pmon-other", frozenset({"AW_other"}), adopts=False),))
        assert ask(seen).join

    def test_a_job_that_was_lost_on_its_way_to_a_full_worker_goes_to_another(self) -> None:
        """The server lists it as that worker's, whose connection is there."""
        seen = look(job("AJ_1", "AW_us"), connections=(OURS, OTHER))
        full = ask(seen, takes=False)
        assert (full.disown, full.unwatched) == ([KEY], {KEY})
        assert adopts(ask(seen, workers=("AW_other",))) == []
        said = Connection("pmon-us", OURS.workers, adopts=False, disowned=frozenset({KEY.mark}))
        seen = look(job("AJ_1", "AW_us"), connections=(said, OTHER))
        assert adopts(ask(seen, workers=("AW_other",))) == ["ann"]
        assert adopts(judge(seen, ["AW_us"], {}, FREE, disowned=[KEY], takes=False)) == []

    def test_our_own_mark_is_older_than_what_we_know(self) -> None:
        full = Connection("pmon-us", frozenset({"AW_us"}), adopts=False)
        assert adopts(ask(look(connections=(full,)))) == ["ann"]

    def test_they_count_as_unwatched_where_nobody_has_a_place(self) -> None:
        assert adopts(ask(look(), takes=False)) == ["ann"]


def claiming(connection: Connection) -> Connection:
    return msgspec.structs.replace(connection, adopted=frozenset({KEY.mark}))


@given(st.text(), st.text())
def test_marks_have_one_length(dispatch: str, participant: str) -> None:
    """They are put together without anything between them."""
    assert len(Key(dispatch, participant).mark) == MARK_CHARS


def test_a_dispatch_for_somebody_else_adopts_nobody() -> None:
    assert judge(look(), ["AW_us"], {}, {"AD_1": "ben"}).adopt == []
    assert adopts(judge(look(), ["AW_us"], {}, {"AD_1": "ann"})) == ["ann"]
    assert judge(look(), ["AW_us"], {}, {}).adopt == []


def test_who_still_watches_is_left_to_it_when_a_newer_job_is_disowned() -> None:
    """They came back, and the other worker lost that job. Were they nobody's then, a third worker
    would adopt them, and neither would ever give them up."""
    older, newer = job("AJ_1", "AW_us"), job("AJ_2", "AW_other")
    disowning = msgspec.structs.replace(OTHER, adopts=False, disowned=frozenset({KEY.mark}))
    seen = look(older, newer, connections=(OURS, disowning))
    assert ask(seen, {KEY: "AJ_1"}) == Judgement(shared=True)
    third = ask(seen, workers=("AW_third",))
    assert (third.adopt, third.unwatched) == ([], set())


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


class Fleet:
    """Workers that apply the rule in turns; what their connections carry is renewed at each.

    A stale look shows the others as before the last round: a worker knows at once what it has and
    whether it has a place left, but tells them when it looks at the room the next time.
    """

    def __init__(self, seen: RoomLook, places: dict[str, int], lost: set[str]) -> None:
        self._seen = seen
        self._places = places
        self._inside = {w for c in seen.connections for w in c.workers}
        self.held: dict[str, dict[Key, str]] = {w: {} for w in places}
        self._disowned: dict[str, set[Key]] = {w: set() for w in places}
        self._marks = {w: Connection(f"pmon-{w}", frozenset({w})) for w in places}
        self._before = self._connections()
        present = {a.identity for a in seen.attendees}
        for known in seen.dispatches[0].jobs:
            if known.id in lost:
                continue  # on its way, or its session was one of another sid
            if known.worker in self._inside and known.participant in present:
                self.held[known.worker][Key("AD_1", known.participant)] = known.id

    @property
    def watched(self) -> list[str]:
        """Everybody as often as they are watched."""
        return [key.participant for keys in self.held.values() for key in keys]

    def free(self, worker: str) -> int:
        return max(0, self._places[worker] - len(self.held[worker]))

    def round(self, turns: Sequence[str], stale: Collection[str] = ()) -> None:
        before, self._before = self._before, self._connections()
        for worker in turns:
            self._turn(worker, before if worker in stale else self._connections())

    def _connections(self) -> dict[str, Connection]:
        return {w: self._marks[w] for w in sorted(self._inside)}

    def _turn(self, worker: str, others: dict[str, Connection]) -> None:
        held = self.held[worker]
        ours = {worker: self._marks[worker]} if worker in self._inside else {}
        connections = tuple((others | ours).values())
        seen = msgspec.structs.replace(self._seen, connections=connections)
        takes, disowned = self.free(worker) > 0, self._disowned[worker]
        judgement = judge(seen, [worker], held, FREE, takes=takes, disowned=disowned)
        disowned |= set(judgement.disown)
        for key in judgement.give_up:
            del held[key]
        if judgement.join:
            if self.free(worker):
                self._inside.add(worker)
        else:
            for dispatch, attendee in judgement.adopt[: self.free(worker)]:
                key = Key(dispatch.id, attendee.identity)
                held[key] = adopted_job(key)
        self._marks[worker] = Connection(
            f"pmon-{worker}",
            frozenset({worker}),
            adopts=self.free(worker) > 0,
            adopted=frozenset(key.mark for key, name in held.items() if is_adopted(name)),
            disowned=frozenset(key.mark for key in disowned - held.keys()),
        )


@given(rooms(), st.data())
def test_in_the_end_everybody_is_watched_once(seen: RoomLook, data: st.DataObject) -> None:
    """Wherever there is a place left, in the room or in a worker that has not joined it."""
    workers = sorted({w for c in seen.connections for w in c.workers} | {"AW_8", "AW_9"})
    places = {w: data.draw(st.integers(0, 6), label=w) for w in workers}
    names = [known.id for known in seen.dispatches[0].jobs]
    lost = data.draw(st.sets(st.sampled_from(names)), label="lost") if names else set()
    fleet = Fleet(seen, places, lost)
    turns = st.permutations(workers)
    for _ in range(STALE_ROUNDS):
        stale = data.draw(st.sets(st.sampled_from(workers)), label="stale")
        fleet.round(data.draw(turns), stale)
    for _ in range(2):
        fleet.round(data.draw(turns))
    assert len(fleet.watched) == len(set(fleet.watched)), "for 10 s at most"
    for _ in workers:
        fleet.round(data.draw(turns))
    assert len(fleet.watched) == len(set(fleet.watched))
    left = {a.identity for a in seen.attendees} - set(fleet.watched)
    assert not left or not any(map(fleet.free, workers))


@given(rooms())
def test_order_does_not_matter_for_who_wins(seen: RoomLook) -> None:
    for attendee in seen.attendees:
        key = Key("AD_1", attendee.identity)
        assert winner(key, seen.connections) == winner(key, seen.connections[::-1])
