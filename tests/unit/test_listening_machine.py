"""Whatever happens, in whatever order: what the listening plan never does."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from simulated_meeting import most_in_a_second

from pmon.monitor.listening import Change, Listening, Mode
from pmon.monitor.listening.ear import LOOK_S
from pmon.monitor.listening.toggles import Toggles

PEOPLE = [f"p{i}" for i in range(100)]
ROOMS = ["one", "two"]
person = st.integers(0, len(PEOPLE) - 1)


class AnyMeeting(RuleBasedStateMachine):
    """Two rooms of fifty, with a sound path that may or may not work."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.plan = Listening("auto", "auto")
        self.known: dict[str, dict[str, bool]] = {}
        """By track, whether it is muted and whether it is encrypted."""
        self.on_since: dict[str, float | None] = {}
        self.told: set[str] = set()
        self.suspended: dict[str, bool] = {}
        """By track, whether it is enabled on the server."""
        self.reopening: set[str] = set()
        self.toggled_at: list[float] = []
        self.just: list[tuple[Change, float]] = []

    @initialize(listen=st.sampled_from(["auto", "adaptive", "always"]))
    def choose(self, listen: Mode) -> None:
        self.plan = Listening(listen, listen)

    # --- what happens

    @rule(i=person, muted=st.booleans(), encrypted=st.booleans(), video=st.booleans())
    def publish(self, i: int, muted: bool, encrypted: bool, video: bool) -> None:
        sid = f"TR_{'v' if video else 'a'}{i}"
        self._forget(sid)
        self.known[sid] = {"muted": muted, "encrypted": encrypted and i % 3 == 0}
        self.plan.track_added(
            self.now,
            ROOMS[i % 2],
            PEOPLE[i],
            sid,
            "video" if video else "audio",
            **self.known[sid],
        )

    @rule(many=st.integers(20, 100))
    def publish_many(self, many: int) -> None:
        for i in range(many):
            if f"TR_a{i}" not in self.known:
                self.publish(i=i, muted=False, encrypted=False, video=False)

    @rule(i=person)
    def opt_out(self, i: int) -> None:
        """Or unpublish, or leave: the track is not watched any more."""
        for sid in (f"TR_a{i}", f"TR_v{i}"):
            self._forget(sid)
            self.plan.track_removed(self.now, sid)

    @rule(room=st.sampled_from(ROOMS))
    def lose(self, room: str) -> None:
        """The room's connection breaks."""
        for sid in self.known:
            if ROOMS[int(sid[4:]) % 2] == room and sid not in self.suspended:
                self.suspended[sid] = self.on_since.get(sid) is not None
                if sid in self.on_since:
                    self.on_since[sid] = None
                self.plan.suspended(self.now, sid)

    @rule(room=st.sampled_from(ROOMS))
    def come_back(self, room: str) -> None:
        for sid in [sid for sid in self.suspended if ROOMS[int(sid[4:]) % 2] == room]:
            if self.suspended.pop(sid):
                self.reopening.add(sid)
            self.plan.resumed(self.now, sid)
        self._tick(self.now)
        self.reopening.clear()

    @rule(i=person, muted=st.booleans(), video=st.booleans())
    def mute(self, i: int, muted: bool, video: bool) -> None:
        sid = f"TR_{'v' if video else 'a'}{i}"
        if sid in self.known:
            self.known[sid]["muted"] = muted
        self.plan.muted(self.now, sid, muted)

    @rule(room=st.sampled_from(ROOMS), who=st.lists(person, max_size=60))
    def speakers(self, room: str, who: list[int]) -> None:
        self.plan.speakers(self.now, room, {PEOPLE[i] for i in who})

    @rule(i=person, speaking=st.booleans(), ago=st.floats(0, 2))
    def speech(self, i: int, speaking: bool, ago: float) -> None:
        """Perhaps of a stream that is closed already."""
        self.plan.speech(self.now, f"TR_a{i}", speaking, self.now - ago)

    @rule(
        i=person,
        floor=st.sampled_from([-100.0, -60.0, -30.0]),
        loudest=st.sampled_from([-108.0, -50.0, -20.0]),
    )
    def sound(self, i: int, floor: float, loudest: float) -> None:
        self.plan.started(self.now, f"TR_a{i}")
        self.plan.reading(self.now, f"TR_a{i}", floor_dbov=floor, loudest_dbov=loudest)

    @rule(i=person, frames=st.integers(0, 1000))
    def frames(self, i: int, frames: int) -> None:
        self.plan.frames(self.now, f"TR_v{i}", frames)

    @rule(cores=st.floats(0.0, 3.0), times=st.integers(1, 40))
    def load(self, cores: float, times: int) -> None:
        for _ in range(times):
            self.plan.load(self.now, cores)
            self._tick(self.now + 1.0)

    @rule(seconds=st.sampled_from([0.0, 0.05, 0.5, 2.0, 5.0, 35.0, 200.0]))
    def wait(self, seconds: float) -> None:
        self._tick(self.now + seconds)

    # --- what never happens

    @invariant()
    def nobody_is_heard_who_may_not_be(self) -> None:
        self._tick(self.now)
        for sid, since in self.on_since.items():
            if since is not None:
                assert sid in self.known
                assert not self.known[sid]["muted"]
                assert not self.known[sid]["encrypted"]

    @invariant()
    def toggles_are_bounded(self) -> None:
        self._tick(self.now)
        self.toggled_at = [at for at in self.toggled_at if at > self.now - 2.0]
        assert most_in_a_second(self.toggled_at) <= Toggles.PER_S

    @invariant()
    def pins_and_counts_hold(self) -> None:
        self._tick(self.now)
        status = self.plan.status(self.now)
        assert status.pins <= status.pins_limit
        on = [sid for sid, since in self.on_since.items() if since is not None]
        assert status.heard == sum(sid.startswith("TR_a") for sid in on)
        assert status.seen == sum(sid.startswith("TR_v") for sid in on)
        ears = self.plan.microphones.ears
        pinned = {sid for sid, ear in ears.items() if ear.pin}
        assert pinned == set(self.plan.microphones.pins.held)
        assert not {ears[sid].room for sid in pinned} & self.plan.microphones.always

    @invariant()
    def what_waits_has_a_time(self) -> None:
        """After a tick nothing is due, so the shell can sleep."""
        self._tick(self.now)
        due = self.plan.due()
        assert due is None or due > self.now

    @invariant()
    def always_hears_everybody(self) -> None:
        self._tick(self.now)
        if self.plan.status(self.now).waiting:
            return
        for sid, ear in self.plan.microphones.ears.items():
            always = ear.room in self.plan.microphones.always and sid not in self.suspended
            if always and ear.audible:
                assert self.on_since[sid] is not None

    # --- inside

    def _tick(self, until: float) -> None:
        for _ in range(100_000):
            due = self.plan.due()
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            for change in self.plan.tick(self.now):
                self._changed(change)
        else:
            raise AssertionError("the plan never comes to rest")
        self.now = until

    def _changed(self, change: Change) -> None:
        sid = change.track_sid
        assert sid in self.known
        assert sid not in self.suspended
        forced = self.known[sid]["muted"] or self.known[sid]["encrypted"]
        since = self.on_since.get(sid)
        if sid in self.reopening:
            assert change.enabled
        elif sid in self.told and not forced:
            assert change.enabled == (since is None)
            self.toggled_at.append(self.now)
            if not change.enabled and since is not None:
                assert self.now - since >= LOOK_S - 1e-9, "hysteresis"
        self.told.add(sid)
        self.on_since[sid] = self.now if change.enabled else None

    def _forget(self, sid: str) -> None:
        self.known.pop(sid, None)
        self.on_since.pop(sid, None)
        self.told.discard(sid)
        self.suspended.pop(sid, None)


TestAnyMeeting = AnyMeeting.TestCase
TestAnyMeeting.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
