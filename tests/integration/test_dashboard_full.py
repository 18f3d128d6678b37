"""The dashboard where much goes on: five hundred people in ten rooms, in a real browser."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from browser import chromium, open_page
from conftest import Dispatch, StartWorker
from load_generator import LoadGenerator
from load_model import Load
from playwright.async_api import CDPSession, Page, expect

from pmon.cli.livekit_server import LocalServer
from pmon.web.live import LiveMessage

# The first one builds the generator.
pytestmark = [pytest.mark.system, pytest.mark.alone, pytest.mark.timeout(900)]

ROOMS, PARTICIPANTS = 10, 50
BUSY: dict[str, Any] = {"talking_at_once": 10, "burst": 2.5, "dtx": True}
"""Somebody begins or stops some 40 times a second, as 1,000 people do."""
SCROLL = """async () => {
  const bottom = () => document.documentElement.scrollHeight - innerHeight;
  const frames = 200;
  for (let frame = 1; frame <= frames; frame++) {
    scrollTo(0, bottom() * frame / frames);
    await new Promise(requestAnimationFrame);
  }
  return frames;
}"""
LOUD = """() => [...document.querySelectorAll(".level .fill")].some(
  (fill) => parseFloat(fill.style.transform.slice("scaleX(".length)) > 0.2,
)"""


async def test_five_hundred_rows_scroll_while_people_talk(
    start_worker: StartWorker, dispatch: Dispatch, livekit_server: LocalServer, room: str
) -> None:
    """While rows change all the time; and levels are asked for of what is on the screen alone."""
    worker = await start_worker()
    server = livekit_server
    load = Load(rooms=ROOMS, participants=PARTICIPANTS, room_prefix=room, **BUSY)
    async with LoadGenerator(server.url, server.api_key, server.api_secret, load) as generator:
        for name in generator.truth.rooms:
            await dispatch(room=name)
        await worker.wait("track_published", ROOMS * PARTICIPANTS, within_s=60)
        url = f"http://127.0.0.1:{worker.http_port}/dashboard"
        async with chromium() as browser, open_page(browser, url) as page:
            told = _listen(page)
            await page.reload()
            rows = page.locator("#rows .row")
            await expect(rows).to_have_count(ROOMS * PARTICIPANTS)
            await expect(page.locator("#shown")).to_have_text("500 shown")
            first = await rows.first.element_handle()
            said = len(worker.events)
            frame_s = await _cpu_of_a_frame_s(page)
            assert len(worker.events) - said > 40, "this is to be seen while people talk"
            assert frame_s < 0.016, "there would be no time left in a picture"
            last = rows.last
            await expect(last).to_be_in_viewport()
            assert first is not None
            assert await first.evaluate("node => node.isConnected"), "rows are kept, not made anew"
            session = await last.get_attribute("data-id")
            await _until(lambda: session in told[-1].levels)
            levels = told[-1].levels
            assert 5 < len(levels) < 60, "the bottom of the page, and what is just above it"
            await page.wait_for_function(LOUD)
        assert await worker.stop() == 0


def _listen(page: Page) -> list[LiveMessage]:
    """What the worker tells the page from its next load on, as far as levels are in it."""
    told = [LiveMessage(now=0.0)]

    def hear(frame: str | bytes) -> None:
        message = msgspec.json.decode(frame, type=LiveMessage)
        if message.levels:
            told.append(message)

    page.on("websocket", lambda socket: socket.on("framereceived", hear))
    return told


async def _cpu_of_a_frame_s(page: Page) -> float:
    """Scroll from the top to the bottom. Of scripts, styles and layout, which others on the machine
    do not lengthen; to paint is left out, for which there is no GPU here.
    """
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    before_s = await _busy_s(devtools)
    frames = await page.evaluate(SCROLL)
    return (await _busy_s(devtools) - before_s) / float(frames)


async def _busy_s(devtools: CDPSession) -> float:
    told = await devtools.send("Performance.getMetrics")
    ours = ("ScriptDuration", "RecalcStyleDuration", "LayoutDuration")
    return sum(float(m["value"]) for m in told["metrics"] if m["name"] in ours)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a message has nothing to wait on
            await asyncio.sleep(0.05)
