"""What is measured: blocks of one load each, watched by several watchers one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from load_model import Load

Kind = Literal["nobody", "pmon", "floor", "floor batch", "each", "agents", "agents 100 ms"]


@dataclass(frozen=True)
class Watch:
    """Who watches, and with which settings of pmon."""

    name: str
    kind: Kind
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def measures(self) -> bool:
        """It tells how much audio came to its own code."""
        return self.kind == "each" or self.kind.startswith("agents")


NOBODY = Watch("nobody", "nobody")
FLOOR = Watch("floor", "floor")
FLOOR_BATCH = Watch("floor, SCHED_BATCH", "floor batch")
"""Scheduled as pmon-worker schedules itself, to tell that apart."""
NATIVE = Watch("native", "pmon", {"PMON_LISTEN": "always", "PMON_MEDIA": "native"})
PORTABLE = Watch("portable", "pmon", {"PMON_LISTEN": "always", "PMON_MEDIA": "portable"})
ALWAYS = Watch("always", "pmon", {"PMON_LISTEN": "always"})
ADAPTIVE = Watch("adaptive", "pmon", {"PMON_LISTEN": "adaptive", "PMON_VIDEO": "adaptive"})
AUTO = Watch("auto", "pmon")
"""As it is shipped."""
EACH = Watch("connection each", "each")


@dataclass(frozen=True)
class Ladder:
    """livekit-agents with ever fewer participants, until it sustains them.

    The first number must be too much, or the largest that it sustains is not known.
    """

    name: str
    watch: Watch
    counts: tuple[int, ...]
    frame_ms: int = 10
    apart: bool = False
    """Everybody in a room, and so in a process, of their own."""

    def load_of(self, count: int) -> Load:
        """So many who talk."""
        rooms, people = (count, 1) if self.apart else (1, count)
        return Load(rooms=rooms, participants=people, talk_share=1.0)


AGENTS_ROOM = Ladder(
    "room", Watch("livekit-agents, one room", "agents"), (48, 40, 36, 32, 28, 24, 20, 16)
)
AGENTS_EACH = Ladder(
    "each",
    Watch("livekit-agents, a process each", "agents"),
    (22, 18, 15, 12, 9),
    apart=True,
)
AGENTS_ROOM_100 = Ladder(
    "room 100 ms",
    Watch("livekit-agents, one room, frames of 100 ms", "agents 100 ms"),
    (100, 84, 70, 56, 44),
    frame_ms=100,
)
"""As pmon's portable tier takes them, which is not what an agent does by default."""
LADDERS = (AGENTS_ROOM, AGENTS_ROOM_100, AGENTS_EACH)


JOIN_S = 120.0
NOBODY_S, NOBODY_SETTLE_S = 10.0, 5.0


@dataclass(frozen=True)
class Block:
    """One server and its load, and everybody who watches it.

    ``alternating`` gives each watcher one window a round, so that what is compared is measured
    close together; ``in turn`` starts each once for all its windows; ``together`` lets all watch
    the same audio at once, for figures that are not of cost. Who comes first in turn is there when
    cameras freeze.
    """

    name: str
    loads: tuple[Load, ...]
    watches: tuple[Watch, ...]
    order: Literal["in turn", "alternating", "together"] = "in turn"
    windows: int = 3
    window_s: float = 20.0
    settle_s: float = 10.0
    ladder: str = ""
    """Of blocks with the same word, those after the first that is sustained are left out."""

    def window_of(self, watch: Watch) -> float:
        """Seconds; what the server costs by itself is soon known."""
        return min(self.window_s, NOBODY_S) if watch.kind == "nobody" else self.window_s

    def settle_of(self, watch: Watch) -> float:
        """Seconds; nobody has nothing to find out first."""
        return min(self.settle_s, NOBODY_SETTLE_S) if watch.kind == "nobody" else self.settle_s

    @property
    def participants(self) -> int:
        """In all rooms."""
        return sum(load.rooms * load.participants for load in self.loads)

    @property
    def rooms(self) -> int:
        """Of all loads."""
        return sum(load.rooms for load in self.loads)


MEETING = Load(talking_at_once=1.5, burst=6, dtx=True)
HALF = Load(participants=100, talk_share=0.5, burst=6, quiet=0.05, no_levels=0.05, dtx=True)
PATROL_ROUNDS_S = 360.0
LARGE = {500: 20.0, 750: 65.0, 1000: 60.0}
"""Seconds of a window: of the latter two 1 % of the turns is several, and the last one is watched
for longer than the 3 minutes in which the patrol hears everybody."""


def blocks() -> list[Block]:
    """The whole table, in the order of measuring."""
    measured = (talking, agents, meetings, rooms, large, auto, right, processes)
    return [block for blocks_of in measured for block in blocks_of()]


def talking() -> list[Block]:
    """Everyone talking in one room."""
    found = []
    for count in (10, 30, 120):
        name = f"talking {count}"
        loads = (Load(participants=count, talk_share=1.0),)
        long = count == 120
        compared = Block(
            f"{name}, compared",
            loads,
            (FLOOR, NATIVE, FLOOR_BATCH, PORTABLE),
            "alternating",
            window_s=15,
            settle_s=6,
        )
        others = Block(
            name,
            loads,
            (NOBODY, ADAPTIVE, EACH) if long else (NOBODY, FLOOR, NATIVE, PORTABLE, ADAPTIVE, EACH),
            window_s=12 if long else 6,
            settle_s=5,
        )
        found += [compared, others] if long else [others]
    return found


def agents() -> list[Block]:
    """livekit-agents, at the largest number that it sustains on a core.

    It takes a job, and so a process, for a room: everybody is in one, or each in a room alone,
    since it knows no jobs for participants. That favours it: nobody else's events reach a process.
    """
    return [
        Block(
            f"agents {ladder.name} {count}",
            (ladder.load_of(count),),
            (ladder.watch,),
            window_s=10,
            settle_s=5,
            ladder=ladder.name,
        )
        for ladder in LADDERS
        for count in ladder.counts
    ]


def meetings() -> list[Block]:
    """1.5 % talking at a time, with DTX, in one room; always and adaptive are compared."""
    return [
        Block(
            f"meeting {count}",
            (replace(MEETING, participants=count),),
            (NOBODY, ALWAYS, ADAPTIVE),
            "alternating",
            window_s=12,
            settle_s=12,  # a first look at 300 microphones takes 15 s, joining included
        )
        for count in (30, 150, 300)
    ]


def rooms() -> list[Block]:
    """The same people in more and more rooms."""
    return [
        Block(
            f"rooms {count}",
            (replace(MEETING, rooms=count, participants=120 // count),),
            (ADAPTIVE,),
            window_s=12,
        )
        for count in (2, 20, 60)
    ]


def large() -> list[Block]:
    """As many as one core takes."""
    return [
        Block(
            f"large {count}",
            (replace(MEETING, rooms=count // 50, participants=50, muted=0.15),),
            (NOBODY, ADAPTIVE) if count == max(LARGE) else (ADAPTIVE,),
            window_s=window_s,
            settle_s=45,  # a first look at everybody's microphone takes most of it
        )
        for count, window_s in LARGE.items()
    ]


def auto() -> list[Block]:
    """The settings as they come, and more to hear than they allow: some of it must be shed."""
    load = replace(MEETING, rooms=6, participants=50, talking_at_once=20)
    return [Block("auto 300", (load,), (AUTO,), window_s=15, settle_s=45)]


def right() -> list[Block]:
    """Not what it costs, but whether it is right."""
    bursts = tuple(
        Load(
            room_prefix=f"burst-{str(burst).replace('.', '-')}",
            participants=60,
            talking_at_once=4,
            burst=burst,
            quiet=0.05,  # left out of the figure, but they want looks, too
            no_levels=0.05,
            dtx=True,
            seed=7,
        )
        for burst in (1.5, 6.0)
    )
    voices = (
        replace(HALF, room_prefix="half"),
        replace(HALF, room_prefix="rare", talk_share=0.05, seed=2),
    )
    cameras = Load(
        participants=50,
        talking_at_once=2,
        burst=6,
        dtx=True,
        video="vp8",
        simulcast=True,
        freeze_share=0.1,
        freeze_after=60,
        freeze_for=90,
    )
    return [
        Block("talk time", bursts, (ALWAYS, ADAPTIVE), "together", windows=1, window_s=200),
        Block("voices", voices, (ADAPTIVE,), windows=1, window_s=PATROL_ROUNDS_S + 60),
        Block("cameras", (cameras,), (ADAPTIVE, NOBODY), window_s=75),
    ]


def processes() -> list[Block]:
    """Four processes, 20 rooms, 200 jobs."""
    four = Watch("4 processes", "pmon", {"PMON_WORKERS": "4"})
    return [
        Block("processes", (replace(MEETING, rooms=20, participants=10),), (four,), window_s=10)
    ]


def quick() -> list[Block]:
    """Every kind of row with few people and short windows, to see that all of it works."""
    talking = Load(participants=4, talk_share=0.6, burst=3)
    voices = replace(talking, room_prefix="voices", no_levels=0.25, dtx=True)
    short = Block(
        "quick",
        (talking,),
        (NOBODY, FLOOR, NATIVE, PORTABLE, EACH),
        windows=1,
        window_s=15,  # long enough for some whole turns
        settle_s=3,
    )
    four = Watch("2 processes", "pmon", {"PMON_WORKERS": "2"})
    return [
        short,
        replace(
            short, name="quick alternating", watches=(FLOOR_BATCH, NATIVE), order="alternating"
        ),
        replace(
            short,
            name="quick together",
            loads=(voices,),
            watches=(ALWAYS, ADAPTIVE),
            order="together",
            window_s=20,
        ),
        replace(
            short,
            name="quick processes",
            loads=(Load(rooms=4, participants=2),),
            watches=(four,),
        ),
    ]
