"""Events as webhooks in the shape of LiveKit's own, signed as LiveKit signs them.

So the ``WebhookReceiver`` of the server SDKs takes them: it finds ``event``, ``id``, ``createdAt``,
``room`` and ``participant`` where it looks for them, and pmon's event as it is under ``pmon``.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta

import msgspec
from livekit import api

from pmon.monitor.events import AnyEvent

CONTENT_TYPE = "application/webhook+json"
TOKEN_TTL = timedelta(minutes=5)

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
    token = api.AccessToken(api_key, api_secret).with_sha256(digest).with_ttl(TOKEN_TTL)
    return {"Content-Type": CONTENT_TYPE, "Authorization": token.to_jwt()}
