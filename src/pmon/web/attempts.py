"""Wrong tokens are counted by where they come from: a few at once, then one every few seconds."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

BURST = 10
EVERY_S = 3.0
SOURCES = 1000
"""So many are remembered; with more, the one that was wrong the longest ago is forgotten."""


class Attempts:
    """Ask ``wait_s`` before a token is looked at, so that a right guess shows no sooner."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paid_at: OrderedDict[str, float] = OrderedDict()
        """When the last wrong one of each source will be forgiven."""

    def wait_s(self, address: str) -> float:
        """How long until whoever is there may try again; 0 for now."""
        paid_at = self._paid_at.get(_source(address), 0.0)
        return max(0.0, paid_at - (BURST - 1) * EVERY_S - self._clock())

    def failed(self, address: str) -> None:
        """A token from there was wrong."""
        source = _source(address)
        self._paid_at[source] = max(self._clock(), self._paid_at.pop(source, 0.0)) + EVERY_S
        if len(self._paid_at) > SOURCES:
            self._paid_at.popitem(last=False)


def _source(address: str) -> str:
    """An IPv6 network of 64 bits is one customer."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed.packed, 64), strict=False))
