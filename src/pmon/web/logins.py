"""Who has logged in with a browser: what their cookie stands for, in memory."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

LASTS_S = 12 * 3600.0
MOST = 1000
"""With more, the oldest has to log in again."""


class _Login(NamedTuple):
    token: str
    until: float


class Logins:
    """The cookie is a random word. The token that opened the door stays here, so that what it
    opens is asked anew each time: one of LiveKit expires.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logins: OrderedDict[str, _Login] = OrderedDict()

    def begin(self, token: str) -> str:
        """Returns the value of the cookie."""
        cookie = secrets.token_urlsafe(32)
        self._logins[cookie] = _Login(token, self._clock() + LASTS_S)
        if len(self._logins) > MOST:
            self._logins.popitem(last=False)
        return cookie

    def token(self, cookie: str) -> str | None:
        """The token that they logged in with; None if they are not, or not any more."""
        login = self._logins.get(cookie)
        if login is None or login.until > self._clock():
            return None if login is None else login.token
        del self._logins[cookie]
        return None

    def end(self, cookie: str) -> None:
        self._logins.pop(cookie, None)
