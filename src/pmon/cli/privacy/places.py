"""The places where something of a participant is kept, each looked into by itself: one that cannot
be used now keeps nobody from the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pmon.outputs.personal import record, spool
from pmon.outputs.personal.subject import StandIns, Subject


@dataclass
class Receipt:
    """What was done, what was not, and what nobody can do from here."""

    done: list[str] = field(default_factory=list)
    not_done: list[str] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)

    @contextmanager
    def noting(self, place: str, problems: tuple[type[Exception], ...]) -> Iterator[None]:
        """What goes wrong is written down, and the rest goes on."""
        try:
            yield
        except problems as error:
            text = (error.strerror if isinstance(error, OSError) else None) or str(error)
            self.not_done.append(f"{place}: {text}")


@dataclass(frozen=True)
class Places:
    """Those of a worker's settings; None where there is none."""

    database: str | None
    record: str | None
    state_dir: str | None

    def export(self, subject: Subject, give: Callable[[str, dict[str, Any]], None]) -> Receipt:
        """Hand everything to ``give``, with the name of its place."""
        receipt = Receipt()
        if self.database is not None:
            with receipt.noting("history", _problems()):
                count = _export_history(self.database, subject, give)
                receipt.done.append(f"history: {count} rows")
        if self.record is not None:
            with receipt.noting("record", (OSError,)):
                count = 0
                for found in record.find(Path(self.record), subject):
                    give("record", found)
                    count += 1
                receipt.done.append(f"record: {count} lines")
        if self.state_dir is not None:
            with receipt.noting("webhooks", (spool.SpoolUnusableError,)):
                messages = spool.find(Path(self.state_dir), subject)
                for message in messages:
                    give("webhooks", message)
                receipt.done.append(f"webhooks: {len(messages)} that wait to be delivered")
        self._add_what_is_beyond(receipt)
        return receipt

    def erase(self, subject: Subject, *, dry_run: bool) -> Receipt:
        """Have it gone, or find out what would be."""
        receipt, stand_ins = Receipt(), StandIns()
        if self.database is not None:
            with receipt.noting("history", _problems()):
                _erase_history(self.database, subject, stand_ins, receipt, dry_run=dry_run)
        if self.record is not None:
            with receipt.noting("record", (OSError,)):
                folder = Path(self.record)
                lines, files = record.erase(folder, subject, stand_ins, dry_run=dry_run)
                receipt.done.append(f"record: {lines} lines in {files} files")
        if self.state_dir is not None:
            with receipt.noting("webhooks", (spool.SpoolUnusableError,)):
                count = spool.erase(Path(self.state_dir), subject, dry_run=dry_run)
                receipt.done.append(f"webhooks: {count} that wait to be delivered")
        if renamed := subject.renamed():
            receipt.done.append(f"their name in those of rooms: {', '.join(renamed)}")
        if subject.pseudonym is not None:
            receipt.beyond.append(
                "pseudonyms of rooms: who has the key, and knows what the room of a call was"
                " called, finds it"
            )
        self._add_what_is_beyond(receipt)
        return receipt

    def _add_what_is_beyond(self, receipt: Receipt) -> None:
        if self.record is not None and Path(self.record).is_dir():
            names = record.others(Path(self.record))
            if names:
                shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
                receipt.beyond.append(f"files beside the record that are none of its own: {shown}")
        places = {"history": self.database, "record": self.record, "webhooks": self.state_dir}
        for name, place in places.items():
            if place is None:
                receipt.beyond.append(f"{name}: not named, so not looked into")
        receipt.beyond += [
            "what receivers of webhooks did with those that were delivered",
            "logs of workers, and traces (PMON_TRACE)",
            "what other machines keep in records and spools of their own",
            "backups, replicas, snapshots and write-ahead logs of databases and disks",
            "livekit-server and the applications that use it",
        ]


def _problems() -> tuple[type[Exception], ...]:
    from sqlalchemy.exc import SQLAlchemyError

    from pmon.outputs.batches import WriteError
    from pmon.outputs.history.database import HistoryError

    return (HistoryError, WriteError, SQLAlchemyError, OSError)


def _export_history(url: str, subject: Subject, give: Callable[[str, dict[str, Any]], None]) -> int:
    from pmon.outputs.history import personal
    from pmon.outputs.history.read import connected

    count = 0
    with connected(url) as connection:
        for row in personal.find(connection, subject):
            give("history", row)
            count += 1
    return count


def _erase_history(
    url: str, subject: Subject, stand_ins: StandIns, receipt: Receipt, *, dry_run: bool
) -> None:
    from pmon.outputs.history import personal
    from pmon.outputs.history.database import open_engine
    from pmon.outputs.history.read import connected

    with connected(url, reads_only=False) as connection:
        personal.learn(connection, subject)
        still_open = personal.still_open(connection, subject)
        savepoint = connection.begin_nested()
        changed = personal.erase(connection, subject, stand_ins)
        if dry_run:
            savepoint.rollback()
    rows = ", ".join(f"{count} {name}" for name, count in changed.items() if count) or "nothing"
    receipt.done.append(f"history: {rows}")
    if still_open:
        receipt.not_done.append(
            f"history: {still_open} sessions of theirs, or in rooms or with labels that name them,"
            " have not ended; a worker that still watches writes their name again: end those and"
            " try again"
        )
    if dry_run or not any(changed.values()):
        return
    engine = open_engine(url)
    try:
        personal.sweep(engine)
    finally:
        engine.dispose()
