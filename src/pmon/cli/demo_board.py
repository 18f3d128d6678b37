"""The demo's table: what pmon says of each participant, beside what is true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.table import Table

from pmon.monitor import events as ev

TOLERANCE = 0.05
TOLERANCE_S = 0.3


@dataclass
class Row:
    """One participant, as far as events have told."""

    does: str
    published: bool = False
    speaking_since: datetime | None = None
    talk_time_s: float = 0.0
    quality: str = "unknown"
    muted: bool = False
    final_s: float | None = None
    """Talk time in the session's summary."""


@dataclass(frozen=True)
class Verdict:
    """Measured and true talk time of one participant."""

    identity: str
    measured_s: float | None
    true_s: float

    @property
    def ok(self) -> bool:
        """Within 5 % or 0.3 s of the truth; who said nothing must have exactly 0."""
        if self.measured_s is None:
            return False
        if self.true_s == 0:
            return self.measured_s == 0
        allowed_s = max(TOLERANCE_S, TOLERANCE * self.true_s)
        return abs(self.measured_s - self.true_s) <= allowed_s


class Board:
    """Takes the worker's events in, gives tables out."""

    def __init__(self, participants: Mapping[str, str]) -> None:
        """``participants``: identity and what they do, in the order of the table."""
        self.rows = {identity: Row(does) for identity, does in participants.items()}

    @property
    def all_published(self) -> bool:
        """Whether the worker has seen a microphone of everybody."""
        return all(row.published for row in self.rows.values())

    def apply(self, event: ev.AnyEvent) -> None:
        """Take in one event; those of other participants do not matter."""
        row = self.rows.get(event.participant)
        if row is None:
            return
        match event:
            case ev.TrackPublished(source="microphone"):
                row.published, row.muted = True, event.muted
            case ev.TrackMuted(source="microphone"):
                row.muted = True
            case ev.TrackUnmuted(source="microphone"):
                row.muted = False
            case ev.SpeakingStarted():
                row.speaking_since = event.time
            case ev.SpeakingStopped():
                row.speaking_since, row.talk_time_s = None, event.talk_time_s
            case ev.ConnectionQuality():
                row.quality = event.to
            case ev.SessionEnded():
                row.final_s = event.summary.talk_time_s

    def measured_s(self, identity: str, now: datetime) -> float:
        """Talk time so far; a turn that goes on counts up to now."""
        row = self.rows[identity]
        turn_s = (now - row.speaking_since).total_seconds() if row.speaking_since else 0.0
        return row.talk_time_s + max(0.0, turn_s)

    def live(self, true_s: Mapping[str, float], now: datetime) -> Table:
        """The table while people talk."""
        roles = [f"{identity} {row.does}" for identity, row in self.rows.items()]
        table = Table(title="what pmon sees", caption="; ".join(roles))
        for title in ("participant", "speaking", "talk time", "true", "connection", "microphone"):
            table.add_column(title, justify="right" if title in ("talk time", "true") else "left")
        for identity, row in self.rows.items():
            table.add_row(
                identity,
                "[bold green]●[/] speaks" if row.speaking_since else "[dim]○[/]",
                f"{self.measured_s(identity, now):.1f} s",
                f"{true_s[identity]:.1f} s",
                row.quality,
                "[yellow]muted[/]" if row.muted else "on",
            )
        return table

    def verdicts(self, true_s: Mapping[str, float]) -> list[Verdict]:
        """Everybody's final talk time against the truth."""
        return [
            Verdict(identity, row.final_s, true_s[identity]) for identity, row in self.rows.items()
        ]


def final_table(verdicts: Sequence[Verdict]) -> Table:
    """The table at the end."""
    table = Table(title="talk time, from the session summaries")
    for title in ("participant", "measured", "true", "difference", "verdict"):
        table.add_column(title, justify="left" if title in ("participant", "verdict") else "right")
    for verdict in verdicts:
        measured, difference = "no summary", ""
        if verdict.measured_s is not None:
            measured = f"{verdict.measured_s:.2f} s"
            difference = f"{verdict.measured_s - verdict.true_s:+.2f} s"
        table.add_row(
            verdict.identity,
            measured,
            f"{verdict.true_s:.2f} s",
            difference,
            "[green]ok[/]" if verdict.ok else "[bold red]off[/]",
        )
    return table
