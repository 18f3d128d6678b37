"""What was told beside the truth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from load_model import Person, Span, Truth

from capacity.observed import Key, Observed
from capacity.results import Speech, Video
from capacity.rows import PATROL_ROUNDS_S

HARD = ("quiet", "no_levels")
AFTER_JOIN_S = 5.0
"""Turns that begin sooner say more of joining than of watching."""
TOLD_WITHIN_S = 2.0
EARLY_S = 0.1
MERGED_S = 1.0
"""With a shorter pause two turns may be told as one."""
FREEZE_ISSUES = ("video_frozen", "video_low_fps", "track_dry")


def overlap(spans: list[Span], since: float, until: float) -> float:
    """Seconds of the spans within a stretch of time."""
    return sum(max(0.0, min(end, until) - max(start, since)) for start, end in spans)


def percentile(values: list[float], share: float) -> float | None:
    """The least value that this share of all does not exceed (nearest rank)."""
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)] if values else None


def delays(
    person: Person,
    onsets: list[float],
    turns: list[tuple[float, float]],
    since: float,
    until: float,
) -> Iterator[float]:
    """For each turn from its first speech to the first event in it; infinity where none came.

    Where an earlier turn was just over and still told when it began, there was nothing to tell.
    """
    for start, end in person.bursts:
        if start < since or end + TOLD_WITHIN_S > until:
            continue
        first = next((s for s, _ in person.segments if start - 0.05 <= s <= end), None)
        if first is None:
            continue
        over = max((e for _, e in person.segments if e < first), default=-math.inf)
        if first - over > MERGED_S or not open_at(first - EARLY_S, first, onsets, turns):
            within = first - EARLY_S, end + TOLD_WITHIN_S
            told = next((o for o in onsets if within[0] <= o <= within[1]), math.inf)
            yield told - first


def open_at(
    before: float, at: float, onsets: list[float], turns: list[tuple[float, float]]
) -> bool:
    """Whether a turn told before one time had not ended at the other.

    Onsets and ends alternate. An end is the end of speech, which may be earlier than the word of
    its beginning came.
    """
    begun = sum(onset < before for onset in onsets)
    return begun > len(turns) or (begun > 0 and turns[begun - 1][0] >= at)


def speech(rounds: Sequence[Observed], truth: Truth) -> Speech:
    """Delays and talk time of one load, of all rounds of one watcher together."""
    late: list[float] = []
    billed_s = true_s = 0.0
    hard: list[tuple[Observed, Key, Person]] = []
    for observed in rounds:
        tells = any(observed.onsets.values())
        for key, person in _people(truth):
            # Who never came to be watched should have been when the windows began.
            since = observed.present.get(key, observed.settled)
            if person.kind in HARD:
                hard.append((observed, key, person))
            if person.kind != "normal":
                continue
            if tells:
                onsets, turns = observed.onsets[key], observed.turns[key]
                settled = max(since + AFTER_JOIN_S, observed.settled)
                late += delays(person, onsets, turns, settled, observed.until)
            if observed.talk_s:  # it bills; whom it has no summary of, it bills nothing
                billed_s += observed.talk_s.get(key, 0.0)
                true_s += overlap(person.segments, since, observed.until)
    found = [billing(*one) for one in hard]
    billing_after = [figures for figures in found if figures is not None]
    after_true_s = sum(true for _, true in billing_after)
    hard_true_s = sum(
        overlap(person.segments, observed.present.get(key, observed.until), observed.until)
        for observed, key, person in hard
    )
    hard_billed_s = sum(observed.talk_s.get(key, 0.0) for observed, key, _ in hard)
    return Speech(
        delay_median_s=finite(percentile(late, 0.5)),
        delay_p99_s=finite(percentile(late, 0.99)),
        turns=len(late),
        turns_told=sum(map(math.isfinite, late)),
        talk_error=billed_s / true_s - 1 if true_s else None,
        hard=len(hard),
        hard_found=len(billing_after),
        hard_billed=sum(b for b, _ in billing_after) / after_true_s if after_true_s else None,
        hard_error=hard_billed_s / hard_true_s - 1 if hard_true_s else None,
    )


def _people(truth: Truth) -> Iterator[tuple[Key, Person]]:
    for room, people in truth.rooms.items():
        for identity, person in people.items():
            yield (room, identity), person


def finite(delay_s: float | None) -> float | None:
    """As it is saved."""
    return delay_s if delay_s is not None and math.isfinite(delay_s) else None


def billing(observed: Observed, key: Key, person: Person) -> tuple[float, float] | None:
    """Billed and true seconds of speech after somebody was found; None if that took too long."""
    since = observed.present.get(key)
    onsets = observed.onsets[key]
    if since is None or not onsets or onsets[0] > since + PATROL_ROUNDS_S:
        return None
    found = onsets[0]
    billed_s = sum(min(turn_s, end - found) for end, turn_s in observed.turns[key] if end > found)
    return billed_s, overlap(person.segments, found, observed.until)


def cameras(observed: Observed, truth: Truth) -> Video | None:
    """Freezes beside the truth; None if nobody has a camera."""
    frozen: list[float | None] = []
    live: list[float | None] = []
    spans = {key: person.frozen for key, person in _people(truth) if person.camera}
    for key, freezes in spans.items():
        since = observed.present.get(key, observed.until)
        for start, end in freezes:
            if start < since or end > observed.until:
                continue
            frozen.append(_told(observed.video[key], ("frozen", "dry"), start, end))
            live.append(_told(observed.video[key], ("live", "low"), end, observed.until))
    if not spans:
        return None
    false = [
        key
        for key, at, issue in observed.issues
        if issue in FREEZE_ISSUES
        and not any(start <= at <= end for start, end in spans.get(key, []))
    ]
    told, again = [x for x in frozen if x is not None], [x for x in live if x is not None]
    return Video(
        freezes=len(frozen),
        frozen_told=len(told),
        frozen_latest_s=max(told, default=None),
        live_told=len(again),
        live_latest_s=max(again, default=None),
        false_issues=len(false),
    )


def _told(
    states: list[tuple[float, str]], names: tuple[str, ...], since: float, until: float
) -> float | None:
    return next((at - since for at, name in states if name in names and since <= at <= until), None)
