"""One subscribed track: how it stands with the server, its place in the listening plan, its tap."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from livekit import rtc
from livekit.rtc import _ffi_client
from livekit.rtc._proto import ffi_pb2

from pmon.media.listener import Listener
from pmon.media.meters import TrackMeters, Transition
from pmon.media.tap import NUM_CHANNELS, SAMPLE_RATE, AudioTap, AudioTier
from pmon.monitor.inputs import VideoReading
from pmon.monitor.listening.changes import Change
from pmon.monitor.room import RoomMonitor
from pmon.monitor.wants import LINK, Want


@dataclass
class Surroundings:
    """What all subscriptions of a room connection share."""

    monitor: RoomMonitor
    tier: AudioTier
    listener: Listener
    on_change: Callable[[], None]
    paused: bool = False
    """The connection is being made again."""
    closing: set[asyncio.Task[None]] = field(default_factory=set)
    """Streams that are let go of."""


class Subscription:
    """A subscription that was asked for; once it has its ``track``, it does what is wanted of it.

    After any call let the ``Listener`` settle.
    """

    def __init__(
        self, identity: str, publication: rtc.RemoteTrackPublication, shared: Surroundings
    ) -> None:
        self.identity = identity
        self.publication = publication
        self.asked_at = time.monotonic()
        self.want = LINK
        self.track: rtc.RemoteTrack | None = None
        self._shared = shared
        self._monitor = shared.monitor
        self._plan = shared.listener.plan
        self._enabled = True
        self._planned = False
        """The listening plan knows of it and says when it is heard or seen."""
        self._muted = False
        self._rested = False
        """A video that was disabled at times, so that the monitor has to be told of looks."""
        self._closely = False
        """It is heard for a look, which its level decides about."""
        self._meters: TrackMeters | None = None
        self._speaking_by: set[float] = set()
        """The thresholds by which somebody speaks now."""
        self._tap: AudioTap | None = None

    @property
    def sid(self) -> str:
        return self.publication.sid

    @property
    def seen(self) -> bool:
        """Whether it is video that is received."""
        return self.want.frames and self.track is not None and self._enabled

    @property
    def heard(self) -> bool:
        """Whether it is audio that is listened to."""
        return self._tap is not None

    @property
    def level_dbov(self) -> float | None:
        """Of the last 100 ms; None while it is not listened to or nothing comes."""
        if self._tap is None or self._meters is None:
            return None
        return self._meters.meters.level_dbov

    def ask(self, now: float) -> None:
        """Ask the server for it; while paused that would be lost."""
        self.asked_at = now
        if not self._shared.paused:
            self.publication.set_subscribed(True)

    def came(self, track: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication) -> None:
        """The server gave it, with a receiver that is born enabled; one before it is no more."""
        self.unplan()
        self.hang_up()
        self.publication, self.track = publication, track
        self._enabled = True
        # Settings sent along with the subscription would be lost: they follow it.
        if publication.kind == rtc.TrackKind.KIND_VIDEO and publication.simulcasted:
            publication.set_video_quality(rtc.VideoQuality.VIDEO_QUALITY_LOW)
        self.adjust(self.want)

    def adjust(self, want: Want) -> None:
        """Bring its settings and its tap in line with what is wanted of it."""
        self.want = want
        if self.track is None:
            return
        if not want.planned:
            self.unplan()
            self.hang_up()
            self._enable(want.enabled)
            return
        if self._meters is not None:
            self._speech(self._meters.listen(want.thresholds))
        elif want.thresholds:
            self._meters = TrackMeters(SAMPLE_RATE, NUM_CHANNELS, want.thresholds)
            self._monitor.measured_anew(self.sid)
        self._tell_plan(want)

    def carry_out(self, change: Change) -> None:
        """Hear or see it from now on, or no more, as the plan says."""
        if self.track is None:
            return
        if self.want.frames:
            self._see(change)
        elif change.enabled:
            self._closely = change.reason != "always"
            if change.reason == "server" and self._meters is not None:
                self._meters.expect()
            self._enable(True)
            self._open_tap()
        else:
            self.hang_up()
            if change.reason != "muted":
                self._enable(False)
                self._monitor.listening(self.sid, change.rests_on, time.monotonic())
        self._shared.on_change()

    def muted(self) -> None:
        """The monitor knows that it is muted; the plan must, too, before it is unmuted again."""
        if self._planned and not self._muted:
            self._muted = True
            self._plan.muted(time.monotonic(), self.sid, True)

    def unplan(self) -> None:
        """The plan says nothing of it any more."""
        if self._planned:
            self._planned = False
            self._plan.track_removed(time.monotonic(), self.sid)

    def drop(self) -> None:
        """It is gone, or not wanted any more."""
        self.unplan()
        self.hang_up()
        if self.want.frames:
            self._monitor.video(self.sid, None, time.monotonic())

    # --- what is heard and seen

    def look_after(self, now: float) -> None:
        """End speech on a stream that ran dry."""
        if self._tap is not None and self._meters is not None:
            self._speech(self._meters.expire(now))
            if self._closely:
                self._tell_level(self._meters, now)

    def read(self, now: float) -> None:
        """Give the monitor the meters' totals, and the plan the level."""
        if self._tap is not None and self._meters is not None:
            self._tell_totals(self._meters)
            self._tell_level(self._meters, now)

    def frames(self, reading: VideoReading, now: float) -> None:
        """The totals of its video receiver."""
        if self._enabled:
            self._monitor.video(self.sid, reading, now)
            self._plan.frames(now, self.sid, reading.frames)

    def hang_up(self) -> None:
        """Stop listening now, with the last word told; before mute, unpublish, leave."""
        tap, self._tap = self._tap, None
        if tap is None:
            return
        # Before the meters stop: a backlog that is fed to them later would begin another run.
        tap.close()
        self._speech(tap.meters.stop())
        self._tell_totals(tap.meters)
        task = asyncio.ensure_future(tap.aclose())
        self._shared.closing.add(task)
        task.add_done_callback(self._shared.closing.discard)

    # --- inside

    def _tell_plan(self, want: Want) -> None:
        owner = self._monitor.owner(self.sid)
        if self._shared.paused or owner is None:
            return
        now = time.monotonic()
        if not self._planned:
            self._planned = True
            self._plan.track_added(
                now,
                self._monitor.room,
                owner.identity,
                self.sid,
                "video" if want.frames else "audio",
                muted=want.muted,
                screen=want.screen,
            )
        elif self._muted != want.muted:
            self._plan.muted(now, self.sid, want.muted)
        self._muted = want.muted
        self._plan.link(now, self.sid, lost=owner.quality == "lost")

    def _see(self, change: Change) -> None:
        self._enable(change.enabled or change.reason == "muted")
        # One that was always watched till now knows nothing of looks.
        if change.reason != "muted" and (self._rested or change.reason != "always"):
            self._rested = True
            self._monitor.looking(self.sid, change.enabled, time.monotonic())

    def _enable(self, enabled: bool) -> None:
        if self._enabled != enabled:
            self._enabled = enabled
            _send_enabled(self.publication, enabled)

    def _open_tap(self) -> None:
        if self._tap is None and self._meters is not None:
            track = cast("rtc.RemoteAudioTrack", self.track)
            self._tap = self._shared.tier.open(track, self._meters, self._heard, self._sounds)

    def _sounds(self) -> None:
        """The first frame since it was opened, which is silence until packets come."""
        now = time.monotonic()
        self._monitor.listening(self.sid, "pcm", now)
        self._plan.started(now, self.sid)
        self._shared.listener.settle()

    def _heard(self, transitions: list[Transition]) -> None:
        self._speech(transitions)
        self._shared.listener.settle()
        self._shared.on_change()

    def _speech(self, transitions: list[Transition]) -> None:
        for transition in transitions:
            self._monitor.speech(self.sid, transition.threshold, transition.speaking, transition.at)
        # To the plan somebody speaks who does so by any threshold.
        for threshold, speaking, at in sorted(transitions, key=lambda t: t.at):
            spoke = bool(self._speaking_by)
            (self._speaking_by.add if speaking else self._speaking_by.discard)(threshold)
            if bool(self._speaking_by) != spoke:
                self._plan.speech(time.monotonic(), self.sid, speaking, at)

    def _tell_totals(self, meters: TrackMeters) -> None:
        for reading in meters.readings():
            self._monitor.audio(self.sid, reading)
        self._monitor.microphone(self.sid, meters.microphone())

    def _tell_level(self, meters: TrackMeters, now: float) -> None:
        loudest, floor = meters.meters.loudest_dbov, meters.meters.floor_dbov
        if loudest is not None and floor is not None:
            self._plan.reading(now, self.sid, floor_dbov=floor, loudest_dbov=loudest)


def _send_enabled(publication: rtc.RemoteTrackPublication, enabled: bool) -> None:
    """Let the server forward a subscribed track, or keep the subscription without any media.

    The SDK has the request and no method for it.
    """
    request = ffi_pb2.FfiRequest()
    message = request.enable_remote_track_publication
    message.track_publication_handle = publication._ffi_handle.handle
    message.enabled = enabled
    _ffi_client.FfiClient.instance.request(request)
