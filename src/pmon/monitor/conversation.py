"""The conversation of a room: who speaks while whom else does, who interrupts whom, and silence.

All that counts is who speaks when. An overlap is time in which two or more people speak. A turn is
speech of one person with pauses under 0.3 s. B interrupts A where B begins a turn while A has been
in theirs for a second or more, A falls silent within 3 s of it and stays so for half a second, and
B speaks on until then. That is the overlap with a change of speaker ("between-speaker overlap") of
Heldner and Edlund, Pauses, gaps and overlaps in conversations, Journal of Phonetics 38 (2010), with
times that leave out what is none: an "mhm" ends before the other does, two who begin together have
no turn yet, and who talks on for long was not stopped. Silence is time in which nobody speaks while
somebody is there who is listened to.

Speech is told late and dated back, so what happened is settled only some seconds afterwards, in the
order in which it happened.
"""

from __future__ import annotations

import copy
from heapq import heappop, heappush
from typing import Literal

import msgspec
from msgspec.structs import replace

from pmon.monitor.clock import UtcAnchor
from pmon.monitor.events import RoomSummary
from pmon.monitor.talk import TURN_GAP_S

LATE_S = 4.0
"""Nothing is told later than this. Latest of all is an onset that the server named 1.5 s before the
first sound, dated back by 0.6 s, and that a second of sound confirms, which is told 0.3 s later."""
FLOOR_S = 1.0
"""Who has spoken for so long has a turn that can be interrupted."""
YIELD_S = 3.0
"""Who falls silent later than this after another began was not interrupted by that."""
SILENT_S = 0.5
"""Who falls silent for so long has stopped, and who speaks on for so long has the floor."""


class Exchange(msgspec.Struct):
    """What one session's participant had to do with the others."""

    overlap_s: float = 0.0
    interruptions: int = 0
    """How often they interrupted somebody; two at once count twice."""
    interrupted: int = 0
    """How often somebody interrupted them; by two at once counts twice."""

    def add(self, more: Exchange) -> None:
        self.overlap_s += more.overlap_s
        self.interruptions += more.interruptions
        self.interrupted += more.interrupted


class RoomTalk(msgspec.Struct):
    """What the conversation of a room amounts to. Times are monotonic seconds."""

    since: float | None = None
    """When somebody was listened to for the first time."""
    observed_s: float = 0.0
    """Time in which somebody was there who was listened to."""
    talk_s: float = 0.0
    """Time in which anybody spoke."""
    overlap_s: float = 0.0
    longest_silence_s: float = 0.0
    turns: int = 0
    interruptions: int = 0
    partial_at: float | None = None
    """When somebody was there last who could be heard by others and is not listened to here."""

    def plus(self, more: RoomTalk) -> RoomTalk:
        """Both together, ``more`` being the later one."""
        return RoomTalk(
            since=more.since if self.since is None else self.since,
            observed_s=self.observed_s + more.observed_s,
            talk_s=self.talk_s + more.talk_s,
            overlap_s=self.overlap_s + more.overlap_s,
            longest_silence_s=max(self.longest_silence_s, more.longest_silence_s),
            turns=self.turns + more.turns,
            interruptions=self.interruptions + more.interruptions,
            partial_at=self.partial_at if more.partial_at is None else more.partial_at,
        )

    def summary(self, anchor: UtcAnchor) -> RoomSummary | None:
        """The same as it leaves the worker."""
        if self.since is None:
            return None
        return RoomSummary(
            since=anchor.at(self.since),
            observed_s=round(self.observed_s, 3),
            talk_s=round(self.talk_s, 3),
            overlap_s=round(self.overlap_s, 3),
            longest_silence_s=round(self.longest_silence_s, 3),
            turns=self.turns,
            interruptions=self.interruptions,
            partial=self.partial_at is not None,
        )


class _Speaker(msgspec.Struct, frozen=True):
    """Somebody who speaks, or did half a second ago."""

    began_at: float
    """Of the turn."""
    stopped_at: float = float("-inf")
    open: frozenset[str] = frozenset()
    """The sessions that say that they speak; none if they do not."""
    run: frozenset[str] = frozenset()
    """The sessions that heard any of this run."""


_What = Literal["started", "stopped", "listening", "alone", "silent"]
_Edge = tuple[float, int, int, _What, str, str]
"""When; 0 for what comes before all else of that time; the order of telling; what; identity and
session, or nothing."""


class Conversation:
    """Takes turns as sessions tell them, and settles what they amount to.

    A person speaks while any of their sessions says so: those of another dispatch hear the same.
    What is kept is bounded by who speaks and by what was told in the last ``LATE_S``.
    """

    def __init__(self) -> None:
        self._before = RoomTalk()
        """Of another process."""
        self._own = RoomTalk()
        self._edges: list[_Edge] = []
        self._told = 0
        self._settled = float("-inf")
        self._speakers: dict[str, _Speaker] = {}
        self._speaking = 0
        self._listening = False
        self._quiet_since: float | None = None
        self._marks: dict[str, float] = {}
        """The room's overlap when a session's open turn began, or was settled last."""
        self._found: dict[str, Exchange] = {}

    # --- what is told

    def started(self, identity: str, session: str, at: float) -> None:
        """A session says that its participant began to speak, or did so earlier than it said."""
        self._tell(at, "started", identity, session)

    def stopped(self, identity: str, session: str, at: float) -> None:
        """A session says that they stopped; one that has not said that they began is ignored."""
        self._tell(at, "stopped", identity, session)

    def listening(self, somebody: bool, at: float) -> None:
        """Whether somebody is there now who is listened to; an outage is no silence."""
        self._tell(at, "listening" if somebody else "alone")

    def partial(self, at: float) -> None:
        """Somebody is there who may speak and is not listened to here."""
        self._own.partial_at = at

    def recall(self, room: RoomTalk) -> None:
        """Go on from what another process made of the room. Each of its sessions brings it, some
        an older one.
        """
        if room.observed_s > self._before.observed_s:
            self._before = room

    # --- what comes out

    @property
    def room(self) -> RoomTalk:
        """The room's figures, as far as they are settled."""
        return self._before.plus(self._own)

    def settle(self, until: float) -> dict[str, Exchange]:
        """Settle what happened up to ``until``; what is told of that later is dated to it.

        Returns what came of it for the sessions, by their id.
        """
        while self._edges and self._edges[0][0] <= until:
            at, _, _, what, identity, session = heappop(self._edges)
            self._pass(at)
            self._happened(what, identity, session)
            self._listen_to_silence()
        self._pass(until)
        if self._quiet_since is not None:
            silence_s = self._settled - self._quiet_since
            self._own.longest_silence_s = max(self._own.longest_silence_s, silence_s)
        for session in self._marks:
            self._bill_overlap(session)
        found, self._found = self._found, {}
        return found

    def as_of(self, now: float, session: str) -> tuple[Exchange, RoomTalk]:
        """What was not settled yet of one session, and the room's figures, as they stand now."""
        fork = copy.copy(self)
        fork._own = copy.copy(self._own)
        fork._edges = self._edges.copy()
        fork._speakers = self._speakers.copy()
        fork._marks = self._marks.copy()
        fork._found = {}
        found = fork.settle(now)
        return found.get(session, Exchange()), fork.room

    # --- inside

    def _tell(self, at: float, what: _What, identity: str = "", session: str = "") -> None:
        self._told += 1
        order = 0 if what == "silent" else 1
        edge: _Edge = (max(at, self._settled), order, self._told, what, identity, session)
        heappush(self._edges, edge)

    def _pass(self, until: float) -> None:
        """Let the time up to then pass as things stand."""
        elapsed_s = until - self._settled
        if elapsed_s <= 0:
            return
        self._settled = until
        if not self._listening and not self._speaking:
            return
        self._own.observed_s += elapsed_s
        if self._speaking:
            self._own.talk_s += elapsed_s
        if self._speaking > 1:
            self._own.overlap_s += elapsed_s

    def _happened(self, what: _What, identity: str, session: str) -> None:
        match what:
            case "started":
                self._start(identity, session)
            case "stopped":
                self._stop(identity, session)
            case "silent":
                self._fell_silent(identity)
            case _:
                self._listening = what == "listening"
        if self._own.since is None and (self._listening or self._speaking):
            self._own.since = self._settled

    def _start(self, identity: str, session: str) -> None:
        now = self._settled
        before = self._speakers.get(identity)
        if before is not None and before.open:
            began_at, run = before.began_at, before.run
        else:
            self._speaking += 1
            run = frozenset()
            if before is not None and now - before.stopped_at < TURN_GAP_S:
                began_at = before.began_at
            else:
                began_at = now
                self._own.turns += 1
        heard_by = frozenset() if before is None else before.open
        self._speakers[identity] = _Speaker(
            began_at=began_at, open=heard_by | {session}, run=run | {session}
        )
        self._marks.setdefault(session, self._own.overlap_s)

    def _stop(self, identity: str, session: str) -> None:
        speaker = self._speakers.get(identity)
        if speaker is None or session not in speaker.open:
            return
        self._bill_overlap(session)
        del self._marks[session]
        heard_by = speaker.open - {session}
        self._speakers[identity] = replace(speaker, open=heard_by, stopped_at=self._settled)
        if not heard_by:
            self._speaking -= 1
            self._tell(self._settled + SILENT_S, "silent", identity)

    def _fell_silent(self, identity: str) -> None:
        """Somebody may have been silent for half a second: see who made them so."""
        speaker = self._speakers.get(identity)
        if speaker is None or speaker.open or self._settled < speaker.stopped_at + SILENT_S:
            return  # they went on, and may have stopped again
        del self._speakers[identity]
        earliest = max(speaker.began_at + FLOOR_S, speaker.stopped_at - YIELD_S)
        for other in self._speakers.values():
            if other.open and earliest <= other.began_at < speaker.stopped_at:
                self._own.interruptions += 1
                for session in other.open:
                    self._of(session).interruptions += 1
                for session in speaker.run:
                    self._of(session).interrupted += 1

    def _listen_to_silence(self) -> None:
        quiet = self._listening and not self._speaking
        if quiet and self._quiet_since is None:
            self._quiet_since = self._settled
        elif not quiet and self._quiet_since is not None:
            silence_s = self._settled - self._quiet_since
            self._own.longest_silence_s = max(self._own.longest_silence_s, silence_s)
            self._quiet_since = None

    def _bill_overlap(self, session: str) -> None:
        """While one speaks the room's overlap is theirs."""
        overlap_s = self._own.overlap_s - self._marks[session]
        if overlap_s > 0:
            self._of(session).overlap_s += overlap_s
            self._marks[session] = self._own.overlap_s

    def _of(self, session: str) -> Exchange:
        return self._found.setdefault(session, Exchange())
