"""A place for one media process: its jobs, and what another process needs to go on. Sans-IO.

That is the running jobs with the last checkpoint of their sessions, and what was asked for and
not done yet.
"""

from __future__ import annotations

import msgspec

from pmon.app import messages as msg

BACKOFF_S = (0.0, 1.0, 2.0, 5.0, 10.0)
"""Waits before the next process, the last one repeated. Dying at once must not fill a core."""
STEADY_S = 60.0
"""A process that lived for so long was sound: the next one need not wait."""
SETTLED_S = 10.0
"""One that comes after several that died has to live for so long before it is given more."""


class Slot:
    """The jobs of one media process, over the lives of several."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.jobs: dict[str, msg.StartJob] = {}
        self._states: dict[str, dict[str, bytes]] = {}
        """By job and participant."""
        self._absent: set[tuple[str, str]] = set()
        """Of these, who is known not to be there."""
        self.workers: msg.Workers | None = None
        self.running = False
        """A process is there and has been told of its jobs."""
        self._endings: list[msg.EndJob | msg.EndDispatch] = []
        """What has to end and has not ended yet: a process that dies first leaves it undone."""
        self._deaths = 0
        self._ready_at: float | None = None
        """When the process that is there was ready; None if it is not."""

    @property
    def rooms(self) -> list[str]:
        """Where its jobs are, each once."""
        return list(dict.fromkeys(job.room for job in self.jobs.values()))

    def people(self, room: str) -> set[str]:
        """Who is to be watched in a room and there, as far as that is known: a job for everybody
        says so of those who have a session.
        """
        found: set[str] = set()
        for name, job in self.jobs.items():
            if job.room == room:
                people = [job.participant] if job.participant else self._states.get(name, ())
                found.update(p for p in people if (name, p) not in self._absent)
        return found

    # --- what goes to the process

    def ask(self, message: msg.ToHost) -> list[msg.ToHost]:
        """Take a message for the process. Returns what to send it now."""
        match message:
            case msg.StartJob(job=job):
                self.jobs[job] = message
            case msg.EndJob() | msg.EndDispatch():
                self._endings.append(message)
            case msg.Workers():
                self.workers = message
        return [message] if self.running else []

    def ready(self, now: float) -> list[msg.ToHost]:
        """A process is there. Returns what it has to be told first."""
        self.running = True
        self._ready_at = now
        starts = [
            msgspec.structs.replace(job, states=self._states_of(name))
            for name, job in self.jobs.items()
        ]
        workers = [] if self.workers is None else [self.workers]
        return [*workers, *starts, *self._endings]

    def pause(self, now: float) -> None:
        """Its process hands over: what comes now is for the next one."""
        self._ended(now)

    # --- what comes from it

    def heard(self, message: msg.FromHost) -> None:
        """Take note of what the process said."""
        match message:
            case msg.Checkpoint(job=job, participant=participant, state=state, absent=absent):
                if job in self.jobs:
                    states = self._states.setdefault(job, {})
                    if state is None:
                        states.pop(participant, None)
                    else:
                        states[participant] = state
                    self._absent.discard((job, participant))
                    if absent:
                        self._absent.add((job, participant))
            case msg.JobEnded(job=job):
                self.jobs.pop(job, None)
                self._states.pop(job, None)
                self._absent = {key for key in self._absent if key[0] != job}
                self._endings = [ending for ending in self._endings if self._is_due(ending)]

    def gone(self, now: float) -> float:
        """The process is gone. Returns how long to wait before the next."""
        self._ended(now)
        self._deaths += 1
        return BACKOFF_S[min(self._deaths - 1, len(BACKOFF_S) - 1)]

    def is_unsound(self, now: float) -> bool:
        """Whether its processes die one after another, so that what it is given may be lost for
        long.
        """
        settled = self._ready_at is not None and now - self._ready_at >= SETTLED_S
        return self._deaths > 1 and not settled

    def _ended(self, now: float) -> None:
        self.running = False
        if self._ready_at is not None and now - self._ready_at >= STEADY_S:
            self._deaths = 0
        self._ready_at = None

    def _states_of(self, job: str) -> list[bytes] | None:
        """None if it never had a session, which says more than that it has none now."""
        states = self._states.get(job)
        return None if states is None else list(states.values())

    def _is_due(self, ending: msg.EndJob | msg.EndDispatch) -> bool:
        if isinstance(ending, msg.EndJob):
            return ending.job in self.jobs
        wanted = (ending.room, ending.dispatch)
        return any((job.room, job.dispatch) == wanted for job in self.jobs.values())
