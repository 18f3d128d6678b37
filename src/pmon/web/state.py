"""What the pages need of the worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """How much the worker does, and how much more it could."""

    load: float
    """As it is reported to the server, 0 to 1."""
    full_at: float
    """The load from which on the server gives it no more jobs."""
    jobs: int
    room_for: int | None
    """About so many more microphones fit in; None while nothing has been measured."""
    microphones: int
    """Those that are on."""
    heard: int
    """Of them those that are decoded now."""
    processes: int
    version: str


class WorkerState(Protocol):
    """What the pages tell of the worker."""

    @property
    def agent_name(self) -> str: ...
    @property
    def worker_type(self) -> str:
        """The type of its jobs, as the agent protocol calls it."""

    @property
    def worker_id(self) -> str:
        """The server's name for this registration, "" while there is none."""

    @property
    def active_jobs(self) -> int: ...
    @property
    def tiers(self) -> Mapping[str, str]: ...
    @property
    def load(self) -> float:
        """The load as it is reported to the server, 0 to 1."""

    @property
    def protocol_version(self) -> int:
        """The version of the agent protocol that the worker registers with."""

    @property
    def unready(self) -> str | None:
        """Why the worker takes no jobs ("not registered", "draining"); None when it does."""

    @property
    def capacity(self) -> Capacity: ...


class MetricsPage(Protocol):
    """Where the metrics come from."""

    def render(self) -> tuple[bytes, str]: ...
