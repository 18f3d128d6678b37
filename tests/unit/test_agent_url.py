"""Where a worker connects, given LIVEKIT_URL."""

from __future__ import annotations

import pytest

from pmon.agent.websocket import agent_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://localhost:7880", "ws://localhost:7880/agent"),
        ("wss://example.com/", "wss://example.com/agent"),
        ("http://127.0.0.1:7880", "ws://127.0.0.1:7880/agent"),
        ("https://example.com/livekit/", "wss://example.com/livekit/agent"),
        ("wss://example.com/livekit?x=1#y", "wss://example.com/livekit/agent"),
        ("ws://[::1]:7880", "ws://[::1]:7880/agent"),
    ],
)
def test_the_websockets_address_keeps_a_path_prefix(url: str, expected: str) -> None:
    """Behind a reverse proxy the server may live under a path."""
    assert agent_url(url) == expected


@pytest.mark.parametrize("url", ["", "localhost:7880", "ftp://localhost", "ws://", "ws:///path"])
def test_other_addresses_are_refused(url: str) -> None:
    """They would be retried for ever."""
    with pytest.raises(ValueError, match="LIVEKIT_URL"):
        agent_url(url)
