"""What waits outlives the process, whole and in order."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from pmon.outputs.delivery import Message
from pmon.outputs.spool import FILE, Spool, SpoolError


def messages(*numbers: int) -> list[Message]:
    return [Message(f"e-{n}", "s", f"{n}".encode(), 0.0) for n in numbers]


def kept(folder: Path, most: int = 100) -> list[str]:
    spool = Spool(str(folder))
    found = [name for name, _, _ in spool.open(most)]
    spool.close()
    return found


def test_what_was_not_removed_is_there_again(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path / "new" / "folder"))
    assert spool.open(100) == []
    spool.change(messages(1, 2, 3), [])
    spool.change(messages(4), ["e-2", "unknown"])
    spool.close()
    again = Spool(str(tmp_path / "new" / "folder"))
    assert again.open(100) == [("e-1", "s", b"1"), ("e-3", "s", b"3"), ("e-4", "s", b"4")]
    again.close()


def test_it_holds_no_more_than_the_newest(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    spool.open(100)
    spool.change(messages(*range(10)), [])
    spool.close()
    assert kept(tmp_path, 3) == ["e-7", "e-8", "e-9"]
    assert kept(tmp_path) == ["e-7", "e-8", "e-9"]


def test_the_same_twice_is_once(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    spool.open(100)
    spool.change(messages(1), [])
    spool.change(messages(1), [])
    spool.close()
    assert kept(tmp_path) == ["e-1"]


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    """Identities of people are in it."""
    kept(tmp_path)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_second_worker_is_told(tmp_path: Path) -> None:
    """It would send everything once more."""
    spool = Spool(str(tmp_path))
    spool.open(100)
    spool.change(messages(1), [])
    with pytest.raises(SpoolError, match=r"PMON_STATE_DIR .*webhooks.sqlite: database is locked"):
        Spool(str(tmp_path)).open(100)
    spool.close()


@pytest.mark.parametrize("wrong", ["a file", "no database"])
def test_a_folder_that_cannot_be_is_named(tmp_path: Path, wrong: str) -> None:
    folder = tmp_path / "state"
    if wrong == "a file":
        folder.write_text("")
    else:
        folder.mkdir()
        (folder / FILE).write_bytes(os.urandom(5000))
    with pytest.raises(SpoolError, match=r"PMON_STATE_DIR \(--state-dir\): cannot keep"):
        Spool(str(folder)).open(100)


def test_a_change_that_fails_is_none(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    spool.open(100)
    spool.change(messages(1), [])
    broken = Message("e-2", "s", object(), 0.0)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.Error):
        spool.change([broken], ["e-1"])
    spool.close()
    assert kept(tmp_path) == ["e-1"]
