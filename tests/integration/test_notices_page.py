"""examples/browser in a real browser, in a real room: what it shows, and whom it believes."""

from __future__ import annotations

import asyncio
import json
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from conftest import Dispatch, Join, StartWorker
from playwright.async_api import Page, async_playwright, expect

from pmon.cli.livekit_server import LocalServer
from pmon.media.phrases import phrases
from pmon.media.publish import join_token

BROWSER = Path(__file__).parents[2] / "examples" / "browser"
HOSTILE = "<img src=x onerror=\"document.title='broken'\">"


@asynccontextmanager
async def page_at(folder: Path) -> AsyncIterator[Page]:
    """The page as a file server gives it, in Debian's chromium."""
    app = web.Application()
    app.router.add_static("/", folder)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    chromium = shutil.which("chromium")
    assert chromium is not None, "apt-get install chromium"
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with async_playwright() as driver:
            browser = await driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = await browser.new_page()
            await page.goto(f"http://127.0.0.1:{runner.addresses[0][1]}/index.html")
            yield page
            await browser.close()
    finally:
        await runner.cleanup()


@pytest.mark.system
@pytest.mark.timeout(300)
async def test_the_page_shows_what_is_said_and_believes_nobody_else(
    livekit_server: LocalServer,
    start_worker: StartWorker,
    dispatch: Dispatch,
    join: Join,
    room: str,
    tmp_path: Path,
) -> None:
    shutil.copytree(BROWSER, tmp_path, dirs_exist_ok=True)
    install = await asyncio.create_subprocess_exec(
        *("npm", "install", "--no-audit", "--no-fund", "livekit-client@2"),
        cwd=tmp_path,
        stdout=PIPE,
        stderr=PIPE,
    )
    _, problem = await install.communicate()
    assert install.returncode == 0, problem.decode()

    worker = await start_worker(PMON_VIDEO="always")
    talker = await join(HOSTILE, camera=True)
    await dispatch()
    await worker.wait("video_state", to="live")
    token = join_token(livekit_server.api_key, livekit_server.api_secret, room, "viewer")
    async with page_at(tmp_path) as page:
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.fill("input[name=url]", livekit_server.url)
        await page.fill("input[name=token]", token)
        await page.click("button")
        await expect(page.locator("#state")).to_have_text(f"in room {room} as viewer")
        await expect(page.locator("#welcome")).to_contain_text("are being measured", timeout=15_000)

        row = page.locator("#people tr", has_text=HOSTILE)
        saying = talker.say(phrases()["numbers"])
        await expect(row.locator("td").nth(1)).to_have_text("speaks", timeout=10_000)
        talker.freeze()
        await expect(row.locator("td").nth(4)).to_contain_text("video_frozen", timeout=30_000)
        talker.thaw()
        await expect(row.locator("td").nth(4)).to_have_text("", timeout=30_000)
        await saying
        await expect(row.locator("td").nth(1)).to_have_text("", timeout=10_000)

        forged = {"type": "speaking_detection", "participant": "nobody", "speaking": True}
        assert talker.room is not None
        await talker.room.local_participant.publish_data(
            json.dumps(forged | {"timestamp": 1.0}), topic="pmon"
        )
        await talker.say(phrases()["welcome"])
        await expect(row.locator("td").nth(1)).to_have_text("", timeout=10_000)
        assert "nobody" not in await page.locator("#people").inner_text()
        assert await page.locator("#people img").count() == 0
        assert await page.title() == "pmon notices"
        assert errors == []
