"""What a check found, as a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import click

Verdict = Literal["ok", "note", "wrong"]
COLOURS: dict[Verdict, str] = {"ok": "green", "note": "yellow", "wrong": "red"}


class Finding(NamedTuple):
    """A note is worth knowing and keeps nobody from starting."""

    verdict: Verdict
    about: str
    text: str


Say = Callable[[Finding], None]


def ok(about: str, text: str) -> Finding:
    return Finding("ok", about, text)


def note(about: str, text: str) -> Finding:
    return Finding("note", about, text)


def wrong(about: str, text: str) -> Finding:
    return Finding("wrong", about, text)


def show(finding: Finding) -> None:
    """One line on standard output."""
    word = click.style(f"{finding.verdict:6}", fg=COLOURS[finding.verdict])
    click.echo(f"{word}{finding.about}: {finding.text}")
