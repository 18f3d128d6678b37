"""Who is lost while others are watched must not count as watched."""

from __future__ import annotations

from capacity.observed import Observed


def test_who_left_is_lost_even_if_watched_again() -> None:
    seen = Observed()
    seen.line({"watching": ["room", "anna"]})
    seen.line({"watching": ["room", "bert"]})
    seen.line({"left": ["room", "anna"]})
    assert (seen.watched, seen.lost) == (1, 1)
    seen.line({"left": ["room", "anna"]})  # told twice, as a leave and the end of a session
    seen.line({"watching": ["room", "anna"]})
    assert (seen.watched, seen.lost) == (2, 1)


def test_who_leaves_because_the_watcher_was_told_to_stop_is_not_lost() -> None:
    seen = Observed()
    seen.line({"watching": ["room", "anna"]})
    seen.until = 10.0
    seen.line({"left": ["room", "anna"]})
    assert (seen.watched, seen.lost) == (1, 0)


def test_a_turn_told_by_a_watcher_without_pmon_ends() -> None:
    """Else all turns after the first would seem to be part of it."""
    seen = Observed()
    seen.line({"speaking": ["room", "anna"], "at": 1.5})
    seen.line({"silent": ["room", "anna"], "at": 3.0})
    assert len(seen.onsets["room", "anna"]) == len(seen.turns["room", "anna"]) == 1


def test_who_never_came_cannot_be_lost() -> None:
    seen = Observed()
    seen.line({"left": ["room", "anna"]})
    assert (seen.watched, seen.lost) == (0, 0)
