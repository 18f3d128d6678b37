"""The dashboard in a real browser: with a real worker and server, and with a worker made up."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from browser import ELSEWHERE, chromium, open_page
from conftest import Dispatch, Join, StartWorker
from livekit import api
from playwright.async_api import Browser, Page, expect

from pmon.cli.livekit_server import LocalServer
from pmon.media.phrases import phrases
from pmon.monitor.events import IssueKind, Severity, SpeakingStarted, SpeakingStopped
from pmon.monitor.view import OpenIssue, RoomView, SessionView
from pmon.outputs.metrics import Metrics
from pmon.web.access import Access
from pmon.web.board import Board
from pmon.web.server import WebServer
from pmon.web.state import Capacity

pytestmark = pytest.mark.system  # only there is a browser

TOKEN = "the-token-of-this-worker"
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
SCREENSHOTS = os.environ.get("PMON_SCREENSHOTS")
"""A folder to keep pictures of the pages in, if somebody wants to look at them."""


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


async def keep(page: Page, name: str) -> None:
    if SCREENSHOTS:
        await page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")


# --- a real worker


@pytest.mark.timeout(120)
async def test_who_begins_to_speak_lights_up_within_a_second(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, browser: Browser
) -> None:
    """And the level of whoever is on the screen moves, and nobody else's is asked for."""
    worker = await start_worker(PMON_LISTEN="always")
    alice = await join("alice", noise_dbov=-60.0)
    await join("bob")
    await dispatch()
    await worker.wait("track_published", 2)
    async with open_page(browser, f"http://127.0.0.1:{worker.http_port}/dashboard") as page:
        row = page.get_by_role("row", name="alice")
        await expect(row).to_be_visible()
        await expect(page.locator("#rows .row")).to_have_count(2)
        assert not await page.locator("#rows .speaking").count()
        lit = asyncio.create_task(page.wait_for_selector("#rows .row.speaking .name >> text=alice"))
        speaks_at = time.monotonic() + phrases()["numbers"].truth.segments[0][0]
        said = alice.say(phrases()["numbers"])
        await lit
        assert -0.1 < time.monotonic() - speaks_at < 1.0
        fill = row.locator(".level .fill")
        await expect(fill).to_have_attribute("style", _over(0.25))
        await keep(page, "dashboard-speaking")
        await said
        await worker.wait("speaking_stopped", participant="alice")
        await expect(page.locator("#rows .row.speaking")).to_have_count(0, timeout=1000)
        await expect(row.locator(".talk")).not_to_have_text("0:00")
        await expect(row.locator(".percent")).to_have_text("100 %")
        assert await row.locator("path").get_attribute("d")


def _over(part: float) -> re.Pattern[str]:
    """The style of a meter that is filled to so many tenths or further."""
    tenths = "".join(str(n) for n in range(int(part * 10), 10))
    return re.compile(rf"scaleX\((0\.[{tenths}]|1)")


@pytest.mark.timeout(120)
async def test_an_issue_comes_and_goes(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, browser: Browser
) -> None:
    worker = await start_worker()
    alice = await join("alice", camera=True)
    await dispatch(monitoring_type="video")
    await worker.wait("video_state", to="live")
    async with open_page(browser, f"http://127.0.0.1:{worker.http_port}/dashboard") as page:
        row = page.get_by_role("row", name="alice")
        await expect(row.locator(".video")).to_contain_text("live")
        await asyncio.sleep(3)  # a picture that hardly began is not frozen but new
        alice.freeze()
        await worker.wait("issue_raised", issue="video_frozen")
        # The server may well call the connection poor besides.
        await expect(row.locator(".issues")).to_contain_text("video frozen", timeout=1000)
        await expect(row.locator(".video")).to_contain_text("frozen")
        issues = page.get_by_role("complementary", name="Open issues")
        frozen = issues.get_by_role("listitem").filter(has_text="video frozen")
        await expect(frozen).to_contain_text("alice")
        await expect(page.locator("#announce")).to_contain_text("alice: video frozen")
        await keep(page, "dashboard-issue")
        alice.thaw()
        await worker.wait("issue_resolved", issue="video_frozen")
        await expect(row.locator(".issues")).not_to_contain_text("video frozen", timeout=1000)
        await expect(frozen).to_have_count(0)
        await expect(page.locator("#announce")).to_contain_text("alice: video frozen is over")


@pytest.mark.timeout(120)
async def test_a_hostile_name_is_text(
    start_worker: StartWorker, dispatch: Dispatch, join: Join, browser: Browser
) -> None:
    worker = await start_worker()
    await join(HOSTILE)
    await dispatch()
    await worker.wait("track_published")
    async with open_page(browser, f"http://127.0.0.1:{worker.http_port}/dashboard") as page:
        await expect(page.locator("#rows .name")).to_have_text(HOSTILE)
        assert await page.locator("img").count() == 0
        assert await page.title() == "pmon"


@pytest.mark.timeout(120)
async def test_logging_in_with_the_token_and_with_one_of_livekit(
    start_worker: StartWorker,
    dispatch: Dispatch,
    join: Join,
    browser: Browser,
    livekit_server: LocalServer,
    room: str,
) -> None:
    worker = await start_worker(PMON_HTTP_TOKEN=TOKEN)
    await join("alice")
    await join("bob", room=f"{room}-2")
    await dispatch()
    await dispatch(room=f"{room}-2")
    await worker.wait("participant_connected", 2)
    url = f"http://127.0.0.1:{worker.http_port}/login"
    async with open_page(browser, url) as page:
        await page.get_by_label("Token").fill("no-token-of-this-worker")
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("alert")).to_have_text("The token is wrong.")
        await keep(page, "login")
        await page.get_by_label("Token").fill(TOKEN)
        await page.get_by_role("button", name="Log in").click()
        await expect(page.locator("#rows .row")).to_have_count(2)
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_label("Token")).to_be_visible()
    own = api.AccessToken(livekit_server.api_key, livekit_server.api_secret)
    own = own.with_identity("host").with_grants(api.VideoGrants(room_admin=True, room=room))
    async with open_page(browser, url) as page:
        await page.get_by_label("Token").fill(own.to_jwt())
        await page.get_by_role("button", name="Log in").click()
        await expect(page.locator("#rows .name")).to_have_text("alice")
        await expect(page.get_by_label("Worker", exact=True)).to_be_hidden()
    assert TOKEN not in str(worker.lines) + worker.stderr


async def test_logging_in_from_another_machine_over_plain_http(
    start_worker: StartWorker, browser: Browser
) -> None:
    """There browsers tell less of where a form comes from than on the machine itself."""
    worker = await start_worker(PMON_HTTP_TOKEN=TOKEN)
    async with open_page(browser, f"http://{ELSEWHERE}:{worker.http_port}/login") as page:
        await page.get_by_label("Token").fill(TOKEN)
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_text("live", exact=True)).to_be_visible()
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_label("Token")).to_be_visible()


# --- a worker made up


class MadeUp:
    """Says that it has much to do."""

    agent_name = "participant-monitor"
    worker_type = "JT_ROOM"
    worker_id = "AW_1"
    active_jobs = 10
    load = 0.31
    protocol_version = 1
    unready = None
    tiers: dict[str, str] = {}  # noqa: RUF012
    capacity = Capacity(
        load=0.31,
        full_at=0.7,
        jobs=10,
        room_for=630,
        microphones=420,
        heard=57,
        processes=2,
        version="0.1",
    )


def session(number: int, **changes: object) -> SessionView:
    fields: dict[str, object] = {
        "session": f"PS_{number}",
        "job": "AJ_1",
        "dispatch": "AD_1",
        "participant": f"participant-{number}",
        "participant_kind": "sip" if number % 9 == 0 else "standard",
        "since": datetime.now(UTC),
        "present": True,
        "talk_time_s": float(number * 37 % 400),
        "quality": ("excellent", "excellent", "excellent", "good", "poor")[number % 5],
        "microphone": "muted" if number % 6 == 0 else "on",
        "heard": "pcm",
        "video": "live",
        "fps": 15.0,
    }
    if number % 17 == 4:
        since = datetime.now(UTC) - timedelta(seconds=20 + number * 7)
        kind: IssueKind = "connection_poor" if number % 5 == 4 else "mic_noisy"
        severity: Severity = "critical" if number % 2 else "warning"
        fields["issues"] = [OpenIssue(issue=kind, severity=severity, since=since)]
    return SessionView(**(fields | changes))  # type: ignore[arg-type]


def rooms(count: int, per_room: int = 50) -> list[RoomView]:
    now = datetime.now(UTC)
    return [
        RoomView(
            room=f"room-{start // per_room}",
            room_sid="RM_1",
            connected=True,
            time=now,
            talk_s=20_000.0,
            sessions=[session(n) for n in range(start, min(start + per_room, count))],
        )
        for start in range(0, count, per_room)
    ]


def turn(number: int, start: datetime, seconds: float) -> list[SpeakingStarted | SpeakingStopped]:
    fields = {
        "id": f"x-{number}",
        "room": f"room-{number // 50}",
        "room_sid": "RM_1",
        "participant": f"participant-{number}",
        "participant_sid": "PA_1",
        "participant_kind": "standard",
        "session": f"PS_{number}",
        "job": "AJ_1",
        "labels": {},
        "heard": "pcm",
    }
    began = SpeakingStarted(time=start, **fields)  # type: ignore[arg-type]
    end = start + timedelta(seconds=seconds)
    return [
        began,
        SpeakingStopped(time=end, turn_s=seconds, talk_time_s=300.0, **fields),  # type: ignore[arg-type]
    ]


@pytest_asyncio.fixture
async def server() -> AsyncIterator[WebServer]:
    access = Access(None, "key", "a-secret-of-more-than-thirty-two-letters")
    server = WebServer(MadeUp(), Metrics(), access, Board(), "127.0.0.1", 0)
    await server.start()
    yield server
    await server.aclose()


@asynccontextmanager
async def _levels(server: WebServer) -> AsyncIterator[None]:
    """Twice a second tell how loud those are who are looked at."""

    async def tell() -> None:
        while True:
            server.levels(
                {
                    room: {name: -62.0 + int(name.split("-")[1]) * 37 % 50 for name in names}
                    for room, names in server.visible.items()
                }
            )
            await asyncio.sleep(0.5)

    telling = asyncio.create_task(tell())
    yield
    telling.cancel()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the page has nothing to wait on
            await asyncio.sleep(0.05)


@pytest.mark.timeout(120)
async def test_finding_somebody_with_the_keyboard(server: WebServer, browser: Browser) -> None:
    views = rooms(120)
    issue = OpenIssue(issue="mic_silent", severity="warning", since=datetime.now(UTC))
    ill = session(77, issues=[issue], talk_time_s=1000.0)
    views[1] = RoomView(
        room="room-1",
        room_sid="RM_1",
        connected=True,
        time=views[1].time,
        talk_s=20_000.0,
        sessions=[ill, *(s for s in views[1].sessions if s.session != ill.session)],
    )
    server.rooms(views)
    async with open_page(browser, f"http://127.0.0.1:{server.port}/dashboard") as page:
        await expect(page.locator("#rows .row")).to_have_count(120)
        await page.keyboard.press("/")
        await page.keyboard.type("silent")
        await expect(page.locator("#rows .row")).to_have_count(1)
        await expect(page.locator("#rows .name")).to_have_text("participant-77")
        await expect(page.locator("#shown")).to_have_text("1 of 120 shown")
        await page.keyboard.press("Escape")
        await expect(page.locator("#rows .row")).to_have_count(120)
        rows = page.locator("#rows .row")
        await rows.first.focus()
        await page.keyboard.press("ArrowDown")
        await expect(rows.nth(1)).to_be_focused()
        await page.keyboard.press("End")
        await expect(rows.last).to_be_focused()
        await expect(rows.last).to_be_in_viewport()
        await page.get_by_role("button", name="Talk time").press("Enter")
        await expect(rows.first.locator(".name")).to_have_text("participant-77")
        head = page.get_by_role("columnheader", name="Talk time")
        await expect(head).to_have_attribute("aria-sort", "descending")
        rooms_list = page.get_by_role("navigation", name="Rooms")
        await rooms_list.get_by_role("button", name="room-2").press("Enter")
        await expect(rows).to_have_count(20)
        await page.reload()
        await expect(rows).to_have_count(20)  # the room stands in the address
        issues = page.get_by_role("complementary", name="Open issues")
        await issues.get_by_role("button", name="participant-77").press("Enter")
        await expect(page.get_by_role("row", name="participant-77")).to_be_focused()


@pytest.mark.timeout(120)
async def test_the_page_comes_back_with_the_worker(server: WebServer, browser: Browser) -> None:
    """A worker that is replaced must not leave a page that looks alive and is not."""
    server.rooms(rooms(3))
    async with open_page(browser, f"http://127.0.0.1:{server.port}/dashboard") as page:
        await expect(page.locator("#rows .row")).to_have_count(3)
        await expect(page.get_by_role("status")).to_have_text("live")
        for socket in list(server._live._viewers):
            await socket.close()
        server.rooms(rooms(2))
        await expect(page.locator("#rows .row")).to_have_count(2)
        await expect(page.get_by_role("status")).to_have_text("live")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_dark_where_the_system_is(
    server: WebServer, browser: Browser, scheme: str
) -> None:
    server.rooms(rooms(60))
    now = datetime.now(UTC)
    for number in range(0, 60, 4):
        for back in range(290, 10, -20 - number % 13):
            for event in turn(number, now - timedelta(seconds=back), 3 + (back + number) % 9):
                server.event(event)
    for number in (4, 13, 26):
        server.event(turn(number, now - timedelta(seconds=2), 1)[0])
    url = f"http://127.0.0.1:{server.port}/dashboard"
    async with open_page(browser, url, color_scheme=scheme, reduced_motion="reduce") as page:
        await expect(page.locator("#rows .row")).to_have_count(60)
        await page.wait_for_function("document.querySelector('#rows path').getAttribute('d')")
        ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness = int(ground.removeprefix("rgb(").split(",")[0])
        assert (brightness > 128) == (scheme == "light")
        motion = "getComputedStyle(document.querySelector('#rows .light')).transitionDuration"
        assert set((await page.evaluate(motion)).split(", ")) == {"0s"}
        await _until(lambda: bool(server.visible))
        async with _levels(server):
            await expect(page.locator(".level .fill").nth(1)).to_have_attribute("style", _over(0.1))
            await keep(page, f"dashboard-{scheme}")
