"""What is measured and saved: plain figures, without opinions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

import msgspec

FULL_CORE = 0.97
HEARD = 0.97


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of time. CPU is in cores, memory in MB (10^6 bytes) over all processes."""

    seconds: float = 0.0
    cores: float
    rss_mb: float
    pss_mb: float
    threads: int
    server_cores: float
    publisher_cores: float
    sent_kbit: float = 0.0
    """RTP that the server sent, kbit a second."""
    received_kbit: float = 0.0
    heard_share: float | None = None
    """Decoded audio that reached the measuring code, of what was due; who measures in Python."""

    @property
    def hopeless(self) -> bool:
        """So far from being sustained that another window says nothing new."""
        return self.heard_share is not None and (self.cores >= FULL_CORE or self.heard_share < 0.9)


class Speech(msgspec.Struct, frozen=True, kw_only=True):
    """Events beside the truth, of the rooms of one load."""

    delay_median_s: float | None = None
    """A turn that was never told is infinitely late, which is None, too: JSON has no infinity."""
    delay_p99_s: float | None = None
    turns: int = 0
    turns_told: int = 0
    talk_error: float | None = None
    """Talk time of ordinary voices, relative to what they said."""
    hard: int = 0
    """Voices of -37 dBov and publishers without audio levels."""
    hard_found: int = 0
    """Of them, told to speak within two patrol rounds."""
    hard_billed: float | None = None
    """What was billed of their speech after they were found."""
    hard_error: float | None = None
    """What was billed too little or too much of all their speech."""

    @property
    def late_median_s(self) -> float | None:
        """With infinity; None only if there was no turn to tell."""
        return _late(self.turns, self.delay_median_s)

    @property
    def late_p99_s(self) -> float | None:
        """As the median."""
        return _late(self.turns, self.delay_p99_s)


def _late(turns: int, delay_s: float | None) -> float | None:
    return math.inf if turns and delay_s is None else delay_s


class Video(msgspec.Struct, frozen=True, kw_only=True):
    """Cameras beside the truth."""

    freezes: int
    frozen_told: int
    frozen_latest_s: float | None
    live_told: int
    live_latest_s: float | None
    false_issues: int
    """video_* and track_dry of cameras that did not freeze, dynacast or not."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What pmon told of itself when it was last asked."""

    heard: int
    """Microphones that were decoded."""
    resting: int
    """Those that were on and not decoded, as in adaptive listening."""
    overdue: int | None = None
    """Those that the patrol had not heard for 3 minutes; None where it does not tell."""
    load: float
    """As LiveKit is told it: what would be left to do with all shed that can be."""


class Result(msgspec.Struct, kw_only=True):
    """What one watcher did in one block of the benchmark."""

    block: str
    watch: str
    participants: int
    rooms: int
    unmuted: int
    watched: int = 0
    lost: int = 0
    """How often somebody who had been watched no longer was."""
    join_s: float = 0.0
    """From the dispatch on."""
    windows: list[Window] = []
    speech: dict[str, Speech] = {}
    """By the room prefix of the load."""
    video: Video | None = None
    connections: int | None = None
    """Of pmon, as ListParticipants shows them."""
    told: Told | None = None
    """Of pmon, in the last round."""
    error: str = ""
    """Why it could not be measured."""

    def median(self, figure: Callable[[Window], float]) -> float:
        """Of the windows."""
        return statistics.median(figure(window) for window in self.windows)

    def spread(self, figure: Callable[[Window], float]) -> tuple[float, float]:
        """Least and most of the windows."""
        values = [figure(window) for window in self.windows]
        return min(values), max(values)

    @property
    def cores(self) -> float:
        """CPU of the watcher."""
        return self.median(lambda w: w.cores)

    @property
    def ms(self) -> float:
        """CPU milliseconds a second a participant."""
        return 1000 * self.cores / self.participants

    @property
    def rss_mb(self) -> float:
        """Over all processes of the watcher; what they share counts in each."""
        return self.median(lambda w: w.rss_mb)

    @property
    def server_core(self) -> float:
        """How full the core of server and publishers is."""
        return self.median(lambda w: w.server_cores + w.publisher_cores)

    @property
    def sustained(self) -> bool:
        """Everybody was watched, and there was time for all of their audio."""
        return (
            bool(self.windows)
            and self.whole
            and self.cores < FULL_CORE
            and (self.heard_share is None or self.heard_share >= HEARD)
        )

    @property
    def whole(self) -> bool:
        """Everybody was watched, all the time."""
        return self.watched >= self.participants and not self.lost

    @property
    def heard_share(self) -> float | None:
        """Over all windows: what one does not hear in time may come in the next."""
        heard = [w.heard_share for w in self.windows if w.heard_share is not None]
        return statistics.fmean(heard) if heard else None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the benchmark."""

    machine: str
    """What its CPU calls itself."""
    cpus: int
    python: str
    versions: dict[str, str]
    date: str
    commit: str = ""
    """Of what was measured, where it came with its history."""
    command: str = "make bench-capacity"
    results: list[Result]

    def find(self, block: str, watch: str) -> Result | None:
        """The result of a block and a watcher, if it was measured."""
        for result in self.results:
            if (result.block, result.watch) == (block, watch) and result.windows:
                return result
        return None
