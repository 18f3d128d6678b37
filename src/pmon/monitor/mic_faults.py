"""Four faults of a microphone: when each is sure, and when it is over.

Each takes what was heard since the last reading, and says whether the fault is there once enough
was heard to know. Between the level that raises a fault and the one that ends it lies no verdict.
"""

from __future__ import annotations

import msgspec

from pmon.monitor.events import IssueKind
from pmon.monitor.inputs import MicReading
from pmon.monitor.stretch import Stretch

VOICED_DBOV = -80.0
"""100 ms as loud are a sound: rooms are louder, and what codecs make of digital silence is not."""
SILENT_S = 60.0
"""So much silence must be heard before a microphone is called dead."""
UNCOUNTED_S = 10.0
"""Of it, so much may be so new that the packets of that time have not been counted yet."""
SILENT_SHARE = 0.95
"""So much of what is heard must be near digital silence; less is no evidence for a dead one."""

QUIET_DBOV, QUIET_NO_MORE_DBOV = -36.0, -33.0
"""Level of speech; the nominal one of ITU-T P.56 is -26 dBov."""
QUIET_S = 10.0
"""Speech that a level is made of."""

NOISY_DBOV, NOISY_NO_MORE_DBOV = -45.0, -48.0
"""Noise floor: 19 dB under nominal speech."""
NOISY_S = 20.0
"""So much more noise than rest is heard before a microphone is called noisy, ..."""
NOISY_WALL_S = 60.0
"""... but not before so long since it began."""
CLEAR_SNR_DB = 25.0
"""Speech so far over the noise is clear, however loud both are."""
KNOWN_S = 3.0
"""Speech enough for a level to compare the noise with."""

CLIPPED, CLIPPED_NO_MORE = 2e-3, 5e-4
"""Share of the active audio in the last decibel under full scale.

The first is reached where 1 in 1000 samples was cut off before the codec; after it, next to none
is in a run at the rail any more. Speech that just reaches full scale has 4 in 100 000 there.
"""
CLIPPED_S = 5.0
"""Active audio that a share is made of."""
CLIPPED_SHARES = 2
"""So many shares running agree: one alone may be somebody who knocked at the microphone."""

OFFSET = 0.01
"""Part of full scale; less is not worth a word. An encoder that removes offsets leaves none."""


class Verdict(msgspec.Struct, frozen=True):
    """A microphone has a fault, or has it no more."""

    issue: IssueKind
    bad: bool
    since: float
    """When the audio begins that shows it."""
    evidence: dict[str, float | str] = {}


def is_voiced(reading: MicReading) -> bool:
    """Whether anything but silence was heard since the microphone was opened."""
    return reading.loudest_dbov is not None and reading.loudest_dbov >= VOICED_DBOV


class Silence(msgspec.Struct):
    """Nothing was heard since it was published or unmuted: ``mic_silent``."""

    voiced: bool = False
    silent_s: float = 0.0
    since: float | None = None
    pending: Stretch = msgspec.field(default_factory=Stretch)
    """Of which it is not known yet whether packets came meanwhile."""
    packets: int | None = None
    """The last total; the first of a receiver that is older than this is none to go by."""
    loudest_dbov: float | None = None

    def begin(self, *, voiced: bool = False) -> None:
        """Muted or unmuted: what was heard before tells nothing of it now."""
        self.voiced = voiced
        self.silent_s, self.since, self.pending = 0.0, None, Stretch()

    def restart(self) -> None:
        """The receiver is another one, whose packets count from zero."""
        self.packets, self.pending = 0, Stretch()

    def received(self, packets: int) -> Verdict | None:
        """The running total of packets. Without new ones, silence was the decoder's own; even in
        a pause with DTX some come every second.
        """
        came = self.packets is not None and packets not in (0, self.packets)
        self.packets = packets
        if came and self.pending.since is not None:
            self.silent_s += self.pending.heard_s
            self.since = self.pending.since if self.since is None else self.since
        self.pending = Stretch()
        return self._dead() if came else None

    def read(self, heard: Stretch, reading: MicReading) -> Verdict | None:
        self.loudest_dbov = reading.loudest_dbov
        if is_voiced(reading):
            self.begin(voiced=True)
        if self.voiced:
            return Verdict("mic_silent", False, reading.heard_until)
        if heard.silent_s >= SILENT_SHARE * heard.heard_s:
            self.pending.add(heard)
        return self._dead()

    def _dead(self) -> Verdict | None:
        heard_s = self.silent_s + self.pending.heard_s
        if heard_s < SILENT_S or self.pending.heard_s > UNCOUNTED_S:
            return None
        if self.since is None or self.loudest_dbov is None:
            return None
        evidence: dict[str, float | str] = {
            "loudest_dbov": round(self.loudest_dbov, 1),
            "heard_s": round(heard_s, 1),
        }
        return Verdict("mic_silent", True, self.since, evidence)


class Quiet(msgspec.Struct):
    """Speech is too quiet: ``mic_quiet``."""

    bad: bool = False
    window: Stretch = msgspec.field(default_factory=Stretch)
    speech_dbov: float | None = None
    """The newest level of speech that is known."""

    def read(self, heard: Stretch, reading: MicReading) -> Verdict | None:
        if heard.speech_s <= 0:
            return None
        window = self.window
        window.add(heard)
        level = window.speech_dbov
        if level is None or window.speech_s < KNOWN_S:
            return None
        self.speech_dbov = level
        if window.speech_s < QUIET_S:
            return None
        self.window = Stretch()
        self.bad = level < (QUIET_NO_MORE_DBOV if self.bad else QUIET_DBOV)
        evidence: dict[str, float | str] = {
            "level_dbov": round(level, 1),
            "speech_s": round(window.speech_s, 1),
        }
        if reading.floor_dbov is not None:
            evidence["floor_dbov"] = round(reading.floor_dbov, 1)
        since = reading.heard_until if window.since is None else window.since
        return Verdict("mic_quiet", self.bad, since, evidence | _offset(reading))


class Noise(msgspec.Struct):
    """The noise floor is too high: ``mic_noisy``.

    Speech without a pause for five seconds looks the same, but does not for most of a minute.
    """

    bad: bool = False
    noisy_s: float = 0.0
    """Noise heard, less the rest that was heard since; up to ``NOISY_S``."""
    since: float | None = None

    def read(
        self, heard: Stretch, reading: MicReading, speech_dbov: float | None
    ) -> Verdict | None:
        floor = reading.floor_dbov
        if floor is None:
            return None
        clear = speech_dbov is not None and speech_dbov - floor >= CLEAR_SNR_DB
        if floor >= NOISY_DBOV and not clear:
            self.noisy_s = min(NOISY_S, self.noisy_s + heard.heard_s)
            self.since = heard.since if self.since is None else self.since
        elif floor < NOISY_NO_MORE_DBOV or clear:
            self.noisy_s = max(0.0, self.noisy_s - heard.heard_s)
        if self.noisy_s <= 0 or self.since is None:
            self.bad, self.since = False, None
            return Verdict("mic_noisy", False, reading.heard_until)
        long = reading.heard_until - self.since >= NOISY_WALL_S
        self.bad = self.bad or (long and self.noisy_s >= NOISY_S)
        if not self.bad:
            return None
        evidence: dict[str, float | str] = {"floor_dbov": round(floor, 1)}
        if speech_dbov is not None:
            evidence["snr_db"] = round(speech_dbov - floor, 1)
        return Verdict("mic_noisy", True, self.since, evidence | _offset(reading))


class Clipping(msgspec.Struct):
    """What is said, or howls, is cut off at full scale: ``mic_clipping``.

    A limiter that works at full scale all the time looks the same.
    """

    bad: bool = False
    window: Stretch = msgspec.field(default_factory=Stretch)
    since: float | None = None
    """When the first of those shares begins that speak for a change."""
    shares: int = 0

    def end(self) -> None:
        """It is over for another reason; shares that spoke for that do not speak for it anew."""
        if self.bad:
            self.bad, self.shares, self.since = False, 0, None

    def read(self, heard: Stretch, reading: MicReading) -> Verdict | None:
        window = self.window
        window.add(heard)
        active, ratio = window.active, window.clipped_ratio
        if active is None or ratio is None:
            self.window = Stretch()
            return None
        if active[1] < CLIPPED_S:
            return None
        self.window = Stretch()
        if (ratio <= CLIPPED_NO_MORE) if self.bad else (ratio > CLIPPED):
            self.shares += 1
            self.since = window.since if self.since is None else self.since
        else:
            self.shares, self.since = 0, None
        since = reading.heard_until if self.since is None else self.since
        if self.shares >= CLIPPED_SHARES:
            self.bad, self.shares, self.since = not self.bad, 0, None
        evidence: dict[str, float | str] = {
            "clipped_ratio": round(ratio, 5),
            "level_dbov": round(active[0], 1),
            "active_s": round(active[1], 1),
        }
        return Verdict("mic_clipping", self.bad, since, evidence | _offset(reading))


def _offset(reading: MicReading) -> dict[str, float | str]:
    return {"dc": round(reading.dc, 3)} if abs(reading.dc) >= OFFSET else {}
