"""What the figures must be, and whether they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from capacity.report import family, points, slope
from capacity.results import Result, Run
from capacity.rows import AGENTS_EACH_LADDER, AGENTS_ROOM_LADDER

LARGEST = "large 1000"
DELAY_FROM = 750


@dataclass(frozen=True)
class Verdict:
    """One bound. ``measured`` is None where the run has no such row."""

    what: str
    measured: float | None
    bound: float
    at_least: bool = False

    @property
    def ok(self) -> bool | None:
        """None for what was not measured."""
        if self.measured is None:
            return None
        if self.at_least:
            return self.measured >= self.bound
        return self.measured <= self.bound

    def __str__(self) -> str:
        word = {None: "not measured", True: "ok", False: "MISSED"}[self.ok]
        measured = "-" if self.measured is None else f"{self.measured:.3g}"
        sign = "≥" if self.at_least else "≤"
        return f"{word:12} {measured:>7} {sign} {self.bound:<6g} {self.what}"


def verdicts(run: Run) -> list[Verdict]:
    """Every bound, in the order of the table."""
    return [*_talking(run), *_meeting(run), *_large(run), *_right(run), *_sharing(run)]


def kept(found: Sequence[Verdict], entire: bool) -> bool:
    """No bound was missed and, of an entire run, none was left unmeasured."""
    return all(verdict.ok or (verdict.ok is None and not entire) for verdict in found)


def _of(result: Result | None, figure: Callable[[Result], float]) -> float | None:
    return None if result is None else figure(result)


def _ratio(above: Result | None, below: Result | None) -> float | None:
    return above.ms / below.ms if above is not None and below is not None else None


def _talking(run: Run) -> Iterator[Verdict]:
    compared = "talking 120, compared"
    native = run.find(compared, "native")
    what = "everyone talking, 120 in a room: native, of the floor"
    yield Verdict(what, _ratio(native, run.find(compared, "floor")), 1.12)
    for ladder, watch, top, bound in (
        ("room", "livekit-agents, one room", AGENTS_ROOM_LADDER[0], 6),
        ("each", "livekit-agents, a process each", AGENTS_EACH_LADDER[0], 9),
    ):
        sustained = [r for r in family(run, f"agents {ladder}", watch) if r.sustained]
        most = max(sustained, key=lambda r: r.participants, default=None)
        if most is not None and most.participants >= top:
            most = None  # it might sustain more, and cost less at that
        what = f"cheaper a participant than {watch} at its largest"
        yield Verdict(what, _ratio(most, native), bound, at_least=True)


def _meeting(run: Run) -> Iterator[Verdict]:
    adaptive, always = run.find("meeting 150", "adaptive"), run.find("meeting 150", "always")
    yield Verdict("a meeting of 150, adaptive: ms/s", _of(adaptive, lambda r: r.ms), 0.9)
    yield Verdict("the same, of always", _ratio(adaptive, always), 0.35)


def _large(run: Run) -> Iterator[Verdict]:
    most = run.find(LARGEST, "adaptive")
    yield Verdict("1,000 adaptive: unmuted", _of(most, lambda r: r.unmuted), 850, at_least=True)
    yield Verdict("1,000 adaptive: watched", _of(most, lambda r: r.watched), 1000, at_least=True)
    yield Verdict("1,000 adaptive: lost", _of(most, lambda r: r.lost), 0)
    yield Verdict("1,000 adaptive: cores", _of(most, lambda r: r.cores), 0.8)
    yield Verdict("1,000 adaptive: MB over all processes", _of(most, lambda r: r.rss_mb), 450)
    fair = [r for r in family(run, "large", "adaptive") if r.server_core < 0.9 and r.whole]
    largest = max(fair, key=lambda r: r.participants, default=None)
    what = "participants whose server core stays under 0.9"
    yield Verdict(what, _of(largest, lambda r: r.participants), DELAY_FROM, at_least=True)
    first = next(iter(largest.speech.values()), None) if largest else None
    delay = first.late_p99_s if first else None
    yield Verdict("at them, delay of events in s (99 %)", delay, 1.5)


def _right(run: Run) -> Iterator[Verdict]:
    always, adaptive = run.find("talk time", "always"), run.find("talk time", "adaptive")
    for prefix, burst in (("burst-1-5", "1.5 s"), ("burst-6-0", "6 s")):
        ratio = None
        if always and adaptive:
            base, other = always.speech[prefix].talk_error, adaptive.speech[prefix].talk_error
            if base is not None and other is not None:
                ratio = abs((1 + other) / (1 + base) - 1)
        yield Verdict(f"talk time adaptive beside always, bursts of {burst}", ratio, 0.1)
    voices = run.find("voices", "adaptive")
    half = voices.speech.get("half") if voices else None
    found = half.hard_found / half.hard if half and half.hard else None
    yield Verdict("voices the server does not hear: found", found, 0.8, at_least=True)
    what = "their speech billed from then on"
    yield Verdict(what, half.hard_billed if half else None, 0.8, at_least=True)
    seen = run.find("cameras", "adaptive")
    video = seen.video if seen else None
    yield Verdict("50 with cameras, adaptive: ms/s", _of(seen, lambda r: r.ms), 4)
    told = None
    if video is not None and video.freezes:
        told = (video.frozen_told + video.live_told) / (2 * video.freezes)
    yield Verdict("freezes and their ends that were told", told, 1, at_least=True)
    yield Verdict("the latest frozen, s", video.frozen_latest_s if video else None, 75)
    yield Verdict("the latest live again, s", video.live_latest_s if video else None, 75)
    yield Verdict(
        "false issues of cameras nobody watches", video.false_issues if video else None, 0
    )


def _sharing(run: Run) -> Iterator[Verdict]:
    meeting, rooms = family(run, "meeting", "adaptive"), family(run, "rooms", "adaptive")
    memory = slope(points(meeting, "participant", lambda r: r.rss_mb))
    yield Verdict("MB for each further participant in a room", memory, 0.3)
    memory = slope(points(rooms, "room", lambda r: r.rss_mb))
    yield Verdict("MB for each further room", memory, 1.6)
    four = run.find("processes", "4 processes")
    lost = abs(four.connections - 20) if four and four.connections is not None else None
    yield Verdict("4 processes, 20 rooms: connections beside 20", lost, 0)
    yield Verdict(
        "4 processes, 20 rooms: watched", _of(four, lambda r: r.watched), 200, at_least=True
    )
