"""Losses that the server finds nothing wrong with, although it has had the time to see them.

They may be on the own path, of which it does not know; or on an uplink whose RED and FEC make up
for them. Either way they explain nothing that it says of somebody later.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

SERVER_LAG_S = 15.0
"""The server is at most so late to see a loss on somebody's uplink: two windows of 5 s, and 5 s
until it tells."""
MORE = 2.0
"""So many times what was borne is another loss; less may be chance."""


class _Run(msgspec.Struct):
    since: float
    until: float = 0.0
    looks: int = 0
    lost: float = 0.0
    """The sum of the shares that the looks found."""


class Borne:
    """What each participant loses while the server calls them well."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}

    def see(self, identity: str, loss: float, now: float) -> None:
        """So much is missing of somebody whom the server finds well."""
        run = self._runs.setdefault(identity, _Run(now))
        run.until = now
        run.looks += 1
        run.lost += loss

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
        if run is None or run.until - run.since < SERVER_LAG_S:
            return False
        return loss < MORE * run.lost / run.looks
