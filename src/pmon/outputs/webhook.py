"""Sends events to a URL as they happen, and again until they are taken."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp
import structlog

from pmon.monitor.events import AnyEvent
from pmon.outputs import webhook_format
from pmon.outputs.delivery import Delivery, Message
from pmon.outputs.spool import Spool

MOST = 10_000
"""Events that wait at the most; about 10 MB."""
TIMEOUT_S = 10.0
SPOOL_S = 0.1
"""So long changes of the spool are gathered."""
LATER = frozenset({408, 425, 429})
"""Answers of the 4xx that are about the time and not about what was sent."""

T = TypeVar("T")

log = structlog.get_logger("pmon.webhook")


class Webhook:
    """Takes events at any time, and waits for nothing.

    An answer of 2xx means taken. No answer, 5xx, 408, 425 and 429 mean that nobody takes events
    now; any other answer means that this one is refused (``Delivery`` says what follows). What is
    waiting is kept in ``state_dir`` over a restart, or else in memory and lost with the process.
    """

    name = "webhook"

    def __init__(
        self,
        url: str,
        api_key: str,
        api_secret: str,
        *,
        types: Collection[str] | None = None,
        state_dir: str | None = None,
        most: int = MOST,
    ) -> None:
        """``types`` are the events to send; None means all."""
        self._url = url
        self._host = urlsplit(url).hostname or ""  # all of the URL that may be logged
        self._key, self._secret = api_key, api_secret
        self._types = types
        self._most = most
        self._delivery = Delivery(most)
        self._spool = None if state_dir is None else Spool(state_dir)
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="webhook spool")
        self._added: dict[str, Message] = {}
        self._removed: list[str] = []
        self._spool_fails = False
        self._dropped = 0
        self._landed = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._saving: asyncio.Task[None] | None = None
        self._client: aiohttp.ClientSession | None = None

    @property
    def dropped(self) -> int:
        """Events that were not delivered and never will be."""
        return self._dropped

    @property
    def waiting(self) -> int:
        """Events that have not been taken yet."""
        return len(self._delivery)

    async def start(self) -> None:
        """Open the spool and go on with what is in it. Raises ``SpoolError``."""
        if self._spool is not None:
            kept = await self._on_disk(self._spool.open, self._most)
            for name, session, body in kept:
                self._delivery.add(Message(name, session, body, time.monotonic()))
            if kept:
                log.info("webhooks from before are waiting", events=len(kept))
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        self._client = aiohttp.ClientSession(timeout=timeout)
        self._send_due()

    def event(self, event: AnyEvent) -> None:
        """Take one event."""
        if self._types is not None and event.type not in self._types:
            return
        body = webhook_format.body(event)
        message = Message(event.id, event.session, body, time.monotonic())
        oldest = self._delivery.add(message)
        if oldest is not None:
            self._drop(oldest)
        if self._spool is not None:
            self._added[message.id] = message
            self._save_soon()
        self._send_due()

    async def aclose(self, deadline_s: float = 5.0) -> None:
        """Send what can be sent within ``deadline_s``; the rest is kept, or lost if nowhere."""
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                while self.waiting and not self._delivery.failing:
                    self._landed.clear()
                    await self._landed.wait()
        client, self._client = self._client, None
        self._send_due()  # which only stops the timer now
        tasks = [task for task in (self._saving, *self._sending) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if client is not None:
            await client.close()
        await self._save()
        if self._spool is not None:
            await self._on_disk(self._spool.close)
        self._disk.shutdown(wait=False)
        if self.waiting and self._spool is not None:
            log.warning("webhooks are kept for the next start", events=self.waiting)
        elif self.waiting:
            self._dropped += self.waiting
            log.error("webhooks were not taken and are lost", events=self.waiting)

    # --- sending

    def _send_due(self) -> None:
        """Send what may be sent now, and look again when more may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._client is None:
            return
        for message in self._delivery.due(time.monotonic()):
            task = asyncio.create_task(self._send(self._client, message))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        at = self._delivery.next_at()
        if at is not None:
            self._timer = asyncio.get_running_loop().call_at(at, self._send_due)

    async def _send(self, client: aiohttp.ClientSession, message: Message) -> None:
        headers = webhook_format.headers(message.body, self._key, self._secret)
        try:
            async with client.post(
                self._url, data=message.body, headers=headers, allow_redirects=False
            ) as answer:
                await answer.read()
                self._answered(message, answer.status, answer.headers.get("Retry-After", ""))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._failed(message, type(error).__name__)
        self._landed.set()
        self._send_due()

    def _answered(self, message: Message, status: int, retry_after: str) -> None:
        if 200 <= status < 300:
            if self._delivery.failing:
                log.info("webhooks are taken again", host=self._host, waiting=self.waiting)
            self._delivery.delivered(message)
            self._forget(message)
        elif status >= 500 or status in LATER:
            pause_s = float(retry_after) if retry_after.isdecimal() else 0.0
            self._failed(message, f"HTTP {status}", min(pause_s, 3600.0))
        else:
            if message.tries == 1:
                log.error("a webhook is refused", host=self._host, id=message.id, status=status)
            if self._delivery.refused(message, time.monotonic()):
                self._drop(message)

    def _failed(self, message: Message, problem: str, retry_after_s: float = 0.0) -> None:
        if not self._delivery.failing:
            log.error("webhooks are not taken; they wait", host=self._host, problem=problem)
        self._delivery.failed(message, time.monotonic(), retry_after_s)

    def _drop(self, message: Message) -> None:
        self._dropped += 1
        if self._dropped == 1:
            log.error("webhooks are lost: too many wait, or one was refused for a day")
        self._forget(message)

    # --- the spool

    def _forget(self, message: Message) -> None:
        if self._spool is not None and self._added.pop(message.id, None) is None:
            self._removed.append(message.id)
            self._save_soon()

    def _save_soon(self) -> None:
        if self._saving is None:
            self._saving = asyncio.create_task(self._save_later())

    async def _save_later(self) -> None:
        await asyncio.sleep(SPOOL_S)
        self._saving = None
        await self._save()

    async def _save(self) -> None:
        if self._spool is None or not (self._added or self._removed):
            return
        added, self._added = self._added, {}
        removed, self._removed = self._removed, []
        try:
            await self._on_disk(self._spool.change, list(added.values()), removed)
        except sqlite3.Error as error:
            if not self._spool_fails:
                log.error("webhooks cannot be kept on disk for now", problem=str(error))
            # They come with the next change, unless they are taken before it.
            self._added = added | self._added
            self._removed = removed + self._removed
            self._spool_fails = True
        else:
            self._spool_fails = False

    async def _on_disk(self, work: Callable[..., T], *given: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work, *given)
