"""The load must read as the server's cut exactly when the worker is as busy as it may be."""

from __future__ import annotations

import pytest

from pmon.app.load import SERVER_CUT, Load


def test_the_threshold_reads_as_the_servers_cut() -> None:
    load = Load(threshold=0.85)
    for second in range(10):
        load.sample(second * 0.85, float(second))
    assert load.cores == pytest.approx(0.85)
    assert load.reported == pytest.approx(SERVER_CUT)


def test_an_old_burst_is_forgotten() -> None:
    load = Load(threshold=0.85)
    load.sample(0.0, 0.0)
    load.sample(5.0, 1.0)
    for second in range(2, 10):
        load.sample(5.0, float(second))
    assert load.reported == 0.0


def test_it_never_reports_more_than_all() -> None:
    load = Load(threshold=0.5)
    load.sample(0.0, 0.0)
    load.sample(2.0, 1.0)
    assert (load.cores, load.reported) == (2.0, 1.0)


def test_nothing_is_known_at_first() -> None:
    load = Load(threshold=0.85)
    assert load.reported == 0.0
    load.sample(1.0, 1.0)
    load.sample(1.0, 1.0)
    assert load.reported == 0.0
