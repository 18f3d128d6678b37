"""Meetings for the tests of what stores and tells them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from event_samples import base, summary
from sqlalchemy import Engine, select

from pmon.monitor import events as ev
from pmon.outputs.history import store
from pmon.outputs.history.database import make_file, open_engine
from pmon.outputs.history.migrate import upgrade
from pmon.outputs.history.rows import Change, Rows
from pmon.outputs.history.tables import metadata

IDS = count(1)
"""As of the supervisor: none is given twice."""
NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def meeting(
    participant: str = "alice",
    *,
    session: str = "",
    start_s: float = 0.0,
    turns: Sequence[tuple[float, float]] = ((10.0, 12.0), (20.0, 25.0)),
    end_s: float = 100.0,
    ended: bool = True,
    summary_fields: dict[str, Any] | None = None,
    **fields: Any,
) -> list[ev.AnyEvent]:
    """Somebody comes, speaks, has an issue, and leaves; times are seconds after noon."""
    session = session or f"PS_{participant}"
    common = base(participant, session) | fields

    def said(event: type[Any], seconds: float, **more: Any) -> Any:
        named = {"time": at(seconds), "id": f"i-{next(IDS)}"}
        return event(**common | named | more)

    trouble: dict[str, Any] = {"issue": "mic_quiet", "track_sid": "TR_1"}
    happened: list[ev.AnyEvent] = [
        said(ev.SessionStarted, start_s, room_sid="", dispatch="AD_1", monitoring_type="full"),
        said(ev.ParticipantConnected, start_s),
    ]
    total_s = 0.0
    for begun_s, ended_s in turns:
        turn_s = ended_s - begun_s
        total_s += turn_s
        happened.append(said(ev.SpeakingStarted, begun_s, heard="pcm"))
        talked = {"turn_s": turn_s, "talk_time_s": total_s, "heard": "pcm", "track_sid": "TR_1"}
        happened.append(said(ev.SpeakingStopped, ended_s, **talked))
    since = at(start_s + 1)
    raised = {**trouble, "severity": "info", "since": since, "evidence": {"level_dbov": -50.0}}
    worse = {**raised, "severity": "warning"}
    happened += [
        said(ev.IssueRaised, start_s + 5, **raised),
        said(ev.IssueUpdated, start_s + 6, **worse),
        said(
            ev.IssueResolved,
            start_s + 9,
            **{**trouble, "severity": "warning", "duration_s": 8.0, "reason": "recovered"},
        ),
    ]
    if not ended:
        return happened
    length_s = end_s - start_s
    total = msgspec.structs.replace(
        summary(),
        **{
            "started_at": at(start_s),
            "duration_s": length_s,
            "present_s": length_s,
            "talk_time_s": total_s,
            "turns": len(turns),
            "coverage": ev.Coverage(
                observed_s=length_s, unobserved_s=0.0, heard_s=length_s, server_word_s=0.0
            ),
            **(summary_fields or {}),
        },
    )
    happened += [
        said(ev.ParticipantDisconnected, end_s, reason="CLIENT_INITIATED"),
        said(ev.SessionEnded, end_s, reason="participant_left", summary=total),
    ]
    return happened


def changes(events: Sequence[ev.AnyEvent]) -> list[Change]:
    rows = Rows()
    return [change for event in events for change in rows.of(event)]


def made(url: str) -> Engine:
    """The database with its tables; whoever makes it disposes of it."""
    engine = open_engine(url)
    make_file(engine)
    upgrade(engine)
    return engine


def put(url: str, *meetings: Sequence[ev.AnyEvent]) -> None:
    """Store what happened."""
    engine = made(url)
    with engine.begin() as connection:
        for events in meetings:
            store.write(connection, changes(events))
    engine.dispose()


def contents(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table."""
    with engine.begin() as connection:
        return {
            name: [
                dict(row)
                for row in connection.execute(
                    select(table).order_by(*table.primary_key.columns)
                ).mappings()
            ]
            for name, table in metadata.tables.items()
        }


def stored(url: str) -> dict[str, list[dict[str, Any]]]:
    engine = open_engine(url)
    try:
        return contents(engine)
    finally:
        engine.dispose()


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'history.db'}"
