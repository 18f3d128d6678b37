"""Makes a room's subscriptions what the monitor wants, a few at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping

from livekit import rtc

from pmon.media.listener import Listener
from pmon.media.subscription import Subscription, Surroundings
from pmon.media.tap import AudioTier
from pmon.monitor.inputs import VideoReading
from pmon.monitor.listening.changes import Change
from pmon.monitor.room import RoomMonitor
from pmon.monitor.wants import Want, wanted

BATCH = 20
"""Subscriptions changed in one go: each costs a renegotiation and, for video, a key frame."""
PACE_S = 0.1
CLOSE_S = 5.0
RETRY_S = 5.0
"""A subscription that was refused, or of which nothing came, is asked for again after so long."""

QUIETEST_DBOV = -127.0


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
        self._shared = Surroundings(monitor, tier, listener, on_change)
        self._monitor = monitor
        self._listener = listener
        self._plan = listener.plan
        self._room: rtc.Room | None = None
        self._subscriptions: dict[str, Subscription] = {}
        self._refused: dict[str, float] = {}
        self._sids: dict[str, set[str]] = {}
        """What is subscribed of somebody, by their identity."""
        self._left: dict[str, None] = {}
        """The identities whose subscriptions may not be what is wanted, oldest first."""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def cameras(self) -> list[rtc.RemoteTrack]:
        """The video that is received."""
        return [s.track for s in self._subscriptions.values() if s.seen and s.track is not None]

    @property
    def microphones(self) -> list[rtc.RemoteTrack]:
        """The audio that is listened to."""
        return [s.track for s in self._subscriptions.values() if s.heard and s.track is not None]

    def levels(self, identities: Iterable[str] | None = None) -> dict[str, float]:
        """The level of the loudest microphone in dBov, of these or all who are listened to."""
        levels: dict[str, float] = {}
        for identity in self._sids if identities is None else identities:
            for sid in self._sids.get(identity, ()):
                level = self._subscriptions[sid].level_dbov
                if level is not None:
                    levels[identity] = max(round(level, 1), levels.get(identity, QUIETEST_DBOV))
        return levels

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
        self._shared.paused = True
        self.hang_up_all()
        for sid in self._subscriptions:
            self._plan.suspended(time.monotonic(), sid)

    def resume(self) -> None:
        """The connection is back; a full reconnect forgot every subscription without a track.

        Where the track survived, the server still has its settings.
        """
        self._shared.paused = False
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
        if self._room is None or self._shared.paused or self._timer is not None:
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
        self._shared.paused = False
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
        if self._shared.closing:
            await asyncio.wait(self._shared.closing, timeout=CLOSE_S)

    # --- from the server

    def track_subscribed(
        self, track: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication
    ) -> None:
        subscription = self._subscriptions.get(publication.sid)
        if subscription is None:
            publication.set_subscribed(False)  # unwanted again before it came
            return
        subscription.came(track, publication)
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
        if subscription is not None:
            subscription.carry_out(change)

    def not_carried_out(self, track_sid: str) -> None:
        """A track could not be switched: it is given up, and asked for again after a while."""
        if track_sid in self._subscriptions:
            self._refuse(track_sid)
            self._unsubscribe(track_sid)

    # --- what is heard and seen

    def look_after(self, now: float) -> None:
        """End speech on streams that ran dry, and ask again for what did not come."""
        for subscription in self._subscriptions.values():
            if subscription.track is None and now - subscription.asked_at >= RETRY_S:
                subscription.ask(now)
            subscription.look_after(now)
        self._listener.settle()

    def read(self, now: float, identity: str | None = None) -> None:
        """Give the monitor the meters' totals, and the plan every level; of one person or all."""
        for sid in self._subscriptions if identity is None else self._sids.get(identity, ()):
            self._subscriptions[sid].read(now)
        self._listener.settle()

    def frames(self, readings: Mapping[str, VideoReading], now: float) -> None:
        """The totals of the video receivers by track sid."""
        for sid, reading in readings.items():
            if sid in self._subscriptions:
                self._subscriptions[sid].frames(reading, now)
        self._listener.settle()

    def hang_up(self, track_sid: str) -> None:
        """Stop listening to a track now, with its last word told; before mute, unpublish, leave."""
        if track_sid in self._subscriptions:
            self._subscriptions[track_sid].hang_up()

    def hang_up_all(self) -> None:
        for subscription in self._subscriptions.values():
            subscription.hang_up()

    def muted(self, track_sid: str) -> None:
        """A track is muted, which cannot wait for ``apply``: that may be pacing itself."""
        if track_sid in self._subscriptions:
            self._subscriptions[track_sid].muted()
            self._listener.settle()

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
                subscription.adjust(want)
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
        subscription = Subscription(identity, publication, self._shared)
        self._subscriptions[sid] = subscription
        self._sids.setdefault(identity, set()).add(sid)
        subscription.want = want
        subscription.ask(time.monotonic())
        return True

    def _refuse(self, sid: str) -> None:
        now = time.monotonic()
        self._refused = {sid: until for sid, until in self._refused.items() if until > now}
        self._refused[sid] = now + RETRY_S

    def _unsubscribe(self, sid: str) -> None:
        subscription = self._subscriptions[sid]
        self._drop(sid)
        if self._publication(subscription.identity, sid) is not None:
            subscription.publication.set_subscribed(False)

    def _drop(self, sid: str) -> None:
        subscription = self._subscriptions.pop(sid, None)
        if subscription is not None:
            self._forget(subscription.identity, sid)
            subscription.drop()

    def _forget(self, identity: str, sid: str) -> None:
        """It may be wanted still, so look at them anew."""
        self._left[identity] = None
        self._sids[identity].discard(sid)
        if not self._sids[identity]:
            del self._sids[identity]

    def _on_timer(self) -> None:
        self._timer = None
        self.apply()
