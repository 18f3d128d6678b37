"""The labelled material: what was tuned on one part must be judged on something else, and again."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal
from speech import (
    background,
    channel,
    conditions,
    manifest,
    material,
    negatives,
    noises,
    opus,
    synthesizers,
    tracks,
    truth,
    voices,
)
from speech.conditions import CORE, EXTRA, Condition, Dry
from speech.material import Clip
from speech.negatives import NEGATIVES
from speech.voices import PARTS, VOICES, Part

RATE = 16_000


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def dbov(samples: npt.NDArray[np.float64]) -> float:
    return float(10 * np.log10(np.mean(np.square(samples))))


def dry(part: Part = "quick", rate: int = RATE) -> Dry:
    """Two bursts of a voice-like tone with a pause between them."""
    t = np.arange(6 * rate) / rate
    segments = [(1.0, 2.5), (4.0, 5.5)]
    samples = np.zeros(len(t))
    for start, end in segments:
        samples[round(start * rate) : round(end * rate)] = 1.0
    samples *= np.sin(2 * np.pi * 150 * t) + 0.5 * np.sin(2 * np.pi * 900 * t)
    shared = {"white": noises.white, "pink": noises.pink, "babble": noises.pink}
    kinds = shared | noises.KINDS[part]
    return Dry(samples, rate, segments, kinds, background.LIVES[part])


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


@pytest.mark.parametrize("condition", [c for c in (*CORE, *EXTRA) if c.noise], ids=lambda c: c.name)
def test_noise_lies_so_far_under_the_voice_as_the_condition_says(condition: Condition) -> None:
    plain = Condition(condition.name, rt60_s=condition.rt60_s)
    recording = conditions.recorded(plain, rng(7), dry())
    noisy = Condition(condition.name, condition.noise, condition.snr_db)
    added = conditions.apply(noisy, rng(8), dry(), recording) - recording
    level = channel.level_dbov(recording, RATE, dry().segments)
    assert level - dbov(added) == pytest.approx(condition.snr_db, abs=0.1)


def test_the_voice_has_the_level_that_the_condition_says() -> None:
    for seed in range(5):
        quiet = Condition("quiet", background_db=(60.0, 60.0), levels_dbov=(-45.0, -40.0))
        heard = conditions.recorded(quiet, rng(seed), dry())
        assert -46 < channel.level_dbov(heard, RATE, dry().segments) < -38


@pytest.mark.parametrize("condition", [c for c in EXTRA if c.heard], ids=lambda c: c.name)
def test_no_channel_moves_the_voice_in_time(condition: Condition) -> None:
    """A codec's or a filter's delay would be counted as the detector's."""
    recording = conditions.recorded(Condition("clean", background_db=(40, 40)), rng(4), dry())
    heard = conditions.apply(condition, rng(5), dry(), recording)
    assert len(heard) == len(recording)
    envelopes = [np.sqrt(truth.frame_power(samples, RATE)) for samples in (recording, heard)]
    centred = [envelope - envelope.mean() for envelope in envelopes]
    lag = int(np.argmax(np.correlate(centred[1], centred[0], "full"))) - (len(centred[0]) - 1)
    assert abs(lag) <= 1  # frames of 10 ms


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_opus_gives_back_what_went_in_at_the_same_time(rate: int) -> None:
    """Its look-ahead of 6.5 ms is taken off: 312 samples at 48 kHz."""
    band = signal.butter(4, [200, 3000], "bandpass", fs=rate, output="sos")
    sent = channel.int16(0.1 * signal.sosfilt(band, rng(2).standard_normal(2 * rate)))
    got = opus.round_trip(sent, rate, 48_000)
    assert len(got) == len(sent)
    together = signal.correlate(got.astype(float), sent.astype(float), "full", "fft")
    assert abs(int(np.argmax(together)) - (len(sent) - 1)) <= rate // 4000


def test_opus_sends_nothing_while_there_is_nothing_to_send() -> None:
    """Without DTX the condition would not be what its name says."""
    room = 10 ** (-70 / 20) * rng().standard_normal(6 * RATE)
    room[:RATE] *= 300
    sent = channel.int16(room)
    unsent = [packet is None for packet in opus.packets(sent, RATE, 24_000)]
    assert not any(unsent[:50])
    assert sum(unsent[100:]) > len(unsent[100:]) / 2
    assert dbov(opus.round_trip(sent, RATE, 24_000)[3 * RATE :] / channel.FULL_SCALE) < -60


def test_lost_packets_are_some_of_all_and_leave_the_rest_alone() -> None:
    lost = channel.bursts(rng(1), 100_000, 0.05)
    assert lost.mean() == pytest.approx(0.05, abs=0.01)
    samples = np.ones(RATE * 60)
    kept = channel.lost(rng(1), samples, RATE, 0.05, fade=False)
    assert set(np.unique(kept)) == {0.0, 1.0}
    assert (kept == 0).mean() == pytest.approx(0.05, abs=0.02)


@given(seed=st.integers(0, 2**32 - 1), rt60_s=st.floats(0.05, 0.9))
def test_a_room_adds_its_echo_behind_the_direct_sound(seed: int, rt60_s: float) -> None:
    """Nothing sounds before the voice does, and the voice itself comes through as it is."""
    click = np.zeros(RATE)
    click[2000] = 1.0
    heard = channel.room(rng(seed), click, RATE, rt60_s)
    assert np.abs(heard[:2000]).max() < 1e-9
    assert heard[2000] == pytest.approx(1.0, abs=1e-6)
    assert np.argmax(np.abs(heard)) == 2000


def test_a_gate_closes_in_pauses_only() -> None:
    samples = np.ones(6 * RATE)
    heard = channel.gated(samples, RATE, dry().segments, -60.0)
    assert heard[round(3.2 * RATE)] == pytest.approx(1e-3)
    for start, end in dry().segments:
        assert np.allclose(heard[round(start * RATE) : round(end * RATE)], 1.0)


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
