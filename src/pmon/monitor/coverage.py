"""Room jobs: each watches everybody whom the server would make a participant's job for."""

from __future__ import annotations

import msgspec

from pmon.monitor.participant import Participant
from pmon.monitor.session import Session, SessionState
from pmon.monitor.sessions import EndedJob, Sessions
from pmon.monitor.watch import Watch

DEPENDENT = ("agent", "egress")
"""Kinds that are there for the sake of others: the server makes no participant's job for them."""
AWAY_MAX = 1000
"""How many who left are waited for at a time, a room job. A participant's job is refused when
there are too many; here anybody with a token for the room could leave a session behind a join."""


class RoomJob(msgspec.Struct):
    """A job that watches the whole room."""

    job: str
    dispatch: str
    watch: Watch


class Coverage:
    """The room jobs of a room, and for how long the room itself has been missing.

    An empty room ends no job: it may fill again, and the server closes it when it does not.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._jobs: dict[str, RoomJob] = {}
        """By dispatch: a newer job of one takes over what the older one watches."""
        self._missing_at: float | None = None
        self._missing_s = 0.0

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def start(self, job: RoomJob) -> None:
        """Take a job; who is there has yet to be covered."""
        older = self._jobs.get(job.dispatch)
        self._jobs[job.dispatch] = job
        if older is not None and older.job != job.job:
            self._sessions.pass_on(older.job, job.job)

    def end(self, *, job: str | None = None, dispatch: str | None = None) -> None:
        """End this job, or that of a dispatch, or all; their sessions have ended before."""
        for known in list(self._jobs.values()):
            if job in (None, known.job) and dispatch in (None, known.dispatch):
                del self._jobs[known.dispatch]
                self._sessions.ended_jobs.append(EndedJob(known.job))

    def cover(self, participant: Participant, now: float) -> None:
        """Somebody is there: begin the sessions of them that are due and are not there."""
        if not self._jobs or participant.kind in DEPENDENT:
            return
        for job in self._jobs.values():
            if not self._sessions.has(participant.identity, job.dispatch):
                self.open(job, participant, now)

    def open(
        self,
        job: RoomJob,
        participant: Participant,
        now: float,
        state: SessionState | None = None,
    ) -> Session:
        return self._sessions.start(
            job.job, job.dispatch, participant, job.watch, now, state, own_job=False
        )

    def surplus(self) -> list[Session]:
        """Sessions of people who left that are too many, the longest gone first."""
        over: list[Session] = []
        for job in self._jobs.values():
            away = [s for s in self._sessions.of_dispatch(job.dispatch) if not s.present]
            if len(away) > AWAY_MAX:
                away.sort(key=lambda s: s.waited_s, reverse=True)
                over += away[: len(away) - AWAY_MAX]
        return over

    # --- the room itself

    def room_missing(self, now: float) -> None:
        """The server answers, and has no such room."""
        if self._missing_at is None:
            self._missing_at = now

    def room_not_missing(self, now: float) -> None:
        """It has one after all, or does not answer and nobody knows."""
        if self._missing_at is not None:
            self._missing_s += now - self._missing_at
            self._missing_at = None

    def room_found(self) -> None:
        """The connection is in the room."""
        self._missing_at, self._missing_s = None, 0.0

    def overdue(self, now: float) -> list[str]:
        """The jobs that have waited long enough for the room to come back."""
        if self._missing_at is None:
            return []
        missing_s = self._missing_s + now - self._missing_at
        return [j.job for j in self._jobs.values() if missing_s >= j.watch.away_timeout_s]
