"""Parts of ``pmon check`` that need no server."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pmon.cli.check.server import http_url, skew

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("date", "ahead_s"),
    [
        ("Sat, 14 Mar 2026 15:09:26 GMT", 0.5),
        ("Sat, 14 Mar 2026 15:09:56 GMT", 30.5),
        ("Sat, 14 Mar 2026 14:09:26 GMT", -3599.5),
        ("Sat, 14 Mar 2026 15:09:26 -0000", 0.5),
    ],
)
def test_the_clocks_are_compared(date: str, ahead_s: float) -> None:
    assert skew({"Date": date}, NOW) == pytest.approx(ahead_s)


@pytest.mark.parametrize("headers", [{}, {"Date": ""}, {"Date": "yesterday"}])
def test_a_server_without_a_clock_is_not_called_late(headers: dict[str, str]) -> None:
    assert skew(headers, NOW) is None


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("ws://localhost:7880", "http://localhost:7880"),
        ("wss://example.com/livekit", "https://example.com/livekit"),
        ("https://example.com", "https://example.com"),
    ],
)
def test_the_api_is_where_the_websocket_is(url: str, where: str) -> None:
    assert http_url(url) == where
