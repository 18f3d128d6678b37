"""Whatever happens in a room, in whatever order: in the end everybody knows what is so."""

from __future__ import annotations

import random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from noticed_room import Client, Room

from pmon.outputs.notices import PER_S, SENDS, Packet

PEOPLE = ("alice", "bob", "carol", "dave")
QUALITIES = ("excellent", "good", "poor", "lost")
ISSUES = ("mic_silent", "connection_poor")
VIDEOS = ("live", "frozen", "muted")
WHAT = (
    "joins",
    "joins",
    "leaves",
    "starts",
    "stops",
    "quality",
    "issue",
    "video",
    "dips",
    "outage",
)

steps = st.lists(
    st.tuples(
        st.sampled_from(WHAT),
        st.sampled_from(PEOPLE),
        st.integers(0, 3),
        st.sampled_from([0.0, 0.0, 0.1, 0.6, 3.0]),
        st.sampled_from([0.0, 0.0, 0.7]),
    ),
    min_size=25,  # few steps hardly ever make a newcomer whom there is something to tell
    max_size=80,
)


class Meeting:
    """What happens, what is so, and what each one's client makes of the packets."""

    def __init__(self, people: tuple[str, ...]) -> None:
        self.room = Room()
        self.people = people
        self.clients: dict[str, Client] = {}
        self.truth: dict[str, dict[str, Any]] = {name: {} for name in people}
        self.sent: list[tuple[float, float]] = []
        """From when to when each was on its way."""
        for name in people:
            self.room.watch(name)

    def step(self, what: str, who: str, which: int) -> None:
        if what == "joins":
            self._joins(who)
        elif who in self.clients:
            getattr(self, f"_{what}")(who, which)

    def pass_time(self, seconds: float, takes_s: float = 0.0) -> None:
        self.room.now += seconds
        for packet in self.room.take(takes_s):
            self.sent.append((self.room.now, self.room.now + takes_s))
            self._receive(packet)

    def settle(self) -> None:
        for _ in range(40 * len(self.people)):
            self.pass_time(0.5)

    def _receive(self, packet: Packet) -> None:
        assert packet.destination_identities
        for name in packet.destination_identities:
            self.clients[name].take(msgspec.json.decode(packet.payload))

    def _joins(self, who: str) -> None:
        if who not in self.clients:
            self.clients[who] = Client()
            self.room.connects(who)
            self.room.notices.joined(who, False, self.room.now)

    def _leaves(self, who: str, which: int) -> None:
        self._stops(who, which)
        if "video TR_V" in self.truth[who]:
            self.room.video(who, self.truth[who]["video TR_V"], "ended")
        for issue in set(self.truth[who]) & set(ISSUES):
            self.room.resolves(who, issue)
        self.room.leaves(who)
        self.truth[who].clear()
        del self.clients[who]
        for client in self.clients.values():
            client.known.pop(who, None)

    def _starts(self, who: str, which: int) -> None:
        if "speaking" not in self.truth[who]:
            self.truth[who]["speaking"] = True
            self.room.starts(who)

    def _stops(self, who: str, which: int) -> None:
        if self.truth[who].pop("speaking", None):
            self.room.stops(who)

    def _quality(self, who: str, which: int) -> None:
        before, after = self.truth[who].get("quality", "unknown"), QUALITIES[which]
        if after != before:
            self.truth[who]["quality"] = after
            self.room.quality(who, before, after)

    def _issue(self, who: str, which: int) -> None:
        issue = ISSUES[which % 2]
        if which < 2:
            if issue not in self.truth[who]:
                self.truth[who][issue] = "warning"
                self.room.raises(who, issue)
        elif self.truth[who].pop(issue, None):
            self.room.resolves(who, issue)

    def _video(self, who: str, which: int) -> None:
        before, after = self.truth[who].pop("video TR_V", "live"), VIDEOS[which % 3]
        if after != "live":
            self.truth[who]["video TR_V"] = after
        if after != before:
            self.room.video(who, before, after)

    def _dips(self, who: str, which: int) -> None:
        """The monitor loses its connection for a moment: for as long it knows nothing."""
        quality = self.truth[who].get("quality")
        if quality:
            self.room.quality(who, quality, "unknown")
            self.room.quality(who, "unknown", quality)

    def _outage(self, who: str, which: int) -> None:
        """The SDK has everybody leave and come back, though nobody was away and time went on."""
        for name in self.clients:
            self.room.notices.left(name)
        for name in self.clients:
            self._stops(name, which)
            self._issue(name, which)
        self.pass_time(1.0)
        for name in self.clients:
            self._dips(name, which)
            self.room.notices.joined(name, False, self.room.now)

    def check(self) -> None:
        for name, client in self.clients.items():
            for other in self.people:
                if other in self.clients and other != name:
                    assert client.of(other) == self.truth[other], (name, other)
                elif other != name:
                    assert client.of(other) == {}, (name, other)
            assert client.of(name) == {}, "others were to be told"
        for (_, earlier), (later, _) in zip(self.sent, self.sent[SENDS:], strict=False):
            assert later - earlier >= PER_S - 1e-9


@given(steps)
@settings(max_examples=300, deadline=None)
def test_in_the_end_everybody_knows_what_is_so(
    steps: list[tuple[str, str, int, float, float]],
) -> None:
    """Newcomers, too; nobody learns of themselves, and no second has more than two sends."""
    meeting = Meeting(PEOPLE)
    for name in PEOPLE[:2]:
        meeting.step("joins", name, 0)
    for what, who, which, pause_s, takes_s in steps:
        meeting.step(what, who, which)
        meeting.pass_time(pause_s, takes_s)
    meeting.settle()
    meeting.check()


def test_a_room_of_100_keeps_to_two_sends_a_second() -> None:
    """A minute in which everything happens to everybody, and then peace."""
    people = tuple(f"p{n}" for n in range(100))
    meeting, chance = Meeting(people), random.Random(5)
    for who in people:
        meeting.step("joins", who, 0)
    for _ in range(600):
        for _ in range(5):
            meeting.step(chance.choice(WHAT[3:9]), chance.choice(people), chance.randrange(4))
        meeting.pass_time(0.1)
    assert len(meeting.sent) <= SENDS * 60 + SENDS
    meeting.settle()
    meeting.check()
    assert len(meeting.sent) > SENDS * 60
