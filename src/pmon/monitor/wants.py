"""What the media side should receive: which tracks, and what to do with them."""

from __future__ import annotations

import msgspec

from pmon.monitor.participant import Participant, Track
from pmon.monitor.room import RoomMonitor
from pmon.monitor.session import Session


class Want(msgspec.Struct, frozen=True):
    """One track to subscribe to.

    A track that is not ``enabled`` is subscribed and disabled: the server sends no media, but
    does send the publisher's connection quality and speaker events.
    """

    enabled: bool = False
    thresholds: tuple[float, ...] = ()
    """Decode the audio and look for speech over each of these; empty: decode nothing."""
    frames: bool = False
    """Count the video frames."""
    muted: bool = False
    screen: bool = False

    @property
    def planned(self) -> bool:
        """Whether the listening plan says when it is heard or seen."""
        return bool(self.thresholds) or self.frames


LINK = Want()


def wanted(room: RoomMonitor, identity: str) -> dict[str, Want]:
    """The wanted tracks of somebody by their sid; what is not named is not to be received."""
    participant = room.participants.get(identity)
    if participant is None or not participant.present or participant.opted_out:
        return {}
    return _of(participant, room.sessions.of(participant))


def _of(participant: Participant, sessions: list[Session]) -> dict[str, Want]:
    if not sessions:
        return {}
    thresholds = tuple(sorted({s.watch.speaking_threshold for s in sessions if s.watch.audio}))
    video = any(s.watch.video for s in sessions)
    wants = {}
    for track in participant.tracks.values():
        want = _track(track, thresholds, video)
        if want is not None:
            wants[track.sid] = want
    if not wants and participant.tracks:
        # Without a subscription the server says nothing about the connection.
        wants[next(iter(participant.tracks))] = LINK
    return wants


def _track(track: Track, thresholds: tuple[float, ...], video: bool) -> Want | None:
    if track.is_microphone and thresholds:
        if track.encrypted:
            return LINK
        # A muted microphone stays subscribed, so that nothing is lost at unmute.
        return Want(enabled=True, thresholds=thresholds, muted=track.muted)
    if track.is_video and video:
        screen = track.source == "screen_share"
        seen = Want(enabled=True, frames=True, muted=track.muted, screen=screen)
        return LINK if track.encrypted else seen
    return None
