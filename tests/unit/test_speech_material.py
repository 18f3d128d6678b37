"""The labelled material: what was tuned on one part must be judged on something else, and again."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import signal
from speech import (
    background,
    channel,
    manifest,
    material,
    negatives,
    noises,
    synthesizers,
    tracks,
    truth,
    voices,
)
from speech.conditions import CORE, EXTRA
from speech.material import Clip
from speech.negatives import NEGATIVES
from speech.voices import PARTS, VOICES, Part
from speech_material import RATE, dbov, dry, rng


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(PARTS, 2)))
def test_no_speaker_of_one_part_is_heard_in_another(one: Part, other: Part) -> None:
    """One person's voice in both would let a detector be tuned to it; flite and festival share."""
    speakers = {part: {v.speaker for v in VOICES if v.part == part} for part in (one, other)}
    assert not speakers[one] & speakers[other]


def test_no_synthesizer_of_the_held_out_part_speaks_in_another() -> None:
    held_out = {synthesizers.package(v) for v in VOICES if v.part == "held-out"}
    others = {synthesizers.package(v) for v in VOICES if v.part != "held-out"}
    assert not held_out & others
    programs = {v.synthesizer for v in VOICES if v.part == "held-out"}
    shared = programs & {v.synthesizer for v in VOICES if v.part != "held-out"}
    assert not shared


@pytest.mark.parametrize("part", PARTS)
def test_who_babbles_never_talks(part: Part) -> None:
    """A talker's own voice in the noise would be neither speech nor noise."""
    talkers = {voice.speaker for voice in voices.talkers(part)}
    babblers = {voice.speaker for voice in voices.babblers(part)}
    assert babblers
    assert not talkers & babblers


@pytest.mark.parametrize("part", PARTS)
def test_both_sexes_talk(part: Part) -> None:
    assert {voice.sex for voice in voices.talkers(part)} == {"f", "m"}


def test_held_out_noises_are_not_those_of_tuning() -> None:
    assert noises.KINDS["tune"].keys() == noises.KINDS["held-out"].keys()
    for kind in noises.KINDS["tune"]:
        one, other = (
            noises.take(noises.KINDS[part][kind](rng(), RATE), 5 * RATE)
            for part in ("tune", "held-out")
        )
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.5
    assert background.LIVES["tune"].kinds != background.LIVES["held-out"].kinds


def test_parts_draw_different_noise_of_the_same_kind() -> None:
    """White noise is in both parts; the same samples of it must not be."""
    made = {part: tracks.generator(part, 0, 0, "white 20 dB").standard_normal(5) for part in PARTS}
    assert not np.array_equal(made["tune"], made["held-out"])


def test_espeak_says_the_same_at_another_time() -> None:
    """Left alone it draws its noise by the clock, and then a table cannot be made again."""
    voice = next(voices.talkers("quick"))
    _, once = synthesizers.say(voice, ["Sorry, I was on mute."])
    now = int(time.time())
    while int(time.time()) == now:  # the clock that it would take counts seconds
        _, again = synthesizers.say(voice, ["Sorry, I was on mute."])
    _, later = synthesizers.say(voice, ["Sorry, I was on mute."])
    assert np.array_equal(once[0], again[0])
    assert np.array_equal(once[0], later[0])


ALL_NOISES = {
    "white": noises.white,
    "pink": noises.pink,
    "brown": noises.brown,
    "tone": noises.tone(440),
    **{f"{part} {kind}": noise for part in PARTS for kind, noise in noises.KINDS[part].items()},
}


@pytest.mark.parametrize("name", list(ALL_NOISES))
def test_noise_is_the_same_for_the_same_seed_and_goes_on_for_ever(name: str) -> None:
    once = list(itertools.islice(ALL_NOISES[name](rng(3), RATE), 2))
    again = list(itertools.islice(ALL_NOISES[name](rng(3), RATE), 2))
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    assert [len(block) for block in once] == [noises.BLOCK_S * RATE] * 2
    assert np.all(np.isfinite(once))
    assert dbov(np.concatenate(once)) == pytest.approx(0, abs=3)


@pytest.mark.parametrize(("name", "slope_db"), [("white", 0.0), ("pink", -3.0), ("brown", -6.0)])
def test_noise_falls_by_so_many_db_an_octave(name: str, slope_db: float) -> None:
    """By Welch's method, which knows nothing of the filters that made it."""
    rate = 48_000
    made = np.concatenate(list(itertools.islice(ALL_NOISES[name](rng(1), rate), 2)))
    hertz, power = signal.welch(made, rate, nperseg=8192)
    chosen = (hertz > 100) & (hertz < 8000)
    found = np.polyfit(np.log2(hertz[chosen]), 10 * np.log10(power[chosen]), 1)[0]
    assert found == pytest.approx(slope_db, abs=0.4)


@pytest.mark.parametrize("name", ["brown", "tone", "tune hum", "held-out hum", "tune fan"])
def test_steady_noise_has_no_seams(name: str) -> None:
    """A jump where two blocks meet would be a click every ten seconds."""
    one, two = itertools.islice(ALL_NOISES[name](rng(1), RATE), 2)
    seam = abs(two[0] - one[-1])
    assert seam <= 1.5 * np.abs(np.diff(one)).max()


def test_a_track_is_the_same_for_the_same_key_and_its_pauses_are_those_of_people() -> None:
    said = [tracks.Utterance(dry().samples, RATE, dry().segments)]
    samples, found = tracks.track(tracks.generator("quick", 1), said, RATE)
    again, _ = tracks.track(tracks.generator("quick", 1), said, RATE)
    assert np.array_equal(samples, again)
    other, _ = tracks.track(tracks.generator("quick", 2), said, RATE)
    assert not np.array_equal(samples, other)
    gaps = [later[0] - sooner[1] for sooner, later in itertools.pairwise(found)]
    assert all(gap >= truth.JOINED_GAP_S - 0.01 for gap in gaps)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_the_truth_of_a_track_is_where_its_sound_is_at_every_rate(rate: int) -> None:
    """Resampling from the synthesizer's rate must not move the voice away from its labels."""
    said = [tracks.Utterance(dry("quick", 22_050).samples, 22_050, dry().segments)]
    samples, found = tracks.track(tracks.generator("quick", 3), said, rate)
    speech = truth.frames(found, len(samples) * 100 // rate)
    power = truth.frame_power(samples, rate)[: len(speech)]
    assert np.sum(power[speech]) > 0.999 * np.sum(power)
    edges = [round(start * 100) for start, _ in found]
    assert all(power[edge : edge + 2].max() > 1e-4 * power.max() for edge in edges)


@pytest.mark.parametrize("negative", NEGATIVES, ids=lambda n: n.name)
def test_what_is_never_speech_sets_in_at_its_level_and_streams_in_chunks(
    negative: negatives.Negative,
) -> None:
    first, *rest = negatives.stream(negative, 8_000, 30.0)
    assert {len(chunk) for chunk in (first, *rest)} == {80_000}
    assert len(rest) == 3
    assert dbov(first / channel.FULL_SCALE) == pytest.approx(-75, abs=2)
    if negative.name != "silence":
        heard = dbov(np.concatenate(rest) / channel.FULL_SCALE)
        assert heard == pytest.approx(negative.level_dbov, abs=6)


@pytest.fixture(scope="module")
def quick() -> list[Clip]:
    return material.load("quick")


def test_the_quick_material_is_what_was_committed(quick: list[Clip]) -> None:
    """Another espeak-ng, or other code, would silently make other figures."""
    made = manifest.manifest(quick, material.versions("quick"))
    assert list(manifest.differences(manifest.read("quick"), made)) == []


def test_a_changed_truth_is_told_with_the_versions_that_may_be_why(quick: list[Clip]) -> None:
    made = manifest.manifest(quick, {"espeakng-loader": "9"})
    clips = made["clips"]
    late = {**clips["00-00"], "segments": [[s + 0.1, e] for s, e in clips["00-00"]["segments"]]}
    before = {"versions": {"espeakng-loader": "8"}, "clips": {**clips, "00-00": late}}
    assert list(manifest.differences(before, made)) == [
        f"the truth of 1 of {len(clips)} clips is not what was committed: 00-00",
        "espeakng-loader was 8 then and is 9 now",
    ]


@pytest.mark.parametrize("part", PARTS)
def test_every_part_has_a_manifest_of_all_its_talkers(part: Part) -> None:
    committed = manifest.read(part)["clips"].values()
    assert {clip["voice"] for clip in committed} == {v.name for v in voices.talkers(part)}
    assert {c.name for c in CORE} <= {clip["condition"] for clip in committed}
    if part != "quick":
        assert {clip["condition"] for clip in committed} == {c.name for c in (*CORE, *EXTRA)}


def test_clips_lie_over_their_truth(quick: list[Clip]) -> None:
    """In the clean ones the labels are louder than what lies between them, not by chance."""
    for clip in quick:
        if clip.condition == "clean":
            power = truth.frame_power(clip.samples / channel.FULL_SCALE, clip.sample_rate)
            speech = truth.frames(clip.segments, len(power))
            assert np.median(power[speech]) > 2 * np.median(power[~speech])


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A table of fewer voices would pass for the whole one."""
    monkeypatch.setattr(synthesizers, "version", lambda name: None)
    monkeypatch.setattr(material, "CACHE", tmp_path)
    with pytest.raises(synthesizers.SynthesizerError, match=r"festival.*festvox-ru"):
        material.load("held-out")
