"""Who watches whom in a room, as far as the server can tell: the rule that all workers go by.

LiveKit neither queues nor repeats a lost job, and never says that a worker died. So every room
connection of pmon carries the ids that its worker has had, whom that has adopted, and whether it
adopts at all, and each worker works out for itself whom nobody watches. All of them see the same
lists, so all come to the same answer.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec

from pmon.monitor.events import ParticipantKind

EVERYBODY = ""
"""Stands for a participant where a job is for the whole room."""
YOUNG_S = 10.0
"""The worker of a job younger than this may still be on its way into the room."""

MARK_BYTES = 6
MARK_CHARS = 8

_ADOPTED = "adopted-"


def adopted_job(key: Key) -> str:
    """The name of a job that the server knows nothing of."""
    return f"{_ADOPTED}{key.dispatch}-{key.participant}"


def is_adopted(job: str) -> bool:
    return job.startswith(_ADOPTED)


class Key(NamedTuple):
    """What a job is for."""

    dispatch: str
    participant: str

    @property
    def mark(self) -> str:
        """A short name, as a connection's attributes have room for thousands."""
        digest = hashlib.sha256(f"{self.dispatch}\0{self.participant}".encode()).digest()
        return base64.urlsafe_b64encode(digest[:MARK_BYTES]).decode()


class Connection(msgspec.Struct, frozen=True):
    """A room connection of a worker with our agent name."""

    identity: str
    workers: frozenset[str]
    """The ids that its worker has had."""
    adopts: bool = True
    """Its worker has a place for whom nobody watches."""
    adopted: frozenset[str] = frozenset()
    """The marks of those whom it watches without a job."""
    disowned: frozenset[str] = frozenset()
    """The marks of those whose listed job it does not have and has no place for."""


class Attendee(msgspec.Struct, frozen=True):
    """Somebody of whom the server would make a job, or the room (``EVERYBODY``)."""

    identity: str
    sid: str
    kind: ParticipantKind = "unknown"


class ListedJob(msgspec.Struct, frozen=True):
    """A job of a dispatch as it was when it was assigned; whether it ended is not known."""

    id: str
    participant: str
    participant_sid: str
    worker: str
    age_s: float = math.inf
    """Since it was assigned, by the server's clock and ours."""


class ListedDispatch(msgspec.Struct, frozen=True):
    """A dispatch with our agent name, and its jobs from the oldest to the newest."""

    id: str
    metadata: str
    jobs: tuple[ListedJob, ...] = ()


class RoomLook(msgspec.Struct, frozen=True):
    """A room as the server lists it."""

    room: str
    room_sid: str
    connections: tuple[Connection, ...]
    dispatches: tuple[ListedDispatch, ...]
    attendees: tuple[Attendee, ...]


class Judgement(msgspec.Struct):
    """What one worker makes of a look."""

    adopt: list[tuple[ListedDispatch, Attendee]] = []
    """Nobody watches them, and it is for us to do so; after ``join`` it may be for others."""
    orphans: set[Key] = set()
    """Of them those whose job was listed: no other is on its way."""
    give_up: list[Key] = []
    """We watch them, and another worker does or is to."""
    unwatched: set[Key] = set()
    """All whom nobody watches, whoever is to adopt them."""
    disown: list[Key] = []
    """The jobs of these are listed as ours, were lost, and there is no place for them."""
    join: bool = False
    """No worker that adopts has a connection here: join, and look again."""
    shared: bool = False
    """Other workers are here as well."""


class _Dispatch:
    """What the jobs of a dispatch tell. They are gone through once: a room can have a thousand
    people and all their jobs."""

    def __init__(self, jobs: Collection[ListedJob], there: Collection[str]) -> None:
        self.listed = {job.id for job in jobs}
        self._there: dict[str, dict[str, ListedJob]] = {}
        """By participant, the newest job of each worker that is there, the newest of all last."""
        for job in jobs:
            if job.worker in there:
                of_workers = self._there.setdefault(job.participant, {})
                of_workers.pop(job.worker, None)
                of_workers[job.worker] = job
        self.lost = {job.participant_sid for job in jobs}
        self.lost -= {job.participant_sid for job in jobs if job.age_s < YOUNG_S}

    def of(self, participant: str) -> Iterable[ListedJob]:
        """A participant's jobs, one of each worker that is there, from the newest on: if a worker
        disowns its own, the one before may still go on elsewhere."""
        return reversed(self._there.get(participant, {}).values())


def judge(
    look: RoomLook,
    workers: Collection[str],
    held: Mapping[Key, str],
    targets: Mapping[str, str],
    *,
    ended: Collection[tuple[Key, str]] = (),
    disowned: Collection[Key] = (),
    takes: bool = True,
) -> Judgement:
    """Apply the rule to a room: the newest job whose worker is still there owns its participant,
    else the connection that has adopted them; whom none has belongs to one of the connections that
    adopt, which their names decide.

    ``workers`` are all ids that this worker has had, ``held`` its jobs of this room, ``ended``
    those that are over, with the participant's sid then, ``disowned`` what it was told to disown
    before, and ``takes`` whether it has a place left.
    ``targets`` has the dispatches that can be worked for, with the one identity that each is for,
    if it is.
    """
    ours = [c for c in look.connections if not c.workers.isdisjoint(workers)]
    others = [c for c in look.connections if c.workers.isdisjoint(workers)]
    takers = [c for c in others if c.adopts] + (ours if takes else [])
    there = set(workers).union(*(c.workers for c in others))
    judgement = Judgement(shared=bool(others))
    for dispatch in look.dispatches:
        target = targets.get(dispatch.id)
        if target is None:
            continue
        jobs = _Dispatch(dispatch.jobs, there)
        for attendee in look.attendees:
            if target and attendee.identity not in (target, EVERYBODY):
                continue
            key = Key(dispatch.id, attendee.identity)
            newest = next(
                (
                    job
                    for job in jobs.of(attendee.identity)
                    if not _is_disowned(job, key, workers, disowned, others)
                ),
                None,
            )
            claims = _claims(key, others)
            if key in held:
                if newest is not None:
                    lost = _is_anothers(held[key], jobs.listed, newest, workers)
                else:
                    lost = is_adopted(held[key]) and _loses(key, ours, claims)
                if lost:
                    judgement.give_up.append(key)
                continue
            if (key, attendee.sid) in ended:
                continue  # for a reason
            if newest is None:
                watched = bool(claims)
                mine = not watched and (not takers or winner(key, takers) in ours)
            else:
                # A job of ours that never began: it was lost on its way to us.
                watched = newest.worker not in workers
                mine = not watched and (bool(ours) or not takers)
                if mine and ours and not takes:
                    judgement.disown.append(key)
            if not watched:
                judgement.unwatched.add(key)
            if mine:
                judgement.adopt.append((dispatch, attendee))
                if attendee.sid in jobs.lost and not others:
                    judgement.orphans.add(key)
    judgement.join = bool(judgement.adopt) and not ours
    return judgement


def winner(key: Key, connections: Iterable[Connection]) -> Connection | None:
    """The connection that is to watch whom no job owns, by rendezvous hashing."""

    def weight(connection: Connection) -> bytes:
        return hashlib.sha256(f"{connection.identity}\0{key.participant}".encode()).digest()

    return max(connections, key=weight, default=None)


def _claims(key: Key, others: Collection[Connection]) -> list[Connection]:
    """Those of other workers that have adopted them."""
    if not others:
        return []  # as a rule, and a mark is a hash
    mark = key.mark
    return [c for c in others if mark in c.adopted]


def _loses(key: Key, ours: Collection[Connection], claims: Collection[Connection]) -> bool:
    """Whether another's claim to somebody whom we adopted, too, is the better one; nothing is given
    up while our own connection is away."""
    return bool(ours) and bool(claims) and winner(key, [*ours, *claims]) not in ours


def _is_disowned(
    job: ListedJob,
    key: Key,
    workers: Collection[str],
    disowned: Collection[Key],
    others: Iterable[Connection],
) -> bool:
    """Whether the worker of a listed job has said that it neither has it nor has a place for it."""
    if job.worker in workers:
        return key in disowned
    return any(job.worker in c.workers and key.mark in c.disowned for c in others)


def _is_anothers(
    job: str, listed: Collection[str], newest: ListedJob, workers: Collection[str]
) -> bool:
    """Whether somebody whom we watch for ``job`` is another worker's by their newest job.

    A job of ours that came just now is listed some seconds later, and is the newest then.
    """
    return newest.worker not in workers and (job in listed or is_adopted(job))
