"""A webhook is what LiveKit's receivers take: another key, or another body, and they refuse it."""

from __future__ import annotations

import json

import pytest
from event_samples import every_type
from livekit import api

from pmon.monitor.events import AnyEvent
from pmon.outputs import webhook_format

SECRET = "secret" * 8


def receive(body: bytes, token: str, secret: str = SECRET) -> api.WebhookEvent:
    receiver = api.WebhookReceiver(api.TokenVerifier("key", secret))
    return receiver.receive(body.decode(), token)


@pytest.mark.parametrize("event", every_type(), ids=lambda event: event.type)
def test_the_servers_receiver_takes_every_event(event: AnyEvent) -> None:
    body = webhook_format.body(event)
    headers = webhook_format.headers(body, "key", SECRET)
    received = receive(body, headers["Authorization"])
    assert received.event == f"pmon_{event.type}"
    assert (received.id, received.created_at) == (event.id, int(event.time.timestamp()))
    assert (received.room.name, received.room.sid) == (event.room, event.room_sid)
    assert received.participant.identity == event.participant
    assert headers["Content-Type"] == "application/webhook+json"
    assert json.loads(body)["pmon"]["type"] == event.type


@pytest.mark.parametrize("forged", ["body", "secret"])
def test_what_is_forged_is_refused(forged: str) -> None:
    event = every_type()[0]
    body = webhook_format.body(event)
    token = webhook_format.headers(body, "key", SECRET)["Authorization"]
    with pytest.raises(Exception, match=r"hash mismatch|Signature verification failed"):
        if forged == "body":
            receive(body + b" ", token)
        else:
            receive(body, token, "another" * 8)


def test_the_secret_is_nowhere_in_what_is_sent() -> None:
    body = webhook_format.body(every_type()[0])
    assert SECRET not in body.decode() + str(webhook_format.headers(body, "key", SECRET))
