"""How the connection to a room stands, and how long what it says of leaves is doubted."""

from __future__ import annotations

from enum import Enum

SETTLE_S = 10.0
"""After a reconnect the server needs some seconds to tell who is there (7 s were measured)."""
SETTLE_MORE_S = 30.0
"""Clients that lost the server too try again less and less often: the longer it was away, the
later they are back. So as much is added as it was away, up to this."""


class Link(Enum):
    """How the room connection stands."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    SUSPENDED = "suspended"
    """Reconnecting: nothing that the SDK reports now is believed."""
    MISSING = "missing"
    """The server answers and does not know the room."""


def settled_at(suspended_at: float, now: float) -> float:
    """When to believe the leaves that were reported around a reconnect."""
    return now + SETTLE_S + min(now - suspended_at, SETTLE_MORE_S)
