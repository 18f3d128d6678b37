"""Events as webhooks in the shape of LiveKit's own, signed as LiveKit signs them.

So the ``WebhookReceiver`` of the server SDKs takes them: it finds ``event``, ``id``, ``createdAt``,
``room`` and ``participant`` where it looks for them, and pmon's event as it is under ``pmon``.
"""

from __future__ import annotations

import base64
import hashlib
import time

import jwt
import msgspec

from pmon.monitor.events import AnyEvent

CONTENT_TYPE = "application/webhook+json"
TOKEN_S = 300
"""A token holds for so long, and from so long before: clocks differ."""

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
    # Not by api.AccessToken, which takes twice the time over grants that a webhook has none of.
    claims = {"iss": api_key, "nbf": now - TOKEN_S, "exp": now + TOKEN_S, "sha256": digest}
    token = jwt.encode(claims, api_secret, algorithm="HS256")
    return {"Content-Type": CONTENT_TYPE, "Authorization": token}
