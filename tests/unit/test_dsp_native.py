"""Meters as native code has them: embedded in a struct of its own and fed without the GIL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from dsp_material import RATE, noise, phrase, silence

import pmon
from pmon._dsp import FrameRateMeter, LevelMeter, MicMeter, SpeakingDetector

NATIVE = """
# cython: language_level=3
from libc.stdint cimport int16_t
from pmon cimport _dsp

cdef struct track_t:
    _dsp.level_meter_t level
    _dsp.mic_t mic
    _dsp.speaking_t speaking
    _dsp.bill_t bill
    _dsp.frame_rate_t frames

def run(const int16_t[::1] samples, int rate, int piece):
    cdef track_t track
    cdef Py_ssize_t at = 0, take, n = samples.shape[0]
    cdef int told = 0
    cdef double fps
    with nogil:
        _dsp.level_init(&track.level, rate, 1)
        _dsp.mic_init(&track.mic, rate, 1)
        _dsp.speaking_init(&track.speaking, rate, 1, 0)
        _dsp.bill_init(&track.bill, &track.speaking, 0.01)
        track.speaking.bills, track.speaking.num_bills = &track.bill, 1
        _dsp.frame_rate_init(&track.frames, 2.0, 100)
        while at < n:
            take = min(piece, n - at)
            _dsp.level_feed(&track.level, &samples[at], take)
            _dsp.mic_feed(&track.mic, &samples[at], take)
            told += _dsp.speaking_feed(&track.speaking, &samples[at], take)
            _dsp.frame_rate_add(&track.frames, <double>at / rate)
            at += take
        _dsp.speaking_end_run(&track.speaking)
        fps = _dsp.frame_rate_fps(&track.frames, <double>n / rate)
    return track.level.last_power, track.mic.energy, track.bill.speech_samples, told, fps
"""
BUILD = """
from Cython.Build import cythonize
from setuptools import Extension, setup

modules = [Extension("native_meters", ["native_meters.pyx"])]
setup(name="native_meters", ext_modules=cythonize(modules, include_path=[{source!r}]))
"""


def test_a_native_module_feeds_the_same_meters(tmp_path: Path) -> None:
    source = Path(pmon.__file__).parent.parent
    (tmp_path / "native_meters.pyx").write_text(NATIVE)
    (tmp_path / "setup.py").write_text(BUILD.format(source=str(source)))
    build = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr

    stream = np.concatenate([silence(1), phrase("results"), silence(1)])
    samples = np.round(stream + noise(len(stream) / RATE, -60)).astype(np.int16)
    sys.path.insert(0, str(tmp_path))
    try:
        import native_meters  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(tmp_path))
    power, energy, speech_samples, told, fps = native_meters.run(samples, RATE, 160)

    level, detector, frames = LevelMeter(RATE), SpeakingDetector(RATE), FrameRateMeter(2.0, 100)
    level.process(samples)
    mic = MicMeter(RATE)
    mic.process(samples)
    told_here = detector.process(samples)
    detector.end_run()
    for at in range(0, len(samples), 160):
        frames.add(at / RATE)
    assert power**0.5 == level.rms
    assert energy / 2**36 * 0.01 == mic.totals()[1]
    assert (speech_samples, told) == (detector.speech_samples, told_here)
    assert speech_samples > 3 * RATE
    assert fps == frames.fps(len(samples) / RATE)
