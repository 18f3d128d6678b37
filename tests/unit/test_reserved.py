"""What is expected of a process must neither be forgotten early nor stay for ever."""

from __future__ import annotations

from pmon.app.reserved import KEPT_S, Reserved


def test_what_the_process_counts_is_expected_no_more() -> None:
    reserved = Reserved()
    reserved.counted(10)
    reserved.add(0.0, microphones=5)
    reserved.counted(13)
    assert reserved.count(1.0) == 2
    reserved.counted(11)
    assert reserved.count(1.0) == 2, "that some left says nothing of those who come"
    reserved.counted(100)
    assert reserved.count(1.0) == 0


def test_who_never_shows_is_given_up() -> None:
    reserved = Reserved()
    reserved.add(0.0)
    reserved.add(5.0)
    assert reserved.count(KEPT_S - 0.1) == 2
    assert reserved.count(KEPT_S) == 1
    assert reserved.count(KEPT_S + 5.0) == 0


def test_a_process_that_begins_anew_has_all_of_them_before_it() -> None:
    reserved = Reserved()
    reserved.counted(50)
    reserved.add(0.0)
    reserved.gone(10.0, microphones=51)
    reserved.counted(20)
    assert reserved.count(11.0) == 31
