"""Webhooks to a real receiver: one that is down, slow or refuses gets all of them all the same."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web
from conftest import Dispatch, Join, StartWorker
from event_samples import every_type
from livekit import api

from pmon.cli.livekit_server import LocalServer
from pmon.media.phrases import phrases
from pmon.monitor.events import AnyEvent
from pmon.outputs import webhook_format
from pmon.outputs.spool import FILE
from pmon.outputs.webhook import SPOOL_S, Webhook

KEY, SECRET = "key", "secret" * 8
DEADLINE_S = 20.0
MINUTE_EVENTS = 600


class Receiver:
    """Takes webhooks as an application would, with LiveKit's own receiver."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        """The statuses to answer with before it is 200."""
        self.refused: set[str] = set()
        """Ids that are answered with 422."""
        self.taken: list[dict[str, Any]] = []
        self.key, self.secret = KEY, SECRET
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=hush"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.text()
        receiver = api.WebhookReceiver(api.TokenVerifier(self.key, self.secret))
        receiver.receive(body, request.headers["Authorization"])
        if self.answers:
            return web.Response(status=self.answers.pop(0))
        told = json.loads(body)
        if told["id"] in self.refused:
            return web.Response(status=422)
        self.taken.append(told)
        return web.Response()

    @property
    def ids(self) -> list[str]:
        return [told["id"] for told in self.taken]


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - the receiver knows nothing of us
            await asyncio.sleep(0.01)


def happened(number: int, session: str = "PS_1") -> AnyEvent:
    return msgspec.structs.replace(every_type()[0], id=f"i-{number}", session=session)


async def started(receiver: Receiver, **options: Any) -> Webhook:
    webhook = Webhook(receiver.url, KEY, SECRET, **options)
    await webhook.start()
    return webhook


async def test_events_come_in_order_and_signed(receiver: Receiver) -> None:
    webhook = await started(receiver)
    for number in range(30):
        webhook.event(happened(number, f"PS_{number % 3}"))
    await until(lambda: len(receiver.taken) == 30)
    for session in ("PS_0", "PS_1", "PS_2"):
        of_it = [int(t["id"][2:]) for t in receiver.taken if t["pmon"]["session"] == session]
        assert of_it == sorted(of_it)
    await webhook.aclose()
    assert (webhook.waiting, webhook.dropped) == (0, 0)


async def test_only_the_types_that_were_asked_for(receiver: Receiver) -> None:
    webhook = await started(receiver, types={"issue_raised"})
    for event in every_type():
        webhook.event(event)
    await webhook.aclose()
    assert [told["event"] for told in receiver.taken] == ["pmon_issue_raised"]


async def test_who_was_down_gets_them_once_in_order(receiver: Receiver) -> None:
    webhook = await started(receiver)
    await receiver.stop()
    for number in range(20):
        webhook.event(happened(number))
    await asyncio.sleep(1)
    await receiver.start()
    await until(lambda: len(receiver.taken) == 20)
    await webhook.aclose()
    assert receiver.ids == [f"i-{number}" for number in range(20)]


@pytest.mark.system
@pytest.mark.timeout(200)
async def test_who_was_down_for_a_minute_gets_all_of_it_once(
    receiver: Receiver, tmp_path: Path
) -> None:
    """And each session in its order, though many waited with it."""
    webhook = await started(receiver, state_dir=str(tmp_path))
    await receiver.stop()
    for number in range(MINUTE_EVENTS):
        webhook.event(happened(number, f"PS_{number % 10}"))
        await asyncio.sleep(60 / MINUTE_EVENTS)
    assert webhook.waiting == MINUTE_EVENTS
    await receiver.start()
    async with asyncio.timeout(90):  # a pause between tries is a minute at the most
        while len(receiver.taken) < MINUTE_EVENTS:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await webhook.aclose()
    assert webhook.dropped == 0
    for session in range(10):
        of_it = [int(i[2:]) for i in receiver.ids if int(i[2:]) % 10 == session]
        assert of_it == list(range(session, MINUTE_EVENTS, 10))


@pytest.mark.parametrize("status", [500, 503, 429, 408])
async def test_not_now_is_tried_again_under_the_same_id(receiver: Receiver, status: int) -> None:
    webhook = await started(receiver)
    receiver.answers = [status, status]
    webhook.event(happened(1))
    await until(lambda: receiver.ids == ["i-1"])
    await webhook.aclose()


async def test_one_that_is_refused_does_not_hold_up_other_sessions(
    receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    webhook = await started(receiver)
    receiver.refused = {"i-1"}
    for number, session in ((1, "PS_1"), (2, "PS_1"), (3, "PS_2")):
        webhook.event(happened(number, session))
    await until(lambda: receiver.ids == ["i-3"])
    receiver.refused.clear()
    await until(lambda: receiver.ids == ["i-3", "i-1", "i-2"])
    await webhook.aclose()
    said = capsys.readouterr().out
    assert "a webhook is refused" in said
    assert "hush" not in said, "the URL may hold a secret"


async def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    """Somebody else would get the signature."""
    webhook = await started(receiver)
    receiver.answers = [307]
    webhook.event(happened(1))
    await until(lambda: receiver.ids == ["i-1"])
    await webhook.aclose()


async def test_what_was_not_taken_outlives_the_process(receiver: Receiver, tmp_path: Path) -> None:
    webhook = await started(receiver, state_dir=str(tmp_path))
    webhook.event(happened(1))
    await until(lambda: receiver.ids == ["i-1"])
    await receiver.stop()
    for number in (2, 3):
        webhook.event(happened(number))
    await asyncio.sleep(0.2)
    await webhook.aclose(deadline_s=0.1)
    await receiver.start()
    again = await started(receiver, state_dir=str(tmp_path))
    again.event(happened(4))
    await until(lambda: len(receiver.taken) == 4)
    await again.aclose()
    assert receiver.ids == ["i-1", "i-2", "i-3", "i-4"]
    last = await started(receiver, state_dir=str(tmp_path))
    assert last.waiting == 0
    await last.aclose()


async def test_without_a_folder_the_end_says_what_is_lost(
    receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    webhook = await started(receiver)
    await receiver.stop()
    webhook.event(happened(1))
    await asyncio.sleep(0.1)
    await webhook.aclose(deadline_s=0.1)
    assert webhook.dropped == 1
    assert "webhooks were not taken and are lost" in capsys.readouterr().out


@pytest.mark.parametrize("on_disk", [False, True])
async def test_too_many_lose_the_oldest(
    receiver: Receiver, tmp_path: Path, *, on_disk: bool
) -> None:
    """The spool is bounded as well, over a restart too."""
    state_dir = str(tmp_path) if on_disk else None
    newest = [f"i-{number}" for number in range(31, 50)]  # one that is on its way need not go
    webhook = await started(receiver, most=20, state_dir=state_dir)
    await receiver.stop()
    for number in range(50):
        webhook.event(happened(number))
        await asyncio.sleep(0.01)  # some are on disk before they have to go
    assert (webhook.waiting, webhook.dropped) == (20, 30)
    if on_disk:
        await webhook.aclose(deadline_s=0.1)
        left = spooled(tmp_path)
        assert len(left) == 20
        assert left[1:] == newest
        webhook = await started(receiver, most=20, state_dir=state_dir)
    await receiver.start()
    await until(lambda: len(receiver.taken) == 20)
    await webhook.aclose()
    assert receiver.ids[1:] == newest


def spooled(folder: Path) -> list[str]:
    """The ids of what waits on disk for a worker that is not there."""
    with closing(sqlite3.connect(folder / FILE)) as database:
        return [row[0] for row in database.execute("SELECT id FROM waiting ORDER BY number")]


async def test_what_a_killed_worker_had_left_is_sent_by_the_next(
    receiver: Receiver,
    livekit_server: LocalServer,
    start_worker: StartWorker,
    dispatch: Dispatch,
    join: Join,
    tmp_path: Path,
) -> None:
    receiver.key, receiver.secret = livekit_server.api_key, livekit_server.api_secret
    settings = {"PMON_WEBHOOK_URL": receiver.url, "PMON_STATE_DIR": str(tmp_path)}
    await receiver.stop()
    worker = await start_worker(**settings)
    alice = await join("alice")
    await dispatch()
    await worker.wait("track_published")
    await alice.say(phrases()["welcome"])
    await worker.wait("speaking_stopped")
    await asyncio.sleep(10 * SPOOL_S)
    assert await worker.stop(signal.SIGKILL) == -signal.SIGKILL
    told = [event["id"] for event in worker.events]
    left = spooled(tmp_path)
    assert left == told[: len(left)]
    assert worker.of("speaking_stopped")[0]["id"] in left
    await receiver.start()
    again = await start_worker(**settings)
    await until(lambda: len(receiver.taken) >= len(left))
    assert receiver.ids[: len(left)] == left
    assert await again.stop() == 0


async def test_a_worker_tells_a_receiver_what_it_logs(
    receiver: Receiver,
    livekit_server: LocalServer,
    start_worker: StartWorker,
    dispatch: Dispatch,
    join: Join,
) -> None:
    receiver.key, receiver.secret = livekit_server.api_key, livekit_server.api_secret
    worker = await start_worker(PMON_WEBHOOK_URL=receiver.url)
    alice = await join("alice")
    await dispatch()
    await worker.wait("track_published")
    await alice.say(phrases()["welcome"])
    await worker.wait("speaking_stopped")
    assert await worker.stop() == 0
    assert receiver.ids == [event["id"] for event in worker.events]
    assert receiver.taken[-1]["event"] == "pmon_session_ended"
    assert receiver.taken[-1]["pmon"]["summary"]["turns"] >= 1
    assert "hush" not in json.dumps(worker.lines)


NODE = """
import {{ WebhookReceiver }} from "livekit-server-sdk";
const [body, token] = JSON.parse(process.argv[2]);
const event = await new WebhookReceiver("{key}", "{secret}").receive(body, token);
console.log(JSON.stringify([event.event, event.id, event.room.name, event.participant.identity]));
"""


@pytest.mark.system
@pytest.mark.timeout(300)
async def test_the_receiver_of_node_takes_it_too(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "receive.js").write_text(NODE.format(key=KEY, secret=SECRET))
    await finished(
        "npm", "install", "--no-audit", "--no-fund", "livekit-server-sdk@2", cwd=tmp_path
    )
    for event in every_type():
        body = webhook_format.body(event)
        token = webhook_format.headers(body, KEY, SECRET)["Authorization"]
        given = json.dumps([body.decode(), token])
        said = await finished("node", "receive.js", given, cwd=tmp_path)
        assert json.loads(said) == [f"pmon_{event.type}", event.id, event.room, event.participant]


async def finished(*command: str, cwd: Path) -> str:
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, stdout=PIPE, stderr=PIPE)
    said, problem = await process.communicate()
    assert process.returncode == 0, problem.decode()
    return said.decode()
