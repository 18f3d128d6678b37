"""Debian's Chromium without a screen, and what tests of the dashboard do with it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Page, async_playwright

ELSEWHERE = "monitor.example"
"""A name of this machine that the browser takes for another machine's."""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Without a browser this fails; it never skips."""
    path = shutil.which("chromium")
    assert path, "the dashboard is tested with chromium: apt-get install chromium"
    async with async_playwright() as playwright:
        # Root, as in a container, has no sandbox.
        arguments = ["--no-sandbox", f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1"]
        browser = await playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def open_page(browser: Browser, url: str, **options: object) -> AsyncIterator[Page]:
    """A page of a new user, which must not complain: neither of a script nor of the policy."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900}, **options)  # type: ignore[arg-type]
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        # That it was refused somebody is said on the page.
        lambda said: (
            complaints.append(said.text)
            if said.type == "error" and "status of 401" not in said.text
            else None
        ),
    )
    await page.goto(url)
    try:
        yield page
    finally:
        await context.close()
    assert not complaints
