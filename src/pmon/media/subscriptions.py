"""Makes a room's subscriptions what the monitor wants, a few at a time, and opens the taps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, cast

import structlog
from livekit import rtc
from livekit.rtc import _ffi_client
from livekit.rtc._proto import ffi_pb2

from pmon.media.listener import Listener
from pmon.media.meters import TrackMeters, Transition
from pmon.media.tap import NUM_CHANNELS, SAMPLE_RATE, AudioTap, AudioTier
from pmon.monitor.inputs import VideoReading
from pmon.monitor.listening.changes import Change
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
    def __init__(self, identity: str, publication: rtc.RemoteTrackPublication) -> None:
        self.identity = identity
        self.publication = publication
        self.asked_at = time.monotonic()
        self.want = LINK
        self.track: rtc.RemoteTrack | None = None
        self.enabled = True
        self.planned = False
        """The listening plan knows of it and says when it is heard or seen."""
        self.muted = False
        self.rested = False
        """A video that was disabled at times, so that the monitor has to be told of looks."""
        self.meters: TrackMeters | None = None
        self.tap: AudioTap | None = None
        self.closely = False
        """It is heard for a look, which its level decides about."""


class Subscriptions:
    """The subscriptions of one room connection.

    ``apply`` may be called as often as anything changes, and should be once a second: it does
    what is left to do, and comes back by itself for what it leaves to pace itself.
    """

    def __init__(
        self,
        monitor: RoomMonitor,
        tier: AudioTier,
        listener: Listener,
        on_change: Callable[[], None],
    ) -> None:
        self._monitor = monitor
        self._tier = tier
        self._listener = listener
        self._plan = listener.plan
        self._on_change = on_change
        self._room: rtc.Room | None = None
        self._paused = False
        self._subscriptions: dict[str, _Subscription] = {}
        self._refused: dict[str, float] = {}
        self._sids: dict[str, set[str]] = {}
        """What is subscribed of somebody, by their identity."""
        self._left: dict[str, None] = {}
        """The identities whose subscriptions may not be what is wanted, oldest first."""
        self._timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def listening(self) -> int:
        """How many microphones are decoded."""
        return sum(s.tap is not None for s in self._subscriptions.values())

    @property
    def cameras(self) -> list[rtc.RemoteTrack]:
        """The video that is received."""
        return [
            s.track
            for s in self._subscriptions.values()
            if s.want.frames and s.track is not None and s.enabled
        ]

    # --- towards the server

    def attach(self, room: rtc.Room) -> None:
        """Work on this room object from now on; nothing is subscribed in it yet."""
        self.reset()
        self._room = room
        self._listener.attach(self._monitor.room, self)
        self._doubt_all()
        self.apply()

    def pause(self) -> None:
        """The connection is being made again: what is asked for now would be lost."""
        self._paused = True
        self.hang_up_all()
        for sid in self._subscriptions:
            self._plan.suspended(time.monotonic(), sid)

    def resume(self) -> None:
        """The connection is back; a full reconnect forgot every subscription without a track.

        Where the track survived, the server still has its settings.
        """
        self._paused = False
        for sid in [sid for sid, s in self._subscriptions.items() if s.track is None]:
            self._drop(sid)
        for sid in self._subscriptions:
            self._plan.resumed(time.monotonic(), sid)
        self._doubt_all()
        self.apply()
        self._listener.settle()

    def apply(self) -> None:
        """Subscribe to what is wanted and to nothing else.

        Only those are looked at of whom something changed, so that it may be called at every
        event of a large room.
        """
        if self._room is None or self._paused or self._timer is not None:
            return
        self._left.update(dict.fromkeys(self._monitor.take_stirred()))
        if not self._left:
            return
        asked = 0
        for identity in list(self._left):
            asked += self._apply_to(identity, BATCH - asked)
            if asked >= BATCH:
                self._timer = asyncio.get_running_loop().call_later(PACE_S, self._on_timer)
                break
        self._listener.settle()

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
        self._left.clear()
        self._listener.detach(self._monitor.room, self)

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
        # Of another receiver, if any: this one is born enabled.
        self._unplan(publication.sid, subscription)
        self._close_tap(publication.sid, subscription)
        subscription.publication = publication
        subscription.track = track
        subscription.enabled = True
        # Settings sent along with the subscription would be lost: they follow it.
        if publication.kind == rtc.TrackKind.KIND_VIDEO and publication.simulcasted:
            publication.set_video_quality(rtc.VideoQuality.VIDEO_QUALITY_LOW)
        self._adjust(subscription, subscription.want)
        self._listener.settle()

    def track_unsubscribed(self, track_sid: str) -> None:
        """The receiver is gone, at our wish or with its publication."""
        self._drop(track_sid)

    def subscription_failed(self, track_sid: str) -> None:
        """The server refused; an ``apply`` after a while asks again."""
        if track_sid in self._subscriptions:
            self._drop(track_sid)
            self._refuse(track_sid)

    def speakers(self, identities: set[str], now: float) -> None:
        """The server's speaker event."""
        self._plan.speakers(now, self._monitor.room, identities)
        self._listener.settle()

    def quality(self, identity: str) -> None:
        """The monitor knows how somebody's connection stands, and the plan must, too."""
        participant = self._monitor.participants.get(identity)
        lost = participant is not None and participant.quality == "lost"
        for sid in self._sids.get(identity, ()):
            self._plan.link(time.monotonic(), sid, lost=lost)
        self._listener.settle()

    # --- from the plan

    def carry_out(self, change: Change) -> None:
        """Hear or see a track from now on, or no more."""
        subscription = self._subscriptions.get(change.track_sid)
        if subscription is None or subscription.track is None:
            return
        now = time.monotonic()
        if subscription.want.frames:
            self._enable(subscription, change.enabled or change.reason == "muted")
            # One that was always watched till now knows nothing of looks.
            if change.reason != "muted" and (subscription.rested or change.reason != "always"):
                subscription.rested = True
                self._monitor.looking(change.track_sid, change.enabled, now)
        elif change.enabled:
            subscription.closely = change.reason != "always"
            if change.reason == "server" and subscription.meters is not None:
                subscription.meters.expect()
            self._enable(subscription, True)
            self._open_tap(change.track_sid, subscription)
        else:
            self._close_tap(change.track_sid, subscription)
            if change.reason != "muted":
                self._enable(subscription, False)
                self._monitor.listening(change.track_sid, change.rests_on, now)
        self._on_change()

    def not_carried_out(self, track_sid: str) -> None:
        """A track could not be switched: it is given up, and asked for again after a while."""
        if track_sid in self._subscriptions:
            self._refuse(track_sid)
            self._unsubscribe(track_sid)

    # --- the meters

    def look_after(self, now: float) -> None:
        """End speech on streams that ran dry, and ask again for what did not come."""
        for sid, subscription in self._subscriptions.items():
            if subscription.track is None and now - subscription.asked_at >= RETRY_S:
                self._ask(subscription, now)
            if subscription.tap is not None and subscription.meters is not None:
                self._speech(sid, subscription.meters.expire(now))
                if subscription.closely:
                    self._tell_level(sid, subscription.meters, now)
        self._listener.settle()

    def read(self, now: float, identity: str | None = None) -> None:
        """Give the monitor the meters' totals, and the plan every level; of one person or all."""
        for sid in self._subscriptions if identity is None else self._sids.get(identity, ()):
            subscription = self._subscriptions[sid]
            if subscription.tap is not None and subscription.meters is not None:
                for reading in subscription.meters.readings():
                    self._monitor.audio(sid, reading)
                self._tell_level(sid, subscription.meters, now)
        self._listener.settle()

    def frames(self, readings: Mapping[str, VideoReading], now: float) -> None:
        """The totals of the video receivers by track sid."""
        for sid, reading in readings.items():
            subscription = self._subscriptions.get(sid)
            if subscription is not None and subscription.enabled:
                self._monitor.video(sid, reading, now)
                self._plan.frames(now, sid, reading.frames)
        self._listener.settle()

    def hang_up(self, track_sid: str) -> None:
        """Stop listening to a track now, with its last word told; before mute, unpublish, leave."""
        subscription = self._subscriptions.get(track_sid)
        if subscription is not None:
            self._close_tap(track_sid, subscription)

    def muted(self, track_sid: str) -> None:
        """The monitor knows that it is muted; the plan must, too, before it is unmuted again, and
        ``apply`` may be pacing itself."""
        subscription = self._subscriptions.get(track_sid)
        if subscription is not None and subscription.planned and not subscription.muted:
            subscription.muted = True
            self._plan.muted(time.monotonic(), track_sid, True)
            self._listener.settle()

    def hang_up_all(self) -> None:
        for sid, subscription in self._subscriptions.items():
            self._close_tap(sid, subscription)

    # --- inside

    def _doubt_all(self) -> None:
        """Look at everybody anew."""
        self._left.update(dict.fromkeys(self._monitor.participants))
        self._left.update(dict.fromkeys(s.identity for s in self._subscriptions.values()))

    def _apply_to(self, identity: str, allowed: int) -> int:
        """Bring somebody's subscriptions in line; returns how many were asked for.

        They stay on the list while there is one that cannot be asked for yet.
        """
        wants = wanted(self._monitor, identity)
        for sid in self._sids.get(identity, set()) - wants.keys():
            self._unsubscribe(sid)
        asked, missing = 0, False
        for sid, want in wants.items():
            subscription = self._subscriptions.get(sid)
            if subscription is not None:
                self._adjust(subscription, want)
            elif asked < allowed and self._subscribe(identity, sid, want):
                asked += 1
            else:
                missing = True
        if not missing:
            self._left.pop(identity, None)
        return asked

    def _publication(self, identity: str, sid: str) -> rtc.RemoteTrackPublication | None:
        remote = None if self._room is None else self._room.remote_participants.get(identity)
        return None if remote is None else remote.track_publications.get(sid)

    def _subscribe(self, identity: str, sid: str, want: Want) -> bool:
        publication = self._publication(identity, sid)
        if publication is None or self._refused.get(sid, 0.0) > time.monotonic():
            return False
        self._refused.pop(sid, None)
        subscription = self._subscriptions[sid] = _Subscription(identity, publication)
        self._sids.setdefault(identity, set()).add(sid)
        subscription.want = want
        self._ask(subscription, time.monotonic())
        return True

    def _refuse(self, sid: str) -> None:
        now = time.monotonic()
        self._refused = {sid: until for sid, until in self._refused.items() if until > now}
        self._refused[sid] = now + RETRY_S

    def _ask(self, subscription: _Subscription, now: float) -> None:
        subscription.asked_at = now
        if not self._paused:
            subscription.publication.set_subscribed(True)

    def _unsubscribe(self, sid: str) -> None:
        subscription = self._subscriptions[sid]
        self._drop(sid)
        if self._publication(subscription.identity, sid) is not None:
            subscription.publication.set_subscribed(False)

    def _adjust(self, subscription: _Subscription, want: Want) -> None:
        """Bring a subscription's settings and its tap in line with what is wanted of it."""
        subscription.want = want
        track = subscription.track
        if track is None:
            return
        sid = subscription.publication.sid
        if not want.planned:
            self._unplan(sid, subscription)
            self._close_tap(sid, subscription)
            self._enable(subscription, want.enabled)
            return
        if subscription.meters is not None:
            self._speech(sid, subscription.meters.listen(want.thresholds))
        elif want.thresholds:
            subscription.meters = TrackMeters(SAMPLE_RATE, NUM_CHANNELS, want.thresholds)
        self._tell_plan(sid, subscription, want)

    def _tell_plan(self, sid: str, subscription: _Subscription, want: Want) -> None:
        owner = self._monitor.owner(sid)
        if self._paused or owner is None:
            return
        now = time.monotonic()
        if not subscription.planned:
            subscription.planned = True
            self._plan.track_added(
                now,
                self._monitor.room,
                owner.identity,
                sid,
                "video" if want.frames else "audio",
                muted=want.muted,
                screen=want.screen,
            )
        elif subscription.muted != want.muted:
            self._plan.muted(now, sid, want.muted)
        subscription.muted = want.muted
        self._plan.link(now, sid, lost=owner.quality == "lost")

    def _unplan(self, sid: str, subscription: _Subscription) -> None:
        if subscription.planned:
            subscription.planned = False
            self._plan.track_removed(time.monotonic(), sid)

    def _enable(self, subscription: _Subscription, enabled: bool) -> None:
        if subscription.enabled != enabled:
            subscription.enabled = enabled
            _send_enabled(subscription.publication, enabled)

    def _open_tap(self, sid: str, subscription: _Subscription) -> None:
        if subscription.tap is None and subscription.meters is not None:
            subscription.tap = self._tier.open(
                cast("rtc.RemoteAudioTrack", subscription.track),
                subscription.meters,
                lambda transitions: self._heard(sid, transitions),
                lambda: self._sounds(sid),
            )

    def _drop(self, sid: str) -> None:
        subscription = self._subscriptions.pop(sid, None)
        if subscription is None:
            return
        self._forget(subscription.identity, sid)
        self._unplan(sid, subscription)
        self._close_tap(sid, subscription)
        if subscription.want.frames:
            self._monitor.video(sid, None, time.monotonic())

    def _forget(self, identity: str, sid: str) -> None:
        """It may be wanted still, so look at them anew."""
        self._left[identity] = None
        self._sids[identity].discard(sid)
        if not self._sids[identity]:
            del self._sids[identity]

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

    def _sounds(self, sid: str) -> None:
        """The first frame since it was opened, which is silence until packets come."""
        now = time.monotonic()
        self._monitor.listening(sid, "pcm", now)
        self._plan.started(now, sid)
        self._listener.settle()

    def _heard(self, sid: str, transitions: list[Transition]) -> None:
        self._speech(sid, transitions)
        self._listener.settle()
        self._on_change()

    def _tell_level(self, sid: str, meters: TrackMeters, now: float) -> None:
        loudest, floor = meters.meters.loudest_dbov, meters.meters.floor_dbov
        if loudest is not None and floor is not None:
            self._plan.reading(now, sid, floor_dbov=floor, loudest_dbov=loudest)

    def _speech(self, sid: str, transitions: list[Transition]) -> None:
        # One of several thresholds is enough for the plan to know whether somebody speaks.
        least = min((t.threshold for t in transitions), default=0.0)
        for transition in transitions:
            self._monitor.speech(sid, transition.threshold, transition.speaking, transition.at)
            if transition.threshold == least:
                self._plan.speech(time.monotonic(), sid, transition.speaking, transition.at)

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
