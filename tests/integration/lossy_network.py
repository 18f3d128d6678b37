"""Hosts in network namespaces of their own, between which packets really get lost. Needs root.

Nothing of it touches the machine's own network: every address is known inside alone.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from pmon.cli.livekit_server import environment

PREFIX = "pmon-loss"
NEEDED = ("ip", "iptables")
START_S = 30.0
PROBE = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)"


class Network:
    """``hosts`` on one switch, each a namespace with one interface and a private address."""

    def __init__(self, *hosts: str) -> None:
        self._hosts = {name: f"10.77.0.{n}" for n, name in enumerate(hosts, 1)}
        self._names = {name: f"{PREFIX}-{os.getpid()}-{name}" for name in ("switch", *hosts)}

    def address(self, host: str) -> str:
        return self._hosts[host]

    def inside(self, host: str) -> list[str]:
        """What to put before a command to run it on this host."""
        return ["ip", "netns", "exec", self._names[host]]

    def lose(self, share: float, *, sender: str, receiver: str) -> None:
        """Drop this share of what one host sends another, from here on; 0 ends it.

        It is dropped where it arrives: a sender would be told of what its own rules drop.
        """
        tables = [*self.inside(receiver), "iptables", "--wait"]
        _run(*tables, "-F", "INPUT")
        if share:
            rule = ["-A", "INPUT", "-s", self.address(sender), "-p", "udp", "-m", "statistic"]
            _run(*tables, *rule, "--mode", "random", "--probability", str(share), "-j", "DROP")

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            raise AssertionError("network namespaces need root")
        missing = [tool for tool in NEEDED if shutil.which(tool) is None]
        if missing:
            raise AssertionError(f"not installed: {', '.join(missing)} (apt-get install iptables)")
        _sweep()
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes inside, and take everything away."""
        for name in self._names.values():
            _remove(name)

    def _build(self) -> None:
        switch = self._names["switch"]
        for name in self._names.values():
            _run("ip", "netns", "add", name)
            # Candidates that lead nowhere would only delay connecting.
            _write(name, "/proc/sys/net/ipv6/conf/all/disable_ipv6", "1")
            _run("ip", "-n", name, "link", "set", "lo", "up")
        _run("ip", "-n", switch, "link", "add", "br0", "type", "bridge")
        _run("ip", "-n", switch, "link", "set", "br0", "up")
        for n, (host, address) in enumerate(self._hosts.items()):
            name, port = self._names[host], f"port{n}"
            peer = ["type", "veth", "peer", "name", "eth0", "netns", name]
            _run("ip", "-n", switch, "link", "add", port, *peer)
            _run("ip", "-n", switch, "link", "set", port, "master", "br0", "up")
            _run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            _run("ip", "-n", name, "link", "set", "eth0", "up")


class Server:
    """A livekit-server on one host of a network, listening on that host's address only."""

    PORT = 7880
    UDP_PORT = 7882

    def __init__(self, binary: Path, network: Network, host: str) -> None:
        self.api_key = "API" + secrets.token_hex(6)
        self.api_secret = secrets.token_urlsafe(32)
        self.url = f"ws://{network.address(host)}:{self.PORT}"
        self._inside = network.inside(host)
        self._address = network.address(host)
        self._binary = binary
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [*self._inside, str(self._binary)],
            env=environment(self._config()),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        until = time.monotonic() + START_S
        probe = [*self._inside, sys.executable, "-c", PROBE, self._address, str(self.PORT)]
        while subprocess.run(probe, stderr=subprocess.DEVNULL, check=False).returncode:
            if time.monotonic() > until or self._process.poll() is not None:
                self._log.seek(0)
                said = self._log.read().decode(errors="replace")
                self.close()
                raise AssertionError(f"no livekit-server:\n{said}")
            time.sleep(0.1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _config(self) -> str:
        # As the tests' other servers, which are on loopback: no public STUN server is asked.
        return json.dumps(
            {
                "port": self.PORT,
                "bind_addresses": [self._address],
                "keys": {self.api_key: self.api_secret},
                "rtc": {
                    "node_ip": self._address,
                    "use_external_ip": False,
                    "udp_port": self.UDP_PORT,
                    "tcp_port": 0,
                    "interfaces": {"includes": ["eth0"]},
                    "ips": {"includes": [f"{self._address}/32"]},
                    "stun_servers": ["127.0.0.1:9"],
                },
            }
        )


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _write(name: str, path: str, value: str) -> None:
    _run(
        "ip", "netns", "exec", name, "sh", "-c", f"if [ -e {path} ]; then echo {value} > {path}; fi"
    )


def _namespaces() -> list[str]:
    return [line.split()[0] for line in _run("ip", "netns", "list").splitlines() if line]


def _sweep() -> None:
    """Take away what a run left that was killed."""
    for name in _namespaces():
        if name.startswith(f"{PREFIX}-") and not Path(f"/proc/{name.split('-')[2]}").exists():
            _remove(name)


def _remove(name: str) -> None:
    if name not in _namespaces():
        return
    for pid in _run("ip", "netns", "pids", name).split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            continue
    _run("ip", "netns", "del", name)
