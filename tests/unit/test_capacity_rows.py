"""What is to be measured must be measurable: in the time there is, and while it happens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from capacity.estimate import total_s
from capacity.rows import ADAPTIVE, ALWAYS, LADDERS, LARGE, NOBODY, Block, blocks, quick

from pmon.monitor.listening.plan import HEARD_EVERY_S

TOLD_WITHIN_S = 75.0
STARTED_S = 30.0
"""More than a worker takes to start and to join a room of 50."""


@pytest.mark.parametrize("table_of", [blocks, quick])
def test_no_two_blocks_have_one_name_and_no_two_loads_one_room(
    table_of: Callable[[], list[Block]],
) -> None:
    made = table_of()
    assert len({block.name for block in made}) == len(made)
    for block in made:
        assert len({load.room_prefix for load in block.loads}) == len(block.loads)
        assert len({watch.name for watch in block.watches}) == len(block.watches)


def test_every_bound_has_a_block_that_measures_it() -> None:
    names = {block.name for block in blocks()}
    for name in ("talking 120, compared", "meeting 150", "large 1000", "talk time", "voices"):
        assert name in names
    assert {"cameras", "processes", "rooms 2", "agents room 16", "auto 300"} <= names
    assert {
        f"agents {ladder.name} {count}" for ladder in LADDERS for count in ladder.counts
    } < names


def named(name: str) -> Block:
    (block,) = (block for block in blocks() if block.name == name)
    return block


def test_what_is_compared_is_measured_close_together() -> None:
    """The machine's speed varies by a third within minutes, and a ratio of two with it."""
    for name in ("meeting 30", "meeting 150", "meeting 300", "talking 120, compared"):
        assert named(name).order == "alternating"
    assert ALWAYS in named("meeting 150").watches
    assert ADAPTIVE in named("meeting 150").watches


@pytest.mark.parametrize("count", [750, 1000])
def test_one_percent_of_the_turns_is_several(count: int) -> None:
    """Else the delay of 99 % is that of the one turn that was the latest."""
    block = named(f"large {count}")
    (load,) = block.loads
    speaking = block.participants * load.talking_at_once / 100
    turns = speaking / load.burst * block.windows * block.window_s
    assert turns > 300


def test_the_largest_is_watched_for_longer_than_a_round_of_the_patrol() -> None:
    """Before, nobody can be overdue."""
    block = named(f"large {max(LARGE)}")
    assert block.settle_s + block.windows * block.window_s > HEARD_EVERY_S + 30


def test_the_shipped_settings_are_watched_by() -> None:
    (watch,) = named("auto 300").watches
    assert (watch.kind, watch.settings) == ("pmon", {})


def test_cameras_freeze_while_pmon_watches() -> None:
    """Cameras freeze once, soon after all have joined: who watches in a later turn sees nothing."""
    (block,) = (block for block in blocks() if block.name == "cameras")
    (load,) = block.loads
    watch = block.watches[0]
    assert watch.kind == "pmon"
    assert STARTED_S + block.settle_of(watch) <= load.freeze_after
    watched_s = block.settle_of(watch) + block.windows * block.window_of(watch)
    assert load.freeze_for >= TOLD_WITHIN_S
    assert load.freeze_after + load.freeze_for + TOLD_WITHIN_S <= watched_s


def test_what_the_server_costs_by_itself_takes_little_time() -> None:
    for block in blocks():
        if NOBODY in block.watches:
            assert block.window_of(NOBODY) <= 20
            assert block.settle_of(NOBODY) <= 20


def test_what_costs_are_told_of_has_three_windows() -> None:
    once = {block.name for block in blocks() if block.windows != 3}
    assert once == {"talk time", "voices"}


def test_all_is_measured_in_70_minutes() -> None:
    assert total_s(blocks()) <= 70 * 60
