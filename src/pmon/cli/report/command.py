"""The command ``pmon report``: days in, a table or CSV out."""

from __future__ import annotations

import sys
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from pmon.cli.settings_flags import one_setting

if TYPE_CHECKING:
    from pmon.cli.report.days import Line

FAILED = 1
"""The exit code when the database does not answer; click's own for wrong use is 2."""
DAYS = 7
MOST_DAYS = 366 * 10
YEARS = range(1970, 9999)
"""Days beside those of others still have a number, in every time zone."""
WIDE = 200
"""Columns of a table that goes to no terminal."""


def _day(_context: click.Context, _parameter: click.Parameter, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise click.BadParameter("it should be a day such as 2026-03-14") from None
    if day.year not in YEARS:
        raise click.BadParameter(f"its year should be from {YEARS[0]} to {YEARS[-1]}")
    return day


def _zone(_context: click.Context, _parameter: click.Parameter, text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise click.BadParameter(
            "it should be a time zone such as Europe/Berlin"
            " (where the system has none, pip install tzdata)"
        ) from None


def _labels(
    _context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]
) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if any(not equals or not key for key, equals, _ in pairs):
        raise click.BadParameter("it should be KEY=VALUE")
    return {key: value for key, _, value in pairs}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--from", "first", metavar="DAY", callback=_day, help="The first day, by default 6 before --to."
)
@click.option(
    "--to", "last", metavar="DAY", callback=_day, help="The last day, included; by default today."
)
@click.option(
    "--tz",
    "zone",
    metavar="ZONE",
    default="UTC",
    callback=_zone,
    show_default=True,
    help="The time zone in which days begin and times are shown, such as Europe/Berlin.",
)
@click.option("--room", "rooms", metavar="NAME", multiple=True, help="Only this room, or these.")
@click.option(
    "--label",
    "labels",
    metavar="KEY=VALUE",
    multiple=True,
    callback=_labels,
    help="Only sessions whose dispatch has this label, or all of these.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values instead of a table.")
@one_setting("database", "The history to read.")
@one_setting("identity_key", "To find a room by its name where a pseudonym stands for it.")
def report(
    first: date | None,
    last: date | None,
    zone: ZoneInfo,
    rooms: tuple[str, ...],
    labels: dict[str, str],
    as_csv: bool,
    database: str | None,
    identity_key: str | None,
) -> None:
    """Tell who was in which room, when, and how long they spoke, day by day.

    There is a line for each day, meeting and participant. A meeting is one life of a room on the
    server: a room that was closed and opened again is another. Presence and speech are cut at
    midnight: who stayed over it leaves at 00:00 and joins the next day at 00:00. A turn counts on
    the day it began, an issue on the day it was raised. The share is that of what all in the
    meeting said that day; a * says that somebody was not listened to.

    Quality is the mean score of the connection, 0 to 1. Coverage is the part of the presence of
    which it is known whether they spoke, from decoded audio or the server's word; both are known
    for whole sessions, and each day has those of its sessions. A ! marks a coverage under 90 %,
    and those whose session has not ended; they are taken to be there until the last turn or
    issue of theirs.

    \b
    Exit codes:
      0  done, be there something to tell or not
      1  the database does not answer
      2  wrong use: options, a missing extra, a database without a history
    """
    if database is None:
        raise click.UsageError("Missing option '--database', or the variable PMON_DATABASE.")
    last = last or datetime.now(zone).date()
    first = first or last - timedelta(days=DAYS - 1)
    if not 0 <= (last - first).days < MOST_DAYS:
        raise click.UsageError("--from should be a day before --to, at most ten years.")
    found = _found(database, zone, first, last, _names(rooms, identity_key), labels)
    _print(found, as_csv=as_csv)


def _names(rooms: tuple[str, ...], key: str | None) -> list[str]:
    """The names that the rooms may go by."""
    from pmon.outputs.pseudonyms import Pseudonyms

    return [*rooms, *(Pseudonyms(key).room(room) for room in rooms if key is not None)]


def _found(
    database: str,
    zone: ZoneInfo,
    first: date,
    last: date,
    rooms: list[str],
    labels: dict[str, str],
) -> list[Line]:
    from pmon.cli.report.days import bounds, lines
    from pmon.outputs.history.database import HistoryError, UnavailableError
    from pmon.outputs.history.read import connected, find

    try:
        with connected(database) as connection:
            found = find(
                connection,
                *bounds(zone, first, last),
                rooms,
                lambda its: labels.items() <= its.items(),
            )
    except HistoryError as error:
        raise click.UsageError(str(error)) from None
    except UnavailableError as error:
        click.echo(f"pmon report: the database does not answer: {error}", err=True)
        sys.exit(FAILED)
    return lines(found, zone, first, last)


def _print(lines: list[Line], *, as_csv: bool) -> None:
    from rich.console import Console

    from pmon.cli.report.shown import table, write_csv

    if as_csv:
        write_csv(lines, sys.stdout)
    elif lines:
        console = Console(width=None if sys.stdout.isatty() else WIDE)
        console.print(table(lines))
    else:
        click.echo("Nobody was in a room then, as far as the history knows.")
