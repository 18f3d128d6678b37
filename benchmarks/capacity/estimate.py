"""How long a run takes, roughly: who waits wants to know, and nobody waits for hours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from capacity.rows import JOIN_S, Block, Watch

START_S, STOP_S = 2.0, 2.0
PUBLISH_S = 0.04
"""To let one more participant join and publish."""
CONNECT_S = 0.3
"""To watch one more where each takes a connection."""
SPAWN_S = 3.0
"""To watch one more room where each takes a process."""
TRIED = 0.5
"""Of the rungs of a ladder."""


def total_s(blocks: Iterable[Block]) -> float:
    """Of a run."""
    return sum(block_s(block) * (TRIED if block.ladder else 1.0) for block in blocks)


def block_s(block: Block) -> float:
    """With the server and its load."""
    load_s = START_S + PUBLISH_S * block.participants + STOP_S
    spans = list(_spans(block))
    return load_s + (max(spans) if block.order == "together" else sum(spans))


def _spans(block: Block) -> Iterator[float]:
    for watch in block.watches:
        wait_s = _attach_s(block, watch) + block.settle_of(watch)
        if block.ladder:  # most rungs fail, after one window
            yield wait_s + block.window_of(watch)
        elif block.order == "alternating":
            yield block.windows * (wait_s + block.window_of(watch))
        else:
            yield wait_s + block.windows * block.window_of(watch)


def _attach_s(block: Block, watch: Watch) -> float:
    if watch.kind == "nobody":
        return 0.0
    join_s = (CONNECT_S if watch.kind == "each" else PUBLISH_S) * block.participants
    if watch.kind.startswith("agents"):
        join_s += SPAWN_S * block.rooms
    return START_S + min(join_s, JOIN_S) + STOP_S
