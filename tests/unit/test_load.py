"""The load must read as the server's cut exactly when the worker is as busy as it may be."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from pmon.app.load import Usage, cpu_quota, cpu_share, reported
from pmon.monitor.listening.load import SERVER_CUT

CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def test_usage_is_cpu_seconds_a_second() -> None:
    usage = Usage()
    for second in range(10):
        usage.sample(second * 0.85, float(second))
    assert usage.cores == pytest.approx(0.85)


def test_an_old_burst_is_forgotten() -> None:
    usage = Usage()
    usage.sample(0.0, 0.0)
    usage.sample(5.0, 1.0)
    for second in range(2, 10):
        usage.sample(5.0, float(second))
    assert usage.cores == 0.0


def test_another_process_in_the_same_place_begins_at_nothing() -> None:
    usage = Usage()
    usage.sample(100.0, 0.0)
    usage.sample(100.5, 1.0)
    usage.sample(0.2, 2.0)
    assert usage.cores == 0.0
    usage.sample(0.4, 3.0)
    assert usage.cores == pytest.approx(0.2)


def test_nothing_is_known_at_first() -> None:
    usage = Usage()
    assert usage.cores == 0.0
    usage.sample(1.0, 1.0)
    usage.sample(1.0, 1.0)
    assert usage.cores == 0.0


def test_the_least_busy_process_takes_the_next_room() -> None:
    assert reported([0.9, 0.1], 1.0, 0.5, math.inf) == 0.1


def test_it_never_reports_more_than_all() -> None:
    assert reported([2.0], 2.0, 0.5, math.inf) == 1.0


def test_a_containers_limit_counts_for_all_processes_together() -> None:
    """Half a core is full at half a core, and two processes share it."""
    assert reported([0.1], 0.4, 0.8, quota=0.5) == pytest.approx(SERVER_CUT)
    assert reported([0.1, 0.2], 0.8, 0.8, quota=1.0) == pytest.approx(SERVER_CUT)
    assert reported([0.5], 0.4, 0.8, quota=4.0) == 0.5


@pytest.mark.parametrize(
    ("text", "quota"), [("50000 100000\n", 0.5), ("max 100000\n", CPUS), ("nonsense", CPUS)]
)
def test_the_quota_of_cgroup_2(tmp_path: Path, text: str, quota: float) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert cpu_quota(tmp_path, tmp_path / "none") == quota


def test_the_least_quota_on_the_way_up_holds(tmp_path: Path) -> None:
    """systemd's CPUQuota= stands in the group of the service, which is not the root for it."""
    own, root = tmp_path / "own", tmp_path / "cgroup"
    service = root / "system.slice" / "pmon.service"
    service.mkdir(parents=True)
    own.write_text("1:cpu:/\n0::/system.slice/pmon.service\n")
    assert cpu_quota(root, own) == CPUS
    (service / "cpu.max").write_text("70000 100000\n")
    (root / "system.slice" / "cpu.max").write_text("max 100000\n")
    assert cpu_quota(root, own) == 0.7
    (root / "system.slice" / "cpu.max").write_text("50000 100000\n")
    assert cpu_quota(root, own) == 0.5


def test_a_group_that_is_not_seen_from_here_leaves_those_that_are(tmp_path: Path) -> None:
    """A container that shares the host's namespace reads a path that it has no files of."""
    own = tmp_path / "own"
    own.write_text("0::/../docker/4f1c\n")
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert cpu_quota(tmp_path, own) == 0.5


def test_the_media_processes_share_the_quota_and_fill_a_core_each_at_most() -> None:
    assert cpu_share(4.0, 4) == 1.0
    assert cpu_share(8.0, 4) == 1.0
    assert cpu_share(0.5, 1) == 0.5
    assert cpu_share(2.0, 4) == 0.5


@pytest.mark.parametrize(("us", "quota"), [("70000\n", 0.7), ("-1\n", CPUS)])
def test_the_quota_of_cgroup_1(tmp_path: Path, us: str, quota: float) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(us)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cpu_quota(tmp_path, tmp_path / "none") == quota


def test_without_cgroups_all_cores_are_ours(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path / "none") == CPUS


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux has it")
def test_four_processes_on_the_one_core_of_a_cpuset_share_it(tmp_path: Path) -> None:
    """`docker run --cpuset-cpus=0` sets no quota: each took the core for its own."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        quota = cpu_quota(tmp_path / "none")
    finally:
        os.sched_setaffinity(0, before)
    assert quota == 1.0
    assert cpu_share(quota, 4) == 0.25
