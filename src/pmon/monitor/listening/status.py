"""How the listening plan stands."""

from __future__ import annotations

import msgspec

from pmon.monitor.listening.cameras import Looks


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How the plan stands, for metrics and the log."""

    rooms: int
    microphones: int
    audible: int
    """Microphones that are on: neither muted nor encrypted."""
    heard: int
    cameras: int
    seen: int
    rooms_adaptive: int
    looks: Looks
    pins: int
    pins_limit: int
    pins_refused: int
    waiting: int
    """Toggles that wait for their turn."""
    overdue: int
    """Microphones that the patrol could not hear within 3 minutes: the budget does not allow it,
    or nothing comes from them."""
    refuse_jobs: bool
