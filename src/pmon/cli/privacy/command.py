"""The command ``pmon privacy``: an identity in, what is kept of it or a receipt out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from pmon.cli.settings_flags import one_setting
from pmon.cli.shown import printable

if TYPE_CHECKING:
    from pmon.cli.privacy.places import Places, Receipt
    from pmon.outputs.personal.subject import Subject

FAILED = 1
"""The exit code when a place could not be used; click's own for wrong use is 2."""

F = TypeVar("F", bound=Callable[..., Any])


def _options(command: F) -> F:
    options = [
        click.option("--identity", required=True, metavar="TEXT", help="Of the participant."),
        one_setting("database", "The history."),
        one_setting("record", "The folder of the record."),
        one_setting("state_dir", "The folder with webhooks that wait to be delivered."),
        one_setting("identity_key", "To find their pseudonym, too, of PMON_IDENTITY=hash."),
        click.option("--dry-run", is_flag=True, help="Only say what there is; change nothing."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def privacy() -> None:
    """Hand out, or erase, what is kept of a participant.

    It looks into the history, the record and the webhooks that wait to be delivered, where the
    options or the variables of the worker name them. The receipt says what was done, what could
    not be, and what is beyond its reach.

    \b
    Exit codes:
      0  done
      1  a place could not be used, or not all of it; the receipt says which
      2  wrong use: options, a missing extra
    """


@privacy.command()
@_options
def export(
    identity: str,
    database: str | None,
    record: str | None,
    state_dir: str | None,
    identity_key: str | None,
    dry_run: bool,
) -> None:
    """Print all that is kept of a participant, one JSON object a line.

    The receipt goes to standard error. With --dry-run there is nothing but the receipt.
    """

    def give(place: str, found: dict[str, Any]) -> None:
        if not dry_run:
            click.echo(msgspec.json.encode({"place": place, **found}), file=sys.stdout)

    subject = _subject(identity, identity_key)
    receipt = _places(database, record, state_dir).export(subject, give)
    _hand_over(receipt, subject, "Found" if dry_run else "Printed", err=True)


@privacy.command()
@_options
def erase(
    identity: str,
    database: str | None,
    record: str | None,
    state_dir: str | None,
    identity_key: str | None,
    dry_run: bool,
) -> None:
    """Erase who a participant was, and print a receipt.

    What they did stays as that of somebody unknown, with another name by lot in each meeting, so
    that the totals of rooms are as they were; labels go, and ids of sessions, jobs, dispatches and
    tracks. Webhooks about them that wait are deleted. Where a room or a label of others names them,
    "erased" stands instead. Their pseudonym is found with the key of PMON_IDENTITY=hash.
    """
    subject = _subject(identity, identity_key)
    receipt = _places(database, record, state_dir).erase(subject, dry_run=dry_run)
    _hand_over(receipt, subject, "Would be erased" if dry_run else "Erased", err=False)


def _subject(identity: str, key: str | None) -> Subject:
    from pmon.outputs.personal.subject import Subject
    from pmon.outputs.pseudonyms import Pseudonyms

    if not identity:
        raise click.BadParameter("it should be the identity of a participant")
    return Subject(identity, None if key is None else Pseudonyms(key))


def _places(database: str | None, record: str | None, state_dir: str | None) -> Places:
    from pmon.cli.privacy.places import Places

    if database is None and record is None and state_dir is None:
        raise click.UsageError(
            "Nothing to look into: name --database, --record or --state-dir, or set the variables"
            " PMON_DATABASE, PMON_RECORD or PMON_STATE_DIR."
        )
    return Places(database, record, state_dir)


def _hand_over(receipt: Receipt, subject: Subject, what: str, *, err: bool) -> None:
    also = "" if subject.pseudonym is None else f" and {subject.pseudonym}"
    lines = [f"{what}, of {printable(subject.identity)}{also}:", *_listed(receipt.done)]
    if receipt.not_done:
        lines += ["NOT done:", *_listed(receipt.not_done)]
    lines += ["Beyond the reach of this command:", *_listed(receipt.beyond)]
    click.echo("\n".join(lines), err=err)
    sys.exit(FAILED if receipt.not_done else 0)


def _listed(texts: list[str]) -> list[str]:
    return [f"  - {printable(text)}" for text in texts]
