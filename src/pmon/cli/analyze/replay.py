"""``pmon analyze --replay``: the events of a trace, told again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

import msgspec

from pmon.monitor.trace import Remark, TraceError, replay


def print_replay(path: str, say: Callable[[bytes], None], warn: Callable[[str], None]) -> bool:
    """Give each event to ``say`` as a line, and what else there is to know to ``warn``.

    Returns whether all went well. Raises TraceError.
    """
    well = True
    with _opened(path) as file:
        for told in replay(_lines(file)):
            if isinstance(told, Remark):
                well = well and not told.failed
                warn(f"{path}, line {told.line}: {told.text}")
            else:
                say(msgspec.json.encode(told) + b"\n")
    return well


def _opened(path: str) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise TraceError(f"it cannot be read: {error.strerror}") from None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    try:
        yield from file
    except OSError as error:
        raise TraceError(f"it cannot be read: {error.strerror}") from None
