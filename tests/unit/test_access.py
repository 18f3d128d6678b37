"""Who may see the pages: the machine itself, a token's owner, and nobody else."""

from __future__ import annotations

import asyncio
import gzip
import re
import time
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from web_pages import SECRET, TOKEN, bearer, client_of, livekit_token, web_server

from pmon.web import access, pages
from pmon.web.access import cookie_name, is_loopback, is_loopback_name
from pmon.web.attempts import BURST, EVERY_S, SOURCES, Attempts
from pmon.web.logins import LASTS_S, MOST, Logins
from pmon.web.server import WebServer
from pmon.web.tokens import ALL, Scope, Tokens, WrongTokenError

CLOSED = [
    "/metrics",
    "/worker",
    "/dashboard",
    "/api/rooms",
    "/api/participants",
    "/api/events",
    "/api/live",
    "/whatever/comes/later",
]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def status(client: aiohttp.ClientSession, path: str, **headers: str) -> int:
    async with client.get(path, headers=headers) as answer:
        return answer.status


@pytest.mark.parametrize("path", CLOSED)
async def test_with_a_token_it_is_asked_for_everywhere(path: str) -> None:
    """A page that is forgotten is closed, on loopback too: there are other users on a machine."""
    async with client_of(web_server(TOKEN)) as client, client.get(path) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert "PMON_HTTP_TOKEN" in await answer.text()


@pytest.mark.parametrize("path", ["/", "/ready", "/login", "/static/style.css"])
async def test_probes_and_the_way_in_need_no_token(path: str) -> None:
    async with client_of(web_server(TOKEN)) as client:
        assert await status(client, path) == 200


@pytest.mark.parametrize("path", ["/metrics", "/worker", "/dashboard", "/api/rooms"])
async def test_the_token_opens_all_of_it(path: str) -> None:
    async with client_of(web_server(TOKEN)) as client:
        assert await status(client, path, **bearer(TOKEN)) == 200
        assert await status(client, path, **bearer(TOKEN[:-1])) == 401
        assert await status(client, path, Authorization=f"Basic {TOKEN}") == 401


async def test_without_a_token_the_machine_itself_sees_it() -> None:
    async with client_of(web_server()) as client:
        assert await status(client, "/api/rooms") == 200
        assert await status(client, "/metrics") == 200


@pytest.mark.parametrize("path", ["/metrics", "/dashboard", "/api/rooms"])
async def test_without_a_token_others_are_told_what_to_set(path: str) -> None:
    """A proxy on this machine speaks for others: what it forwards is not from here."""
    async with (
        client_of(web_server()) as client,
        client.get(path, headers={"X-Forwarded-For": "192.0.2.7"}) as answer,
    ):
        assert answer.status == 401
        assert "no PMON_HTTP_TOKEN" in await answer.text()


async def test_others_may_show_a_livekit_token_where_there_is_no_own() -> None:
    token = livekit_token(room_list=True)
    async with client_of(web_server()) as client:
        headers = {"X-Forwarded-For": "192.0.2.7", **bearer(token)}
        assert await status(client, "/api/rooms", **headers) == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8081", "localhost.evil.example"])
async def test_a_web_page_that_has_itself_called_localhost_sees_nothing(host: str) -> None:
    """DNS rebinding: its name leads to this machine, and its scripts would read what comes."""
    async with client_of(web_server()) as client:
        assert await status(client, "/api/participants", Host=host) == 403
        assert await status(client, "/", Host=host) == 200  # a probe comes under any name
    async with client_of(web_server(TOKEN)) as client:
        assert await status(client, "/api/participants", Host=host, **bearer(TOKEN)) == 200


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("localhost:8081", True),
        ("pmon.localhost", True),
        ("127.0.0.1", True),
        ("[::1]:8081", True),
        ("[::ffff:127.0.0.1]:1", True),
        ("::1", True),
        ("10.0.0.1:8081", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_names_of_the_machine_itself(host: str, ours: bool) -> None:
    assert is_loopback_name(host) == ours


def test_addresses_of_the_machine_itself() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]))
    assert not any(map(is_loopback, ["192.0.2.1", "::ffff:192.0.2.1", "fe80::1%eth0", ""]))


# --- LiveKit's tokens


def test_what_livekit_tokens_open() -> None:
    tokens = Tokens(None, "key", SECRET)
    assert tokens.scope(livekit_token(room_list=True)) == ALL
    assert tokens.scope(livekit_token(room_admin=True, room="blue")) == Scope("blue")
    assert tokens.scope(livekit_token(room_list=True, room_admin=True, room="blue")) == ALL


@pytest.mark.parametrize(
    "token",
    [
        livekit_token("another-secret-that-is-long-enough", room_list=True),
        livekit_token(room_list=True, ttl=timedelta(minutes=-5)),
        livekit_token(room_join=True, room="blue"),
        livekit_token(room_admin=True),
        "eyJhbGciOiJub25lIn0.eyJpc3MiOiJrZXkiLCJ2aWRlbyI6eyJyb29tTGlzdCI6dHJ1ZX19.",
        "a.b.c",
        "..",
        "",
        "\u00e4\udcff",
        "\ud800",
    ],
    ids=[
        *("secret", "old", "participant", "no room", "unsigned", "abc", "dots", "empty", "bytes"),
        "surrogate",
    ],
)
async def test_other_tokens_open_nothing(token: str) -> None:
    for tokens in (Tokens(None, "key", SECRET), Tokens(TOKEN, "key", SECRET)):
        with pytest.raises(WrongTokenError) as caught:
            tokens.scope(token)
        assert not token or token not in str(caught.value)


async def test_a_token_for_one_room_opens_nothing_else() -> None:
    headers = bearer(livekit_token(room_admin=True, room="blue"))
    async with client_of(web_server(TOKEN)) as client:
        for path in ("/api/rooms", "/api/participants", "/api/participants?room=blue"):
            assert await status(client, path, **headers) == 200
        for path in ("/metrics", "/worker", "/api/participants?room=red", "/api/events?room=red"):
            assert await status(client, path, **headers) == 403


# --- browsers


async def log_in(client: aiohttp.ClientSession, token: str, **headers: str) -> int:
    form = {"token": token}
    async with client.post("/login", data=form, headers=headers, allow_redirects=False) as answer:
        assert token not in await answer.text()
        return answer.status


async def test_logging_in_and_out() -> None:
    async with client_of(web_server(TOKEN)) as client:
        async with client.post("/login", data={"token": f" {TOKEN} "}) as answer:
            assert (answer.status, answer.url.path) == (200, "/dashboard")
            cookie = answer.history[0].headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
        assert TOKEN not in cookie
        assert await status(client, "/api/participants") == 200
        kept = cookie.partition(";")[0]
        async with client.post("/logout", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/login")
        assert await status(client, "/dashboard", Cookie=kept) == 401


async def test_two_workers_of_one_machine_do_not_end_each_others_logins() -> None:
    """Browsers keep cookies by host, whatever the port."""
    another = web_server(TOKEN)
    async with client_of(web_server(TOKEN)) as client, client_of(another):
        assert await log_in(client, TOKEN) == 303
        url = f"http://127.0.0.1:{another.port}"
        async with client.post(f"{url}/login", data={"token": TOKEN}) as answer:
            assert (answer.status, answer.url.path) == (200, "/dashboard")
        assert await status(client, "/dashboard") == 200
        async with client.post(f"{url}/logout"):
            pass
        assert await status(client, "/dashboard") == 200


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("monitor.example", "pmon_session"),
        ("[::1]", "pmon_session"),
        ("[::1]:8081", "pmon_session_8081"),
        ("a:b;c", "pmon_session"),
        ("a:\u0661", "pmon_session"),
        ("a:" + "9" * 3000, "pmon_session"),
    ],
)
def test_the_name_of_the_cookie_is_one_that_a_header_takes(host: str, name: str) -> None:
    assert cookie_name(make_mocked_request("GET", "/", {"Host": host})) == name


async def test_behind_https_the_cookie_is_for_https_alone() -> None:
    async with (
        client_of(web_server(TOKEN)) as client,
        client.post(
            "/login",
            data={"token": TOKEN},
            headers={"X-Forwarded-Proto": "https"},
            allow_redirects=False,
        ) as answer,
    ):
        assert "Secure" in answer.headers["Set-Cookie"].split("; ")


async def test_a_browser_may_log_in_with_a_livekit_token() -> None:
    async with client_of(web_server(TOKEN)) as client:
        assert await log_in(client, livekit_token(room_admin=True, room="blue")) == 303
        assert await status(client, "/api/participants?room=blue") == 200
        assert await status(client, "/api/participants?room=red") == 403


async def test_a_login_ends_with_the_token_that_it_was_made_with() -> None:
    """A token for five minutes must not become twelve hours."""
    server = web_server(TOKEN)
    async with client_of(server) as client:
        old = livekit_token(room_list=True, ttl=timedelta(minutes=-5))
        logins = server._access._logins
        cookie = logins.begin(old)
        name = f"pmon_session_{server.port}"
        assert await status(client, "/api/rooms", Cookie=f"{name}={cookie}") == 401
        assert logins.token(cookie) is None


@pytest.mark.parametrize("token", ["wrong", "<img src=x onerror=alert(1)>", ""])
async def test_a_wrong_token_is_refused_with_a_page_that_says_so(token: str) -> None:
    async with (
        client_of(web_server(TOKEN)) as client,
        client.post("/login", data={"token": token}) as answer,
    ):
        page = await answer.text()
        assert answer.status == 401
        assert "The token is wrong." in page
        assert "<form" in page
        assert "onerror" not in page
        assert "Set-Cookie" not in answer.headers


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data; boundary=x", b"--x", 415),
        (FORM, b"\xff=\xff", 400),
        (f"{FORM}; charset=no-such", b"token=a", 400),
        (f"{FORM}; charset=unicode_escape", rb"token=\ud800", 400),
        (FORM, b"token=" + b"a" * 100_000, 413),
    ],
)
async def test_what_is_no_form_fills_no_log(
    kind: str, body: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        client_of(web_server(TOKEN)) as client,
        client.post("/login", data=body, headers={"Content-Type": kind}) as answer,
    ):
        assert answer.status == status
    assert caplog.text == ""


@pytest.mark.parametrize(("path", "status"), [("/login", 415), ("/logout", 303), ("/nothing", 401)])
async def test_a_body_that_can_not_be_unpacked_fills_no_log(
    path: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Read or not."""
    headers = {"Content-Type": FORM, "Content-Encoding": "gzip"}
    async with client_of(web_server(TOKEN)) as client:
        answer = await client.post(path, data=b"token=a", headers=headers, allow_redirects=False)
        assert answer.status == status
        await answer.read()
    assert caplog.text == ""


@pytest.mark.parametrize("path", ["/login", "/logout", "/"])
async def test_a_little_that_is_a_lot_unpacked_costs_little(path: str) -> None:
    """400 kB of it took the loop three seconds, whether anybody read it or not."""
    packed = gzip.compress(bytes(200_000_000), 6)
    began = time.process_time()
    gzip.decompress(packed)
    unpacking_s = time.process_time() - began
    headers = {"Content-Type": FORM, "Content-Encoding": "gzip"}
    async with client_of(web_server(TOKEN)) as client:
        began = time.process_time()
        async with client.post(path, data=packed, headers=headers, allow_redirects=False) as answer:
            await answer.read()
        assert (await client.get("/")).status == 200
    assert time.process_time() - began < unpacking_s / 2


async def begin_form(
    server: WebServer, *headers: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Post a form of which only the beginning comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = ["POST /login HTTP/1.1", "Host: a", f"Content-Type: {FORM}", "Content-Length: 99"]
    writer.write("\r\n".join([*head, *headers, "", "token=a"]).encode())
    return reader, writer


async def test_who_hangs_up_within_a_form_fills_no_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, over = asyncio.Event(), asyncio.Event()

    async def token(request: web.Request) -> str:
        reading.set()
        try:
            return await pages_token(request)
        finally:
            over.set()

    pages_token = pages._token
    monkeypatch.setattr(pages, "_token", token)
    server = web_server(TOKEN)
    async with client_of(server), asyncio.timeout(5):
        _, writer = await begin_form(server)
        await reading.wait()
        writer.transport.abort()
        await over.wait()
    assert caplog.text == ""


async def test_the_form_of_who_is_refused_is_not_waited_for() -> None:
    """Nor decoded: it is whatever they like."""
    server = web_server(TOKEN, clock=Clock())
    async with client_of(server) as client, asyncio.timeout(5):
        reader, writer = await begin_form(server, "Origin: https://evil.example")
        assert b" 403 " in await reader.readline()
        writer.close()
        for n in range(BURST):
            await log_in(client, f"guess-{n}")
        reader, writer = await begin_form(server)
        assert b" 429 " in await reader.readline()
        writer.close()


async def test_a_form_is_decoded_as_utf_8_alone() -> None:
    """Python knows codecs that take seconds for what fits in here, in which no room is watched."""
    body = f"token={TOKEN}".encode()
    async with client_of(web_server(TOKEN)) as client:
        for charset, status in (("punycode", 400), ("utf-7", 400), ("UTF-8", 303)):
            headers = {"Content-Type": f"{FORM}; charset={charset}"}
            async with client.post(
                "/login", data=body, headers=headers, allow_redirects=False
            ) as answer:
                assert answer.status == status, charset


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
async def test_other_web_pages_can_not_act_for_their_visitors(headers: dict[str, str]) -> None:
    """A websocket and a form are not held back by the rules for reading from another origin."""
    async with client_of(web_server()) as client:
        for path in ("/login", "/logout"):
            async with client.post(path, data={"token": TOKEN}, headers=headers) as answer:
                assert answer.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await client.ws_connect("/api/live", headers=headers)


@pytest.mark.parametrize("path", ["/api/events", "/api/rooms", "/metrics", "/dashboard"])
@pytest.mark.parametrize("kind", ["image", "iframe", "empty"])
async def test_other_web_pages_get_nothing_into_themselves(path: str, kind: str) -> None:
    """They cannot read it, and take the place of somebody who can. Images send no Origin."""
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": kind}
    async with client_of(web_server()) as client:
        assert await status(client, path, **headers) == 403


async def test_other_web_pages_may_link_here() -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}
    async with client_of(web_server()) as client:
        for path, code in (("/dashboard", 200), ("/api/rooms", 200), ("/api/events", 403)):
            assert await status(client, path, **link) == code


@pytest.mark.parametrize(
    ("origin", "headers"),
    [
        ("http://monitor.example:8000", {"Host": "Monitor.example:8000"}),
        ("http://monitor.example", {"Host": "monitor.example:80"}),
        ("https://monitor.example", {"Host": "monitor.example:443"}),
        ("https://[2001:db8::80]", {"Host": "[2001:db8::80]:443"}),
        ("https://monitor.example", {"X-Forwarded-Host": "monitor.example"}),
        ("https://monitor.example", {"X-Forwarded-Host": "Monitor.example:443 , inner"}),
    ],
)
async def test_the_page_itself_may_log_in_and_open_a_websocket(
    origin: str, headers: dict[str, str]
) -> None:
    """Also behind proxies that change the Host, if they say which that was."""
    headers = headers | {"Origin": origin}
    async with client_of(web_server(TOKEN)) as client:
        form = {"token": TOKEN}
        async with client.post(
            "/login", data=form, headers=headers, allow_redirects=False
        ) as answer:
            assert answer.status == 303
            headers["Cookie"] = answer.headers["Set-Cookie"].partition(";")[0]
        async with client.ws_connect("/api/live", headers=headers) as socket:
            assert (await socket.receive_json())["anew"]


async def test_another_port_is_another_page() -> None:
    headers = {"Host": "monitor.example", "Origin": "http://monitor.example:8080"}
    async with client_of(web_server(TOKEN)) as client:
        assert await log_in(client, TOKEN, **headers) == 403


async def test_a_token_that_a_proxy_adds_opens_no_websocket_for_another_page() -> None:
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"} | bearer(TOKEN)
    async with client_of(web_server(TOKEN)) as client:
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await client.ws_connect("/api/live", headers=headers)


async def test_a_stream_is_not_opened_like_a_page() -> None:
    """Over plain HTTP a browser does not say from where: a page opened all that there are."""
    async with client_of(web_server()) as client:
        assert await status(client, "/api/events", Accept="text/html,*/*;q=0.8") == 403
        async with client.get("/api/events", headers={"Accept": "text/event-stream"}) as answer:
            assert answer.status == 200


SAID = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}


@pytest.mark.parametrize("headers", [SAID, {"Referer": "http://evil.example/"}])
async def test_a_token_that_a_proxy_adds_opens_no_events_for_another_page(
    headers: dict[str, str],
) -> None:
    """An image could not be read, and took the place of somebody who can."""
    async with client_of(web_server(TOKEN)) as client:
        assert await status(client, "/api/events", **headers | bearer(TOKEN)) == 403
        assert await status(client, "/api/events", **bearer(TOKEN)) == 200
        foreign = {"Cookie": "balanced_by=7"}
        assert await status(client, "/api/events", **foreign | bearer(TOKEN)) == 200


async def test_over_plain_http_a_page_says_who_it_is_to_get_events_by_a_cookie() -> None:
    """One on another port of the host took all places: a cookie is for all ports."""
    server = web_server(TOKEN)
    async with client_of(server, Accept="image/*,*/*;q=0.8") as client:
        assert await log_in(client, TOKEN) == 303
        own, other = (f"http://127.0.0.1:{port}/dashboard" for port in (server.port, 1))
        assert await status(client, "/api/events", Referer=own) == 200
        assert await status(client, "/api/events", Referer=other) == 403
        assert await status(client, "/api/events") == 403


async def test_a_front_end_elsewhere_may_show_a_token() -> None:
    """A proxy of its own may let it read the answer; no page can have a browser add a token."""
    headers = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "empty"} | bearer(TOKEN)
    async with client_of(web_server(TOKEN)) as client:
        assert await status(client, "/api/rooms", **headers) == 200


@pytest.mark.parametrize(
    ("proto", "secure"), [("https", True), ("HTTPS, http", True), ("http", False), ("", False)]
)
async def test_the_cookie_stays_on_https_where_the_browser_is(proto: str, secure: bool) -> None:
    headers = {"X-Forwarded-Proto": proto}
    async with client_of(web_server(TOKEN)) as client:
        form = {"token": TOKEN}
        async with client.post(
            "/login", data=form, headers=headers, allow_redirects=False
        ) as answer:
            assert ("Secure" in answer.headers["Set-Cookie"]) is secure


async def test_what_the_docs_have_nginx_say_is_enough() -> None:
    """The form and the websocket come with the port that the browser knows."""
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    known = {
        "$host": "monitor.example",
        "$http_host": "monitor.example:8443",
        "$remote_addr": "192.0.2.7",
        "$scheme": "https",
        "$http_upgrade": "",
        '"upgrade"': "",
    }
    said = {name: known[value] for name, value in re.findall(r"_header (\S+) (\S+);", page)}
    headers = {name: value for name, value in said.items() if value}
    headers["Origin"] = "https://monitor.example:8443"
    async with client_of(web_server(TOKEN)) as client:
        assert await log_in(client, TOKEN, **headers) == 303
        async with client.post(
            "/login", data={"token": TOKEN}, headers=headers, allow_redirects=False
        ) as answer:
            headers["Cookie"] = answer.headers["Set-Cookie"].partition(";")[0]
        async with client.ws_connect("/api/live", headers=headers) as socket:
            assert (await socket.receive_json())["anew"]


# --- guessing


@pytest.mark.parametrize("way", ["form", "header"])
async def test_guessing_is_slowed_down(way: str) -> None:
    """A right guess must not show either while there are too many wrong ones."""
    clock = Clock()

    async def attempt(client: aiohttp.ClientSession, token: str) -> int:
        if way == "form":
            return await log_in(client, token)
        return await status(client, "/metrics", **bearer(token))

    async with client_of(web_server(TOKEN, clock=clock)) as client:
        assert {await attempt(client, f"guess-{n}") for n in range(BURST)} == {401}
        assert await attempt(client, TOKEN) == 429
        clock.now += EVERY_S
        assert await attempt(client, TOKEN) in (200, 303)


async def test_who_is_in_is_not_shut_out_by_the_guesses_of_others() -> None:
    async with client_of(web_server(TOKEN, clock=Clock())) as client:
        assert await log_in(client, TOKEN) == 303
        for n in range(BURST + 1):
            await log_in(client, f"guess-{n}")
        assert await status(client, "/api/rooms") == 200


def test_guesses_count_by_where_they_come_from() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for n in range(BURST):
        attempts.failed(f"2001:db8::{n:x}")
    assert attempts.wait_s("2001:db8::ffff") == EVERY_S, "one network, one customer"
    assert attempts.wait_s("2001:db8:1::1") == attempts.wait_s("192.0.2.1") == 0


def test_memory_for_guesses_is_bounded() -> None:
    attempts = Attempts(Clock())
    for n in range(SOURCES + 50):
        attempts.failed(f"10.{n // 65536}.{n // 256 % 256}.{n % 256}")
    assert len(attempts._paid_at) == SOURCES


def test_logins_end_by_themselves_and_are_bounded() -> None:
    clock = Clock()
    logins = Logins(clock)
    first = logins.begin(TOKEN)
    assert logins.token(first) == TOKEN
    clock.now += LASTS_S
    assert logins.token(first) is None
    oldest = logins.begin(TOKEN)
    for _ in range(MOST):
        logins.begin(TOKEN)
    assert logins.token(oldest) is None
    assert len(logins._logins) == MOST


# --- headers


@pytest.mark.parametrize("path", ["/dashboard", "/login", "/api/rooms", "/metrics", "/nothing"])
async def test_every_page_says_what_a_browser_may_do_with_it(path: str) -> None:
    async with client_of(web_server()) as client, client.get(path) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] == "no-store"


async def test_only_the_files_of_the_pages_are_served() -> None:
    async with client_of(web_server()) as client:
        async with client.get("/static/dashboard.js") as answer:
            assert answer.content_type == "text/javascript"
        for path in ("/static/dashboard.html", "/static/..%2faccess.py", "/static/", "/static/x"):
            assert await status(client, path) == 404


FILES = sorted((Path(access.__file__).parent / "static").iterdir())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_pages_need_nothing_but_each_other(file: Path) -> None:
    """No network of others, no markup made of text, nothing that the policy would refuse."""
    text = file.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.findall(r"https?://|innerHTML|outerHTML|insertAdjacentHTML|document\.write", text)
    assert not re.findall(r"<[^>]*\s(style|on[a-z]+)=|<style|<script>|eval\(|javascript:", text)
    names = re.findall(r'(?:from|import) "\./([^"]+)"|"/static/([^"]+)"', text)
    for name in ("".join(pair) for pair in names):
        assert (file.parent / name).is_file(), name
