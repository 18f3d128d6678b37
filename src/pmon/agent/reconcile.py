"""Who watches whom in a room, as far as the server can tell: the rule that all workers go by.

LiveKit neither queues nor repeats a lost job, and never says that a worker died. So every room
connection of pmon carries the ids that its worker has had, and each worker works out for itself
whom nobody watches. All of them see the same lists, so all come to the same answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec

from pmon.monitor.events import ParticipantKind

EVERYBODY = ""
"""Stands for a participant where a job is for the whole room."""


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


class Connection(msgspec.Struct, frozen=True):
    """A room connection of a worker with our agent name."""

    identity: str
    workers: frozenset[str]
    """The ids that its worker has had."""


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
    join: bool = False
    """No worker has a connection here: join, and look again."""
    shared: bool = False
    """Other workers are here as well."""


def judge(
    look: RoomLook,
    workers: Collection[str],
    held: Mapping[Key, str],
    targets: Mapping[str, str],
) -> Judgement:
    """Apply the rule to a room: the newest job whose worker is still there owns its participant;
    whom no job owns belongs to one of the connections, which their names decide.

    ``workers`` are all ids that this worker has had, ``held`` its jobs of this room. ``targets``
    has the dispatches that can be worked for, with the one identity that each is for, if it is.
    """
    ours = {c.identity for c in look.connections if not c.workers.isdisjoint(workers)}
    there: set[str] = set(workers)
    there = there.union(*(c.workers for c in look.connections))
    judgement = Judgement(shared=len(ours) < len(look.connections))
    for dispatch in look.dispatches:
        target = targets.get(dispatch.id)
        if target is None:
            continue
        # Each list is gone through once: a room can have a thousand people and all their jobs.
        newest_jobs = {job.participant: job for job in dispatch.jobs if job.worker in there}
        listed = {job.id for job in dispatch.jobs}
        sids = {job.participant_sid for job in dispatch.jobs}
        for attendee in look.attendees:
            if target and attendee.identity not in (target, EVERYBODY):
                continue
            key = Key(dispatch.id, attendee.identity)
            newest = newest_jobs.get(attendee.identity)
            won = winner(attendee.identity, look.connections) in ours
            if key in held:
                if _is_anothers(held[key], listed, newest, workers, won=won or not ours):
                    judgement.give_up.append(key)
            elif _is_nobodys(attendee, newest, workers) and (
                won or not look.connections or (ours and newest is not None)
            ):
                judgement.adopt.append((dispatch, attendee))
                if attendee.sid in sids:
                    judgement.orphans.add(key)
    judgement.join = bool(judgement.adopt) and not ours
    return judgement


def winner(participant: str, connections: Iterable[Connection]) -> str | None:
    """The connection that is to watch whom no job owns, by rendezvous hashing."""

    def weight(connection: Connection) -> bytes:
        return hashlib.sha256(f"{connection.identity}\0{participant}".encode()).digest()

    best = max(connections, key=weight, default=None)
    return None if best is None else best.identity


def _is_anothers(
    job: str,
    listed: Collection[str],
    newest: ListedJob | None,
    workers: Collection[str],
    *,
    won: bool,
) -> bool:
    """Whether somebody whom we watch for ``job`` is another worker's."""
    if newest is None:
        return is_adopted(job) and not won
    # A job of ours that came just now is listed some seconds later, and is the newest then.
    return newest.worker not in workers and (job in listed or is_adopted(job))


def _is_nobodys(attendee: Attendee, newest: ListedJob | None, workers: Collection[str]) -> bool:
    """Whether somebody whom we do not watch is watched by nobody.

    A job of ours that is not held any more has ended: for a reason, if they are still the same
    participant; else they came back since, and the job that this made was lost.
    """
    if newest is None:
        return True
    return newest.worker in workers and newest.participant_sid != attendee.sid
