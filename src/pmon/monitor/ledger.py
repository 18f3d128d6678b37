"""The sums of one session: coverage, quality, tracks, level. It moves when time is told to pass."""

from __future__ import annotations

import math
from typing import ClassVar

import msgspec

from pmon.monitor import events as ev
from pmon.monitor.inputs import AudioReading
from pmon.monitor.microphone import Microphone
from pmon.monitor.participant import Track
from pmon.monitor.quality import Quality
from pmon.monitor.reception import Reception
from pmon.monitor.video import Video

NOTHING = AudioReading(
    threshold=0.0, heard_s=0.0, heard_until=0.0, speech_s=0.0, speech_until=0.0, speech_power=0.0
)


class TrackLedger(msgspec.Struct):
    """The sums of one track."""

    sid: str
    kind: ev.TrackKind
    source: ev.TrackSource
    encrypted: bool
    muted: bool
    video: Video | None = None
    mic: Microphone | None = None
    """Of a microphone that can be heard."""
    gone: bool = False
    ended: bool = False
    """That it is gone has been told."""
    published_s: float = 0.0
    muted_s: float = 0.0
    heard_s: float = 0.0
    speech_s: float = 0.0
    speech_energy: float = 0.0
    meter: AudioReading = NOTHING
    """The last reading. The meter belongs to the track, which may be older than the session: what
    it had counted by then is not the session's.
    """

    @classmethod
    def of(cls, track: Track, threshold: float) -> TrackLedger:
        video = None
        if track.is_video:
            video = Video(track.source, track.encrypted, track.muted)
            video.found(track.video)
        return cls(
            sid=track.sid,
            kind=track.kind,
            source=track.source,
            encrypted=track.encrypted,
            muted=track.muted,
            video=video,
            mic=Microphone.of(track.mic, voiced=track.voiced)
            if track.is_microphone and not track.encrypted
            else None,
            meter=track.readings.get(threshold, NOTHING),
        )

    def restart(self) -> None:
        """Meter and receiver will be other ones, which count from zero."""
        self.measured_anew()
        if self.video is not None:
            self.video.unwatched()

    def measured_anew(self) -> None:
        """The meter will be another one, which counts from zero."""
        self.meter = NOTHING
        if self.mic is not None:
            self.mic.restart()

    def mute(self, muted: bool) -> bool:
        """Whether that is new."""
        if muted == self.muted:
            return False
        self.muted = muted
        if self.video is not None:
            self.video.mute(muted)
        return True

    def read(self, reading: AudioReading) -> None:
        """Add what the meter has counted since the reading before."""
        before, self.meter = self.meter, reading
        if reading.heard_s < before.heard_s:
            before = NOTHING  # the track was subscribed anew, with a new meter
        self.heard_s += reading.heard_s - before.heard_s
        energy = reading.speech_s * reading.speech_power - before.speech_s * before.speech_power
        if reading.speech_s > before.speech_s and energy > 0:
            self.speech_s += reading.speech_s - before.speech_s
            self.speech_energy += energy

    def summary(self) -> ev.TrackSummary:
        video = self.video if self.video is not None and self.video.seen else None
        return ev.TrackSummary(
            track_sid=self.sid,
            kind=self.kind,
            source=self.source,
            encrypted=self.encrypted,
            published_s=round(self.published_s, 3),
            muted_s=round(self.muted_s, 3),
            state=None if self.video is None else self.video.state,
            level_dbov=None if self.mic is None else self.mic.level_dbov,
            floor_dbov=None if self.mic is None else self.mic.floor_dbov,
            clipped_ratio=None if self.mic is None else self.mic.clipped_ratio,
            **({} if video is None else video.summary()),
        )


class Ledger(msgspec.Struct):
    """All sums of a session."""

    TRACKS_KEPT: ClassVar = 50
    """How many tracks that are gone are remembered one by one."""
    MISSED_SHARE = 0.05
    """So much of the time may go unheard before talk time is said to rest on something else."""

    quality: Quality = msgspec.field(default_factory=Quality)
    received: Reception = Reception()
    tracks: dict[str, TrackLedger] = {}
    observed_s: float = 0.0
    present_s: float = 0.0
    server_word_s: float = 0.0
    sampled_s: float = 0.0
    until_s: float = 0.0
    """How long after the session's start the sums reach."""
    _heard_before_s: float = 0.0
    _speech_before: tuple[float, float] = (0.0, 0.0)

    def advance(
        self, session_s: float, *, observed: bool, present: bool, rests_on: ev.Heard | None
    ) -> float:
        """Bring the sums up to ``session_s`` seconds after the start; returns what was added.

        ``rests_on`` is what was known of the participant's speech since the last call.
        """
        elapsed_s = session_s - self.until_s
        if elapsed_s <= 0:
            return 0.0
        self.until_s = session_s
        self.quality.advance(elapsed_s)
        if observed:
            self.observed_s += elapsed_s
            if present:
                self._advance_present(elapsed_s, rests_on)
        return elapsed_s

    def _advance_present(self, elapsed_s: float, rests_on: ev.Heard | None) -> None:
        self.present_s += elapsed_s
        if rests_on == "server":
            self.server_word_s += elapsed_s
        elif rests_on == "sampled":
            self.sampled_s += elapsed_s
        for track in self.tracks.values():
            if not track.gone:
                track.published_s += elapsed_s
                if track.muted:
                    track.muted_s += elapsed_s

    def trim(self) -> None:
        """Forget the oldest tracks that are gone; their audio stays in the sums."""
        gone = [sid for sid, track in self.tracks.items() if track.gone]
        for sid in gone[: -self.TRACKS_KEPT]:
            track = self.tracks.pop(sid)
            self._heard_before_s += track.heard_s
            seconds, energy = self._speech_before
            self._speech_before = (seconds + track.speech_s, energy + track.speech_energy)

    def video_sids(self) -> list[str]:
        return [sid for sid, t in self.tracks.items() if t.video is not None and not t.gone]

    def videos(self) -> list[Video]:
        """Those that are there."""
        return [t.video for t in self.tracks.values() if t.video is not None and not t.gone]

    def interrupt_video(self, track_sid: str, doubted_since: float) -> None:
        video = self.tracks[track_sid].video
        if video is not None:
            video.interrupted(doubted_since)

    @property
    def heard_s(self) -> float:
        return self._heard_before_s + sum(track.heard_s for track in self.tracks.values())

    @property
    def heard(self) -> ev.Heard | None:
        """What the talk time rests on: decoded audio if hardly any was missed, else what stood
        in for it the longest.
        """
        heard_s = self.heard_s
        missed_s = self.server_word_s + self.sampled_s
        if heard_s + missed_s <= 0:
            return None
        if missed_s <= self.MISSED_SHARE * (heard_s + missed_s):
            return "pcm"
        return "sampled" if self.sampled_s > self.server_word_s else "server"

    def speech_dbov(self) -> float | None:
        """Mean power of the speech in dBov: a full-scale square wave is 0 (ITU-T G.100.1)."""
        seconds, energy = self._speech_before
        seconds += sum(track.speech_s for track in self.tracks.values())
        energy += sum(track.speech_energy for track in self.tracks.values())
        if seconds <= 0 or energy <= 0:
            return None
        return round(10 * math.log10(energy / seconds), 1)

    def coverage(self, session_s: float) -> ev.Coverage:
        return ev.Coverage(
            observed_s=round(self.observed_s, 3),
            unobserved_s=round(max(0.0, session_s - self.observed_s), 3),
            heard_s=round(self.heard_s, 3),
            server_word_s=round(self.server_word_s, 3),
            sampled_s=round(self.sampled_s, 3),
        )

    def track_summaries(self) -> list[ev.TrackSummary]:
        return [track.summary() for track in self.tracks.values()]
