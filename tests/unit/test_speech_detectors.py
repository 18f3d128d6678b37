"""The detectors that the table compares: one that gets what it is not made for loses unfairly."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from capacity.verdicts import Verdict
from click.testing import CliRunner
from scipy import signal
from speech import (
    detectors,
    material,
    measure,
    negatives,
    report,
    score,
    told,
    truth,
    unfound,
    verdicts,
)
from speech.__main__ import main
from speech.detectors import DETECTORS
from speech.material import Clip
from speech.measure import Run
from speech.negatives import NEGATIVES
from speech.score import Score

from pmon.media.phrases import phrases

HERE = [name for name in DETECTORS if detectors.missing(name) is None]
STREAMING = [name for name in HERE if name != "always"]


def phrase(rate: int = 16_000) -> tuple[npt.NDArray[np.int16], truth.Segments]:
    """Half a second of noise, a committed phrase, half a second of noise."""
    found = phrases()["agenda"]
    margin = np.zeros(8_000, dtype=np.int16)
    samples = np.concatenate([margin, found.samples, margin]).astype(float)
    samples += 3.0 * np.random.default_rng(0).standard_normal(len(samples))
    made = signal.resample_poly(samples, rate // 1000, 16)
    segments = [(start + 0.5, end + 0.5) for start, end in found.truth.segments]
    return np.round(made).astype(np.int16), segments


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
@pytest.mark.parametrize("name", STREAMING)
def test_a_clear_phrase_is_found_by_everybody_at_every_rate(name: str, rate: int) -> None:
    samples, segments = phrase(rate)
    found = score.score(DETECTORS[name]([samples], rate), segments, len(samples) / rate)
    assert found.p_miss < 0.25
    assert found.p_fa < 0.35


@pytest.mark.parametrize("name", HERE)
def test_how_a_stream_is_cut_does_not_matter(name: str) -> None:
    samples, _ = phrase()
    pieces = [samples[first : first + 1600] for first in range(0, len(samples), 1600)]
    assert DETECTORS[name](pieces, 16_000) == DETECTORS[name]([samples], 16_000)


@pytest.mark.parametrize("name", STREAMING)
def test_nobody_hears_speech_in_silence(name: str) -> None:
    assert DETECTORS[name]([np.zeros(32_000, dtype=np.int16)], 16_000) == []


def test_short_gaps_are_filled_before_short_bursts_are_dropped() -> None:
    said = [(1.0, 1.03), (1.1, 1.13), (2.0, 2.04), (3.0, 4.0), (4.2, 5.0)]
    filled = detectors.filled(lambda chunks, sample_rate: said)
    assert filled([], 16_000) == [(1.0, 1.13), (3.0, 4.0), (4.2, 5.0)]


def run(dcf: dict[str, float], billed_s: float = 0.0) -> Run:
    """One clip of 100 s in which half is speech, and a share of it is missed."""
    scores = {}
    for name, value in dcf.items():
        missed = round(value / 0.75 * 5000)
        scores[name] = [Score(5000, missed, 5000, 0, 50.0, 50.0 - missed / 100, [], 1)]
    billed = {name: {n.name: billed_s for n in NEGATIVES} for name in dcf}
    return Run("here", "quick", 1.7, ["clean"], [16_000], scores, billed)


def test_pmon_is_held_against_the_best_mode_of_webrtc() -> None:
    close = run({"pmon": 0.086, "WebRTC 2": 0.2, "WebRTC 3 raw": 0.1})
    well = run({"pmon": 0.084, "WebRTC 2": 0.2, "WebRTC 3 raw": 0.1})
    assert [next(verdicts.verdicts(r)).ok for r in (close, well)] == [False, True]


def test_every_bound_of_an_hour_is_checked() -> None:
    def missed(billed_s: float) -> list[Verdict]:
        found = verdicts.verdicts(run({"pmon": 0.0, "WebRTC 3": 0.1}, billed_s))
        return [verdict for verdict in found if verdict.ok is False]

    assert missed(9.9) == []
    bounded = [n for n in NEGATIVES if n.at_most_s is not None]
    assert len(missed(61.0)) == len(bounded) > 10
    assert {n.name for n in bounded} > {"white noise", "hum, 50 Hz", "silence", "keyboard"}


def verdict_on(what: str, judged: Run) -> Verdict:
    (verdict,) = (v for v in verdicts.verdicts(judged) if what in v.what)
    return verdict


@pytest.mark.parametrize("what", ["onset", "end"])
def test_as_much_too_early_as_too_late_is_not_right(what: str) -> None:
    judged = run({"pmon": 0.0})
    (one,) = judged.scores["pmon"]
    for off, ok in ((0.05, True), (0.5, False)):
        one.onset_errors = one.end_errors = [-off, off, off, -off]
        assert verdict_on(f"stated {what}", judged).ok is ok


def test_onsets_that_were_never_told_are_late() -> None:
    """Of those that were told alone, the median would be that of the easy ones."""
    judged = run({"pmon": 0.0})
    judged.told_s = {"clean": [0.1, 0.1, 0.14, 0.2, math.inf]}
    assert verdict_on("onset told", judged).measured == 0.14
    assert verdict_on("onset told", judged).note.startswith("4 of 5 were told")
    assert "| clean | 0.14 s | 0.20 s | ∞ | 4 of 5 |" in report.markdown(judged)
    assert json.loads(json.dumps(report.figures(judged), allow_nan=False))["told"] == 4
    judged.told_s["clean"] += [math.inf] * 4
    assert verdict_on("onset told", judged).ok is False


def clip(folder: Path, samples: npt.NDArray[np.int16], segments: truth.Segments) -> Clip:
    file = folder / "clip.npy"
    np.save(file, samples)
    return Clip("clip", "somebody", "babble 10 dB", 16_000, -30.0, segments, file)


def test_an_onset_that_is_not_told_counts_and_one_that_pause_hides_does_not(
    tmp_path: Path,
) -> None:
    samples, segments = phrase()
    silent = np.zeros(3 * 16_000, dtype=np.int16)
    said = np.concatenate([samples, silent])
    after_s = len(samples) / 16_000
    missed = [*segments, (after_s + 1.0, after_s + 1.5), (after_s + 1.7, after_s + 2.0)]
    first, *_, last = told.of_clip(clip(tmp_path, said, missed))
    assert 0.0 < first < 0.3
    assert last == math.inf
    apart = [b[0] - a[1] >= told.APART_S for a, b in itertools.pairwise(missed)]
    assert len(told.of_clip(clip(tmp_path, said, missed))) == 1 + sum(apart)
    assert apart[-1] is False


def test_what_is_not_found_is_told_by_condition_length_and_level(tmp_path: Path) -> None:
    samples = np.zeros(3 * 16_000, dtype=np.int16)
    samples[16_000:17_600] = 328  # 0.1 s at -40 dBov
    truths = [(1.0, 1.1), (2.0, 2.7)]
    one = clip(tmp_path, samples, truths)
    judged = score.score([(2.0, 2.5)], truths, 3.0)
    head, everything, noise, condition = unfound.rows(unfound.of_clips([one], [judged]))
    assert head[2:5] == ["under 0.3 s", "0.3 to 0.6 s", "longer"]
    assert everything == ["all", "1 of 2", "1 of 1", "0 of 0", "0 of 1", "0.10 s", "-40 dBov"]
    assert (noise[0], condition[0]) == ("noise at 10 dB", "babble 10 dB")


def test_the_table_tells_all_detectors_and_conditions() -> None:
    text = report.markdown(run({"pmon": 0.1, "Silero v6": 0.05}, 12.0))
    assert "| pmon | 0.100 |" in text
    assert "| clean | 0.100 | 0.050 |" in text
    assert "| all at 16 kHz | 0.100 | 0.050 |" in text
    assert "| white noise | 12 | 12 |" in text
    assert "1 clips of quick, 2 minutes" in text


def test_an_hour_is_scaled_from_what_was_heard() -> None:
    noise = next(n for n in NEGATIVES if n.name == "white noise")
    always = negatives.billed_s(DETECTORS["always"], noise, 8_000, 30.0)
    assert always == pytest.approx(3600 * 40 / 30)  # ten quiet seconds stand before it


def test_pmon_beats_webrtc_on_voices_of_espeak() -> None:
    """On the part that needs no other synthesizer, in five conditions; `make bench-speech` has the
    bound of the whole table.
    """
    clips = material.load("quick")
    names = ["pmon", "WebRTC 2", "WebRTC 3", "WebRTC 2 raw", "WebRTC 3 raw"]
    found = measure.clips(clips, names, processes=1)
    conditions, rates = [c.condition for c in clips], [c.sample_rate for c in clips]
    judged = Run("", "quick", 0.0, conditions, rates, found, {})
    best = verdicts.best_webrtc(judged)
    assert best is not None
    assert report.of_five(judged, "pmon").dcf < verdicts.OF_WEBRTC * best


def test_the_command_prints_the_table_of_the_quick_part(tmp_path: Path) -> None:
    """Two detectors, no bound on pmon among them: nothing can be missed."""
    saved = tmp_path / "figures.json"
    options = ["--quick", "--processes", "1", "--detectors", "always,WebRTC 3"]
    told = CliRunner().invoke(main, [*options, "--json", str(saved)])
    assert told.exit_code == 0, told.output
    assert "| always | 0.250 |" in told.output
    assert json.loads(saved.read_text())["detectors"]["always"]["all"]["p_fa"] == 1.0


@pytest.mark.parametrize("asked", ["nobody", "pmon,nobody"])
def test_a_detector_that_is_not_there_is_named_and_not_left_out(asked: str) -> None:
    told = CliRunner().invoke(main, ["--quick", "--detectors", asked])
    assert told.exit_code == 1
    assert "no detector is called nobody" in told.output


def test_a_detector_whose_package_is_missing_is_not_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(detectors.NEEDED, "WebRTC", ("not_installed", "webrtcvad-wheels"))
    told = CliRunner().invoke(main, ["--quick", "--detectors", "pmon,WebRTC 3"])
    assert told.exit_code == 1
    assert "pip install webrtcvad-wheels" in told.output


def test_an_onset_is_told_after_it_and_soon() -> None:
    """In the median; what the quick material is under is no studio."""
    clips = [clip for clip in material.load("quick") if clip.condition == "clean"]
    found = [delay for clip in clips for delay in told.of_clip(clip)]
    assert len(found) > 10
    assert 0.05 < float(np.median(found)) <= 0.15
