"""The figures of a comparison, against the plainest way to reckon them; references are doubted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmon.cli.analyze.compare import Segments, count, pooled, score
from pmon.cli.analyze.reference import References, UnclearReferenceError, check_length


@st.composite
def segments(draw: st.DrawFn, until_ms: int = 5000) -> list[tuple[float, float]]:
    """Whole milliseconds, in order, without overlap."""
    points = draw(st.lists(st.integers(0, until_ms), max_size=12, unique=True).map(sorted))
    pairs = list(zip(points[::2], points[1::2], strict=False))
    return [(a / 1000, b / 1000) for a, b in pairs]


def is_speech(where: Segments, frame: int) -> bool:
    middle_ms = 10 * frame + 5
    return any(round(a * 1000) <= middle_ms < round(b * 1000) for a, b in where)


@given(segments(), segments(), st.integers(1, 6000))
def test_frames_are_counted_as_one_would_by_hand(
    found: Segments, truth: Segments, length_ms: int
) -> None:
    counts = count(found, truth, length_ms / 1000)
    frames = [i for i in range(1000) if 10 * i + 5 < length_ms]
    pairs = [(is_speech(found, i), is_speech(truth, i)) for i in frames]
    assert counts.missed == pairs.count((False, True))
    assert counts.false_alarms == pairs.count((True, False))
    assert counts.speech == counts.missed + pairs.count((True, True))
    assert counts.other == len(pairs) - counts.speech


@given(segments())
def test_the_truth_itself_is_perfect(truth: Segments) -> None:
    result = score(count(truth, truth, 5.0))
    assert result.p_miss in (0.0, None)
    assert result.p_fa in (0.0, None)
    assert result.talk_time_error in (0.0, None)


def test_always_speech_costs_a_quarter() -> None:
    """As in the field's tables: everything else is taken for speech, and none is missed."""
    result = score(count([(0.0, 100.0)], [(0.0, 75.0)], 100.0))
    assert (result.p_miss, result.p_fa, result.dcf) == (0.0, 1.0, 0.25)
    assert result.talk_time_error == pytest.approx(1 / 3, abs=1e-4)


def test_never_speech_costs_three_quarters() -> None:
    result = score(count([], [(1.0, 4.0)], 10.0))
    assert (result.p_miss, result.p_fa, result.dcf) == (1.0, 0.0, 0.75)
    assert (result.talk_time_error, result.talk_time_error_abs) == (-1.0, 1.0)


def test_what_there_is_none_of_has_no_rate() -> None:
    """Zero would look like a perfect result."""
    silence = score(count([(1.0, 2.0)], [], 10.0))
    assert (silence.p_miss, silence.p_fa, silence.dcf) == (None, 0.1, None)
    assert (silence.talk_time_error, silence.talk_time_error_abs) == (None, None)
    speech = score(count([(0.0, 10.0)], [(0.0, 10.0)], 10.0))
    assert (speech.p_miss, speech.p_fa, speech.dcf) == (0.0, None, None)


def test_errors_of_files_do_not_make_up_for_each_other_where_signs_are_left_out() -> None:
    all_counts = [
        count([(0.0, 6.0)], [(0.0, 5.0)], 10.0),
        count([(0.0, 4.0)], [(0.0, 5.0)], 10.0),
    ]
    together = score(pooled(all_counts))
    assert together.talk_time_error == 0.0
    assert together.talk_time_error_abs == 0.2
    assert (together.p_miss, together.p_fa) == (0.1, 0.1)


# --- references


def reference(folder: Path, text: str) -> References:
    (folder / "ref.json").write_text(text)
    return References(str(folder / "ref.json"))


ONE = '{"file":"a.wav","segments":[[0,1],[1,2.5]]}'


def test_one_object_is_for_one_file(tmp_path: Path) -> None:
    assert reference(tmp_path, '{"segments": [[0.5, 1]]}').match(["x/y.wav"]) == {
        "x/y.wav": [(0.5, 1.0)]
    }


def test_an_object_may_take_many_lines(tmp_path: Path) -> None:
    text = json.dumps({"segments": [[0.5, 1]], "duration_s": 3}, indent=2)
    assert reference(tmp_path, text).match(["a"]) == {"a": [(0.5, 1.0)]}


def test_lines_are_for_the_files_that_they_name(tmp_path: Path) -> None:
    references = reference(tmp_path, ONE + '\n\n{"file":"d/b.wav","segments":[]}\n')
    assert references.match(["d/b.wav", "e/a.wav"]) == {
        "d/b.wav": [],
        "e/a.wav": [(0.0, 1.0), (1.0, 2.5)],
    }


def test_namesakes_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps({"file": f"{d}/a.wav", "segments": [[0, d]]}) for d in (1, 2))
    assert reference(tmp_path, lines).match(["2/a.wav", "1/a.wav"]) == {
        "2/a.wav": [(0.0, 2.0)],
        "1/a.wav": [(0.0, 1.0)],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ref.json: Input data was truncated"),
        ("[[0,1]]", "ref.json: it should be an object"),
        ("{}", "ref.json: there are no segments"),
        ('{"segments": null}', "ref.json: segments should be pairs"),
        ('{"segments": [[0, 1, 2]]}', "ref.json: segments should be pairs"),
        ('{"segments": [["0", "1"]]}', "ref.json: segments should be pairs"),
        ('{"segments": [[-1, 1]]}', "ref.json: segment 1 begins before the file"),
        ('{"segments": [[0, 1], [3, 2]]}', "ref.json: segment 2 ends no later"),
        ('{"segments": [[0, 1], [2, 2]]}', "ref.json: segment 2 ends no later"),
        ('{"segments": [[0, 3], [2, 4]]}', "ref.json: segment 2 overlaps"),
        ('{"segments": [[4, 5], [2, 3]]}', "ref.json: segment 2 overlaps"),
        ('{"segments": [[0, NaN]]}', "ref.json: JSON is malformed"),
        ('{"segments": ' + "[" * 5000, "ref.json: "),
        (ONE + "\nnonsense", "ref.json, line 2: JSON is malformed"),
        (ONE + '\n{"file":"b.wav"}', "ref.json, line 2: there are no segments"),
        (ONE + "\n" + ONE, "ref.json, line 2: there is another one of a.wav"),
        ('{"file":7,"segments":[]}', "ref.json: file should be a name"),
        ('{"segments":[]}\n{"segments":[]}', "line 2: there is another one of no file"),
        (ONE + '\n{"segments":[]}', "some objects say which file they are of, not all"),
    ],
)
def test_an_unclear_reference_is_refused_by_place(tmp_path: Path, text: str, message: str) -> None:
    """A figure against a misread truth is worse than none."""
    with pytest.raises(UnclearReferenceError, match=re.escape(message)):
        reference(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "files", "message"),
    [
        (ONE, ["b.wav"], "it says nothing of b.wav"),
        (ONE, ["x/a.wav", "y/a.wav"], "not clear which a.wav is x/a.wav"),
        ('{"segments":[]}', ["a", "b"], "it does not say which of the 2 files"),
        (
            ONE.replace("a.wav", "1/a.wav") + "\n" + ONE.replace("a.wav", "2/a.wav"),
            ["3/a.wav"],
            "not clear which a.wav is 3/a.wav",
        ),
    ],
)
def test_a_reference_that_fits_no_file_is_refused(
    tmp_path: Path, text: str, files: list[str], message: str
) -> None:
    with pytest.raises(UnclearReferenceError, match=re.escape(message)):
        reference(tmp_path, text).match(files)


def test_speech_behind_the_end_is_of_another_file() -> None:
    check_length("ref.json", [(0.0, 9.05)], 9.0)
    check_length("ref.json", [], 9.0)
    with pytest.raises(UnclearReferenceError, match=r"ends at 10 s, and the recording at 9\.000 s"):
        check_length("ref.json", [(0.0, 10.0)], 9.0)


def test_a_reference_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnclearReferenceError, match=r"none\.json: it cannot be read: No such"):
        References(str(tmp_path / "none.json"))
