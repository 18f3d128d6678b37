"""The demo's table and its verdicts: a wrong figure must turn the exit code."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from rich.console import Console
from rich.table import Table

from pmon.cli.demo_board import Board, Verdict, final_table
from pmon.monitor.events import AnyEvent

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def event(
    type_: str, participant: str = "alice", /, *, after_s: float = 0, **fields: Any
) -> AnyEvent:
    """An event as the worker's log has it, with the log's own fields beside."""
    line = {
        "message": "somebody did something",
        "level": "INFO",
        "name": "pmon.events",
        "v": 1,
        "id": "x-1",
        "type": type_,
        "time": START + timedelta(seconds=after_s),
        "room": "demo",
        "room_sid": "RM_x",
        "participant": participant,
        "participant_sid": "PA_x",
        "participant_kind": "standard",
        "track_sid": "TR_x",
        "session": "s",
        "job": "AJ_x",
        "labels": {},
        "heard": "pcm",
        **fields,
    }
    decoded: AnyEvent = msgspec.json.decode(msgspec.json.encode(line), type=AnyEvent)
    return decoded


def board() -> Board:
    return Board({"alice": "talks", "carol": "keeps quiet"})


def text(table: Table) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def track(type_: str, participant: str = "alice", /, **fields: Any) -> AnyEvent:
    return event(type_, participant, **({"kind": "audio", "source": "microphone"} | fields))


def published(participant: str, /, **fields: Any) -> AnyEvent:
    return track("track_published", participant, **({"muted": False, "encrypted": False} | fields))


def test_everybody_is_seen_once_all_microphones_are() -> None:
    seen = board()
    seen.apply(published("alice", kind="video", source="camera"))
    seen.apply(published("carol"))
    assert not seen.all_published
    seen.apply(published("alice"))
    assert seen.all_published


def test_a_turn_counts_while_it_goes_on_and_is_the_workers_figure_after() -> None:
    seen = board()
    seen.apply(event("speaking_started", after_s=1))
    assert seen.measured_s("alice", START + timedelta(seconds=3)) == 2
    seen.apply(event("speaking_stopped", after_s=4, turn_s=2.9, talk_time_s=2.9))
    assert seen.measured_s("alice", START + timedelta(seconds=9)) == 2.9
    seen.apply(event("speaking_started", after_s=10))
    assert seen.measured_s("alice", START + timedelta(seconds=10)) == 2.9
    assert seen.measured_s("alice", START + timedelta(seconds=9.9)) == 2.9  # never counts down
    assert seen.measured_s("carol", START + timedelta(seconds=11)) == 0


def test_the_table_shows_who_speaks_who_is_muted_and_how_links_are() -> None:
    seen = board()
    seen.apply(published("alice"))
    seen.apply(event("speaking_started"))
    change: dict[str, Any] = {"from": "unknown", "to": "good", "reason": ""}
    seen.apply(event("connection_quality", **change))
    seen.apply(track("track_muted", "carol"))
    alice, carol = (
        next(
            line
            for line in text(seen.live({"alice": 1.5, "carol": 0.0}, START)).splitlines()
            if n in line
        )
        for n in ("alice", "carol")
    )
    assert [word in alice for word in ("speaks", "good", "1.5 s", "on")] == [True] * 4
    assert "muted" in carol
    assert "speaks" not in carol
    seen.apply(track("track_unmuted", "carol"))
    assert "muted" not in text(seen.live({"alice": 0.0, "carol": 0.0}, START))


def test_the_last_table_is_made_of_summaries_and_others_do_not_matter() -> None:
    seen = board()
    summary = {
        "started_at": START,
        "duration_s": 30,
        "present_s": 30,
        "talk_time_s": 9.9,
        "turns": 3,
        "talk_share": 1.0,
        "level_dbov": -26.0,
        "heard": "pcm",
        "quality_s": {},
        "tracks": [],
        "issues": [],
        "coverage": {"observed_s": 30, "unobserved_s": 0, "heard_s": 30, "server_word_s": 0},
    }
    seen.apply(event("session_ended", reason="shutdown", summary=summary))
    seen.apply(event("session_ended", "stranger", reason="shutdown", summary=summary))
    verdicts = seen.verdicts({"alice": 10.0, "carol": 0.0})
    assert verdicts == [Verdict("alice", 9.9, 10.0), Verdict("carol", None, 0.0)]
    shown = text(final_table(verdicts))
    assert [word in shown for word in ("-0.10 s", "ok", "no summary", "off")] == [True] * 4


@pytest.mark.parametrize(
    ("measured_s", "true_s", "ok"),
    [
        (2.3, 2.0, True),  # 0.3 s
        (2.31, 2.0, False),
        (21.0, 20.0, True),  # 5 %
        (18.9, 20.0, False),
        (0.0, 0.0, True),
        (0.01, 0.0, False),  # who said nothing has exactly nothing
        (None, 0.0, False),  # no summary came
    ],
)
def test_verdict(measured_s: float | None, true_s: float, ok: bool) -> None:
    assert Verdict("alice", measured_s, true_s).ok is ok
