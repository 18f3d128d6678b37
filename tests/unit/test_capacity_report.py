"""The benchmark's table, slopes and verdicts: a missed bound must not read as kept."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest
from capacity import machine
from capacity.measure import merged
from capacity.report import HEAD, growth, head, markdown, table
from capacity.results import Result, Run, Speech, Told, Window
from capacity.rows import AGENTS_ROOM, AGENTS_ROOM_100
from capacity.series import slope
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


def test_memory_is_told_of_no_rows_that_lost_somebody() -> None:
    """Half of the largest meeting was lost, and so the rest seemed to need little."""
    meetings = [result("meeting", "always", n, window(0.1, rss_mb=n / 2)) for n in (30, 150, 300)]
    for name, row in zip((30, 150, 300), meetings, strict=True):
        row.block = f"meeting {name}"
    what = "each further participant in a room, always"
    assert found(what, run(*meetings)).measured == pytest.approx(0.5)
    meetings[-1].lost = 150
    assert found(what, run(*meetings)).ok is None


@pytest.mark.parametrize("missing", [{"watched": 149}, {"lost": 1}])
def test_a_row_that_lost_somebody_says_nothing_of_costs(missing: dict[str, int]) -> None:
    """A watcher that watches a third of the room is the cheapest of all."""
    always = result("meeting 150", "always", 150, window(0.5))
    adaptive = result("meeting 150", "adaptive", 150, window(0.05), **missing)
    verdict = found("the same, of always", run(always, adaptive))
    assert verdict.ok is None
    assert found("a meeting of 150", run(adaptive)).ok is None
    assert not kept([verdict], entire=True)


def test_livekit_agents_counts_at_the_largest_number_that_it_sustains() -> None:
    watch = "livekit-agents, one room"
    results = (
        result("talking 120, compared", "native", 120, window(0.6)),
        result("agents room 28", watch, 28, window(0.9, heard=0.5)),
        result("agents room 24", watch, 24, window(0.84, heard=0.99)),
        result("agents room 12", watch, 12, window(0.6, heard=1.0)),
    )
    verdict = found("livekit-agents, one room", run(*results))
    assert verdict.measured == pytest.approx(7.0)
    assert str(verdict).endswith("its largest (24 with frames of 10 ms; 7.0 times native at 120)")


def test_a_factor_is_told_with_frame_size_and_with_as_many_people() -> None:
    """Of frames of 10 ms at 32 beside native at 120 alone nobody could tell what makes it."""
    top, count, *_ = AGENTS_ROOM_100.counts
    block, watch = f"agents {AGENTS_ROOM_100.name}", AGENTS_ROOM_100.watch.name
    other = result(f"{block} {count}", watch, count, window(0.9, heard=1.0))
    results = (
        result("talking 120, compared", "native", 120, window(0.48)),
        result("talking 30", "native", 30, window(0.15)),
        result("agents room 36", AGENTS_ROOM.watch.name, 36, window(1.0, heard=0.9)),
        result("agents room 32", AGENTS_ROOM.watch.name, 32, window(0.8, heard=1.0)),
        result(f"{block} {top}", watch, top, window(1.0, heard=0.9)),
        other,
    )
    note = found("livekit-agents, one room", run(*results)).note
    assert note.startswith("32 with frames of 10 ms; 5.0 times native at 30; ")
    assert f"{other.ms / 4:.1f} at {count} with frames of 100 ms" in note
    first, second = (line for line in growth(run(*results)) if line.startswith("livekit-agents"))
    assert (
        "25.00 ms/s a participant, 6.2 times native at 120 (32 with frames of 10 ms; 5.0" in first
    )
    assert f"({count} with frames of 100 ms" in second


def test_a_ladder_whose_top_is_sustained_proves_nothing() -> None:
    watch, top = "livekit-agents, one room", AGENTS_ROOM.counts[0]
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
    assert "0.50 / ∞ s, the latest, 4 of 5" in table(run(most))


def test_a_delay_is_told_with_the_number_of_its_turns() -> None:
    """Of 95 turns the 99 % are the one that was the latest."""
    for turns, few in ((95, ", the latest"), (400, "")):
        speech = {"load": Speech(turns=turns, turns_told=turns, delay_median_s=1, delay_p99_s=1.4)}
        most = result("large 750", "adaptive", 750, window(0.5), speech=speech)
        assert found("delay of events", run(most)).note == f"750 people, {turns} turns"
        assert f"1.00 / 1.40 s{few}, {turns} of {turns}" in table(run(most))


def told(**fields: int | float) -> Told:
    return msgspec.structs.replace(Told(heard=60, resting=240, overdue=0, load=0.3), **fields)


def test_a_microphone_that_the_patrol_forgot_misses() -> None:
    for overdue, ok in ((0, True), (1, False), (None, None)):
        most = result("large 1000", "adaptive", 1000, window(0.5))
        most.told = msgspec.structs.replace(told(), overdue=overdue)
        assert found("not heard for 3 minutes", run(most)).ok is ok
    most.told = None
    assert found("not heard for 3 minutes", run(most)).ok is None


@pytest.mark.parametrize(
    ("cores", "watched", "said", "error", "missed"),
    [
        (0.45, 300, told(), 0.0, []),
        (0.86, 300, told(load=0.6), 0.0, ["cores"]),
        (0.45, 300, told(heard=300, resting=0), 0.0, ["microphones that rest"]),
        (0.45, 300, told(load=0.5), 0.0, ["load told, of the cores used"]),
        (0.45, 300, told(load=0.05), 0.0, ["the same"]),
        (0.45, 300, told(), -0.4, ["talk time, too little or too much"]),
    ],
)
def test_the_shipped_settings_shed_before_they_lose_anybody(
    cores: float, watched: int, said: Told, error: float, missed: list[str]
) -> None:
    shed = result("auto 300", "auto", 300, window(cores), watched=watched, told=said)
    shed.speech = {"load": Speech(talk_error=error)}
    found = [v for v in verdicts(run(shed)) if v.what.startswith("300 as shipped")]
    assert len(found) == 6
    assert [v.what.removeprefix("300 as shipped: ") for v in found if not v.ok] == missed
    assert f"of {said.heard + said.resting} microphones {said.resting} rest" in growth(run(shed))[0]


def test_every_meeting_is_held_to_the_memory_of_one_more() -> None:
    """One family that keeps the bound says nothing of the other."""
    rows = (("meeting", "adaptive", 0.28), ("meeting", "always", 0.303), ("talking", "floor", 0.32))
    measured = run(
        *(
            result(f"{name} {n}", watch, n, window(0.1, rss_mb=150 + mb * n))
            for name, watch, mb in rows
            for n in (30, 120)
        )
    )
    adaptive, always = (v for v in verdicts(measured) if "further participant" in v.what)
    assert (adaptive.ok, always.ok) == (True, False)
    assert always.note == "everyone talking, of the SDK alone 0.320"
    assert "a meeting, always: +0.00 ms/s and +0.303 MB for each" in "\n".join(growth(measured))


@pytest.mark.parametrize(("billed", "ok"), [(0.79, False), (1.0, True), (1.19, True), (2.0, False)])
def test_voices_that_are_found_are_billed_neither_too_little_nor_too_much(
    billed: float, ok: bool
) -> None:
    speech = {"half": Speech(hard=10, hard_found=10, hard_billed=billed, hard_error=-0.2)}
    voices = result("voices", "adaptive", 200, window(0.4), speech=speech)
    assert found("billed from then on", run(voices)).ok is ok
    assert f"from then on {100 * billed:.0f} % billed, in all -20 %" in growth(run(voices))[0]


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
    first.told, other.told = None, told()
    assert merged([first, other])[0].told == other.told


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
        "a meeting, adaptive: +1.00 ms/s and +0.200 MB for each further participant"
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
    assert ", commit 0123abc. `" in head(msgspec.structs.replace(measured, commit="0123abc"))
    assert "- a meeting, adaptive: +1.00 ms/s" in text


def test_a_run_can_be_read_again() -> None:
    measured = run(result("b", "w", 3, window(0.1), speech={"load": Speech(turns=1)}))
    assert msgspec.json.decode(msgspec.json.encode(measured), type=Run) == measured


def test_a_run_saved_before_more_was_measured_can_be_read() -> None:
    saved = msgspec.to_builtins(run(result("large 1000", "adaptive", 1000, window(0.1))))
    del saved["commit"], saved["results"][0]["told"]
    read = msgspec.convert(saved, Run)
    assert markdown(read)
    assert found("not heard for 3 minutes", read).ok is None


def test_the_table_tells_who_is_muted_and_how_full_the_other_core_is() -> None:
    few = result("large 1000", "adaptive", 1000, window(0.5), unmuted=850)
    text = table(run(few))
    assert "1000 of 1000 in 1, 850 unmuted" in text
    assert text.splitlines()[0].endswith("| cores of server, publishers |")
    assert text.endswith("| 0.20, 0.10 |")


def test_a_commit_is_that_of_this_tree_and_of_no_folder_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True, timeout=60)
    monkeypatch.setattr(machine, "ROOT", tmp_path / "unpacked")
    (tmp_path / "unpacked").mkdir()
    assert machine.commit() == ""
