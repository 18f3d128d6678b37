"""Recordings with known speech, and the command that analyses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from pmon.cli.main import main
from pmon.media.phrases import phrases

RATE = 16_000
Segments = list[tuple[float, float]]


def conversation(seed: int = 1, noise_dbov: float = -62.0) -> tuple[NDArray[np.int16], Segments]:
    """15 s of phrases with pauses in slight noise, and where speech is."""
    random = np.random.default_rng(seed)
    samples = random.standard_normal(15 * RATE) * 10 ** (noise_dbov / 20) * 32768
    truth, at_s = [], 1.0
    for name in ("welcome", "numbers", "question"):
        phrase = phrases()[name]
        start = round(at_s * RATE)
        samples[start : start + len(phrase.samples)] += phrase.samples
        truth += [(round(at_s + a, 3), round(at_s + b, 3)) for a, b in phrase.truth.segments]
        at_s += phrase.truth.duration_s + 1.2
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16), truth


def write(
    path: Path, samples: NDArray[Any], *, rate: int = RATE, subtype: str | None = None
) -> Path:
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def streamed(path: Path) -> Path:
    """The FLAC as an encoder leaves it that cannot go back: its header does not tell its length."""
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the last 36 bits of what stands before the checksum
    data[22:26] = bytes(4)
    path.write_bytes(data)
    return path


def run(*arguments: object, **environ: str) -> Result:
    """``pmon analyze`` with these arguments."""
    return CliRunner().invoke(
        main, ["analyze", *map(str, arguments)], env=environ, prog_name="pmon"
    )


def found(*arguments: object) -> list[dict[str, Any]]:
    """The lines of ``--json``, of a run in which all went well."""
    done = run("--json", *arguments)
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]
