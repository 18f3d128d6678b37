"""Makes a room's subscriptions what the monitor wants, a few at a time, and opens the taps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, cast

import structlog
from livekit import rtc
from livekit.rtc import _ffi_client
from livekit.rtc._proto import ffi_pb2

from pmon.media.meters import TrackMeters, Transition
from pmon.media.tap import NUM_CHANNELS, SAMPLE_RATE, AudioTap, AudioTier
from pmon.monitor.room import RoomMonitor
from pmon.monitor.wants import LINK, Want, wanted

BATCH = 20
"""Subscriptions changed in one go: each costs a renegotiation and, for video, a key frame."""
PACE_S = 0.1
CLOSE_S = 5.0
RETRY_S = 5.0
"""A subscription that was refused, or of which nothing came, is asked for again after so long."""

log = structlog.get_logger("pmon.media")


class _Subscription:
    def __init__(self, publication: rtc.RemoteTrackPublication) -> None:
        self.publication = publication
        self.asked_at = time.monotonic()
        self.want = LINK
        self.track: rtc.RemoteTrack | None = None
        self.enabled = True
        self.meters: TrackMeters | None = None
        self.tap: AudioTap | None = None


class Subscriptions:
    """The subscriptions of one room connection.

    ``apply`` may be called as often as anything changes, and should be once a second: it does
    what is left to do, and comes back by itself for what it leaves to pace itself.
    """

    def __init__(
        self, monitor: RoomMonitor, tier: AudioTier, on_change: Callable[[], None]
    ) -> None:
        self._monitor = monitor
        self._tier = tier
        self._on_change = on_change
        self._room: rtc.Room | None = None
        self._paused = False
        self._subscriptions: dict[str, _Subscription] = {}
        self._refused: dict[str, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def listening(self) -> int:
        """How many microphones are decoded."""
        return sum(s.tap is not None for s in self._subscriptions.values())

    @property
    def watching(self) -> bool:
        """Whether any video is received."""
        return any(s.want.frames and s.track is not None for s in self._subscriptions.values())

    # --- towards the server

    def attach(self, room: rtc.Room) -> None:
        """Work on this room object from now on; nothing is subscribed in it yet."""
        self.reset()
        self._room = room
        self.apply()

    def pause(self) -> None:
        """The connection is being made again: what is asked for now would be lost."""
        self._paused = True
        self.hang_up_all()

    def resume(self) -> None:
        """The connection is back; a full reconnect forgot every subscription without a track."""
        self._paused = False
        for sid in [sid for sid, s in self._subscriptions.items() if s.track is None]:
            self._drop(sid)
        self.apply()

    def apply(self) -> None:
        """Subscribe to what is wanted and to nothing else."""
        if self._room is None or self._paused or self._timer is not None:
            return
        wants = wanted(self._monitor)
        self._refused = {sid: until for sid, until in self._refused.items() if sid in wants}
        changed = 0
        for sid in [sid for sid in self._subscriptions if sid not in wants]:
            self._unsubscribe(sid)
        for sid, want in wants.items():
            subscription = self._subscriptions.get(sid)
            if subscription is not None:
                self._adjust(subscription, want)
            elif changed < BATCH:
                changed += self._subscribe(sid, want)
        if changed == BATCH:
            self._timer = asyncio.get_running_loop().call_later(PACE_S, self._on_timer)

    def reset(self) -> None:
        """Forget everything: the connection is gone, and its subscriptions with it."""
        self._room = None
        self._paused = False
        self._refused.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for sid in list(self._subscriptions):
            self._drop(sid)

    async def aclose(self) -> None:
        """Close every tap, and wait until that is done unless the SDK never ends a stream."""
        self.reset()
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSE_S)

    # --- from the server

    def track_subscribed(
        self, track: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication
    ) -> None:
        subscription = self._subscriptions.get(publication.sid)
        if subscription is None:
            publication.set_subscribed(False)  # unwanted again before it came
            return
        subscription.publication = publication
        subscription.track = track
        subscription.enabled = True
        # Settings sent along with the subscription would be lost: they follow it.
        if publication.kind == rtc.TrackKind.KIND_VIDEO and publication.simulcasted:
            publication.set_video_quality(rtc.VideoQuality.VIDEO_QUALITY_LOW)
        self._adjust(subscription, subscription.want)

    def track_unsubscribed(self, track_sid: str) -> None:
        """The receiver is gone, at our wish or with its publication."""
        self._drop(track_sid)

    def subscription_failed(self, track_sid: str) -> None:
        """The server refused; an ``apply`` after a while asks again."""
        if track_sid in self._subscriptions:
            self._drop(track_sid)
            self._refused[track_sid] = time.monotonic() + RETRY_S

    # --- the meters

    def read(self, now: float) -> None:
        """Give the monitor the meters' totals, and end speech on streams that ran dry."""
        for sid, subscription in self._subscriptions.items():
            if subscription.track is None and now - subscription.asked_at >= RETRY_S:
                self._ask(subscription, now)
            if subscription.tap is not None and subscription.meters is not None:
                self._speech(sid, subscription.meters.expire(now))
                for reading in subscription.meters.readings():
                    self._monitor.audio(sid, reading)

    def hang_up(self, track_sid: str) -> None:
        """Stop listening to a track now, with its last word told; before mute, unpublish, leave."""
        subscription = self._subscriptions.get(track_sid)
        if subscription is not None:
            self._close_tap(track_sid, subscription)

    def hang_up_all(self) -> None:
        for sid, subscription in self._subscriptions.items():
            self._close_tap(sid, subscription)

    # --- inside

    def _publication(self, sid: str) -> rtc.RemoteTrackPublication | None:
        participant = self._monitor.owner(sid)
        if self._room is None or participant is None:
            return None
        remote = self._room.remote_participants.get(participant.identity)
        return None if remote is None else remote.track_publications.get(sid)

    def _subscribe(self, sid: str, want: Want) -> bool:
        publication = self._publication(sid)
        if publication is None or self._refused.get(sid, 0.0) > time.monotonic():
            return False
        subscription = self._subscriptions[sid] = _Subscription(publication)
        subscription.want = want
        self._ask(subscription, time.monotonic())
        return True

    def _ask(self, subscription: _Subscription, now: float) -> None:
        subscription.asked_at = now
        if not self._paused:
            subscription.publication.set_subscribed(True)

    def _unsubscribe(self, sid: str) -> None:
        subscription = self._subscriptions[sid]
        self._drop(sid)
        if self._publication(sid) is not None:
            subscription.publication.set_subscribed(False)

    def _adjust(self, subscription: _Subscription, want: Want) -> None:
        """Bring a subscription's settings and its tap in line with what is wanted of it."""
        subscription.want = want
        track = subscription.track
        if track is None:
            return
        if subscription.enabled != want.enabled:
            subscription.enabled = want.enabled
            _send_enabled(subscription.publication, want.enabled)
        sid = subscription.publication.sid
        if not want.thresholds:
            self._close_tap(sid, subscription)
        elif subscription.meters is None:
            subscription.meters = TrackMeters(SAMPLE_RATE, NUM_CHANNELS, want.thresholds)
        else:
            self._speech(sid, subscription.meters.listen(want.thresholds))
        if want.thresholds and subscription.tap is None and subscription.meters is not None:
            subscription.tap = self._tier.open(
                cast("rtc.RemoteAudioTrack", track),
                subscription.meters,
                lambda transitions: self._heard(sid, transitions),
            )

    def _drop(self, sid: str) -> None:
        subscription = self._subscriptions.pop(sid, None)
        if subscription is None:
            return
        self._close_tap(sid, subscription)
        if subscription.want.frames:
            self._monitor.video(sid, None, time.monotonic())

    def _close_tap(self, sid: str, subscription: _Subscription) -> None:
        tap, subscription.tap = subscription.tap, None
        if tap is None:
            return
        # Before the meters stop: a backlog that is fed to them later would begin another run.
        tap.close()
        self._speech(sid, tap.meters.stop())
        for reading in tap.meters.readings():
            self._monitor.audio(sid, reading)
        self._in_background(tap.aclose())

    def _heard(self, sid: str, transitions: list[Transition]) -> None:
        self._speech(sid, transitions)
        self._on_change()

    def _speech(self, sid: str, transitions: list[Transition]) -> None:
        for transition in transitions:
            self._monitor.speech(sid, transition.threshold, transition.speaking, transition.at)

    def _on_timer(self) -> None:
        self._timer = None
        self.apply()

    def _in_background(self, closing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _send_enabled(publication: rtc.RemoteTrackPublication, enabled: bool) -> None:
    """Let the server forward a subscribed track, or keep the subscription without any media.

    The SDK has the request and no method for it.
    """
    request = ffi_pb2.FfiRequest()
    message = request.enable_remote_track_publication
    message.track_publication_handle = publication._ffi_handle.handle
    message.enabled = enabled
    _ffi_client.FfiClient.instance.request(request)
