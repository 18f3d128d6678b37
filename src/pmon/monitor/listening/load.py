"""What to give up first when a process has too much to do: the ``auto`` modes. CPU is in cores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from pmon.monitor.listening.cameras import Looks

Mode = Literal["auto", "always", "adaptive"]

SERVER_CUT = 0.7
"""The server gives no more jobs to a worker that reports this load (``agents.target_load``)."""


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What a process has to do."""

    rooms: int
    microphones: int
    heard: int
    """Microphones that are enabled."""
    cameras: int
    seen: int
    """Cameras that are enabled."""


class Costs:
    """Milliseconds of CPU a second, measured on a real server, and how far off they are here."""

    ROOM = 2.0
    DISABLED_MICROPHONE = 0.65
    HEARD_MICROPHONE = 3.6
    ADAPTIVE_MICROPHONE = 0.75
    """One that is disabled most of the time, the time that it is heard included."""
    DISABLED_CAMERA = 1.6
    SEEN_CAMERA = 10.9
    LOOKED_AT_CAMERA = 2.0
    RARELY_LOOKED_AT_CAMERA = 1.75
    LEARN_S = 20.0

    def __init__(self) -> None:
        self.factor = 1.0
        """Measured over modelled: machines, codecs and talkativeness differ."""
        self._learned_at: float | None = None

    def model(self, counts: Counts) -> float:
        """Cores for what is enabled at present."""
        return self._ms(counts, counts.heard, counts.seen) / 1000.0

    def learn(self, now: float, cores: float, counts: Counts) -> None:
        """Take a measurement of what ``counts`` costs here."""
        modelled = self.model(counts)
        elapsed_s = 0.0 if self._learned_at is None else now - self._learned_at
        self._learned_at = now
        if modelled < 0.02:  # too little to do: the measurement is of something else
            return
        weight = min(1.0, elapsed_s / self.LEARN_S)
        factor = min(3.0, max(0.3, cores / modelled))
        self.factor += weight * (factor - self.factor)

    def skip(self, now: float) -> None:
        """A measurement of something else: the next one tells of the time since this one."""
        self._learned_at = now

    def predict(self, counts: Counts, always: int, looks: Looks) -> float:
        """Cores with so many microphones always heard and the cameras looked at like this."""
        camera = {
            "always": self.SEEN_CAMERA,
            "looks": self.LOOKED_AT_CAMERA,
            "rare": self.RARELY_LOOKED_AT_CAMERA,
            "off": self.DISABLED_CAMERA,
        }[looks]
        return (
            self.factor
            * (
                self.ROOM * counts.rooms
                + self.HEARD_MICROPHONE * always
                + self.ADAPTIVE_MICROPHONE * (counts.microphones - always)
                + camera * counts.cameras
            )
            / 1000.0
        )

    def _ms(self, counts: Counts, heard: int, seen: int) -> float:
        return (
            self.ROOM * counts.rooms
            + self.HEARD_MICROPHONE * heard
            + self.DISABLED_MICROPHONE * (counts.microphones - heard)
            + self.SEEN_CAMERA * seen
            + self.DISABLED_CAMERA * (counts.cameras - seen)
        )


class Shedding:
    """Sheds step by step while the prediction is too high: looks at video become rarer, the
    largest rooms go over to adaptive listening, then all do; what is left is to refuse jobs.

    Back it goes the same way, a step at a time, once the prediction with the step undone has
    stayed low: a step is never undone that would be taken again at once.
    """

    HIGH = 0.5
    """This and the next two are shares of the cores that the process may use."""
    ENOUGH = 0.45
    LOW = 0.4
    CALM_S = 30.0
    """From one step to the step back."""
    SETTLE_S = 10.0
    """After a step the measurement still holds what was before it; and while a crowd comes in it
    holds what joining takes, which is over soon."""
    CROWD_CHANGES = 0.05
    BLIND_S = 60.0
    """A crowd may come in for many minutes: after so long the measurement counts all the same."""

    def __init__(
        self,
        listen: Mode,
        video: Mode | Literal["off"],
        *,
        threshold: float,
        cores: float = 1.0,
    ) -> None:
        """``cores`` is what the process may use, and ``threshold`` the share of it that is full.

        Under a CPU limit no more than ``cores`` is ever measured, however much there is to do.
        """
        self.costs = Costs()
        self.refuse_jobs = False
        self.predicted = 0.0
        """Cores for the present modes."""
        self.fully_shed = 0.0
        """Cores once all is shed that the settings allow."""
        self._listen = listen
        self._video = video
        self._cores = cores
        self._full = threshold * cores
        self._adaptive: dict[str, None] = {}
        """Rooms that were moved over, in the order in which they were."""
        self._video_steps = 0
        self._changed_at = float("-inf")
        self._crowd = 0
        """How many tracks there were when that last changed by much."""
        self._crowd_at = float("-inf")
        self._settled_at: float | None = None
        """When the measurement last was of what these tracks take alone."""
        self._low_since: float | None = None

    @property
    def looks(self) -> Looks:
        return self._looks(self._video_steps)

    def always(self, room: str) -> bool:
        """Whether everybody in the room is heard all the time."""
        return self._listen == "always" or (self._listen == "auto" and room not in self._adaptive)

    @property
    def reported(self) -> float:
        """The load for LiveKit, 0 to 1: reaching the threshold reads as the server's cut, and
        goes on to until jobs are not refused any more."""
        least = SERVER_CUT if self.refuse_jobs else 0.0
        return min(1.0, max(least, self.fully_shed / self._full * SERVER_CUT))

    @property
    def one_more(self) -> float:
        """What one more microphone adds to ``reported``, before anything is known of it."""
        always, looks = self._floor(1)
        one = Counts(rooms=0, microphones=1, heard=0, cameras=0, seen=0)
        return self.costs.predict(one, always, looks) / self._full * SERVER_CUT

    def room_gone(self, room: str) -> None:
        """Its connection is over: a room of that name begins anew."""
        self._adaptive.pop(room, None)

    def sample(self, now: float, cores: float, counts: Counts, sizes: Mapping[str, int]) -> None:
        """Take a measurement; ``sizes`` are the microphones of each room."""
        if self._settled(now, counts):
            self.costs.learn(now, cores, counts)
        else:
            self.costs.skip(now)
        self._predict(counts, sizes)
        if self.predicted > self.HIGH * self._cores:
            self._low_since = None
            while self.predicted > self.ENOUGH * self._cores and self._shed(sizes):
                self._changed_at = now
                self._predict(counts, sizes)
        else:
            self._restore(now, counts, sizes)
        self.fully_shed = self.costs.predict(counts, *self._floor(counts.microphones))
        limit = self._full if not self.refuse_jobs else 0.9 * self._full
        self.refuse_jobs = self.fully_shed >= limit

    # --- inside

    def _settled(self, now: float, counts: Counts) -> bool:
        """Whether what the process takes is what these tracks take, and nothing else; or whether
        it has not been for so long that the measurement is better than none."""
        crowd = counts.microphones + counts.cameras
        if abs(crowd - self._crowd) > self.CROWD_CHANGES * self._crowd:
            self._crowd, self._crowd_at = crowd, now
        settled = now - max(self._changed_at, self._crowd_at) >= self.SETTLE_S
        if settled or self._settled_at is None:
            self._settled_at = now
        return settled or now - self._settled_at >= self.BLIND_S

    def _looks(self, steps: int) -> Looks:
        if self._video == "off":
            return "off"
        if self._video == "always":
            return "always"
        ladder: tuple[Looks, ...] = ("always", "looks", "rare")
        return ladder[steps + (self._video == "adaptive")]

    @property
    def _video_steps_max(self) -> int:
        return {"auto": 2, "adaptive": 1}.get(self._video, 0)

    def _floor(self, microphones: int) -> tuple[int, Looks]:
        always = microphones if self._listen == "always" else 0
        return always, self._looks(self._video_steps_max)

    def _heard_always(self, sizes: Mapping[str, int]) -> int:
        return sum(size for room, size in sizes.items() if self.always(room))

    def _predict(self, counts: Counts, sizes: Mapping[str, int]) -> None:
        self.predicted = self.costs.predict(counts, self._heard_always(sizes), self.looks)

    def _shed(self, sizes: Mapping[str, int]) -> bool:
        """Take the next step; False if there is none left."""
        if self._video_steps < self._video_steps_max:
            self._video_steps += 1
            return True
        largest = max(
            (room for room in sizes if self.always(room)),
            key=lambda room: (sizes[room], room),
            default=None,
        )
        if self._listen != "auto" or largest is None or not sizes[largest]:
            return False
        self._adaptive[largest] = None
        return True

    def _restore(self, now: float, counts: Counts, sizes: Mapping[str, int]) -> None:
        """Undo the last step if there would be room for it, and has been for a while."""
        smallest = min(
            (room for room in sizes if room in self._adaptive),
            key=lambda room: (sizes[room], room),
            default=None,
        )
        always, looks = self._heard_always(sizes), self.looks
        if smallest is not None:
            always += sizes[smallest]
        elif self._video_steps:
            looks = self._looks(self._video_steps - 1)
        else:
            self._low_since = None
            return
        if self.costs.predict(counts, always, looks) >= self.LOW * self._cores:
            self._low_since = None
            return
        if self._low_since is None:
            self._low_since = now
        if now - max(self._low_since, self._changed_at) < self.CALM_S:
            return
        if smallest is not None:
            del self._adaptive[smallest]
        else:
            self._video_steps -= 1
        self._changed_at = now
        self._predict(counts, sizes)
