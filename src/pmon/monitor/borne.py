"""Losses that the server finds nothing wrong with, although it has had the time to see them.

They may be on the own path, of which it does not know; or on an uplink whose RED and FEC make up
for them. Either way they explain nothing that it says of somebody later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from pmon.monitor.reception import WINDOW_S

SERVER_LAG_S = 15.0
"""The server is at most so late to see a loss on somebody's uplink: two windows of 5 s, and 5 s
until it tells."""
MORE = 1.25
"""So many times what was borne is another loss; less may be chance."""


class _Run(msgspec.Struct):
    known_at: float
    """When there was a loss last, whatever the server says of it."""
    young: deque[tuple[float, float]] = msgspec.field(default_factory=deque)
    """When looks found which share, that the server may not have seen yet."""
    looks: int = 0
    lost: float = 0.0
    """The sum of the shares that older looks found: those are borne."""
    newest: float = 0.0
    """The last of them. While a loss is on the rise their mean is behind it."""


class Borne:
    """What each participant loses while the server calls them well."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}

    def see(self, identity: str, loss: float, now: float) -> None:
        """So much is missing of somebody whom the server finds well."""
        run = self._runs.setdefault(identity, _Run(now))
        run.young.append((now, loss))
        while now - run.young[0][0] >= SERVER_LAG_S:
            run.newest = run.young.popleft()[1]
            run.lost += run.newest
            run.looks += 1

    def lowered(self, identity: str) -> None:
        """The server does not find them well any more: what it saw last it may mean."""
        if identity in self._runs:
            self._runs[identity].young.clear()

    def look(self, known: Iterable[str], now: float) -> None:
        """Of these it is known what they lose. Of whom it is not for long, it may be over."""
        for identity in known:
            if identity in self._runs:
                self._runs[identity].known_at = now
        self.over([name for name, run in self._runs.items() if now - run.known_at > WINDOW_S])

    def over(self, identities: Iterable[str]) -> None:
        """They do not lose packets any more, or are not heard."""
        for identity in identities:
            self._runs.pop(identity, None)

    def forget(self) -> None:
        """Nobody is heard any more."""
        self._runs.clear()

    def bears(self, identity: str | None, loss: float) -> bool:
        """Whether a loss of theirs is one that the server has found nothing wrong with."""
        run = None if identity is None else self._runs.get(identity)
        if run is None or not run.looks:
            return False
        return loss < MORE * max(run.newest, run.lost / run.looks)
