"""What is true of one participant now, whoever watches: presence, tracks, open runs of speech."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import msgspec

from pmon.monitor.account import NO_ACCOUNT
from pmon.monitor.events import Heard, ParticipantKind, QualityLevel
from pmon.monitor.hearing import GAP_MAX_S, ONSET_LAG_S
from pmon.monitor.inputs import (
    OPT_OUT_ATTRIBUTE,
    AudioReading,
    LostTrack,
    MicReading,
    ParticipantInfo,
    TrackInfo,
    VideoReading,
)
from pmon.monitor.mic_faults import is_voiced
from pmon.monitor.video import NOT_LOW_FPS, STALE_AFTER_S

LEAVE_GRACE_S = 1.0
"""A leave is believed after so long: a reconnect of our own first shows up as everyone leaving."""


class Track:
    """A publication and what its meters last said."""

    def __init__(self, info: TrackInfo) -> None:
        self.sid = info.sid
        self.kind = info.kind
        self.source = info.source
        self.encrypted = info.encrypted
        self.muted = info.muted
        # Screen-share audio is not speech; a track without a source may be an old client's.
        self.is_microphone = info.kind == "audio" and info.source in ("microphone", "unknown")
        self.is_video = info.kind == "video"
        self.readings: dict[float, AudioReading] = {}
        """The latest per speaking threshold."""
        self.runs: dict[float, float] = {}
        """Open runs of speech: threshold to onset."""
        self.mic: MicReading | None = None
        """The latest of its health, while there is a meter."""
        self.voiced = False
        """Anything but silence was heard of it since it was published or unmuted."""
        self.video: VideoReading | None = None
        """The latest of its receiver, while there is one."""
        self.seen_at: float | None = None
        """When that was read."""
        self.seen_since = self.moved_at = -math.inf
        """Since when it has been read without a gap, and when another frame had come last."""
        self.came_until = -math.inf
        """Until when at least it came at a full rate: the path that it came by was well."""
        self.comes_since = math.inf
        """Since when it comes at a full rate, from one reading to the next."""
        self.looking: bool | None = None
        """Whether a look at the picture is under way; None if it is seen all the time."""
        self.rests_on: Heard = "pcm"
        """What is known of a microphone now: its sound, or what it is disabled on."""
        self.heard_since: float | None = None
        """When the first frame came after it was disabled; None if it never was."""

    def info(self) -> TrackInfo:
        """The description that it was made from, as it stands now."""
        return TrackInfo(
            sid=self.sid,
            kind=self.kind,
            source=self.source,
            muted=self.muted,
            encrypted=self.encrypted,
        )

    def hear(self, reading: MicReading) -> None:
        """Take a reading of its health."""
        if self.mic is None or reading.heard_s != self.mic.heard_s:
            self.voiced = self.voiced or is_voiced(reading)
        self.mic = reading

    def see(self, reading: VideoReading | None, now: float) -> None:
        """Take the totals of its receiver; None when that is gone."""
        if self.seen_at is None or now - self.seen_at > STALE_AFTER_S:
            self.seen_since = now
        comes_since = math.inf
        if reading is not None and self.video is not None and self.seen_at is not None:
            frames = reading.frames - self.video.frames
            if frames > 0:
                self.moved_at = now
                if frames >= NOT_LOW_FPS * max(now - self.seen_at, 0.5):  # not one alone
                    self.came_until = self.seen_at
                    comes_since = min(self.comes_since, self.seen_at)
        self.comes_since = comes_since
        self.video = reading
        self.seen_at = None if reading is None else now

    def speech_end(self, threshold: float, at: float) -> float:
        """When speech that is cut off at ``at`` ended, as the latest reading tells.

        One is brought just before whatever cuts speech off. Should it be an older one, it moves
        the end by a second and no more.
        """
        reading = self.readings.get(threshold)
        return at if reading is None else min(at, max(reading.speech_until, at - 1.0))


class Lost(msgspec.Struct):
    """A track that is reported gone at ``at``, which is believed later.

    A reconnect of our own first shows up as everybody unpublishing everything; the same tracks
    are back some seconds later.
    """

    track: Track
    at: float
    believe_at: float


class ServerWord:
    """Speaking as the server's events tell it, for microphones that cannot be decoded.

    An event names those who started or grew louder; who stopped is not named. So a speaker who
    is not in an event has stopped, unless the next second names them again.
    """

    DOUBT_S = 1.0
    END_LAG_S = 0.6
    """An end is told 0.4-0.8 s late."""

    def __init__(self) -> None:
        self.since: float | None = None
        self._doubted_at: float | None = None

    def told(self, named: bool, now: float) -> bool:
        """Take one event; True if speech begins with it."""
        if named:
            self._doubted_at = None
            if self.since is None:
                self.since = now - ONSET_LAG_S
                return True
        elif self.since is not None and self._doubted_at is None:
            self._doubted_at = now
        return False

    def tick(self, now: float) -> float | None:
        """When speech ended, once that is sure."""
        if self._doubted_at is None or now - self._doubted_at < self.DOUBT_S:
            return None
        return self.stop(self._doubted_at - self.END_LAG_S)

    def stop(self, at: float) -> float | None:
        """Speech ends at ``at`` at the latest. Returns when it did, if there was any."""
        if self.since is None:
            return None
        ended_at = max(self.since, at)
        self.since = self._doubted_at = None
        return ended_at


class Participant:
    """Somebody of the room who is watched, or whose coming is waited for."""

    def __init__(self, identity: str, *, opt_out: bool = True) -> None:
        self.identity = identity
        self._may_opt_out = opt_out
        self.sid = ""
        self.kind: ParticipantKind = "unknown"
        self.attributes: dict[str, str] = {}
        self.opted_out = False
        self.tracks: dict[str, Track] = {}
        self.lost: dict[str, Lost] = {}
        """Tracks that are reported gone, but not believed to be yet."""
        self.present = False
        self.left_at: float | None = None
        """Reported gone at this time, but not believed yet."""
        self.leave_reason = ""
        self.believe_leave_at = float("inf")
        self.leave_in_doubt = False
        """The own connection broke since, so the leave may have been nothing but that."""
        self.quality: QualityLevel = "unknown"
        self.quality_before: QualityLevel = "unknown"
        """The last before the own connection was lost."""
        self.account = NO_ACCOUNT
        """What is known of their link beside the server's level."""
        self.word = ServerWord()
        self.called_at: float | None = None
        """When the server named them; what repeats it soon after is not taken for an onset."""

    def called(self, now: float) -> None:
        """The server's event names them."""
        if self.called_at is None or now - self.called_at > GAP_MAX_S:
            self.called_at = now

    def take(self, info: ParticipantInfo) -> None:
        """Take sid, kind and attributes from the server's description."""
        self.sid = info.sid
        self.kind = info.kind
        self.describe(info.attributes)

    def describe(self, attributes: Mapping[str, str]) -> None:
        """Take the participant's attributes."""
        self.attributes = dict(attributes)
        wish = self.attributes.get(OPT_OUT_ATTRIBUTE, "")
        self.opted_out = self._may_opt_out and wish.strip().lower() == "off"

    def recall(self, info: ParticipantInfo, lost: Iterable[LostTrack]) -> None:
        """Take somebody for present as another process last saw them, tracks in doubt included."""
        self.take(info)
        self.present = True
        self.tracks |= {track.sid: Track(track) for track in info.tracks}
        self.lost |= {x.track.sid: Lost(Track(x.track), x.at, float("inf")) for x in lost}

    def info(self) -> ParticipantInfo:
        """The description that ``take`` takes, with the tracks that are known."""
        return ParticipantInfo(
            identity=self.identity,
            sid=self.sid,
            kind=self.kind,
            attributes=self.attributes,
            tracks=tuple(track.info() for track in self.tracks.values()),
        )

    @property
    def in_call(self) -> bool:
        """A SIP participant exists before the other side picks up; until then nobody is there."""
        return self.kind != "sip" or self.attributes.get("sip.callStatus", "active") == "active"

    @property
    def may_speak(self) -> bool:
        """Whether a microphone is on, and nobody is only being called."""
        return self.in_call and self.rests_on is not None

    @property
    def on_server_word(self) -> bool:
        """Whether the server's word is all there is: a microphone is on and none can be decoded."""
        found = False
        for track in self.tracks.values():
            if track.is_microphone and not track.muted:
                if not track.encrypted:
                    return False
                found = True
        return found

    @property
    def rests_on(self) -> Heard | None:
        """What is known of their speech now; None without a microphone that is on."""
        best: Heard | None = None
        for track in self.tracks.values():
            if track.is_microphone and not track.muted:
                known: Heard = "server" if track.encrypted else track.rests_on
                if known == "pcm":
                    return known
                if best != "sampled":
                    best = known
        return best
