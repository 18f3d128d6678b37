"""Which media process gets a room, and when one is full: the processes are stand-ins."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Set
from datetime import UTC, datetime
from types import SimpleNamespace

import msgspec
import pytest

from pmon.app import messages as msg
from pmon.app.pool import PREPARED_S, Pool
from pmon.app.reserved import KEPT_S, PEOPLE_A_ROOM
from pmon.app.slot import SETTLED_S, Slot
from pmon.metadata import JobMetadata
from pmon.monitor.view import RoomView, SessionView
from pmon.settings import Settings

ONE_MORE = 0.0006
BEGAN = datetime(2026, 3, 14, tzinfo=UTC)


class Place:
    """A place whose process does what it is asked, and says what the test lets it say."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        on_message: Callable[[Place, msg.FromHost], None],
        on_gone: Callable[[Place, Set[str]], None],
    ) -> None:
        self.slot = Slot(name)
        self.slot.ready(0.0)
        self.rooms: list[str] = []
        """What it was asked to join or to watch, in order."""
        self.process: object = None
        self.is_replaced = False
        self.hands_over_now = False
        self.reasons: list[tuple[str, Set[str]]] = []
        """What it was to be replaced for, and the rooms that were away then."""
        self._on_message = on_message
        self._on_gone = on_gone

    def ask(self, message: msg.ToHost) -> None:
        self.slot.ask(message)
        if isinstance(message, msg.StartJob):
            self.rooms.append(message.room)
        elif isinstance(message, msg.Prepare):
            self.rooms += message.rooms

    def says(self, message: msg.FromHost) -> None:
        self.slot.heard(message)
        self._on_message(self, message)

    def is_busy(self, reported: float, microphones: int = 0) -> None:
        self.says(load(reported, microphones))

    @property
    def works(self) -> bool:
        return self.slot.running or self.hands_over_now

    def dies(self, now: float = 0.0) -> None:
        self.slot.gone(now)
        self._on_gone(self, frozenset())

    def begins_to_hand_over(self) -> None:
        self.slot.pause(0.0)
        self.hands_over_now = True

    def hands_over(self, *, unprepared: Set[str] = frozenset()) -> None:
        self.begins_to_hand_over()
        self._on_gone(self, set(self.slot.rooms) - unprepared)
        self.slot.ready(0.0)
        self.hands_over_now = False

    def has_grown(self, mib: int) -> None:
        memory = SimpleNamespace(rss=mib << 20)
        self.process = SimpleNamespace(memory_info=lambda: memory)

    def recycle(self, reason: str, away: Set[str]) -> bool:
        self.reasons.append((reason, away))
        self.is_replaced = not away
        return self.is_replaced


def load(reported: float, microphones: int = 0) -> msg.HostLoad:
    return msg.HostLoad(
        reported=reported,
        one_more=ONE_MORE,
        refuse_jobs=False,
        microphones=microphones,
        audible=microphones,
        heard=microphones,
        rooms=1,
        rooms_adaptive=0,
        looks="always",
        overdue=0,
    )


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture
def places() -> list[Place]:
    return []


@pytest.fixture
def told() -> list[msg.FromHost]:
    return []


@pytest.fixture
def pool(
    monkeypatch: pytest.MonkeyPatch, places: list[Place], clock: Clock, told: list[msg.FromHost]
) -> Pool:
    def make(*args: object) -> Place:
        places.append(Place(*args))  # type: ignore[arg-type]
        return places[-1]

    monkeypatch.setattr("pmon.app.pool.Place", make)
    settings = Settings(api_key="key", api_secret="secret", workers=2)
    return Pool(settings, told.append)


def start(job: str, room: str, participant: str = "ann") -> msg.StartJob:
    return msg.StartJob(
        job=job,
        dispatch="AD_1",
        room=room,
        participant=participant,
        participant_sid="",
        participant_kind="standard",
        metadata=JobMetadata(),
    )


def watched(room: str, *identities: str) -> RoomView:
    """A room in which so many are present and watched."""
    sessions = [
        SessionView(
            session=f"PS_{identity}",
            job="AJ_1",
            dispatch="AD_1",
            participant=identity,
            participant_kind="standard",
            since=BEGAN,
            present=True,
            speaking=False,
            talk_time_s=0.0,
            quality="excellent",
            poor=False,
            issues=[],
        )
        for identity in identities
    ]
    return RoomView(room=room, room_sid="RM_1", connected=True, time=BEGAN, sessions=sessions)


def checkpoint(
    job: str, participant: str, state: bytes | None = b"state", *, absent: bool = False
) -> msg.Checkpoint:
    return msg.Checkpoint(job=job, participant=participant, state=state, absent=absent)


def counts(places: list[Place]) -> list[int]:
    return [len(set(place.rooms)) for place in places]


def test_rooms_that_are_joined_before_their_jobs_come_are_spread(
    pool: Pool, places: list[Place]
) -> None:
    """After a deploy all rooms are adopted in one round, and all of them went to one process."""
    for room in "abcd":
        pool.handle(msg.Prepare(rooms=[room]))
    assert counts(places) == [2, 2]
    for room in "abcd":
        pool.handle(start(f"AJ_{room}", room))
    assert counts(places) == [2, 2], "a room stays where it is"


def test_a_busy_process_gets_no_new_room(pool: Pool, places: list[Place]) -> None:
    """A job may be one participant or a whole room: their number says little."""
    busy, idle = places
    pool.handle(start("AJ_1", "large", participant=""))
    pool.handle(start("AJ_2", "small", participant=""))
    assert (busy.rooms, idle.rooms) == (["large"], ["small"])
    busy.is_busy(0.5)
    idle.is_busy(0.1)
    for number in range(3, 8):
        pool.handle(start(f"AJ_{number}", f"room-{number}"))
    assert busy.rooms == ["large"]


def test_loads_that_hardly_differ_do_not_decide(pool: Pool, places: list[Place]) -> None:
    places[0].is_busy(0.21)
    places[1].is_busy(0.19)
    for room in "abcd":
        pool.handle(start(f"AJ_{room}", room))
    assert counts(places) == [2, 2]


def test_many_rooms_at_once_do_not_all_go_where_little_is_done(
    pool: Pool, places: list[Place]
) -> None:
    """The load that decides is a second old, and a round may bring fifty."""
    places[0].is_busy(0.2)
    places[1].is_busy(0.0)
    pool.handle(msg.Prepare(rooms=[f"room-{number}" for number in range(100)]))
    assert 20 < counts(places)[0] < 50


def test_a_room_that_nobody_came_for_counts_no_more(
    pool: Pool, places: list[Place], clock: Clock
) -> None:
    pool.handle(msg.Prepare(rooms=["a", "b"]))
    pool.handle(start("AJ_b", "b"))
    clock.now += PREPARED_S
    pool.handle(start("AJ_c", "c"))
    assert places[0].rooms == ["a", "c"]


def test_a_process_that_has_just_begun_anew_is_not_taken_for_idle(
    pool: Pool, places: list[Place]
) -> None:
    """Its rooms come back in a moment."""
    for place in places:
        place.is_busy(0.3)
    pool.handle(start("AJ_1", "a"))
    places[0].dies()
    assert pool.loads == [load(0.3)], "what it does not do any more"
    assert pool.shares == pytest.approx([0.3 + ONE_MORE, 0.3]), "what it has to do again"
    pool.handle(start("AJ_2", "b"))
    pool.handle(start("AJ_3", "c"))
    assert Counter(places[1].rooms) == {"b": 1, "c": 1}
    places[0].is_busy(0.0)
    assert pool.shares[0] == pytest.approx(ONE_MORE), "its job is expected once more"


def test_a_process_that_dies_again_and_again_draws_no_jobs(
    pool: Pool, places: list[Place], clock: Clock
) -> None:
    """LiveKit gives the next job to the idlest worker, and a dead process did nothing at all."""
    for place in places:
        place.is_busy(0.3)
        pool.handle(start(f"AJ_{place.slot.name}", place.slot.name))
    for place in places:
        place.dies()
    assert pool.shares == pytest.approx([0.3 + ONE_MORE] * 2), "one death is over in a second"
    assert not pool.full("media-0")
    for place in places:
        place.slot.ready(clock.now)
        place.dies(clock.now + 3.0)
    assert pool.shares == [1.0, 1.0]
    assert pool.full("media-0")
    places[0].slot.ready(clock.now)
    places[0].is_busy(0.1)
    assert pool.shares == [1.0, 1.0], "the one before it lived for three seconds as well"
    clock.now += SETTLED_S
    assert pool.shares == pytest.approx([0.1 + ONE_MORE, 1.0])


def test_nobody_counts_as_watched_whose_process_is_dead(
    pool: Pool, places: list[Place], told: list[msg.FromHost]
) -> None:
    """The metrics said that all was well, until another process told of its rooms."""
    pool.handle(start("AJ_1", "a"))
    pool.handle(start("AJ_2", "b"))
    rooms = [watched("a", "ann"), watched("b", "bob", "eve")]
    places[0].says(msg.HostStatus(rooms=rooms[:1]))
    places[1].says(msg.HostStatus(rooms=rooms[1:]))
    places[0].hands_over()
    assert (pool.rooms, pool.unwatched) == (rooms, 0)
    places[0].dies()
    assert (pool.rooms, pool.unwatched) == (rooms[1:], 1)
    assert told[-1] == msg.HostStatus(rooms=[]), "nobody has to ask for it"
    places[0].dies()
    assert pool.unwatched == 1, "it has not said a word in between"
    away = msgspec.structs.replace(rooms[0], connected=False)
    places[0].says(msg.HostStatus(rooms=[away]))
    assert pool.unwatched == 1, "it is not in the room yet"
    places[0].says(msg.HostStatus(rooms=rooms[:1]))
    assert (pool.rooms, pool.unwatched) == (rooms, 0)


def test_whose_process_dies_before_it_told_of_them_is_unwatched(
    pool: Pool, places: list[Place]
) -> None:
    """A room that kills its process counted for nobody, and no alert was raised."""
    for name in ("ann", "bob"):
        pool.handle(start(f"AJ_{name}", "poison", name))
        pool.handle(start(f"AJ_{name}_twice", "poison", name))
    places[0].says(msg.HostStatus(rooms=[]))
    assert pool.unwatched == 0
    places[0].dies()
    assert pool.unwatched == 2
    pool.handle(start("AJ_eve", "poison", "eve"))
    assert pool.unwatched == 3, "nobody watches who comes meanwhile"
    places[0].slot.ready(0.0)
    places[0].says(msg.HostStatus(rooms=[watched("poison", "ann")]))
    assert pool.unwatched == 0


def test_a_job_for_everybody_names_them_by_their_checkpoints(
    pool: Pool, places: list[Place]
) -> None:
    """A process that died before it told of its rooms had watched nobody."""
    pool.handle(start("AJ_1", "a", participant=""))
    for name in ("ann", "bob"):
        places[0].says(checkpoint("AJ_1", name))
    places[0].dies()
    assert pool.unwatched == 2
    places[0].slot.ready(0.0)
    places[0].says(msg.HostStatus(rooms=[watched("a", "ann", "bob")]))
    places[0].says(checkpoint("AJ_1", "eve"))
    places[0].dies()
    assert pool.unwatched == 3


def test_who_had_left_or_whose_job_ended_is_not_unwatched(pool: Pool, places: list[Place]) -> None:
    for name in ("ann", "bob", "cleo"):
        pool.handle(start(f"AJ_{name}", "a", name))
    places[0].says(checkpoint("AJ_bob", "bob", absent=True))
    places[0].dies()
    assert pool.unwatched == 2
    places[0].slot.heard(msg.JobEnded(job="AJ_cleo"))
    assert pool.unwatched == 1
    places[0].dies()
    assert pool.unwatched == 1


def test_who_comes_back_is_unwatched_when_the_process_dies(pool: Pool, places: list[Place]) -> None:
    """The rooms that it tells of are some seconds old."""
    pool.handle(start("AJ_1", "a", participant=""))
    for name in ("ann", "bob"):
        places[0].says(checkpoint("AJ_1", name))
    for absent in (True, False, True):
        places[0].says(checkpoint("AJ_1", "bob", absent=absent))
        places[0].dies()
        assert pool.unwatched == (1 if absent else 2)
    places[0].says(checkpoint("AJ_1", "bob", state=None))
    places[0].says(checkpoint("AJ_1", "ann", state=None))
    assert pool.unwatched == 0
    places[0].says(checkpoint("AJ_1", "bob"))
    assert pool.unwatched == 1, "with another session"


def test_whose_room_is_not_joined_yet_is_unwatched(pool: Pool, places: list[Place]) -> None:
    """A room may kill its process as it is joined."""
    pool.handle(start("AJ_1", "a"))
    room = watched("a", "ann")
    room.sessions[0] = msgspec.structs.replace(room.sessions[0], present=False)
    places[0].says(msg.HostStatus(rooms=[msgspec.structs.replace(room, connected=False)]))
    places[0].dies()
    assert pool.unwatched == 1


def test_who_comes_back_while_the_process_is_dead_is_unwatched(
    pool: Pool, places: list[Place]
) -> None:
    pool.handle(start("AJ_1", "a"))
    places[0].says(checkpoint("AJ_1", "ann", absent=True))
    places[0].dies()
    assert pool.unwatched == 0
    pool.handle(start("AJ_2", "a"))
    assert pool.unwatched == 1


def test_who_comes_during_a_handover_is_not_unwatched(pool: Pool, places: list[Place]) -> None:
    """All of the room counted, though two processes were in it."""
    pool.handle(start("AJ_1", "a"))
    places[0].says(msg.HostStatus(rooms=[watched("a", "ann")]))
    places[0].begins_to_hand_over()
    pool.handle(start("AJ_2", "a", "bob"))
    assert pool.unwatched == 0
    places[0].hands_over()
    assert pool.unwatched == 0


def test_who_comes_while_the_process_is_dead_is_unwatched(pool: Pool, places: list[Place]) -> None:
    pool.handle(start("AJ_1", "a"))
    places[0].dies()
    places[1].dies()
    pool.handle(start("AJ_2", "b"))
    assert pool.unwatched == 2
    pool.handle(start("AJ_3", "c", participant=""))
    assert pool.unwatched == 2, "who is in a room that nobody has joined, nobody knows"


def test_people_of_a_room_that_is_left_behind_are_unwatched(
    pool: Pool, places: list[Place]
) -> None:
    """One that is too large goes in the end, whether the next could join all rooms or not."""
    places[1].is_busy(1.0)
    pool.handle(start("AJ_1", "a"))
    for name in ("bob", "eve"):
        pool.handle(start(f"AJ_{name}", "b", name))
    rooms = [watched("a", "ann"), watched("b", "bob", "eve")]
    places[0].says(msg.HostStatus(rooms=rooms))
    places[0].hands_over(unprepared={"b"})
    assert (pool.rooms, pool.unwatched) == (rooms[:1], 2)
    places[0].says(msg.HostStatus(rooms=rooms))
    assert pool.unwatched == 0


def test_one_process_is_replaced_at_a_time_and_the_largest_first(
    pool: Pool, places: list[Place]
) -> None:
    """All at once needed the memory of all twice, on a machine that had too little of it."""
    pool.recycle(100 << 20)  # before any process is there
    for place, mib in zip(places, (120, 130), strict=True):
        place.has_grown(mib)
    pool.recycle(100 << 20)
    pool.recycle(100 << 20)
    assert [place.reasons for place in places] == [
        [],
        [("130 MiB are more than PMON_MAX_RSS", set())],
    ]
    places[1].is_replaced = False
    places[1].has_grown(90)
    pool.recycle(100 << 20)
    assert [len(place.reasons) for place in places] == [1, 1]


def test_one_that_is_put_off_for_a_room_lets_the_others_be_replaced(
    pool: Pool, places: list[Place]
) -> None:
    away = msgspec.structs.replace(watched("b", "bob"), connected=False)
    places[1].says(msg.HostStatus(rooms=[watched("a", "ann"), away]))
    for place, mib in zip(places, (120, 130), strict=True):
        place.has_grown(mib)
    pool.recycle(100 << 20)
    assert [[away for _, away in place.reasons] for place in places] == [[set()], [{"b"}]]


def test_nobody_is_unwatched_in_a_room_that_nobody_asks_for_any_more(
    pool: Pool, places: list[Place]
) -> None:
    pool.handle(start("AJ_1", "a"))
    places[0].says(msg.HostStatus(rooms=[watched("a", "ann")]))
    places[0].dies()
    places[0].says(msg.JobEnded(job="AJ_1", error=None))
    places[0].says(msg.HostStatus(rooms=[]))
    assert pool.unwatched == 0


def test_a_full_process_is_full_for_its_rooms_alone(pool: Pool, places: list[Place]) -> None:
    """The worker reports its least busy process, so joiners of this one's rooms kept coming."""
    pool.handle(start("AJ_1", "a"))
    pool.handle(start("AJ_2", "b"))
    assert not pool.full("a"), "nothing is known yet"
    places[0].is_busy(1.0)
    places[1].is_busy(0.0)
    assert pool.full("a")
    assert not pool.full("b")
    assert not pool.full("a room that is new")


def test_jobs_count_before_their_process_has_planned_for_them(
    pool: Pool, places: list[Place], clock: Clock
) -> None:
    """Else a crowd is accepted in the second before it shows in any load."""
    for place in places:
        place.is_busy(0.5)
    for number in range(400):
        pool.handle(start(f"AJ_{number}", "crowd"))
    assert pool.full("crowd")
    assert sorted(pool.shares) == pytest.approx([0.5, 0.5 + 400 * ONE_MORE])
    places[0].is_busy(0.6, microphones=300)
    assert sorted(pool.shares) == pytest.approx([0.5, 0.6 + 100 * ONE_MORE])
    clock.now += KEPT_S
    assert sorted(pool.shares) == pytest.approx([0.5, 0.6]), "who has no microphone costs little"


def test_a_job_for_everybody_is_taken_for_some_people(pool: Pool, places: list[Place]) -> None:
    places[0].is_busy(0.0)
    pool.handle(start("AJ_1", "a", participant=""))
    assert pool.shares == pytest.approx([PEOPLE_A_ROOM * ONE_MORE])


def test_the_process_that_comes_up_last_gets_its_rooms(pool: Pool, places: list[Place]) -> None:
    """Rooms never move, and after a restart all of them are joined within a second."""
    places[0].is_busy(0.0)
    for room in ("a", "b", "c", "d"):
        pool.handle(msg.Prepare(rooms=[room]))
    assert len(places[0].rooms) == len(places[1].rooms) == 2
