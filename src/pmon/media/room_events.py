"""What the SDK tells of participants and tracks, passed on to the monitor."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol, cast

import structlog
from livekit import rtc

from pmon.media import sdk
from pmon.media.subscriptions import Subscriptions
from pmon.monitor.room import RoomMonitor

log = structlog.get_logger("pmon.media")


class Roster(Protocol):
    """Who hears notices: told of everyone who can receive data, and of their going."""

    def joined(self, identity: str, is_agent: bool, now: float) -> None: ...
    def left(self, identity: str) -> None: ...


def listen(
    room: rtc.Room,
    handlers: dict[str, Callable[..., None]],
    on_change: Callable[[], None],
    is_current: Callable[[rtc.Room], bool],
) -> None:
    """Have ``handlers`` called on a room's events, and ``on_change`` after each.

    The last words of a room object that was given up must not be taken for its successor's.
    Errors are kept from the SDK, which would log the whole event with them, tokens included.
    """

    def guard(name: str, handler: Callable[..., None]) -> Callable[..., None]:
        def call(*args: Any) -> None:
            if not is_current(room):
                return
            try:
                handler(*args)
            except Exception:
                log.exception("room event not handled", event_name=name)
            on_change()

        return call

    for name, handler in handlers.items():
        room.on(cast(Any, name), guard(name, handler))


class RoomEvents:
    """Translates the events of a room connection; it decides nothing."""

    def __init__(
        self,
        monitor: RoomMonitor,
        subscriptions: Subscriptions,
        roster: Roster,
        on_change: Callable[[], None],
        is_current: Callable[[rtc.Room], bool],
    ) -> None:
        self._is_current = is_current
        self._monitor = monitor
        self._subscriptions = subscriptions
        self._roster = roster
        self._on_change = on_change

    def listen(self, room: rtc.Room) -> None:
        """Take the events of this room object."""
        handlers: dict[str, Callable[..., None]] = {
            "participant_connected": self._on_participant_connected,
            "participant_disconnected": self._on_participant_disconnected,
            "participant_active": self._on_participant_active,
            "participant_attributes_changed": self._on_attributes_changed,
            "track_published": self._on_track_published,
            "track_unpublished": self._on_track_unpublished,
            "track_subscribed": self._on_track_subscribed,
            "track_unsubscribed": self._on_track_unsubscribed,
            "track_subscription_failed": self._on_subscription_failed,
            "track_muted": self._on_track_muted,
            "track_unmuted": self._on_track_unmuted,
            "active_speakers_changed": self._on_speakers,
            "connection_quality_changed": self._on_quality,
        }
        listen(room, handlers, self._on_change, self._is_current)
        # They may be many, and nothing has to be done at once.
        signs = {"data_received": self._on_sign, "sip_dtmf_received": self._on_sign}
        listen(room, signs, lambda: None, self._is_current)

    def greet(self, room: rtc.Room) -> None:
        """Tell of those who were active before the connection was; no event comes for them."""
        for participant in room.remote_participants.values():
            if participant.state == rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE:
                self._on_participant_active(participant)

    def _on_participant_connected(self, participant: rtc.RemoteParticipant) -> None:
        self._monitor.participant_joined(sdk.participant_info(participant), time.monotonic())

    def _on_participant_disconnected(self, participant: rtc.RemoteParticipant) -> None:
        self._roster.left(participant.identity)
        for sid in participant.track_publications:
            self._subscriptions.hang_up(sid)
        self._monitor.participant_left(
            participant.identity, sdk.leave_reason(participant), time.monotonic()
        )

    def _on_participant_active(self, participant: rtc.RemoteParticipant) -> None:
        is_agent = participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        self._roster.joined(participant.identity, is_agent, time.monotonic())

    def _on_attributes_changed(self, changed: dict[str, str], participant: rtc.Participant) -> None:
        now = time.monotonic()
        # With them they may opt out, or a call be picked up: what was heard till now is told first.
        self._subscriptions.read(now, participant.identity)
        self._monitor.attributes_changed(participant.identity, participant.attributes, now)

    def _on_track_published(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        self._monitor.track_published(
            participant.identity, sdk.track_info(publication), time.monotonic()
        )

    def _on_track_unpublished(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        self._subscriptions.hang_up(publication.sid)
        self._monitor.track_unpublished(publication.sid, time.monotonic())

    def _on_track_subscribed(
        self,
        track: rtc.RemoteTrack,
        publication: rtc.RemoteTrackPublication,
        participant: rtc.RemoteParticipant,
    ) -> None:
        self._subscriptions.track_subscribed(track, publication)

    def _on_track_unsubscribed(
        self,
        track: rtc.RemoteTrack | None,
        publication: rtc.RemoteTrackPublication,
        participant: rtc.RemoteParticipant,
    ) -> None:
        self._subscriptions.track_unsubscribed(publication.sid)

    def _on_subscription_failed(
        self, participant: rtc.RemoteParticipant, track_sid: str, error: str
    ) -> None:
        log.warning("subscription refused", room=self._monitor.room, track_sid=track_sid)
        self._subscriptions.subscription_failed(track_sid)

    def _on_track_muted(
        self, participant: rtc.Participant, publication: rtc.TrackPublication
    ) -> None:
        self._subscriptions.hang_up(publication.sid)
        self._monitor.track_muted(publication.sid, True, time.monotonic())
        self._subscriptions.muted(publication.sid)

    def _on_track_unmuted(
        self, participant: rtc.Participant, publication: rtc.TrackPublication
    ) -> None:
        self._monitor.track_muted(publication.sid, False, time.monotonic())

    def _on_speakers(self, speakers: list[rtc.Participant]) -> None:
        named, now = {speaker.identity for speaker in speakers}, time.monotonic()
        self._monitor.speakers(named, now)
        self._subscriptions.speakers(named, now)

    def _on_sign(self, packet: rtc.DataPacket | rtc.SipDTMF) -> None:
        if packet.participant is not None:
            self._monitor.data(packet.participant.identity, time.monotonic())

    def _on_quality(
        self, participant: rtc.Participant | None, quality: rtc.ConnectionQuality
    ) -> None:
        level = sdk.QUALITIES.get(quality, "unknown")
        if isinstance(participant, rtc.LocalParticipant):
            self._monitor.own_quality(level)
        elif participant is not None:
            self._monitor.quality(participant.identity, level, time.monotonic())
            self._subscriptions.quality(participant.identity)
