"""A worker that has every secret there is, in trouble, at debug level: none of them gets out."""

from __future__ import annotations

import aiohttp
import psutil
from conftest import Dispatch, Join, StartWorker
from postgres_server import PASSWORD, PostgresServer
from worker import Worker

from pmon.cli.livekit_server import LocalServer
from pmon.media.phrases import phrases
from pmon.settings import SETTINGS

TOKEN = "hush-hush-http-token"
KEY = "hush-hush-identity-key"
HOOK = "hush-hush-hook"
PAGES = ("/", "/ready", "/worker", "/metrics", "/login", "/dashboard", "/api/rooms", "/nothing")


async def pages(worker: Worker) -> str:
    """All that HTTP says to those who may see it, to those who may not, and to those who guess."""
    started = await worker.wait_for(lambda line: line["message"] == "starting worker")
    said = ""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{started['http_port']}") as client:
        for headers in ({}, {"Authorization": "Bearer a"}, {"Authorization": f"Bearer {TOKEN}"}):
            for page in PAGES:
                async with client.get(page, headers=headers, allow_redirects=False) as answer:
                    said += f"{answer.headers}{await answer.text()}"
        assert answer.status == 404
        form = {"token": TOKEN}
        async with client.post("/login", data=form, allow_redirects=False) as answer:
            assert answer.status < 400
            said += f"{answer.headers}{await answer.text()}"
    return said


def titles_and_surroundings(worker: Worker) -> str:
    """What the list of processes shows of the worker and of all that it started, and what those
    were given to pass on.
    """
    parent = psutil.Process(worker.process.pid)
    children = parent.children(recursive=True)
    assert children
    shown = [f"{each.name()} {each.cmdline()}" for each in (parent, *children)]
    return str(shown + [each.environ() for each in children])


async def test_no_secret_gets_out(
    livekit_server: LocalServer,
    postgres: PostgresServer,
    start_worker: StartWorker,
    dispatch: Dispatch,
    join: Join,
) -> None:
    settings = {
        "PMON_HTTP_TOKEN": TOKEN,
        "PMON_IDENTITY_KEY": KEY,
        "PMON_WEBHOOK_URL": f"http://127.0.0.1:1/{HOOK}?key={HOOK}",
        "PMON_DATABASE": postgres.new_database(),
    }
    secret = {setting.variable for setting in SETTINGS if setting.secret}
    assert secret == {*settings, "LIVEKIT_API_SECRET"}
    worker = await start_worker(LIVEKIT_LOG_LEVEL="debug", PMON_IDENTITY="hash", **settings)
    alice = await join("alice")
    await dispatch()
    await worker.wait("track_published", within_s=60)
    await alice.say(phrases()["welcome"])
    await worker.wait("speaking_stopped", within_s=60)
    await worker.wait_for(lambda line: line["message"].startswith("webhooks are not taken"))
    (child,) = psutil.Process(worker.process.pid).children()
    outside = titles_and_surroundings(worker)
    child.kill()
    await worker.wait_for(
        lambda line: line["message"] == "media process works" and line["pid"] != child.pid,
        within_s=60,
    )
    outside += titles_and_surroundings(worker) + await pages(worker)
    assert await worker.stop() == 0
    assert [line for line in worker.lines if line["level"] == "DEBUG"]
    said = outside + worker.stderr + "".join(map(str, worker.lines))
    for hushed in (livekit_server.api_secret, PASSWORD, TOKEN, KEY, HOOK):
        assert hushed not in said
