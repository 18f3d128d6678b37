"""A livekit-server with metrics, and what they say of its traffic."""

from __future__ import annotations

import json
import re
import socket
import urllib.request
from pathlib import Path

from pmon.cli.livekit_server import LocalServer

BYTES = re.compile(r'^livekit_packet_bytes\{[^}]*direction="(\w+)"[^}]*\} (\S+)$', re.M)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class MeteredServer(LocalServer):
    """It counts the RTP that it receives and sends; its counters lag by a few seconds."""

    def __init__(self, binary: Path) -> None:
        super().__init__(binary)
        self._metrics_port = free_port()

    def _config(self) -> str:
        config = json.loads(super()._config())
        return json.dumps(config | {"prometheus": {"port": self._metrics_port}})

    def traffic(self) -> dict[str, float]:
        """Bytes so far, ``incoming`` and ``outgoing``."""
        return traffic_of(read(f"http://127.0.0.1:{self._metrics_port}/metrics"))


def read(url: str) -> str:
    """A page of metrics."""
    with urllib.request.urlopen(url, timeout=10) as response:
        return str(response.read().decode())


def traffic_of(page: str) -> dict[str, float]:
    """The sums over all kinds of transmission."""
    total = {"incoming": 0.0, "outgoing": 0.0}
    for direction, value in BYTES.findall(page):
        total[direction] = total.get(direction, 0.0) + float(value)
    return total
