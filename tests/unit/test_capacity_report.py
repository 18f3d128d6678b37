"""The benchmark's table, slopes and verdicts: a missed bound must not read as kept."""

from __future__ import annotations

import msgspec
import pytest
from capacity.measure import merged
from capacity.report import HEAD, growth, markdown, slope, table
from capacity.results import Result, Run, Speech, Window
from capacity.rows import AGENTS_ROOM_LADDER
from capacity.verdicts import Verdict, kept, verdicts


def window(cores: float, rss_mb: float = 100.0, heard: float | None = None) -> Window:
    return Window(
        cores=cores,
        rss_mb=rss_mb,
        pss_mb=rss_mb,
        threads=20,
        server_cores=0.2,
        publisher_cores=0.1,
        sent_kbit=1000.0,
        heard_share=heard,
    )


def result(block: str, watch: str, count: int, *windows: Window, **fields: object) -> Result:
    made = Result(
        block=block,
        watch=watch,
        participants=count,
        rooms=1,
        unmuted=count,
        watched=count,
        join_s=2.0,
        windows=list(windows),
    )
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def run(*results: Result) -> Run:
    return Run(
        machine="m", cpus=2, python="3", versions={}, date="2026-01-01", results=list(results)
    )


def found(what: str, measured: Run) -> Verdict:
    (verdict,) = (v for v in verdicts(measured) if what in v.what)
    return verdict


def test_a_slope_is_what_one_more_costs() -> None:
    assert slope([(30, 45.0), (150, 165.0), (300, 315.0)]) == pytest.approx(1.0)
    assert slope([(30, 45.0), (30, 46.0)]) is None


def test_one_bad_window_does_not_move_a_row() -> None:
    assert result("b", "w", 100, window(0.1), window(0.9), window(0.11)).ms == pytest.approx(1.1)


def test_the_native_path_is_held_to_the_floor() -> None:
    floor = result("talking 120, compared", "floor", 120, window(0.5))
    for cores, ok in ((0.55, True), (0.57, False)):
        native = result("talking 120, compared", "native", 120, window(cores))
        assert found("of the floor", run(floor, native)).ok is ok


def test_what_was_not_measured_is_neither_kept_nor_missed() -> None:
    assert {v.ok for v in verdicts(run())} == {None}
    assert all("not measured" in str(v) for v in verdicts(run()))


def test_livekit_agents_counts_at_the_largest_number_that_it_sustains() -> None:
    watch = "livekit-agents, one room"
    results = (
        result("talking 120, compared", "native", 120, window(0.6)),
        result("agents room 28", watch, 28, window(0.9, heard=0.5)),
        result("agents room 24", watch, 24, window(0.84, heard=0.99)),
        result("agents room 12", watch, 12, window(0.6, heard=1.0)),
    )
    assert found("livekit-agents, one room", run(*results)).measured == pytest.approx(7.0)


def test_a_ladder_whose_top_is_sustained_proves_nothing() -> None:
    watch, top = "livekit-agents, one room", AGENTS_ROOM_LADDER[0]
    results = (
        result("talking 120, compared", "native", 120, window(0.6)),
        result(f"agents room {top}", watch, top, window(0.9, heard=0.99)),
    )
    assert found("livekit-agents, one room", run(*results)).ok is None


def test_who_hears_nothing_or_too_little_sustains_nothing() -> None:
    assert result("b", "w", 3, window(0.5, heard=0.95), window(0.5, heard=1.0)).sustained
    assert not result("b", "w", 3, window(0.5, heard=0.95)).sustained
    assert not result("b", "w", 3, window(0.5, heard=0.0)).sustained
    assert window(0.5, heard=0.0).hopeless
    assert window(0.98, heard=1.0).hopeless
    assert not window(0.98).hopeless


def test_who_was_lost_and_came_back_is_lost() -> None:
    fast = {"load": Speech(turns=5, turns_told=5, delay_median_s=0.5, delay_p99_s=1.2)}
    for lost, ok in ((0, True), (1, False)):
        most = result("large 1000", "adaptive", 1000, window(0.5), speech=fast, lost=lost)
        assert found("1,000 adaptive: lost", run(most)).ok is ok
        assert found("server core stays", run(most)).ok is (True if ok else None)


def test_a_turn_never_told_misses_the_bound_of_delay() -> None:
    untold = {"load": Speech(turns=5, turns_told=4, delay_median_s=0.5)}
    most = result("large 1000", "adaptive", 1000, window(0.5), speech=untold)
    assert found("delay of events", run(most)).ok is False
    assert "0.50 / ∞ s, 4 of 5" in table(run(most))


def test_a_missed_bound_fails_the_run_and_so_does_one_left_unmeasured() -> None:
    fine, bad = Verdict("a", 1.0, 2), Verdict("a", 3.0, 2)
    unknown = Verdict("a", None, 2)
    assert kept([fine], entire=True)
    assert not kept([fine, bad], entire=False)
    assert kept([fine, unknown], entire=False)
    assert not kept([fine, unknown], entire=True)


def test_delay_counts_where_the_server_has_room() -> None:
    slow = {"load": Speech(turns=9, turns_told=9, delay_median_s=1.0, delay_p99_s=9.0)}
    fast = {"load": Speech(turns=9, turns_told=9, delay_median_s=0.5, delay_p99_s=1.2)}
    full = msgspec.structs.replace(window(0.7), server_cores=0.85)
    results = (
        result("large 750", "adaptive", 750, window(0.5), speech=fast),
        result("large 1000", "adaptive", 1000, full, speech=slow),
    )
    assert found("delay of events", run(*results)).measured == 1.2
    assert found("1,000 adaptive: cores", run(*results)).ok is True


def test_too_much_and_too_little_talk_time_both_miss() -> None:
    def talk(error: float) -> dict[str, Speech]:
        return {p: Speech(talk_error=error) for p in ("burst-1-5", "burst-6-0")}

    always = result("talk time", "always", 120, window(0.3), speech=talk(0.0))
    for error, ok in ((0.09, True), (0.12, False), (-0.12, False)):
        adaptive = result("talk time", "adaptive", 120, window(0.1), speech=talk(error))
        assert found("bursts of 1.5 s", run(always, adaptive)).ok is ok


def test_one_connection_too_many_misses_as_one_too_few_does() -> None:
    for connections, ok in ((20, True), (21, False), (19, False)):
        four = result("processes", "4 processes", 200, window(0.2), connections=connections)
        assert found("connections beside 20", run(four)).ok is ok


def test_rounds_of_one_watcher_make_one_row() -> None:
    first, other = (result("b", "floor", 3, window(cores)) for cores in (0.1, 0.3))
    other.watched = 2
    (row,) = merged([first, other])
    assert [w.cores for w in row.windows] == [0.1, 0.3]
    assert row.watched == 2


def test_every_row_of_the_table_has_every_column() -> None:
    failed = result("meeting 150", "always", 150, error="it\nended | so")
    nobody = result("meeting 150", "nobody", 150, window(0.0))
    adaptive = result("meeting 150", "adaptive", 150, window(0.1), window(0.12), window(0.11))
    lines = table(run(nobody, adaptive, failed)).splitlines()
    assert {line.count("|") for line in lines} == {len(HEAD) + 1}
    assert "0.73 (0.67 to 0.80)" in lines[3]


def test_growth_is_told_of_each_family() -> None:
    results = [
        result(f"meeting {n}", "adaptive", n, window(0.001 * n, 100 + 0.2 * n)) for n in (30, 150)
    ]
    assert growth(run(*results)) == [
        "a meeting, adaptive: +1.00 ms/s and +0.20 MB for each further participant"
    ]


def test_both_floors_are_told() -> None:
    block = "talking 120, compared"
    rows = (("floor", 0.5), ("floor, SCHED_BATCH", 0.48), ("native", 0.54))
    results = [result(block, watch, 120, window(cores)) for watch, cores in rows]
    (line,) = growth(run(*results))
    assert "native is 1.08 of the floor, and 1.12 of it under SCHED_BATCH" in line


def test_each_load_of_a_block_has_its_line() -> None:
    talk = {p: Speech(turns=1, talk_error=e) for p, e in (("short", -0.1), ("long", 0.02))}
    text = table(run(result("talk time", "always", 120, window(0.1), speech=talk)))
    assert "short: -10.0 %<br>long: +2.0 %" in text


def test_the_saved_table_tells_machine_versions_and_growth() -> None:
    results = [result(f"meeting {n}", "adaptive", n, window(0.001 * n)) for n in (30, 150)]
    measured = msgspec.structs.replace(run(*results), versions={"livekit-server": "1.2.3"})
    text = markdown(measured)
    assert text.startswith("m, 2 cores, 2026-01-01; Python 3, livekit-server 1.2.3. `make ")
    assert "- a meeting, adaptive: +1.00 ms/s" in text


def test_a_run_can_be_read_again() -> None:
    measured = run(result("b", "w", 3, window(0.1), speech={"load": Speech(turns=1)}))
    assert msgspec.json.decode(msgspec.json.encode(measured), type=Run) == measured
