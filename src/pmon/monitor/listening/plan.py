"""The listening plan of a process: what is known of its tracks goes in, changes come out.

The actuator tells what happens to subscribed tracks, calls ``tick`` after that and whenever
``due`` has come, and does what the changes say. Idle tracks cost nothing: whatever waits for a
time waits on a heap. All times are monotonic seconds and never go back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from pmon.monitor.events import Heard
from pmon.monitor.listening.agenda import NEVER, Agenda
from pmon.monitor.listening.cameras import Camera, Cameras
from pmon.monitor.listening.changes import Change, Verdict
from pmon.monitor.listening.ear import Ear
from pmon.monitor.listening.load import Counts, Mode, Shedding
from pmon.monitor.listening.microphones import Microphones
from pmon.monitor.listening.status import Status
from pmon.monitor.listening.toggles import Toggles

HEARD_EVERY_S = 180.0
"""Every microphone is heard for 2 s within so long, or counted as overdue."""


FIRST = ("unmuted", "look")
"""Why a new track is enabled that is not so all the time."""


class _Room:
    def __init__(self) -> None:
        self.microphones: set[str] = set()
        self.cameras: set[str] = set()


class Listening:
    """Plans for all rooms of a process, so that budgets hold for the process as a whole."""

    def __init__(
        self,
        listen: Mode = "auto",
        video: Mode | Literal["off"] = "auto",
        *,
        load_threshold: float = 0.85,
        cores: float = 1.0,
    ) -> None:
        """``cores`` is what the process may use: less than one under a CPU limit."""
        self.shedding = Shedding(listen, video, threshold=load_threshold, cores=cores)
        self.microphones = Microphones()
        self.cameras = Cameras()
        self._agenda = Agenda()
        self._toggles = Toggles()
        self._rooms: dict[str, _Room] = {}
        self._on: dict[str, bool] = {}
        """What the actuator was told of each track; a new one was told nothing yet."""
        self._suspended: dict[str, bool] = {}
        """Tracks whose connection is broken, and whether they are enabled on the server."""
        self._reopen: dict[str, None] = {}
        """Tracks that were resumed just now and are enabled still."""
        self._heard = 0
        self._seen = 0

    # --- tracks

    def track_added(
        self,
        now: float,
        room: str,
        identity: str,
        track_sid: str,
        kind: Literal["audio", "video"],
        *,
        muted: bool = False,
        encrypted: bool = False,
        screen: bool = False,
    ) -> None:
        """A watched microphone or video track is subscribed, so settings for it hold now."""
        self.track_removed(now, track_sid)
        place = self._room(room)
        if kind == "audio":
            place.microphones.add(track_sid)
            ear = Ear(room, identity, track_sid, muted=muted, encrypted=encrypted)
            ear.covered_at = now
            self.microphones.add(ear)
        else:
            place.cameras.add(track_sid)
            camera = Camera(room, track_sid, muted=muted, encrypted=encrypted, screen=screen)
            self.cameras.cameras[track_sid] = camera
            self._touch(track_sid)

    def track_removed(self, now: float, track_sid: str) -> None:
        """Unsubscribed, unpublished or opted out: it is forgotten, and nothing asked of it."""
        track = self._track(track_sid)
        if track is None:
            return
        place = self._rooms[track.room]
        if self._on.pop(track_sid, False):
            self._count(track, -1)
        if isinstance(track, Ear):
            self.microphones.remove(track_sid)
            place.microphones.discard(track_sid)
        else:
            del self.cameras.cameras[track_sid]
            place.cameras.discard(track_sid)
        self._suspended.pop(track_sid, None)
        self._leave_alone(track_sid)
        if not place.microphones and not place.cameras:
            del self._rooms[track.room]
            self.microphones.always.discard(track.room)

    def suspended(self, now: float, track_sid: str) -> None:
        """Its connection broke and is being made again: nothing is asked of it until ``resumed``,
        and nothing of it forgotten. The actuator closes the stream by itself.
        """
        track = self._track(track_sid)
        if track is None or track_sid in self._suspended:
            return
        self._suspended[track_sid] = self._on.get(track_sid, False) or track_sid in self._reopen
        if self._on.get(track_sid):
            self._on[track_sid] = False
            self._count(track, -1)
            track.suspend(now)
        if isinstance(track, Ear):
            self.microphones.uncalled(track)
        self._leave_alone(track_sid)

    def resumed(self, now: float, track_sid: str) -> None:
        """The connection is back, and on the server the track is what it was."""
        enabled, track = self._suspended.pop(track_sid, None), self._track(track_sid)
        if enabled is None or track is None:
            return
        if enabled and not track.muted:  # an unmute is a reason of its own, and urgent
            self._reopen[track_sid] = None
            track.reopen(now)
        self._touch(track_sid)

    def room_gone(self, room: str) -> None:
        """The connection to a room is over for good; a namesake that came since stays."""
        if room not in self._rooms:
            self.shedding.room_gone(room)

    def muted(self, now: float, track_sid: str, muted: bool) -> None:
        track = self._track(track_sid)
        if track is None or track.muted == muted:
            return
        if isinstance(track, Ear):
            self.microphones.mute(track, muted, now)
        else:
            track.muted = muted
            track.switched_off()
            track.looking = True
            self._touch(track_sid)

    # --- microphones

    def link(self, now: float, track_sid: str, *, lost: bool) -> None:
        """Whether the server calls the publisher's connection lost, so that silence is no proof."""
        ear = self.microphones.ears.get(track_sid)
        if ear is not None:
            self.microphones.link(ear, lost, now)

    def speakers(self, now: float, room: str, named: Collection[str]) -> None:
        """The server's speaker event: the identities of those who began or grew louder."""
        self.microphones.speakers(room, named, now)

    def started(self, now: float, track_sid: str) -> None:
        """The first frame of an enabled microphone came."""
        ear = self.microphones.ears.get(track_sid)
        if ear is not None:
            ear.opened(now)
            self._touch(track_sid)

    def speech(self, now: float, track_sid: str, speaking: bool, at: float) -> None:
        """A meter found that speech began or ended at ``at``."""
        ear = self.microphones.ears.get(track_sid)
        if ear is not None:
            self.microphones.speech(ear, speaking, at, now)

    def reading(
        self, now: float, track_sid: str, *, floor_dbov: float, loudest_dbov: float
    ) -> None:
        """What was heard since it was enabled: the noise floor, and the loudest 100 ms.

        The first 200 ms are left out of both; say nothing while there is nothing else.
        """
        ear = self.microphones.ears.get(track_sid)
        if ear is not None and ear.enabled_at is not None:
            self.microphones.reading(ear, floor_dbov, loudest_dbov)

    # --- video

    def frames(self, now: float, track_sid: str, frames: int) -> None:
        """The running total of a receiver's frames; read every half second while it is enabled."""
        camera = self.cameras.cameras.get(track_sid)
        if camera is not None:
            camera.read(frames, now)
            self._touch(track_sid)

    # --- load

    def load(self, now: float, cores: float) -> None:
        """The CPU seconds a second that the process takes, smoothed over some seconds."""
        looks = self.shedding.looks
        self.shedding.sample(now, cores, self.counts(), self._sizes())
        for room, place in self._rooms.items():
            always = self.shedding.always(room)
            self.microphones.set_always(room, always, place.microphones, now)
        if self.shedding.looks != looks:
            for sid in self.cameras.cameras:
                self._touch(sid)

    def counts(self) -> Counts:
        return Counts(
            rooms=len(self._rooms),
            microphones=len(self.microphones.ears),
            heard=self._heard,
            cameras=len(self.cameras.cameras),
            seen=self._seen,
        )

    # --- what comes out

    def due(self) -> float | None:
        """When to call ``tick`` next: in the past or now if there is something to do at once."""
        if self.microphones.touched:
            return -NEVER
        due = min(self._agenda.next(), self._toggles.next())
        return None if due == NEVER else due

    def tick(self, now: float) -> list[Change]:
        """What is to be done now. All of it counts as done when this returns."""
        changes: list[Change] = []
        if not self.microphones.touched:
            due = self.due()
            if due is None or due > now:
                return changes
        for sid in self._agenda.pop(now):
            self._touch(sid)
        reopen, self._reopen = self._reopen, {}
        for sid in reopen:  # which costs no request
            self._switch(sid, now, changes)
        self._settle(now, changes)
        for sid in self._toggles.take(now):
            self._switch(sid, now, changes)
        self._settle(now, changes)
        return changes

    def status(self, now: float) -> Status:
        pins = self.microphones.pins
        return Status(
            rooms=len(self._rooms),
            microphones=len(self.microphones.ears),
            audible=sum(ear.audible for ear in self.microphones.ears.values()),
            heard=self._heard,
            cameras=len(self.cameras.cameras),
            seen=self._seen,
            rooms_adaptive=len(self._rooms) - len(self.microphones.always),
            looks=self.shedding.looks,
            pins=len(pins.held),
            pins_limit=pins.limit,
            pins_refused=pins.refused,
            waiting=len(self._toggles),
            overdue=sum(1 for _ in self.microphones.overdue(now, HEARD_EVERY_S)),
            refuse_jobs=self.shedding.refuse_jobs,
        )

    # --- inside

    def _room(self, room: str) -> _Room:
        if room not in self._rooms:
            self._rooms[room] = _Room()
            if self.shedding.always(room):
                self.microphones.always.add(room)
        return self._rooms[room]

    def _sizes(self) -> Mapping[str, int]:
        return {room: len(place.microphones) for room, place in self._rooms.items()}

    def _track(self, sid: str) -> Ear | Camera | None:
        return self.microphones.ears.get(sid) or self.cameras.cameras.get(sid)

    def _leave_alone(self, sid: str) -> None:
        self._agenda.set(sid, NEVER)
        self._toggles.withdraw(sid)
        self.microphones.touched.pop(sid, None)
        self._reopen.pop(sid, None)

    def _touch(self, sid: str) -> None:
        self.microphones.touched[sid] = None

    def _verdict(self, track: Ear | Camera, now: float) -> Verdict:
        if isinstance(track, Ear):
            return self.microphones.verdict(track, now)
        return self.cameras.verdict(track, self.shedding.looks, now)

    def _settle(self, now: float, changes: list[Change]) -> None:
        """Judge anew what was touched: at once what costs no request, the rest takes its turn."""
        touched = self.microphones.touched
        while touched:
            sid = next(iter(touched))
            del touched[sid]
            track = self._track(sid)
            if track is None or sid in self._suspended:
                continue
            verdict, told = self._verdict(track, now), self._on.get(sid)
            if told is None and verdict.reason in FIRST and not self._toggles.spare(now):
                # A crowd came, and not all of it is decoded at once. Each costs a request now, as
                # subscribing to it did, and no more of them than that is paced to.
                track.put_off()
                verdict = self._verdict(track, now)
            self._agenda.set(sid, verdict.due)
            if verdict.enabled == told:
                self._toggles.withdraw(sid)
            elif told is None or verdict.reason in ("muted", "encrypted"):
                # A subscription is born enabled, and a mute only closes the stream.
                self._toggles.withdraw(sid)
                self._switch(sid, now, changes)
            else:
                self._toggles.ask(sid, enable=verdict.enabled, urgent=verdict.urgent)

    def _switch(self, sid: str, now: float, changes: list[Change]) -> None:
        track = self._track(sid)
        if track is None:
            return
        verdict = self._verdict(track, now)  # it may have waited for long
        enabled, told = verdict.enabled, self._on.get(sid)
        if enabled == told:
            return
        self._on[sid] = enabled
        if enabled or told:
            self._count(track, 1 if enabled else -1)
        rests_on: Heard = "pcm"
        if isinstance(track, Ear):
            if not enabled:
                rests_on = track.rests_on
            if track.audible:
                self.microphones.switched(track, enabled, now)
        else:
            self.cameras.switched(track, enabled, self.shedding.looks, now)
        self._touch(sid)
        changes.append(Change(track.room, sid, enabled, verdict.reason, rests_on))

    def _count(self, track: Ear | Camera, by: int) -> None:
        if isinstance(track, Ear):
            self._heard += by
        else:
            self._seen += by
