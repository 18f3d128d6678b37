"""The dashboard, the page to log in, and their files: plain modules and styles of this package."""

from __future__ import annotations

import html
from importlib import resources
from pathlib import PurePath

from aiohttp import web
from aiohttp.typedefs import Handler

from pmon.web.access import Access, RefusedError, cookie_name, forwarded
from pmon.web.logins import LASTS_S

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer, with which browsers say Origin: null of our own form.
    "Referrer-Policy": "same-origin",
}


class Pages:
    """Everything is read at the start: a file that is missing then is no surprise later."""

    def __init__(self, access: Access) -> None:
        self._access = access
        files = resources.files("pmon.web") / "static"
        self._dashboard = (files / "dashboard.html").read_text()
        self._login = (files / "login.html").read_text()
        self._files = {
            file.name: file.read_bytes()
            for file in files.iterdir()
            if PurePath(file.name).suffix in TYPES
        }

    def add_to(self, app: web.Application) -> None:
        app.on_response_prepare.append(_add_headers)
        app.router.add_get("/dashboard", self._show)
        app.router.add_get("/login", self._ask)
        app.router.add_post("/login", self._log_in)
        app.router.add_post("/logout", self._log_out)
        app.router.add_get("/static/{name}", self._file)

    @web.middleware
    async def answer_refused(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Say why something is refused, in the way that suits whoever asked."""
        try:
            return await handler(request)
        except RefusedError as refused:
            status, headers = refused.status, refused.headers
            if request.path in ("/dashboard", "/login"):
                return _page(self._login_page(refused.reason), status, headers)
            if request.path.startswith("/api/"):
                return web.json_response({"error": refused.reason}, status=status, headers=headers)
            return web.Response(text=refused.reason, status=status, headers=headers)

    def _login_page(self, problem: str = "") -> str:
        problem = problem and f"{problem[0].upper()}{problem[1:]}."
        return self._login.replace("{{problem}}", html.escape(problem))

    async def _show(self, _: web.Request) -> web.Response:
        return _page(self._dashboard)

    async def _ask(self, _: web.Request) -> web.Response:
        return _page(self._login_page())

    async def _log_in(self, request: web.Request) -> web.Response:
        self._access.before_log_in(request)
        cookie = self._access.log_in(await _token(request), request)
        response = _see("/dashboard")
        https = request.secure or forwarded(request, "Proto").lower() == "https"
        response.set_cookie(
            cookie_name(request),
            cookie,
            max_age=int(LASTS_S),
            httponly=True,
            samesite="Lax",  # a link on another page leads in
            secure=https,
        )
        return response

    async def _log_out(self, request: web.Request) -> web.Response:
        self._access.log_out(request)
        response = _see("/login")
        response.del_cookie(cookie_name(request))
        return response

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._files:
            raise web.HTTPNotFound
        kind = TYPES[PurePath(name).suffix]
        headers = {"Cache-Control": "no-cache"}
        return web.Response(
            body=self._files[name], content_type=kind, charset="utf-8", headers=headers
        )


async def _token(request: web.Request) -> str:
    """What stands in the form."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise RefusedError(415, "this takes a form with the field token")
    if "Content-Encoding" in request.headers:
        raise RefusedError(415, "this takes a form that is not packed")
    if (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):  # some take seconds
        raise RefusedError(400, "this takes a form in UTF-8")
    try:
        token = (await request.post()).get("token")
    except (ValueError, web.RequestPayloadError, ConnectionError):  # no text, or broken off
        raise RefusedError(400, "this is no form") from None
    return token.strip() if isinstance(token, str) else ""


def _page(text: str, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(text=text, content_type="text/html", status=status, headers=headers)


def _see(place: str) -> web.Response:
    return web.Response(status=303, headers={"Location": place})


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
