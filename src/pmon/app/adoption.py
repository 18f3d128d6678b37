"""Watches whom nobody watches: jobs that were lost, and those of workers that are gone."""

from __future__ import annotations

import time
from collections.abc import Iterable

import structlog
from livekit import api

from pmon.agent.actions import JobAssigned
from pmon.agent.looks import Looks, attributes_of
from pmon.agent.protocol import WorkerProtocol
from pmon.agent.reconcile import (
    EVERYBODY,
    Attendee,
    Connection,
    Key,
    ListedDispatch,
    RoomLook,
    adopted_job,
    is_adopted,
    judge,
)
from pmon.agent.rounds import ROUND_S, SOON_S, RoomCount, Rounds
from pmon.app import messages as msg
from pmon.app.pool import Pool
from pmon.metadata import JobMetadata, MetadataError, decode_metadata
from pmon.outputs.metrics import Metrics
from pmon.settings import Settings

WORKERS_KEPT = 256
"""Ids of this worker that its connections carry; each registration gives it another one. A job of
an id that was dropped would be taken for one that nobody has."""
DISPATCHES_KEPT = 4096
ENDED_KEPT = 65_536

log = structlog.get_logger("pmon.worker")


class Adoption:
    """Looks at the server's rooms in rounds; ``pause_s`` after one comes the next."""

    def __init__(
        self,
        settings: Settings,
        server: api.LiveKitAPI,
        protocol: WorkerProtocol,
        pool: Pool,
        metrics: Metrics,
    ) -> None:
        self._job_type = settings.job_type
        self._looks = Looks(server, settings.agent_name, settings.job_type)
        self._protocol = protocol
        self._pool = pool
        self._metrics = metrics
        self._rounds = Rounds()
        self._workers: list[str] = []
        self._registered_anew = False
        """Since the last round began, whose looks may be older than that."""
        self._adopted: dict[str, JobAssigned] = {}
        self._ended: dict[str, set[tuple[Key, str]]] = {}
        """By room, whom we watch no more although they may be there, with their sid then."""
        self._given_up: set[str] = set()
        self._disowned: dict[str, set[Key]] = {}
        """By room, whose jobs were lost while there was no place for them."""
        self._metadata: dict[str, JobMetadata | None] = {}
        """By dispatch; None is metadata that is refused."""

    # --- what happens

    def registered(self, worker_id: str) -> None:
        """The worker has this id from now on, and the jobs of the earlier ones."""
        if worker_id not in self._workers:
            self._workers = [*self._workers[1 - WORKERS_KEPT :], worker_id]
            self._pool.handle(msg.Workers(ids=self._workers))
        self._registered_anew = True

    def ended(self, job: str) -> bool:
        """A job is over. Returns whether it was adopted: the server knows nothing of it."""
        task = self._adopted.pop(job, None) or self._protocol.job(job)
        self._protocol.adopted = len(self._adopted)
        if job in self._given_up:  # to another worker, and may come back from it
            self._given_up.discard(job)
        elif task is not None:
            key = self._key(task.dispatch, task.participant)
            self._ended.setdefault(task.room, set()).add((key, task.participant_sid))
            if sum(map(len, self._ended.values())) > ENDED_KEPT:
                del self._ended[next(iter(self._ended))]
        return is_adopted(job)

    def somebody_came(self, room: str) -> None:
        self._rounds.changed(room, time.monotonic())

    def removed(self, room_sid: str) -> None:
        """An administrator removed our connection from a room."""
        self._rounds.removed(room_sid)

    @property
    def tasks(self) -> list[JobAssigned]:
        """What was adopted and goes on."""
        return list(self._adopted.values())

    # --- rounds

    @property
    def pause_s(self) -> float:
        return SOON_S if self._rounds.pressing else ROUND_S

    async def round(self) -> None:
        """Look where something may be amiss, and put it right."""
        # Without the websocket the server may answer all the same, and our rooms go on.
        if not self._workers or self._protocol.draining:
            return
        rooms = await self._looks.rooms()
        if rooms is None:
            return
        there = {room.name for room in rooms}
        self._ended = {room: ended for room, ended in self._ended.items() if room in there}
        self._disowned = {room: keys for room, keys in self._disowned.items() if room in there}
        counts = [RoomCount(room.name, room.sid, room.num_participants) for room in rooms]
        if self._registered_anew:
            self._registered_anew = False
            self._rounds.registered(time.monotonic())
        due = set(self._rounds.rooms(counts, self._watched(), time.monotonic()))
        for room in rooms:
            if room.name in due:
                look = await self._looks.room(room)
                if look is None:
                    self._rounds.unanswered(room.name, time.monotonic())
                elif not look.dispatches:
                    self._rounds.nothing(room.name, time.monotonic())
                elif not self._protocol.draining:
                    await self._act(look)
        self.tell_unwatched()

    def tell_unwatched(self) -> None:
        """Bring the metric up to date: by what the rounds found, and what the processes say."""
        self._metrics.set_unwatched(self._rounds.unwatched + self._pool.unwatched)

    async def _act(self, look: RoomLook) -> None:
        held = self._held(look.room)
        metadata = dict(self._decoded(look.dispatches, look.room))
        judgement = judge(
            look,
            self._workers,
            held,
            {dispatch: decoded.participant_identity for dispatch, decoded in metadata.items()},
            ended=self._ended.get(look.room, ()),
            disowned=self._disowned.get(look.room, ()),
            takes=self._protocol.free_in(look.room) > 0,
        )
        ripe = self._rounds.looked(
            look.room,
            judgement,
            time.monotonic(),
            allowed=self._protocol.free_in(look.room),
            adopted=[key for key, job in held.items() if is_adopted(job)],
        )
        if judgement.disown:
            self._disowned.setdefault(look.room, set()).update(judgement.disown)
        for key in judgement.give_up:
            self._given_up.add(held[key])
            self._pool.handle(msg.EndJob(job=held[key], reason="watched_elsewhere"))
        if judgement.join and ripe:
            self._pool.handle(msg.Prepare(rooms=[look.room]))
        for dispatch, attendee in ripe if not judgement.join else ():
            self._adopt(look, dispatch, attendee, metadata[dispatch.id])
        await self._renew(look)

    async def _renew(self, look: RoomLook) -> None:
        """Let our connections carry the id that we have now, and whom we have adopted."""
        held = self._held(look.room)
        # A later job of theirs is held like any other.
        disowned = self._disowned.get(look.room, set())
        disowned -= held.keys()
        for connection in look.connections:
            if connection.workers.isdisjoint(self._workers):
                continue
            now = Connection(
                connection.identity,
                workers=frozenset(self._workers),
                adopts=self._protocol.free_in(look.room) > 0,
                adopted=frozenset(key.mark for key, job in held.items() if is_adopted(job)),
                disowned=frozenset(key.mark for key in disowned),
            )
            if now != connection:
                await self._looks.renew(look.room, connection.identity, attributes_of(now))

    def _adopt(
        self,
        look: RoomLook,
        dispatch: ListedDispatch,
        attendee: Attendee,
        metadata: JobMetadata,
    ) -> None:
        target = metadata.participant_identity if attendee.identity == EVERYBODY else ""
        task = JobAssigned(
            job=adopted_job(Key(dispatch.id, attendee.identity)),
            dispatch=dispatch.id,
            room=look.room,
            room_sid=look.room_sid,
            participant=attendee.identity or target,
            participant_sid=attendee.sid,
            participant_kind=attendee.kind,
            metadata=metadata,
            agent_name=self._protocol.agent_name,
        )
        self._adopted[task.job] = task
        self._protocol.adopted = len(self._adopted)
        self._metrics.job("adopted")
        log.info(
            "watching whom nobody watched",
            dispatch_id=task.dispatch,
            room=task.room,
            participant=task.participant,
        )
        self._pool.handle(msg.StartJob.of(task))

    # --- what is known

    def _watched(self) -> dict[str, int]:
        """How many people are watched in each room."""
        return {
            room.room: len({s.participant for s in room.sessions if s.present})
            for room in self._pool.rooms
        }

    def _held(self, room: str) -> dict[Key, str]:
        """Our jobs of a room, by what they are for."""
        return {
            self._key(job.dispatch, job.participant): job.job for job in self._pool.jobs_in(room)
        }

    def _key(self, dispatch: str, participant: str) -> Key:
        return Key(dispatch, EVERYBODY if self._job_type == "room" else participant)

    def _decoded(
        self, dispatches: Iterable[ListedDispatch], room: str
    ) -> Iterable[tuple[str, JobMetadata]]:
        """The metadata of the dispatches where it is good."""
        for dispatch in dispatches:
            if dispatch.id not in self._metadata:
                self._metadata[dispatch.id] = self._decode(dispatch, room)
                if len(self._metadata) > DISPATCHES_KEPT:
                    del self._metadata[next(iter(self._metadata))]
            metadata = self._metadata.get(dispatch.id)
            if metadata is not None:
                yield dispatch.id, metadata

    def _decode(self, dispatch: ListedDispatch, room: str) -> JobMetadata | None:
        try:
            return decode_metadata(dispatch.metadata)
        except MetadataError as error:
            log.error(
                "nobody is adopted: bad metadata",
                dispatch_id=dispatch.id,
                room=room,
                problem=str(error),
                key=error.key,
            )
            return None
