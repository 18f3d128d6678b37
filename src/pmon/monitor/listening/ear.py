"""One microphone: what is known of it, and whether it should be heard now. Times are seconds."""

from __future__ import annotations

from pmon.monitor.events import Heard
from pmon.monitor.listening.agenda import NEVER
from pmon.monitor.listening.changes import Reason, phase
from pmon.monitor.listening.pins import Pin

LOOK_S = 2.0
"""A look hears at least so much, and lasts so long after the last speech."""
RESUME_S = 0.4
"""From enabling to the first sound: 0.08 s as a rule, 0.3 s on a busy server. Frames of silence
may come before it."""
GIVE_UP_S = 5.0
"""A track of which nothing came for so long is dry: looking on costs and shows nothing."""
PATROL_S = 174.0
"""From the end of one look to the next: with the look itself, 3 minutes are never exceeded."""
DRY_RETRY_S = 30.0
PIN_S = 30.0
"""A pin ends after so long without own speech."""
SUSPECT_S = 68.0
"""A microphone that may be dead is held until so much of it was heard: the minute of silence that
``mic_faults`` asks for, and some seconds in which a busy machine may have lost sound."""
SILENCE_DBOV = -80.0
"""Near digital silence: below the floor of any real microphone."""
NOISE_DBOV = -38.0
"""The server calls a level over -35 dBov speech; a floor near it hides its speaker's words."""
JUDGE_S = 0.8
"""The least heard audio of a look that its level and floor may be judged by."""
DEAF_S = 1.2
"""The server tells an onset within 0.4 s; a voice untold of for so long it does not hear."""
SHORT_S = 0.25
"""A shorter run may be a click, and says nothing about the server."""
PAUSE_S = 1.0
"""A shorter one lies within what somebody says, and the server need not tell of it."""
NOISE_AGAIN_S = 4.0
VOICE_AGAIN_S = 8.0
AGAIN_MAX_S = 128.0
ATTRIBUTE_S = 0.1
"""The server's end of speech comes later than the speaker's by at least so much."""


class Ear:
    """The state of one microphone. ``microphones`` moves it; here is what each move means."""

    def __init__(self, room: str, identity: str, sid: str, *, muted: bool, encrypted: bool) -> None:
        self.room = room
        self.identity = identity
        self.sid = sid
        self.muted = muted
        self.encrypted = encrypted
        self.lost = False
        """Whether the server gave the publisher's connection up: what is heard is the decoder's
        silence, and tells nothing of the microphone."""
        self.phase: float | None = phase(sid)
        """When in the first round of the patrol its turn is; None once it had it."""
        self.deaf = False
        """Whether the server was found not to hear this voice."""
        self.enabled_at: float | None = None
        self.opened_at: float | None = None
        """When the first frame came since it was enabled."""
        self.closed_at = -NEVER
        self.look: Reason | None = None
        self.look_until = NEVER
        self.pin: Pin | None = None
        self.pinned_at = 0.0
        self.called = False
        """Whether the server calls them a speaker, as far as its events tell."""
        self.called_at = -NEVER
        self.unnamed_at = -NEVER
        """When an event did not name them, which is how an end of speech is told."""
        self.speaking = False
        self.onset_at = 0.0
        self.spoke_at = -NEVER
        """When the newest end of speech was known."""
        self.ended_at = -NEVER
        """When it was."""
        self.judge_at = NEVER
        """When to judge whether the server hears this voice."""
        self.again_at = NEVER
        self.again_s = NOISE_AGAIN_S
        self.patrol_at = NEVER
        self.covered_at = -NEVER
        """The end of the last time that at least ``LOOK_S`` was heard."""
        self.begin()

    def begin(self) -> None:
        """Published or unmuted: what was heard before says nothing of the microphone now."""
        self.voiced = False
        """Whether anything but silence was heard since then."""
        self.heard_s = 0.0
        self.silent_looks = 0
        self.noise_pinned = False
        """Whether it was held for its noise and nobody spoke since."""
        self.loudest_dbov: float | None = None
        self.floor_dbov: float | None = None

    @property
    def audible(self) -> bool:
        return not self.muted and not self.encrypted

    @property
    def rests_on(self) -> Heard:
        """What is known of the microphone while it is disabled."""
        return "sampled" if self.deaf and not self.encrypted else "server"

    def heard_now(self, now: float) -> float:
        """Seconds heard since it was enabled; frames without a connection behind them are none."""
        return 0.0 if self.opened_at is None or self.lost else max(0.0, now - self.opened_at)

    def heeds_repeat(self, now: float) -> bool:
        """Whether to look when the server names them again who it named before.

        Speech over noise is a change of level, and so is noise that swells: the more looks were
        in vain, the longer nobody listens to that.
        """
        return now >= self.closed_at + self.again_s / 4

    # --- looks

    def want_look(self, reason: Reason) -> None:
        """Look as soon as may be; a look that is under way goes on instead."""
        if self.look is None:
            self.look = reason
            self.look_until = NEVER

    def hold(self, until: float) -> None:
        """Look until then at least."""
        if self.enabled_at is None:
            return
        if self.look_until == NEVER:
            self.look_until = self.enabled_at + RESUME_S + LOOK_S
        self.look_until = max(self.look_until, until)

    def switched_on(self, now: float) -> None:
        self.enabled_at = now
        self.opened_at = None
        self.loudest_dbov = None
        self.again_at = self.patrol_at = NEVER
        self.hold(now + RESUME_S + LOOK_S)

    def opened(self, now: float) -> None:
        """The first frame came."""
        if self.enabled_at is not None and self.opened_at is None:
            self.opened_at = now
            self.hold(now + LOOK_S)

    def link(self, lost: bool, now: float) -> None:
        """The publisher's connection was lost, or is back."""
        self.lost = lost
        if lost:
            # The server takes 11 s to find out, so the silence before may be the same.
            self.silent_looks = 0
        elif self.opened_at is not None:
            self.opened_at = now
            self.hold(now + LOOK_S)

    @property
    def give_up_at(self) -> float:
        """Until when a look waits for its first frame; in the past if it came."""
        if self.enabled_at is None or self.opened_at is not None:
            return -NEVER
        return self.enabled_at + GIVE_UP_S

    def close_books(self, now: float) -> None:
        """Add up what was heard since it was enabled."""
        heard_s = self.heard_now(now)
        self.heard_s += heard_s
        if heard_s >= LOOK_S:
            self.covered_at = now
        if self.silent(now):
            self.silent_looks += 1
        elif heard_s >= JUDGE_S:
            self.silent_looks = 0
        self.enabled_at = self.opened_at = None
        self.closed_at = now
        self.speaking = False
        self.judge_at = NEVER
        self.look = None
        self.look_until = NEVER

    def suspend(self, now: float) -> None:
        """The own connection broke: how much of what was heard was that, nobody knows."""
        self.opened_at = None
        self.close_books(now)

    def put_off(self) -> None:
        """Have the look that waits in the first round of the patrol instead."""
        self.look = None

    def reopen(self, now: float) -> None:
        """It goes on as it was suspended: enabled, which is worth a look.

        What is said there may have begun before, so that the server need not tell of it.
        """
        self.ended_at = now
        self.want_look("patrol")

    def plan_next(self, now: float, *, heard: bool) -> None:
        """Say when to look next, as it is disabled now; ``heard``: the look was a whole one."""
        if self.phase is not None:
            self.patrol_at, self.phase = now + self.phase * PATROL_S, None
        else:
            self.patrol_at = now + (PATROL_S if heard else DRY_RETRY_S)
        self.again_at = NEVER
        if self.called or self.deaf:
            self.again_at = now + self.again_s
            self.again_s = min(2 * self.again_s, AGAIN_MAX_S)

    # --- what the sound says

    def silent(self, now: float) -> bool:
        """Whether nothing but digital silence was heard since it was enabled."""
        return (
            self.heard_now(now) >= JUDGE_S
            and self.loudest_dbov is not None
            and self.loudest_dbov < SILENCE_DBOV
        )

    def suspect(self, now: float) -> bool:
        """Whether it may be dead: silent in this look and the one before, and ever since."""
        return (
            not self.voiced
            and self.silent_looks >= 1
            and self.silent(now)
            and now < self._suspect_until
        )

    def noisy(self, now: float) -> bool:
        """Whether to hold it for its noise, which is done once until its speaker spoke again."""
        return (
            not self.noise_pinned
            and self.heard_now(now) >= JUDGE_S
            and self.floor_dbov is not None
            and self.floor_dbov >= NOISE_DBOV
        )

    def pin_until(self, now: float) -> float:
        """When the pin ends; now or in the past if it has."""
        if self.pin == "silence":
            return now if self.voiced or self.lost else self._suspect_until
        return max(self.pinned_at, self.spoke_at) + PIN_S

    @property
    def _suspect_until(self) -> float:
        """When so much is heard that the suspicion is a verdict."""
        return -NEVER if self.opened_at is None else self.opened_at + SUSPECT_S - self.heard_s

    def started(self, at: float, now: float) -> None:
        """Speech is heard that began at ``at``."""
        self.speaking = True
        self.voiced = True
        self.noise_pinned = False
        self.onset_at = at
        self.again_s = VOICE_AGAIN_S if self.deaf else NOISE_AGAIN_S
        if self.judge_at == NEVER and at - self.ended_at > PAUSE_S:
            self.judge_at = now + DEAF_S

    def stopped(self, at: float, now: float) -> None:
        """Speech ended at ``at``, as is known now."""
        self.speaking = False
        self.spoke_at, self.ended_at = now, at
        if self.unnamed_at >= at + ATTRIBUTE_S:
            self.called = False
        self.hold(now + LOOK_S)

    def judge(self, now: float) -> bool:
        """Whether it turns out now that the server does not hear the voice that is heard here."""
        self.judge_at = NEVER
        long = self.speaking or self.ended_at - self.onset_at >= SHORT_S
        told = self.called or self.called_at >= self.onset_at - DEAF_S
        if long and not told:
            self.deaf = True
            self.again_s = VOICE_AGAIN_S
        elif told and self.called_at >= self.onset_at - DEAF_S:
            self.deaf = False
        return long and not told
