"""The sessions of a room and the jobs they stand for: how they begin, change hands and end."""

from __future__ import annotations

import msgspec

from pmon.monitor import events as ev
from pmon.monitor.clock import UtcAnchor
from pmon.monitor.conversation import Conversation
from pmon.monitor.participant import Participant
from pmon.monitor.session import Session, SessionState
from pmon.monitor.watch import Watch

JOIN_TIMEOUT = "participant connection timeout"
REMEMBERED = 1000
"""Identities whose talk time is kept apart after their sessions; a room may live for months."""


class EndedJob(msgspec.Struct, frozen=True):
    """A job that is over. With an error it failed."""

    job: str
    error: str | None = None


class Sessions:
    """Every open session of a room, found by job, by identity, or by identity and dispatch."""

    def __init__(self, room: str, anchor: UtcAnchor) -> None:
        self.room = room
        self.room_sid = ""
        self.anchor = anchor
        self.events: list[ev.AnyEvent] = []
        self.ended_jobs: list[EndedJob] = []
        self.conversation = Conversation()
        self.stirred: set[str] = set()
        """The identities of whom something changed that says what is wanted of their tracks."""
        self._sessions: dict[tuple[str, str], Session] = {}
        self._by_id: dict[str, Session] = {}
        self._own_jobs: set[str] = set()
        """Jobs of one session, which end with it; a room job outlives its sessions."""
        self._by_identity: dict[str, list[Session]] = {}
        self._ended_talk_s: dict[str, float] = {}
        self._parallel_talk_s: dict[str, float] = {}
        """Of sessions that are over while others of the same identity go on."""
        self._forgotten_talk_s = 0.0
        self._whole = True
        """All talk of the room is known; who left before a process died is not."""

    def all(self) -> list[Session]:
        return list(self._sessions.values())

    def any(self) -> bool:
        return bool(self._sessions)

    def of(self, participant: Participant) -> list[Session]:
        """The sessions of somebody; a copy, so that ending one while looping is fine."""
        return list(self._by_identity.get(participant.identity, ()))

    def of_job(self, job: str) -> list[Session]:
        """The sessions that a job stands for, unless a newer job took them over."""
        return [s for s in self._sessions.values() if s.job == job]

    def listened_to(self, participant: Participant) -> bool:
        """Whether any session listens to somebody."""
        listening = self._by_identity.get(participant.identity, ())
        return not participant.opted_out and any(s.present and s.watch.audio for s in listening)

    def settle(self, until: float) -> None:
        """Give every session what came of the conversation up to then."""
        for session, exchange in self.conversation.settle(until).items():
            if session in self._by_id:
                self._by_id[session].exchange.add(exchange)

    def has(self, identity: str, dispatch: str) -> bool:
        """Whether somebody is watched for this dispatch."""
        return (identity, dispatch) in self._sessions

    def of_dispatch(self, dispatch: str) -> list[Session]:
        return [s for s in self._sessions.values() if s.dispatch == dispatch]

    def rename(self, room_sid: str) -> None:
        """The room's sid became known, or another one after the server was restarted."""
        self.room_sid = room_sid
        for session in self._sessions.values():
            session.rename_room(room_sid)

    def take_over(self, job: str, identity: str, dispatch: str) -> bool:
        """Give the session of this identity and dispatch, if there is one, to a newer job."""
        session = self._sessions.get((identity, dispatch))
        if session is None:
            return False
        if session.job != job:
            self._own_jobs.remove(session.job)
            self.ended_jobs.append(EndedJob(session.job))
            session.job = job
            self._own_jobs.add(job)
        return True

    def pass_on(self, older: str, job: str) -> None:
        """Give the sessions of a room job to a newer one."""
        for session in self.of_job(older):
            session.job = job
        self.ended_jobs.append(EndedJob(older))

    def not_whole(self) -> None:
        """Not all talk of the room is known any more: another process heard some of it."""
        self._whole = False

    def start(
        self,
        job: str,
        dispatch: str,
        participant: Participant,
        watch: Watch,
        now: float,
        state: SessionState | None = None,
        *,
        own_job: bool = True,
    ) -> Session:
        """Begin a session, or with a ``state`` go on with it. Its ``own_job`` ends with it."""
        session = Session(
            room=self.room,
            room_sid=self.room_sid,
            dispatch=dispatch,
            job=job,
            participant=participant,
            watch=watch,
            conversation=self.conversation,
            anchor=self.anchor,
            now=now,
            emit=self.events.append,
            state=state,
        )
        self._sessions[participant.identity, dispatch] = self._by_id[session.id] = session
        if own_job:
            self._own_jobs.add(job)
        self._by_identity.setdefault(participant.identity, []).append(session)
        self.stirred.add(participant.identity)
        if state is None:
            session.start(now)
        else:
            session.resume()
            self.conversation.recall(state.room)
            self.not_whole()
        return session

    def end(
        self, session: Session, reason: ev.EndReason, now: float, error: str | None = None
    ) -> None:
        """End a session with its summary, and its own job with it."""
        identity = session.participant.identity
        self.stirred.add(identity)
        session.finish_speech(now)
        unsettled, room = self.conversation.as_of(now, session.id)
        session.exchange.add(unsettled)
        session.end(now, reason, self.talk_share(session, now), room)
        self._remember_talk(session.participant, session.talk.talk_time_s())
        del self._sessions[identity, session.dispatch], self._by_id[session.id]
        self._by_identity[identity].remove(session)
        if not self._by_identity[identity]:
            del self._by_identity[identity]
        if session.job in self._own_jobs:
            self._own_jobs.remove(session.job)
            self.ended_jobs.append(EndedJob(session.job, error))

    def _remember_talk(self, participant: Participant, talk_s: float) -> None:
        """Sessions of one person at a time heard the same, so the longest counts; those that
        follow each other add up.
        """
        identity = participant.identity
        talk_s = max(talk_s, self._parallel_talk_s.pop(identity, 0.0))
        if len(self.of(participant)) > 1:
            self._parallel_talk_s[identity] = talk_s
            return
        self._ended_talk_s[identity] = talk_s + self._ended_talk_s.pop(identity, 0.0)
        if len(self._ended_talk_s) > REMEMBERED:
            oldest = next(iter(self._ended_talk_s))
            self._forgotten_talk_s += self._ended_talk_s.pop(oldest)

    def total_talk_s(self, now: float) -> float | None:
        """The talk time of the room; None when not all of it is known."""
        if not self._whole:
            return None
        running_s = dict(self._parallel_talk_s)
        for other in self._sessions.values():
            identity = other.participant.identity
            running_s[identity] = max(running_s.get(identity, 0.0), other.talk.talk_time_s(now))
        return sum(running_s.values()) + sum(self._ended_talk_s.values()) + self._forgotten_talk_s

    def talk_share(self, session: Session, now: float) -> float | None:
        """A session's part of all the talk time of the room; None when nobody has spoken, or
        when not all of it is known.
        """
        total_s = self.total_talk_s(now)
        return session.talk.talk_time_s(now) / total_s if total_s else None
