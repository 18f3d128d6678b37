"""The log's writer: a log that nobody reads, or that cannot be written, holds up nobody."""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pmon.outputs.log_writer import BATCH, LineWriter

SMALL = 4096  # bytes; the least that a pipe holds


class Pipe:
    def __init__(self) -> None:
        self.out_of, self.into = os.pipe()
        fcntl.fcntl(self.into, fcntl.F_SETPIPE_SZ, SMALL)

    def fill(self) -> None:
        os.set_blocking(self.into, False)
        with suppress(BlockingIOError):
            while True:
                os.write(self.into, b"\n")
        os.set_blocking(self.into, True)

    def read(self, until: bytes, within_s: float = 10) -> list[str]:
        """The lines up to one that contains ``until``."""
        said, deadline = b"", time.monotonic() + within_s
        while until not in said or not said.endswith(b"\n"):
            assert time.monotonic() < deadline, said
            said += os.read(self.out_of, 65_536)
        return said.decode().split()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    os.close(pipe.out_of)
    with suppress(OSError):
        os.close(pipe.into)


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """What the writer itself logs goes where its owner's lines go: the parent of both."""
    logger = logging.getLogger("pmon")
    yield logger
    logger.handlers.clear()
    logger.propagate = True


def attach(logger: logging.Logger, fd: int, backlog: int = 100) -> LineWriter:
    writer = LineWriter(fd, backlog)
    writer.setFormatter(logging.Formatter("%(message)s:%(lost)s", defaults={"lost": ""}))
    logger.addHandler(writer)
    logger.propagate = False
    return writer


def test_lines_come_in_order_and_whole(pipe: Pipe, log: logging.Logger) -> None:
    attach(log, pipe.into)
    for n in range(50):
        log.warning("%d", n)
    log.warning("last")
    assert pipe.read(b"last") == [f"{n}:" for n in range(50)] + ["last:"]


def test_nobody_waits_for_a_reader_and_the_newest_are_kept(pipe: Pipe, log: logging.Logger) -> None:
    writer = attach(log, pipe.into, backlog=10)
    pipe.fill()
    began = time.monotonic()
    for n in range(1000):
        log.warning("%d", n)
    writer.drain(0.1)
    assert time.monotonic() - began < 5
    # A batch was being written; the end of the log and the word about losses took two places.
    lines = pipe.read(b"999")
    assert lines[-8:] == [f"{n}:" for n in range(992, 1000)]
    assert len(lines) <= 10 + BATCH


def test_what_was_lost_is_told_once_it_works_again(log: logging.Logger) -> None:
    pipe = Pipe()
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        fd = os.dup(full)
        writer = attach(log, fd)
        for n in range(5):
            log.warning("%d", n)
        deadline = time.monotonic() + 10
        while writer._lost < 5:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.dup2(pipe.into, fd)
        log.warning("again")
        assert pipe.read(b"lost:") == ["again:", "log", "lines", "were", "lost:5"]
        writer.drain(5)
        os.close(fd)
    finally:
        for number in (full, pipe.into, pipe.out_of):
            os.close(number)


def test_a_descriptor_that_does_not_block_loses_nothing(pipe: Pipe, log: logging.Logger) -> None:
    """It is shared with whoever started us, who may have set it so."""
    os.set_blocking(pipe.into, False)
    attach(log, pipe.into, backlog=1000)
    for n in range(900):
        log.warning("%d" + "x" * 50, n)
    log.warning("last")
    assert len(pipe.read(b"last")) == 901


WRITER = f"""
import logging, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_log_writer import attach
log = logging.getLogger("pmon")
writer = attach(log, 1, backlog=10_000)
for n in range(3000):
    log.warning(sys.argv[1] * 300)
writer.drain(60)
"""


def test_lines_of_two_processes_on_one_pipe_stay_whole() -> None:
    """The media processes log to the supervisor's output; a pipe takes 4 KiB at a time whole."""
    out_of, into = os.pipe()
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, letter], stdout=into) for letter in "ab"
    ]
    os.close(into)
    with open(out_of, "rb", buffering=8192) as pipe:
        lines = [line.strip() for line in pipe]
    assert [writer.wait(30) for writer in writers] == [0, 0]
    assert sorted(lines) == [b"a" * 300 + b":"] * 3000 + [b"b" * 300 + b":"] * 3000


def test_all_is_written_at_the_end(tmp_path: Path, log: logging.Logger) -> None:
    """A second signal leaves half a second for it."""
    with (tmp_path / "log").open("wb") as file:
        writer = attach(log, file.fileno(), backlog=10_000)
        for n in range(9500):
            log.warning("%d", n)
        began = time.monotonic()
        writer.drain(5)
        assert time.monotonic() - began < 0.5
    assert len((tmp_path / "log").read_bytes().splitlines()) == 9500


def test_losses_before_the_end_are_told_at_the_end(pipe: Pipe, log: logging.Logger) -> None:
    pipe.fill()
    writer = attach(log, pipe.into, backlog=10)
    for n in range(1000):
        log.warning("%d", n)
    writer.drain(0)
    written = lost = 0
    while written + lost < 1000:
        for word in pipe.read(b":"):
            lost += int(word.removeprefix("lost:")) if word.startswith("lost:") else 0
            written += word.removesuffix(":").isdigit()
    assert lost > 0


def test_half_a_surrogate_pair_is_no_error(pipe: Pipe, log: logging.Logger) -> None:
    attach(log, pipe.into)
    log.warning("\udc80")
    assert pipe.read(b"\n") == ["\\udc80:"]


LIMITED = f"""
import logging, resource, sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_log_writer import attach
import os
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
log = logging.getLogger("pmon")
writer = attach(log, fd)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
for n in range(4):
    log.warning("%d" + "x" * 400, n)
deadline = time.monotonic() + 10
while writer._lost < 2 and time.monotonic() < deadline:
    time.sleep(0.01)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
log.warning("whole")
time.sleep(0.2)
writer.drain(5)
"""


def test_a_disk_that_fills_in_the_middle_of_a_line_spoils_no_other(tmp_path: Path) -> None:
    """The size limit makes a write come back short; it holds for a whole process."""
    log = tmp_path / "log"
    subprocess.run([sys.executable, "-c", LIMITED, str(log)], timeout=60, check=True)
    lines = log.read_text().splitlines()
    assert lines[-2:] == ["whole:", "log lines were lost:2"]
    assert [line[:1] for line in lines] == ["0", "1", "2", "w", "l"]
