"""What another process has told a room of somebody, as far as their session's state shows it."""

from __future__ import annotations

from pmon.monitor.clock import UtcAnchor
from pmon.monitor.session import SessionState
from pmon.outputs.notices import shapes
from pmon.outputs.notices.facts import ISSUES

NOT_SAID = ("live", "ended")


def told(state: SessionState, anchor: UtcAnchor) -> list[shapes.Change]:
    """In the words that were used, dated to when the state was left."""
    who = state.participant.identity
    at = anchor.at(state.started_at + state.ledger.until_s).timestamp()
    found: list[shapes.Change] = []
    if state.talk.speaking:
        found.append(shapes.SpeakingDetection(participant=who, timestamp=at, speaking=True))
    level = state.ledger.quality.level
    if level != "unknown":
        found.append(
            shapes.ConnectionQuality(participant=who, timestamp=at, quality=level, previous=level)
        )
    for sid, track in state.ledger.tracks.items():
        video = "live" if track.video is None or track.gone else track.video.state
        if video != "unknown" and video not in NOT_SAID:
            found.append(
                shapes.VideoState(
                    participant=who, timestamp=at, track_sid=sid, state=video, previous="live"
                )
            )
    found += [
        shapes.Issue(
            participant=who,
            timestamp=at,
            issue=record.issue,
            action="raised",
            severity=record.severity,
            track_sid=record.track_sid,
            since=anchor.at(record.since).timestamp(),
        )
        for record in state.issues.records
        if record.ended_at is None and record.issue in ISSUES
    ]
    return found
