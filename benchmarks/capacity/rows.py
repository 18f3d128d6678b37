"""What is measured: blocks of one load each, watched by several watchers one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from load_model import Load

Kind = Literal["nobody", "pmon", "floor", "floor batch", "each", "agents"]


@dataclass(frozen=True)
class Watch:
    """Who watches, and with which settings of pmon."""

    name: str
    kind: Kind
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def measures(self) -> bool:
        """It tells how much audio came to its own code."""
        return self.kind in ("each", "agents")


NOBODY = Watch("nobody", "nobody")
FLOOR = Watch("floor", "floor")
FLOOR_BATCH = Watch("floor, SCHED_BATCH", "floor batch")
"""Scheduled as pmon-worker schedules itself, to tell that apart."""
NATIVE = Watch("native", "pmon", {"PMON_LISTEN": "always", "PMON_MEDIA": "native"})
PORTABLE = Watch("portable", "pmon", {"PMON_LISTEN": "always", "PMON_MEDIA": "portable"})
ALWAYS = Watch("always", "pmon", {"PMON_LISTEN": "always"})
ADAPTIVE = Watch("adaptive", "pmon", {"PMON_LISTEN": "adaptive", "PMON_VIDEO": "adaptive"})
EACH = Watch("connection each", "each")
AGENTS_ROOM = Watch("livekit-agents, one room", "agents")
AGENTS_EACH = Watch("livekit-agents, a process each", "agents")


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
# The first rungs must be too much, or the largest number that it sustains is not known.
AGENTS_ROOM_LADDER = (48, 40, 36, 32, 28, 24, 20, 16)
AGENTS_EACH_LADDER = (18, 15, 13, 12, 11, 10, 8, 6)
LARGE = (500, 750, 1000)


def blocks() -> list[Block]:
    """The whole table, in the order of measuring."""
    return [*talking(), *agents(), *meetings(), *rooms(), *large(), *right(), *processes()]


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
            window_s=12 if long else 8,
            settle_s=5,
        )
        found += [compared, others] if long else [others]
    return found


def agents() -> list[Block]:
    """livekit-agents, at the largest number that it sustains on a core.

    It takes a job, and so a process, for a room: everybody is in one, or each in a room alone,
    since it knows no jobs for participants. That favours it: nobody else's events reach a process.
    """
    room = [
        (AGENTS_ROOM, "room", Load(participants=count, talk_share=1.0))
        for count in AGENTS_ROOM_LADDER
    ]
    each = [
        (AGENTS_EACH, "each", Load(rooms=count, participants=1, talk_share=1.0))
        for count in AGENTS_EACH_LADDER
    ]
    return [
        Block(
            f"agents {ladder} {load.rooms * load.participants}",
            (load,),
            (watch,),
            window_s=10,
            settle_s=5,
            ladder=ladder,
        )
        for watch, ladder, load in [*room, *each]
    ]


def meetings() -> list[Block]:
    """1.5 % talking at a time, with DTX, in one room."""
    return [
        Block(
            f"meeting {count}",
            (replace(MEETING, participants=count),),
            (NOBODY, ALWAYS, ADAPTIVE),
            window_s=15,
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
            (NOBODY, ADAPTIVE) if count == LARGE[-1] else (ADAPTIVE,),
            settle_s=45,  # a first look at everybody's microphone takes most of it
        )
        for count in LARGE
    ]


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
