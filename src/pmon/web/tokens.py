"""What a token opens: the worker's own all rooms, one of LiveKit what it may see there."""

from __future__ import annotations

import hashlib
import hmac

import msgspec
from livekit import api


class Scope(msgspec.Struct, frozen=True):
    """What somebody may see."""

    room: str | None = None
    """Nothing but this room; None for all of them, and for the worker itself."""

    def opens(self, room: str) -> bool:
        return self.room is None or self.room == room


ALL = Scope()


class WrongTokenError(ValueError):
    """A token that opens nothing; the message says why and does not repeat it."""


class NotAllowedError(WrongTokenError):
    """A token that the server made for something else."""


class Tokens:
    """``token`` is the worker's own, None if it has none."""

    def __init__(self, token: str | None, api_key: str, api_secret: str) -> None:
        self.has_own = token is not None
        self._own = None if token is None else _digest(token)
        self._verifier = api.TokenVerifier(api_key, api_secret)

    def scope(self, presented: str) -> Scope:
        """Raises WrongTokenError."""
        if self._own is not None and hmac.compare_digest(_digest(presented), self._own):
            return ALL
        if presented.count(".") != 2:
            raise WrongTokenError("the token is wrong")
        try:
            grants = self._verifier.verify(presented).video
        except Exception:  # whatever stands in it: it is not signed, is old, or is no token at all
            raise WrongTokenError("the token is wrong or has expired") from None
        if grants is not None and grants.room_list:
            return ALL
        if grants is not None and grants.room_admin and grants.room:
            return Scope(grants.room)
        raise NotAllowedError("a LiveKit token needs the grant roomList, or roomAdmin with a room")


def _digest(text: str) -> bytes:
    """Equally long for all texts, so that comparing tells nothing of the length either."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
