"""Watches whom nobody watches: jobs that were lost, and those of workers that are gone."""

from __future__ import annotations

import time
from collections.abc import Iterable

import structlog
from livekit import api

from pmon.agent.actions import JobAssigned
from pmon.agent.looks import Looks
from pmon.agent.protocol import WorkerProtocol
from pmon.agent.reconcile import (
    EVERYBODY,
    Attendee,
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
        self._adopted: dict[str, JobAssigned] = {}
        self._metadata: dict[str, JobMetadata | None] = {}
        """By dispatch; None is metadata that is refused."""

    # --- what happens

    def registered(self, worker_id: str) -> None:
        """The worker has this id from now on, and the jobs of the earlier ones."""
        if worker_id not in self._workers:
            self._workers = [*self._workers[1 - WORKERS_KEPT :], worker_id]
            self._pool.handle(msg.Workers(ids=self._workers))

    def ended(self, job: str) -> bool:
        """A job is over. Returns whether it was adopted: the server knows nothing of it."""
        self._adopted.pop(job, None)
        self._protocol.adopted = len(self._adopted)
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
        if not self._protocol.registered or self._protocol.draining:
            return
        rooms = await self._looks.rooms()
        if rooms is None:
            return
        counts = [RoomCount(room.name, room.sid, room.num_participants) for room in rooms]
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
        self._metrics.set_unwatched(self._rounds.unwatched)

    async def _act(self, look: RoomLook) -> None:
        held = self._held(look.room)
        targets = dict(self._targets(look.dispatches, look.room))
        judgement = judge(look, self._workers, held, targets)
        ripe = self._rounds.looked(
            look.room,
            judgement,
            time.monotonic(),
            allowed=self._protocol.free,
            adopted=[key for key, job in held.items() if is_adopted(job)],
        )
        for key in judgement.give_up:
            self._pool.handle(msg.EndJob(job=held[key], reason="watched_elsewhere"))
        if judgement.join and ripe:
            self._pool.handle(msg.Prepare(rooms=[look.room]))
        for dispatch, attendee in ripe if not judgement.join else ():
            self._adopt(look, dispatch, attendee)
        await self._renew(look)

    async def _renew(self, look: RoomLook) -> None:
        """Let our connections carry the id that we have now."""
        for connection in look.connections:
            ours = not connection.workers.isdisjoint(self._workers)
            if ours and self._workers[-1] not in connection.workers:
                workers = ",".join(self._workers)
                await self._looks.renew(look.room, connection.identity, workers)

    def _adopt(self, look: RoomLook, dispatch: ListedDispatch, attendee: Attendee) -> None:
        metadata = self._metadata[dispatch.id]
        assert metadata is not None
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
        everybody = self._job_type == "room"
        return {
            Key(job.dispatch, EVERYBODY if everybody else job.participant): job.job
            for job in self._pool.jobs_in(room)
        }

    def _targets(
        self, dispatches: Iterable[ListedDispatch], room: str
    ) -> Iterable[tuple[str, str]]:
        """The dispatches whose metadata is good, and whom each is for."""
        for dispatch in dispatches:
            metadata = self._decoded(dispatch, room)
            # A room job for one person ends with them, and would begin again for ever.
            alone = metadata and self._job_type == "room" and metadata.participant_identity
            if metadata is not None and not alone:
                yield dispatch.id, metadata.participant_identity

    def _decoded(self, dispatch: ListedDispatch, room: str) -> JobMetadata | None:
        if dispatch.id in self._metadata:
            return self._metadata[dispatch.id]
        metadata = None
        try:
            metadata = decode_metadata(dispatch.metadata)
        except MetadataError as error:
            log.error(
                "nobody is adopted: bad metadata",
                dispatch_id=dispatch.id,
                room=room,
                problem=str(error),
                key=error.key,
            )
        self._metadata[dispatch.id] = metadata
        if len(self._metadata) > DISPATCHES_KEPT:
            del self._metadata[next(iter(self._metadata))]
        return metadata
