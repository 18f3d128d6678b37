"""The score that tells speech, beside the same written for whole arrays with NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from dsp_material import Signal, hum, noise, phrase, silence, tone
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage, signal

from pmon._dsp import SpeakingDetector

Levels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

BANDS = (150, 260, 430, 700, 1100, 1750, 2700, 4200)


def levels(samples: Signal, rate: int) -> Levels:
    """Of each band and of the whole, in whole steps of 1/8 dB over -75 dBov, block by block."""
    block, factor = (rate + 50) // 100, max(1, int(rate / 16_000 + 0.5))
    count = len(samples) // block
    low = samples[: len(samples) // factor * factor].reshape(-1, factor).mean(axis=1)
    whole = samples[: count * block].reshape(count, block)
    rows = []
    for hertz in BANDS:
        w = 2 * np.pi * hertz * factor / rate
        if w < 0.9 * np.pi:
            alpha = np.sin(w) / 8
            b = np.array([alpha, 0, -alpha]) / (1 + alpha)
            a = np.array([1 + alpha, -2 * np.cos(w), 1 - alpha]) / (1 + alpha)
            band = signal.lfilter(b, a, low)[: count * block // factor]
            rows.append(np.mean(band.reshape(count, -1) ** 2, axis=1))
    rows.append(whole.var(axis=1))
    power = np.array(rows) / 32768.0**2 / 10**-7.5
    return np.maximum(0, np.floor(80 * np.log10(power + 1e-9) + 0.5)).astype(int)


def before(values: Levels, blocks: int, reach: str) -> Levels:
    """Minimum or maximum of this many blocks up to each."""
    rank = ndimage.minimum_filter1d if reach == "least" else ndimage.maximum_filter1d
    padded = np.concatenate([np.repeat(values[..., :1], blocks, axis=-1), values], axis=-1)
    found: Levels = rank(padded, blocks, axis=-1, origin=(blocks - 1) // 2)[..., blocks:]
    return found


def summed(values: Floats | Levels, blocks: int) -> Floats:
    """Sum over this many blocks up to each; before the first all was as in it."""
    padded = np.concatenate([np.repeat(values[..., :1], blocks, axis=-1), values], axis=-1)
    total = np.cumsum(padded, axis=-1, dtype=float)
    return np.asarray(total[..., blocks:] - total[..., :-blocks])


def in_windows(values: Floats, windows: int, *, least: bool) -> Floats:
    """The extreme of the open window of 20 blocks and those before it: what the meter keeps."""
    found = np.empty_like(values)
    for at in range(values.shape[-1]):
        # The block that completes a window is the first of the next one, too.
        first = max(0, ((at + 1) // 20 - windows + 1) * 20 - 1)
        part = values[..., first : at + 1]
        found[..., at] = part.min(axis=-1) if least else part.max(axis=-1)
    return found


def movement(opened: Levels, blocks: int) -> Floats:
    variance = summed(opened**2, blocks) * blocks - summed(opened, blocks) ** 2
    return np.asarray(np.sqrt(np.sort(variance, axis=0)[-3:]).mean(axis=0) / 8 / blocks)


def scores(samples: Signal, rate: int) -> Floats:
    level = levels(samples, rate)
    floor = in_windows(np.floor(summed(level, 10) / 10), 9, least=True)[:-1]
    bands, whole = level[:-1], level[-1]
    opened = before(before(bands, 5, "least"), 5, "most")
    excess = np.clip(opened - floor - 24, 0, 240)
    contrast = np.floor(16 * excess.std(axis=0) + 1e-9)
    contrast[0] = 0
    rise = np.maximum(0, np.diff(bands, axis=1, prepend=bands[:, :1]) - 80).sum(axis=0)
    loud = summed(whole, 27)
    decline = np.maximum(-30.0, (loud - in_windows(loud, 15, least=False)) / 8 / 27)
    return np.asarray(
        0.6 * summed(contrast, 23) / (16 * 8 * 23)
        + 0.4 * movement(opened, 18)
        + 0.2 * movement(opened, 43)
        + 0.08 * decline
        - 5.0 * summed(rise, 23) / (8 * 8 * 23)
        - 2.4
    )


def measured(samples: Signal, rate: int) -> Floats:
    detector, block = SpeakingDetector(rate), (rate + 50) // 100
    data = np.clip(np.round(samples), -32768, 32767).astype(np.int16)
    found = []
    for first in range(0, len(data) - block + 1, block):
        detector.process(data[first : first + block])
        assert detector.score is not None
        found.append(detector.score)
    return np.array(found)


@given(
    st.sampled_from(["welcome", "question", "pause"]),
    st.sampled_from([-70, -50, -35]),
    st.sampled_from([8000, 16_000, 24_000, 48_000]),
    st.integers(0, 9),
)
def test_the_score_is_that_of_the_formula(name: str, dbov: int, rate: int, seed: int) -> None:
    stream = np.concatenate([silence(0.7), phrase(name), silence(1.3)])
    stream += noise(len(stream) / 16_000, dbov, seed)
    stream = np.round(signal.resample_poly(stream, rate, 16_000))
    ours, theirs = measured(stream, rate), scores(np.clip(stream, -32768, 32767), rate)
    # A level may round the other way, since the meter filters in single precision.
    assert ours == pytest.approx(theirs, abs=0.05)


@pytest.mark.parametrize("stream", [hum(4, 50, -30), tone(4, 700, -20)])
def test_what_is_steady_is_no_speech(stream: Signal) -> None:
    assert measured(stream + noise(4, -70), 16_000)[50:].max() < 0


def test_there_is_none_before_any_block() -> None:
    detector = SpeakingDetector(16_000)
    assert detector.score is None
    detector.process(np.ones(159, dtype=np.int16))
    assert detector.score is None
