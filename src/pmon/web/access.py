"""Who may see the pages: the machine itself while there is no token, and who shows one.

A browser sends no bearer header on navigation, so it logs in once and gets a cookie.
"""

from __future__ import annotations

import ipaddress
import math
import re
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from pmon.web.attempts import Attempts
from pmon.web.logins import Logins
from pmon.web.tokens import ALL, NotAllowedError, Scope, Tokens, WrongTokenError

SCOPE = web.RequestKey("scope", Scope)
OPEN = ("/", "/ready", "/login", "/logout", "/static/{name}")
"""Probes have no token, and whoever logs in has none yet."""
WHOLE = ("/metrics", "/worker")
"""They tell of all rooms together."""
EVENTS = "/api/events"
STREAMS = (EVENTS, "/api/live")
"""They have few places, which stay taken."""
PROXIED = ("Forwarded", "X-Real-IP", "Via")
"""And all that begin with X-Forwarded-."""

NO_TOKEN = (
    "this worker has no PMON_HTTP_TOKEN, so that only its own machine sees this without a token."
    " Set PMON_HTTP_TOKEN and send it as Authorization: Bearer, or a LiveKit token with the grant"
    " roomList, or roomAdmin with a room"
)
TOKEN_ASKED = (
    "a token is asked for: send PMON_HTTP_TOKEN, or a LiveKit token with the grant roomList, or"
    " roomAdmin with a room, as Authorization: Bearer; browsers log in at /login"
)
OTHER_HOST = (
    "without PMON_HTTP_TOKEN this is for the machine itself, under the name localhost or a loopback"
    " address alone: another Host may be a web page that has itself called so"
)


class RefusedError(Exception):
    """A request that is not answered; the reason is for whoever sent it."""

    def __init__(self, status: int, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers: dict[str, str] = {}
        if status == 401:
            self.headers["WWW-Authenticate"] = 'Bearer realm="pmon"'
        if retry_after_s:
            self.headers["Retry-After"] = str(math.ceil(retry_after_s))


class Access:
    """``token`` is PMON_HTTP_TOKEN; key and secret are those that sign LiveKit's tokens."""

    def __init__(
        self,
        token: str | None,
        api_key: str,
        api_secret: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tokens = Tokens(token, api_key, api_secret)
        self._logins = Logins(clock)
        self._attempts = Attempts(clock)

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let nobody further who may not see the page; the handler finds their ``SCOPE``."""
        resource = request.match_info.route.resource
        page = "" if resource is None else resource.canonical
        if page not in OPEN:
            request[SCOPE] = self.scope(request)
            if page in WHOLE and request[SCOPE] != ALL:
                raise RefusedError(403, "this tells of all rooms: it needs another token")
        return await handler(request)

    def scope(self, request: web.Request) -> Scope:
        """What whoever asks may see. Raises RefusedError."""
        bearer = _bearer(request)
        # No other page can have a browser send one; but a proxy may add it to whatever comes.
        if bearer is None or request.path in STREAMS:
            check_origin(request)
        if bearer is not None:
            return self._scope_of(bearer, request)
        return self._without_bearer(request)

    def still(self, request: web.Request) -> Scope:
        """The same of somebody who is in. It is no guess, so it is neither counted nor slowed down
        by those of others. Raises RefusedError.
        """
        bearer = _bearer(request)
        if bearer is None:
            return self._without_bearer(request)
        try:
            return self._tokens.scope(bearer)
        except WrongTokenError as error:  # it has expired since
            raise RefusedError(401, str(error)) from None

    def _without_bearer(self, request: web.Request) -> Scope:
        cookie = _cookie(request)
        token = self._logins.token(cookie)
        if token is not None:
            try:
                return self._tokens.scope(token)
            except WrongTokenError as error:  # it has expired since
                self._logins.end(cookie)
                raise RefusedError(401, str(error)) from None
        if self._tokens.has_own:
            raise RefusedError(401, TOKEN_ASKED)
        if not _is_from_here(request):
            raise RefusedError(401, NO_TOKEN)
        if not is_loopback_name(request.host):
            raise RefusedError(403, OTHER_HOST)
        return ALL

    def before_log_in(self, request: web.Request) -> None:
        """Whether their form is read at all. Raises RefusedError."""
        check_origin(request)
        self._let_wait(request)

    def log_in(self, token: str, request: web.Request) -> str:
        """Returns the value of the cookie. Raises RefusedError."""
        self._scope_of(token, request)  # others may have guessed while the form came
        return self._logins.begin(token)

    def log_out(self, request: web.Request) -> None:
        check_origin(request)
        self._logins.end(_cookie(request))

    def _scope_of(self, token: str, request: web.Request) -> Scope:
        self._let_wait(request)
        try:
            return self._tokens.scope(token)
        except NotAllowedError as error:  # it is no guess
            raise RefusedError(403, str(error)) from None
        except WrongTokenError as error:
            self._attempts.failed(request.remote or "")
            raise RefusedError(401, str(error)) from None

    def _let_wait(self, request: web.Request) -> None:
        """Whoever guessed wrong too often has to. Raises RefusedError."""
        wait_s = self._attempts.wait_s(request.remote or "")
        if wait_s > 0:
            raise RefusedError(429, f"too many wrong tokens: try again in {wait_s:.0f} s", wait_s)


def check_origin(request: web.Request) -> None:
    """Other web pages may not act for somebody whose browser can get in: neither post a form nor
    open a websocket, nor fill the places of readers. They may link here. Raises RefusedError.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        ours = site in ("same-origin", "none") or _is_link(request)
    else:  # it is not told over plain HTTP, nor by what is no browser
        origin = request.headers.get("Origin")
        ours = _is_ours(origin, request) if origin is not None else _may_be_ours(request)
    if not ours:
        raise RefusedError(403, "this comes from another web page")


def _may_be_ours(request: web.Request) -> bool:
    """Whether it may be no other page's. Of events that can be told over plain HTTP, too: nobody
    who reads them opens them like a page, and a browser says which page they are for, if that page
    does not forbid it. Ours do not, and who has a cookie is a browser.
    """
    if request.path != EVENTS:  # of a websocket a browser always says so
        return True
    if "text/html" in request.headers.get("Accept", ""):
        return False
    page = request.headers.get("Referer")
    if page is None:
        return cookie_name(request) not in request.cookies
    return _is_ours("/".join(page.split("/")[:3]), request)


def _is_ours(origin: str, request: web.Request) -> bool:
    """Whether it is the host that was asked for, here or before a proxy, which may have spelled out
    the port that the scheme stands for.
    """
    scheme, _, host = origin.lower().partition("://")
    default = {"http": ":80", "https": ":443"}.get(scheme, "")
    asked = (request.host, forwarded(request, "Host"))
    return bool(host) and host in [name.lower().removesuffix(default) for name in asked]


def forwarded(request: web.Request, what: str) -> str:
    """What the first of all proxies was asked; empty if none says so."""
    return request.headers.get(f"X-Forwarded-{what}", "").partition(",")[0].strip()


def _is_link(request: web.Request) -> bool:
    """Whether the whole window goes there, to something that ends: a stream may be downloaded, in
    the back of a page that stays.
    """
    goes = request.method in ("GET", "HEAD") and "Upgrade" not in request.headers
    window = request.headers.get("Sec-Fetch-Dest") == "document"
    return goes and window and request.path not in STREAMS


def cookie_name(request: web.Request) -> str:
    """Browsers keep the cookies of all ports of a host together. Where several workers share one,
    each is called by a port of its own.
    """
    port = re.fullmatch(r".*:([0-9]{1,5})", request.host)
    return "pmon_session" if port is None else f"pmon_session_{port[1]}"


def _cookie(request: web.Request) -> str:
    return request.cookies.get(cookie_name(request), "")


def _bearer(request: web.Request) -> str | None:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def _is_from_here(request: web.Request) -> bool:
    """A proxy on this machine speaks for others."""
    proxied = any(header in request.headers for header in PROXIED) or any(
        name.lower().startswith("x-forwarded-") for name in request.headers
    )
    return not proxied and is_loopback(request.remote or "")


def is_loopback_name(host: str) -> bool:
    """Whether a Host header names this machine to itself, whatever the port."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    local = name == "localhost" or name.endswith(".localhost")
    return local or is_loopback(name) or is_loopback(host)


def is_loopback(address: str) -> bool:
    """Whether it is an address of this machine's own, also as IPv6 writes those of IPv4."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback
