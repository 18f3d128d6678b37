"""Wakes all who wait for something new."""

from __future__ import annotations

import asyncio


class Bell:
    """Rung between two waits it is not heard: look for what is new before waiting."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, timeout_s: float) -> bool:
        """Until it rings; False if it did not in that time."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            done, _ = await asyncio.wait([waiter], timeout=timeout_s)
            return bool(done)
        finally:
            self._waiting.discard(waiter)
            waiter.cancel()
