"""Whom to hear: every microphone of the process, moved by what the server and the sound say."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pmon.monitor.listening.agenda import NEVER
from pmon.monitor.listening.changes import Verdict
from pmon.monitor.listening.ear import LOOK_S, RESUME_S, SILENCE_DBOV, Ear
from pmon.monitor.listening.pins import Pin, Pins

URGENT = ("server", "unmuted")
"""Somebody speaks, or is about to."""


class Microphones:
    """The rules of listening. Whatever a call may have changed is in ``touched`` after it."""

    def __init__(self) -> None:
        self.ears: dict[str, Ear] = {}
        self.pins = Pins()
        self.always: set[str] = set()
        """The rooms where everybody is heard all the time."""
        self.touched: dict[str, None] = {}
        self._of: dict[tuple[str, str], list[Ear]] = {}
        self._called: dict[str, dict[str, Ear]] = {}
        """By room, those whom the server calls speakers."""

    # --- which there are

    def add(self, ear: Ear) -> None:
        self.ears[ear.sid] = ear
        self._of.setdefault((ear.room, ear.identity), []).append(ear)
        self.pins.microphones += 1
        ear.want_look("unmuted")
        self.touched[ear.sid] = None

    def remove(self, sid: str) -> None:
        ear = self.ears.pop(sid)
        self._silence(ear)
        ears = self._of[ear.room, ear.identity]
        ears.remove(ear)
        if not ears:
            del self._of[ear.room, ear.identity]
        self.pins.microphones -= 1
        loser = self.pins.excess()
        if loser is not None:
            self._lose(loser)

    def mute(self, ear: Ear, muted: bool, now: float) -> None:
        ear.muted = muted
        if muted:
            ear.close_books(now)
            self._silence(ear)
        else:
            ear.begin()
            ear.covered_at = now
            ear.want_look("unmuted")
        self.touched[ear.sid] = None

    def link(self, ear: Ear, lost: bool, now: float) -> None:
        """The server gave the publisher's connection up, or has it back."""
        if ear.lost != lost:
            ear.link(lost, now)
            self.touched[ear.sid] = None

    def set_always(self, room: str, always: bool, ears: Collection[str], now: float) -> None:
        """Hear everybody of a room all the time, or only whom there is something to hear of."""
        if always == (room in self.always):
            return
        if always:
            self.always.add(room)
        else:
            self.always.discard(room)
        for sid in ears:
            ear = self.ears[sid]
            if always:
                self._unpin(ear)  # it is heard without one, and others may need it
            elif ear.enabled_at is not None:
                ear.want_look("patrol")
                ear.hold(max(ear.enabled_at + RESUME_S, ear.spoke_at) + LOOK_S)
            self.touched[sid] = None

    # --- what the server says

    def speakers(self, room: str, named: Collection[str], now: float) -> None:
        """One speaker event: who began or grew louder is named, who stopped is not."""
        called = self._called.setdefault(room, {})
        for identity in named:
            for ear in self._of.get((room, identity), ()):
                if ear.audible:
                    self._named(ear, now)
                    called[ear.sid] = ear
        alone = not named and len(called) == 1
        for ear in [ear for ear in called.values() if ear.identity not in named]:
            ear.unnamed_at = now
            spoke = ear.opened_at is not None and ear.spoke_at >= ear.opened_at
            if alone or (spoke and not ear.speaking):
                ear.called = False
                del called[ear.sid]
        if not called:
            del self._called[room]

    def _named(self, ear: Ear, now: float) -> None:
        fresh = not ear.called
        ear.called = True
        ear.called_at = now
        if ear.enabled_at is not None:
            if fresh:
                ear.hold(now + LOOK_S)
                self.touched[ear.sid] = None
        elif fresh or ear.heeds_repeat(now):
            ear.look, ear.look_until = "server", NEVER
            self.touched[ear.sid] = None

    # --- what the sound says

    def speech(self, ear: Ear, speaking: bool, at: float, now: float) -> None:
        if ear.enabled_at is None:
            return
        ear.opened(now)
        if speaking:
            ear.started(at, now)
            if ear.deaf and not ear.called and ear.room not in self.always:
                self._pin(ear, "voice", now)
        elif ear.speaking:
            ear.stopped(at, now)
            if not ear.called:
                self._forget_call(ear)
        self.touched[ear.sid] = None

    def reading(self, ear: Ear, floor_dbov: float, loudest_dbov: float) -> None:
        """What was heard since it was enabled: the floor, and the loudest 100 ms of it."""
        ear.floor_dbov, ear.loudest_dbov = floor_dbov, loudest_dbov
        if loudest_dbov >= SILENCE_DBOV:
            ear.voiced = True
            if ear.pin == "silence":
                self.touched[ear.sid] = None

    # --- what follows

    def verdict(self, ear: Ear, now: float) -> Verdict:
        """Whether the microphone should be heard now."""
        if ear.encrypted:
            return Verdict(False, "encrypted", NEVER)
        if ear.muted:
            return Verdict(False, "muted", NEVER)
        always = ear.room in self.always
        if now >= ear.judge_at:
            self._judge(ear, now, always)
        if always:
            return Verdict(True, "always", ear.judge_at, urgent=ear.look in URGENT)
        if ear.speaking:
            return Verdict(True, ear.pin or "speaking", ear.judge_at, urgent=True)
        held = self._held(ear, now) or self._looking(ear, now)
        if held is not None:
            return held
        if ear.enabled_at is None and now >= min(ear.again_at, ear.patrol_at):
            ear.want_look("again" if now >= ear.again_at else "patrol")
            return Verdict(True, ear.look or "patrol", NEVER)
        if ear.enabled_at is not None and self._suspicious(ear, now):
            return Verdict(True, ear.pin or "again", ear.pin_until(now))
        due = NEVER if ear.enabled_at is not None else min(ear.again_at, ear.patrol_at)
        return Verdict(False, "quiet", due)

    def switched(self, ear: Ear, enabled: bool, now: float) -> None:
        """The plan did what the verdict said."""
        if enabled:
            ear.switched_on(now)
        else:
            ear.close_books(now)
            ear.plan_next(now, heard=ear.covered_at == now)

    def overdue(self, now: float, allowed_s: float) -> Iterator[Ear]:
        """Those who could be heard and were not for so long."""
        for ear in self.ears.values():
            if ear.audible and ear.heard_now(now) < LOOK_S and now - ear.covered_at > allowed_s:
                yield ear

    # --- inside

    def _judge(self, ear: Ear, now: float, always: bool) -> None:
        """The server has had time to tell of the voice that is heard here."""
        if ear.judge(now):
            if not always:
                self._pin(ear, "voice", now)
        elif ear.pin == "voice" and not ear.deaf:
            self._unpin(ear)

    def _held(self, ear: Ear, now: float) -> Verdict | None:
        """While a pin lasts. One that is over is given back."""
        if ear.pin is None:
            return None
        until = ear.pin_until(now)
        if now < until:
            return Verdict(True, ear.pin, min(until, ear.judge_at))
        self._unpin(ear)
        return None

    def _looking(self, ear: Ear, now: float) -> Verdict | None:
        """While a look lasts, or waits to begin."""
        if ear.look is None:
            return None
        urgent = ear.look in URGENT
        if now < ear.look_until:
            return Verdict(True, ear.look, min(ear.look_until, ear.judge_at), urgent)
        if now < ear.give_up_at:
            return Verdict(True, ear.look, ear.give_up_at, urgent)
        return None

    def _suspicious(self, ear: Ear, now: float) -> bool:
        """Whether the look that ends now found a reason to go on, and there is a pin for it."""
        if ear.noisy(now) and self._pin(ear, "noise", now):
            ear.noise_pinned = True
            return True
        return ear.suspect(now) and self._pin(ear, "silence", now)

    def _pin(self, ear: Ear, pin: Pin, now: float) -> bool:
        granted, loser = self.pins.grant(ear.sid, pin)
        if loser is not None:
            self._lose(loser)
        if granted:
            if ear.pin is None or ear.pin != self.pins.held[ear.sid]:
                ear.pinned_at = now
            ear.pin = self.pins.held[ear.sid]
        return granted

    def _unpin(self, ear: Ear) -> None:
        self.pins.release(ear.sid)
        ear.pin = None

    def _lose(self, sid: str) -> None:
        """The budget has a better use for somebody's pin."""
        self.ears[sid].pin = None
        self.touched[sid] = None

    def uncalled(self, ear: Ear) -> None:
        """The server may have told an end of speech that nobody heard, and tells it but once."""
        self._forget_call(ear)
        ear.called = False

    def _forget_call(self, ear: Ear) -> None:
        called = self._called.get(ear.room)
        if called is not None:
            called.pop(ear.sid, None)
            if not called:
                del self._called[ear.room]

    def _silence(self, ear: Ear) -> None:
        """Nothing comes from it any more."""
        self._unpin(ear)
        self.uncalled(ear)
        ear.again_at = ear.patrol_at = NEVER
