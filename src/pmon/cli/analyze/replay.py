"""``pmon analyze --replay``: the events of a trace, told again."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pmon.monitor.trace import Remark, replay


def print_replay(path: str, say: Callable[[bytes], None], warn: Callable[[str], None]) -> bool:
    """Give each event to ``say`` as a line, and what else there is to know to ``warn``.

    Returns whether all went well. Raises OSError and TraceError.
    """
    well = True
    with open(path, "rb") as lines:
        for told in replay(lines):
            if isinstance(told, Remark):
                well = well and not told.failed
                warn(f"{path}, line {told.line}: {told.text}")
            else:
                say(msgspec.json.encode(told) + b"\n")
    return well
