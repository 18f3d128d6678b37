"""Events as webhooks in the shape of LiveKit's own, signed as LiveKit signs them.

So the ``WebhookReceiver`` of the server SDKs takes them: it finds ``event``, ``id``, ``createdAt``,
``room`` and ``participant`` where it looks for them, and pmon's event as it is under ``pmon``.
"""

from __future__ import annotations

import base64
import hashlib
import time
from functools import lru_cache

import jwt
import jwt.utils
import msgspec

from pmon.monitor.events import AnyEvent

CONTENT_TYPE = "application/webhook+json"
TOKEN_S = 300
"""A token holds for so long, and from so long before: clocks differ."""

TOKEN_HEADER = jwt.utils.base64url_encode(b'{"alg":"HS256","typ":"JWT"}')

_HS256 = jwt.get_algorithm_by_name("HS256")
_encoder = msgspec.json.Encoder()


def body(event: AnyEvent) -> bytes:
    """What is sent of an event."""
    return _encoder.encode(
        {
            "event": f"pmon_{event.type}",
            "id": event.id,
            "createdAt": int(event.time.timestamp()),
            "room": {"name": event.room, "sid": event.room_sid},
            "participant": {"identity": event.participant, "sid": event.participant_sid},
            "pmon": event,
        }
    )


def headers(sent: bytes, api_key: str, api_secret: str) -> dict[str, str]:
    """The headers that prove who sends ``sent``: a token with its SHA-256."""
    digest = base64.b64encode(hashlib.sha256(sent).digest()).decode()
    now = int(time.time())
    claims = {"iss": api_key, "nbf": now - TOKEN_S, "exp": now + TOKEN_S, "sha256": digest}
    token = _signed(_encoder.encode(claims), api_secret)
    return {"Content-Type": CONTENT_TYPE, "Authorization": token}


def _signed(payload: bytes, secret: str) -> str:
    """As jwt.encode, which prepares the key and the header anew each time: a third of the cost."""
    signed = TOKEN_HEADER + b"." + jwt.utils.base64url_encode(payload)
    signature = _HS256.sign(signed, _prepared(secret))
    return (signed + b"." + jwt.utils.base64url_encode(signature)).decode()


@lru_cache(maxsize=1)
def _prepared(secret: str) -> bytes:
    key: bytes = _HS256.prepare_key(secret)
    return key
