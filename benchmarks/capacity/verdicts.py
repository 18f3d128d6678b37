"""What the figures must be, and whether they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from capacity.peers import COMPARED, conditions, most_sustained
from capacity.results import Result, Run
from capacity.rows import AGENTS_EACH, AGENTS_ROOM, AGENTS_ROOM_100
from capacity.series import family, points, slope
from pmon.monitor.listening.load import SERVER_CUT

LARGEST = "large 1000"
DELAY_FROM = 750
LOAD_THRESHOLD = 0.85
"""Of a core, as it is shipped."""


@dataclass(frozen=True)
class Verdict:
    """One bound. ``measured`` is None where the run has no such row, or one that says nothing."""

    what: str
    measured: float | None
    bound: float
    at_least: bool = False
    note: str = ""
    """What the reader should know beside it."""

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
        measured = "-" if self.measured is None else f"{self.measured:.4g}"
        sign = "≥" if self.at_least else "≤"
        note = f" ({self.note})" if self.note else ""
        return f"{word:12} {measured:>7} {sign} {self.bound:<6g} {self.what}{note}"


def verdicts(run: Run) -> list[Verdict]:
    """Every bound, in the order of the table."""
    parts = (_talking, _meeting, _large, _auto, _right, _sharing)
    return [verdict for part in parts for verdict in part(run)]


def kept(found: Sequence[Verdict], entire: bool) -> bool:
    """No bound was missed and, of an entire run, none was left unmeasured."""
    return all(verdict.ok or (verdict.ok is None and not entire) for verdict in found)


def _of(result: Result | None, figure: Callable[[Result], float]) -> float | None:
    return None if result is None else figure(result)


def _whole(result: Result | None) -> Result | None:
    """A row in which everybody was watched: whoever was lost cost nothing, and was not wrong."""
    return result if result is not None and result.whole else None


def _ratio(above: Result | None, below: Result | None) -> float | None:
    above, below = _whole(above), _whole(below)
    return above.ms / below.ms if above is not None and below is not None else None


def _talking(run: Run) -> Iterator[Verdict]:
    native = run.find(COMPARED, "native")
    what = "everyone talking, 120 in a room: native, of the floor"
    yield Verdict(what, _ratio(native, run.find(COMPARED, "floor")), 1.12)
    long = most_sustained(run, AGENTS_ROOM_100)
    factor = _ratio(long, native)
    other = "" if factor is None else f"; {factor:.1f} at {conditions(run, AGENTS_ROOM_100)}"
    for ladder, bound, beside in ((AGENTS_ROOM, 6, other), (AGENTS_EACH, 9, "")):
        what = f"cheaper a participant than {ladder.watch.name} at its largest"
        ratio, note = _ratio(most_sustained(run, ladder), native), conditions(run, ladder)
        yield Verdict(what, ratio, bound, at_least=True, note=note and note + beside)


def _meeting(run: Run) -> Iterator[Verdict]:
    adaptive, always = run.find("meeting 150", "adaptive"), run.find("meeting 150", "always")
    yield Verdict("a meeting of 150, adaptive: ms/s", _of(_whole(adaptive), lambda r: r.ms), 0.9)
    yield Verdict("the same, of always", _ratio(adaptive, always), 0.35)


def _large(run: Run) -> Iterator[Verdict]:
    most = run.find(LARGEST, "adaptive")
    yield Verdict("1,000 adaptive: unmuted", _of(most, lambda r: r.unmuted), 850, at_least=True)
    yield Verdict("1,000 adaptive: watched", _of(most, lambda r: r.watched), 1000, at_least=True)
    yield Verdict("1,000 adaptive: lost", _of(most, lambda r: r.lost), 0)
    yield Verdict("1,000 adaptive: cores", _of(_whole(most), lambda r: r.cores), 0.8)
    yield Verdict(
        "1,000 adaptive: MB over all processes", _of(_whole(most), lambda r: r.rss_mb), 450
    )
    overdue = most.told.overdue if most is not None and most.told is not None else None
    yield Verdict("1,000 adaptive: microphones not heard for 3 minutes", overdue, 0)
    fair = [r for r in family(run, "large", "adaptive") if r.server_core < 0.9 and r.whole]
    largest = max(fair, key=lambda r: r.participants, default=None)
    what = "participants whose server core stays under 0.9"
    yield Verdict(what, _of(largest, lambda r: r.participants), DELAY_FROM, at_least=True)
    first = next(iter(largest.speech.values()), None) if largest else None
    delay = first.late_p99_s if first else None
    note = f"{largest.participants} people, {first.turns} turns" if largest and first else ""
    yield Verdict("at them, delay of events in s (99 %)", delay, 1.5, note=note)


def _auto(run: Run) -> Iterator[Verdict]:
    shed = run.find("auto 300", "auto")
    yield Verdict("300 as shipped: watched", _of(shed, lambda r: r.watched), 300, at_least=True)
    shed = _whole(shed)
    told = shed.told if shed is not None else None
    yield Verdict("300 as shipped: cores", _of(shed, lambda r: r.cores), LOAD_THRESHOLD)
    resting = told.resting if told else None
    yield Verdict("300 as shipped: microphones that rest", resting, 1, at_least=True)
    # It is told what would be left with all shed, and more is done than that, but not many times.
    share = told.load * LOAD_THRESHOLD / SERVER_CUT / shed.cores if told and shed else None
    yield Verdict("300 as shipped: load told, of the cores used", share, 1.1)
    yield Verdict("300 as shipped: the same", share, 0.25, at_least=True)
    speech = next(iter(shed.speech.values()), None) if shed is not None else None
    error = speech.talk_error if speech is not None else None
    off = None if error is None else abs(error)
    yield Verdict("300 as shipped: talk time, too little or too much", off, 0.1)


def _right(run: Run) -> Iterator[Verdict]:
    always, adaptive = (_whole(run.find("talk time", watch)) for watch in ("always", "adaptive"))
    for prefix, burst in (("burst-1-5", "1.5 s"), ("burst-6-0", "6 s")):
        ratio = None
        if always and adaptive:
            base, other = always.speech[prefix].talk_error, adaptive.speech[prefix].talk_error
            if base is not None and other is not None:
                ratio = abs((1 + other) / (1 + base) - 1)
        yield Verdict(f"talk time adaptive beside always, bursts of {burst}", ratio, 0.1)
    voices = _whole(run.find("voices", "adaptive"))
    half = voices.speech.get("half") if voices else None
    found = half.hard_found / half.hard if half and half.hard else None
    yield Verdict("voices the server does not hear: found", found, 0.8, at_least=True)
    billed = half.hard_billed if half else None
    off = None if billed is None else abs(billed - 1)
    yield Verdict("their speech billed from then on, too little or too much", off, 0.2)
    seen = _whole(run.find("cameras", "adaptive"))
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
    floor = _mb(run, "talking", "floor", "participant")
    note = "" if floor is None else f"everyone talking, of the SDK alone {floor:.3f}"
    for watch in ("adaptive", "always"):
        memory = _mb(run, "meeting", watch, "participant")
        what = f"MB for each further participant in a room, {watch}"
        yield Verdict(what, memory, 0.3, note=note)
    memory = _mb(run, "rooms", "adaptive", "room")
    yield Verdict("MB for each further room", memory, 1.6)
    four = run.find("processes", "4 processes")
    lost = abs(four.connections - 20) if four and four.connections is not None else None
    yield Verdict("4 processes, 20 rooms: connections beside 20", lost, 0)
    yield Verdict(
        "4 processes, 20 rooms: watched", _of(four, lambda r: r.watched), 200, at_least=True
    )


def _mb(run: Run, name: str, watch: str, unit: str) -> float | None:
    """Memory for one more, if nobody was lost in any of the rows."""
    rows = family(run, name, watch)
    if not all(row.whole for row in rows):
        return None
    return slope(points(rows, unit, lambda r: r.rss_mb))
