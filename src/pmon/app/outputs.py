"""The outputs that keep or send every event: each gets all of them, and none waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import structlog

from pmon.monitor.events import AnyEvent
from pmon.outputs.record import Record
from pmon.outputs.retention import Keeper, Retention
from pmon.outputs.webhook import Webhook
from pmon.settings import Settings, SettingsError

CLOSE_S = 5.0

log = structlog.get_logger("pmon.outputs")


class Output(Protocol):
    """Takes events at any time and waits for nothing."""

    name: str

    @property
    def dropped(self) -> int:
        """Events that did not get out and never will."""

    async def start(self) -> None:
        """Raises SettingsError if it cannot work as it is set."""

    def event(self, event: AnyEvent) -> None: ...

    async def aclose(self, deadline_s: float = CLOSE_S) -> None:
        """Let out what waits. It does no harm to what never started."""


class Outputs:
    """Those that the settings ask for."""

    def __init__(self, settings: Settings) -> None:
        self._all = list(_asked_for(settings))
        keepers = [output for output in self._all if isinstance(output, Keeper)]
        self._retention = Retention(keepers, settings.retention_s)

    async def start(self) -> None:
        """Raises one SettingsError for all that is wrong; those that started are to be closed."""
        problems: list[str] = []
        for output in self._all:
            with noted(problems):
                await output.start()
        if problems:
            raise SettingsError("\n".join(problems))
        self._retention.start()

    def event(self, event: AnyEvent) -> None:
        """Give the event to each of them."""
        for output in self._all:
            try:
                output.event(event)
            except Exception:  # the others and the rooms are not to suffer for it
                log.exception("an output failed", output=output.name, id=event.id)

    def dropped(self) -> dict[str, int]:
        """By the name of the output, how many events are lost to it."""
        return {output.name: output.dropped for output in self._all}

    async def aclose(self, deadline_s: float = CLOSE_S) -> None:
        """All at once, so that together they take no longer than the slowest."""
        self._retention.close()
        await asyncio.gather(*(output.aclose(deadline_s) for output in self._all))


def _asked_for(settings: Settings) -> Iterator[Output]:
    if settings.record:
        yield Record(settings.record)
    if settings.database:
        from pmon.outputs.history.output import History  # an optional extra

        yield History(settings.database)
    if settings.webhook_url is not None:
        yield Webhook(
            settings.webhook_url,
            settings.api_key,
            settings.api_secret,
            types=settings.webhook_events,
            state_dir=settings.state_dir,
        )


@contextmanager
def noted(problems: list[str]) -> Iterator[None]:
    """What is wrong with a setting is put with the rest of it."""
    try:
        yield
    except SettingsError as error:
        problems.append(str(error))
