"""Names that stand for identities, for ``PMON_IDENTITY=hash``: keyed, so only who has the key can
tell whom one stands for.

Rooms of telephone calls are called by their numbers. So the name of a room is replaced, too, in
what is said of a SIP participant, and for everybody where it has a phone number in it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from functools import lru_cache

import msgspec

from pmon.monitor.events import AnyEvent
from pmon.settings import Settings

DIGITS = 20
"""Of 16: two people of a billion get the same name once in a million times."""
REMEMBERED = 10_000

_NUMBER = re.compile(r"[0-9]{7}")


def asked_for(settings: Settings) -> Pseudonyms | None:
    """Those of the settings, if they want any."""
    if settings.identity == "plain" or settings.identity_key is None:
        return None
    return Pseudonyms(settings.identity_key)


class Pseudonyms:
    """A function of the key: the same in every process and after every start."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        self._made = lru_cache(REMEMBERED)(self._make)

    def participant(self, identity: str) -> str:
        """Nobody stays nobody."""
        return self._made("participant", identity) if identity else ""

    def room(self, name: str) -> str:
        """Whatever its name is."""
        return self._made("room", name) if name else ""

    def event(self, event: AnyEvent) -> AnyEvent:
        """The same event about somebody who can be told from others, but not who it is.

        The session's id is made from the identity: who guesses that could compare.
        """
        hides_room = event.participant_kind == "sip" or _NUMBER.search(event.room)
        return msgspec.structs.replace(
            event,
            participant=self.participant(event.participant),
            room=self.room(event.room) if hides_room else event.room,
            session=self._made("session", event.session),
        )

    def _make(self, what: str, name: str) -> str:
        text = f"{what}\0{name}".encode("utf-8", "surrogatepass")
        digest = hmac.new(self._key, text, hashlib.sha256).hexdigest()[:DIGITS]
        return f"PS_{digest}" if what == "session" else f"h:{digest}"
