"""The int16 kernels against Python's integers, NumPy and SciPy, on any buffer they may meet."""

from __future__ import annotations

import ctypes
import itertools
import math
import subprocess
import sys
from array import array
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from pmon import _dsp

Int16 = npt.NDArray[np.int16]
SAMPLES = st.lists(st.integers(-32768, 32767), max_size=600)
RAILS = st.lists(st.sampled_from([-32768, -32734, -32733, 0, 32733, 32734, 32767]), max_size=60)
KERNELS = (
    _dsp.sum_of_squares,
    _dsp.rms,
    _dsp.dbov,
    _dsp.peak,
    _dsp.dc,
    _dsp.is_digital_silence,
    _dsp.zero_crossings,
    _dsp.clipped_runs,
)


def int16(samples: list[int]) -> Int16:
    return np.array(samples, dtype=np.int16)


@given(SAMPLES)
def test_sums_are_exact(samples: list[int]) -> None:
    data = int16(samples)
    total = sum(x * x for x in samples)
    assert _dsp.sum_of_squares(data) == total
    n = len(samples)
    expected = (total / n) ** 0.5 / 32768 if n else 0.0
    assert _dsp.rms(data) == pytest.approx(expected, rel=1e-15)
    level = max(-127.0, 20 * math.log10(expected)) if expected else -127.0
    assert _dsp.dbov(data) == pytest.approx(level, abs=1e-9)
    assert _dsp.dc(data) == pytest.approx(sum(samples) / n / 32768 if n else 0.0, rel=1e-14)
    assert _dsp.peak(data) == max((abs(x) for x in samples), default=0) / 32768
    assert _dsp.is_digital_silence(data) == (not any(samples))


def test_full_scale_does_not_wrap() -> None:
    """In int16 arithmetic the square of -32768 is 0."""
    data = np.full(100_000, -32768, dtype=np.int16)
    assert _dsp.sum_of_squares(data) == 100_000 * 32768**2
    odd = data[:4801]
    assert _dsp.sum_of_squares(odd) == 4801 * 32768**2
    assert _dsp.rms(data) == 1.0
    assert _dsp.dbov(data) == 0.0
    assert _dsp.peak(data) == 1.0


def test_levels_on_the_ovs_scale() -> None:
    """ITU-T G.100.1: a full-scale square wave is 0 dBov and a sine 3.01 dB less."""
    t = np.arange(48_000) / 48_000
    square = np.where(np.sin(2 * np.pi * 1000 * t + 0.1) > 0, 32767, -32767).astype(np.int16)
    sine = np.round(32767 * np.sin(2 * np.pi * 1000 * t)).astype(np.int16)
    assert _dsp.dbov(square) == pytest.approx(0.0, abs=0.01)
    assert _dsp.dbov(sine) == pytest.approx(-3.01, abs=0.01)
    assert _dsp.dbov(np.zeros(480, np.int16)) == _dsp.SILENCE_DBOV == -127.0
    assert _dsp.dbov(np.zeros(0, np.int16)) == -127.0


def test_rms_is_the_power_under_the_spectrum() -> None:
    """A second, independent oracle: Parseval's theorem by SciPy."""
    data = np.random.default_rng(5).normal(0, 3000, 4800).astype(np.int16)
    _, density = signal.periodogram(data / 32768, detrend=False, return_onesided=False)
    assert _dsp.rms(data) ** 2 == pytest.approx(float(np.mean(density)), rel=1e-9)


@given(SAMPLES)
def test_zero_crossings(samples: list[int]) -> None:
    data = int16(samples)
    centred = data.astype(float) - (data.mean() if len(data) else 0.0)
    signs = [1 if x > 0 else -1 for x in centred if abs(x) > 3.3]
    assert _dsp.zero_crossings(data) == sum(a != b for a, b in itertools.pairwise(signs))


def test_a_small_hiss_on_an_offset_crosses_nothing() -> None:
    data = 5000 + np.random.default_rng(0).integers(-2, 3, 4800)
    assert _dsp.zero_crossings(data.astype(np.int16)) == 0


@given(RAILS)
def test_clipped_runs(samples: list[int]) -> None:
    runs, clipped, length = 0, 0, 0
    for sample in [*samples, 0]:
        if abs(sample) >= 32734:
            length += 1
            continue
        if length >= 3:
            runs, clipped = runs + 1, clipped + length
        length = 0
    assert _dsp.clipped_runs(int16(samples)) == (runs, clipped)


@given(SAMPLES, st.integers(1, 4))
def test_gain_sign_and_order_do_what_they_must(samples: list[int], gain: int) -> None:
    quiet = int16(samples) // 8
    assert _dsp.rms((quiet * gain).astype(np.int16)) == pytest.approx(gain * _dsp.rms(quiet))
    assert _dsp.rms(-quiet) == _dsp.rms(quiet)
    assert _dsp.rms(quiet[::-1].copy()) == _dsp.rms(quiet)


@given(SAMPLES)
def test_every_kind_of_int16_buffer_is_the_same(samples: list[int]) -> None:
    data = int16(samples)
    raw = data.tobytes()
    kinds: list[Any] = [
        data,
        array("h", samples),
        memoryview(raw).cast("h"),
        memoryview(bytearray(raw)).cast("h"),
        np.frombuffer(raw, dtype="=i2"),
        (ctypes.c_int16 * len(samples))(*samples),  # names its byte order
    ]
    for kernel in KERNELS:
        assert len({kernel(kind) for kind in kinds}) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(b"abcd", id="bytes"),
        pytest.param(None, id="None"),
        pytest.param([1, 2], id="list"),
        pytest.param("ab", id="str"),
        pytest.param(array("f", [1.0]), id="float32"),
        pytest.param(array("H", [1]), id="uint16"),
        pytest.param(array("i", [1]), id="int32"),
        pytest.param(np.zeros((2, 2), np.int16), id="2-D"),
        pytest.param(np.zeros(8, np.int16)[::2], id="strided"),
        pytest.param(np.zeros(8, ">i2"), id="other byte order"),
    ],
)
def test_anything_else_is_a_type_error(wrong: Any) -> None:
    meters = (_dsp.LevelMeter, _dsp.MicMeter, _dsp.SpeakingDetector)
    for function in (*KERNELS, *(meter(48_000).process for meter in meters)):
        with pytest.raises(TypeError, match="samples must be"):
            function(wrong)


def test_the_error_says_what_came_instead() -> None:
    released = memoryview(bytearray(2)).cast("h")
    released.release()
    for wrong, said in (
        (None, "not NoneType"),
        (b"ab", "of format 'B'"),
        (np.zeros((2, 3), np.int16), "not 2-dimensional of format 'h'"),
        (np.zeros(8, np.int16)[::2], "C-contiguous, not this ndarray"),
        (released, "released memoryview"),
    ):
        with pytest.raises(TypeError, match=said):
            _dsp.rms(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "function", [*KERNELS, _dsp.LevelMeter(8000, 2).process, _dsp.MicMeter(8000, 2).process]
)
def test_the_buffer_is_let_go(function: Any) -> None:
    """A buffer that is still held cannot be resized; held after an error it never could."""
    buffer = bytearray(6)
    view = memoryview(buffer).cast("h")
    try:
        function(view)
    except ValueError:
        assert function not in KERNELS  # 3 samples are no frames of 2 channels
    view.release()
    buffer.append(0)
    with pytest.raises(TypeError):
        function(buffer)
    buffer.append(0)


def test_importing_it_loads_no_sdk_no_loop_and_no_numpy() -> None:
    """Other audio tools use it alone."""
    code = (
        "import sys, pmon._dsp;"
        "print([m for m in ('livekit', 'numpy', 'asyncio', 'msgspec') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
