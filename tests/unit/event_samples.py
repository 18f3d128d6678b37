"""One event of each type, for the tests of what carries events out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pmon.monitor import events as ev

TIME = datetime(2026, 3, 14, 15, 9, 26, 500_000, tzinfo=UTC)


def base(participant: str = "alice", session: str = "s1") -> dict[str, Any]:
    """The fields that every event has."""
    return {
        "time": TIME,
        "room": "room-1",
        "room_sid": "RM_1",
        "participant": participant,
        "participant_sid": "PA_1",
        "participant_kind": "standard",
        "session": session,
        "job": "AJ_1",
        "labels": {"appointment": "A-17"},
    }


def summary() -> ev.SessionSummary:
    """What a short session amounts to."""
    return ev.SessionSummary(
        started_at=TIME,
        duration_s=60.0,
        present_s=59.0,
        talk_time_s=12.5,
        turns=3,
        talk_share=0.5,
        level_dbov=-26.0,
        heard="pcm",
        quality_s={"excellent": 59.0, "unknown": 1.0},
        tracks=[
            ev.TrackSummary(
                track_sid="TR_2",
                kind="video",
                source="camera",
                encrypted=False,
                published_s=50.0,
                muted_s=0.0,
            )
        ],
        issues=[
            ev.IssueSummary(
                issue="video_frozen",
                severity="warning",
                track_sid="TR_2",
                raised_at=TIME,
                duration_s=9.0,
                open=False,
            )
        ],
        coverage=ev.Coverage(observed_s=60.0, unobserved_s=0.0, heard_s=50.0, server_word_s=0.0),
    )


def every_type(participant: str = "alice") -> list[ev.AnyEvent]:
    """One event of each type."""
    fields = base(participant)
    track: dict[str, Any] = {"kind": "audio", "source": "microphone"}
    issue: dict[str, Any] = {"issue": "connection_poor", "severity": "warning"}
    return [
        ev.SessionStarted(**fields, dispatch="AD_1", monitoring_type="full"),
        ev.ParticipantConnected(**fields),
        ev.TrackPublished(**fields, **track, track_sid="TR_1", muted=False, encrypted=False),
        ev.TrackMuted(**fields, **track, track_sid="TR_1"),
        ev.TrackUnmuted(**fields, **track, track_sid="TR_1"),
        ev.SpeakingStarted(**fields, heard="pcm"),
        ev.SpeakingStopped(**fields, heard="pcm", turn_s=2.5, talk_time_s=12.5),
        ev.ConnectionQuality(**fields, from_="good", to="poor", reason="server"),
        ev.VideoState(**fields, track_sid="TR_2", from_="live", to="frozen", fps=0.0),
        ev.IssueRaised(**fields, **issue, since=TIME, evidence={"score": 0.33}),
        ev.IssueUpdated(**fields, **issue, since=TIME, evidence={"score": 0.0}),
        ev.IssueResolved(**fields, **issue, duration_s=9.0, reason="recovered"),
        ev.TrackUnpublished(**fields, **track, track_sid="TR_1"),
        ev.ParticipantDisconnected(**fields, reason="CLIENT_INITIATED"),
        ev.SessionEnded(**fields, reason="away_timeout", summary=summary()),
    ]
